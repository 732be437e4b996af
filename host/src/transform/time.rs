//! Reads points in time as people write them: milliseconds as a number, or RFC 3339 text.
//!
//! Numbers are read exactly, digit by digit, since an `f64` would round what is to be cut off.
//! This is no calendar library: it knows the Gregorian calendar and offsets, not time zones.

use super::json::Value;

/// The last millisecond of the year 9999, the latest that RFC 3339 can say.
pub const LATEST_MS: i64 = 253_402_300_799_999;

const MS_PER_DAY: i64 = 86_400_000;
const MS_PER_MINUTE: i64 = 60_000;

/// The milliseconds since the Unix epoch that a JSON value means, without what is below a
/// millisecond; `None` unless they are within `1..=LATEST_MS`.
///
/// Taken are numbers, and strings that hold a number (with a `+`, leading zeros and blanks around
/// it, as in Python) or a date and time with an offset from UTC.
pub fn milliseconds(value: Value<'_>) -> Option<i64> {
    let time = match value.string() {
        Some(text) => decimal(text.trim_ascii()).or_else(|| rfc3339(&text))?,
        None => decimal(value.text())?,
    };
    (1..=LATEST_MS).contains(&time).then_some(time)
}

/// The integer part of a number; `None` for a negative one with a fraction, and where an `i64` ends.
fn decimal(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        // Nearly always.
        return Some(number);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, self::exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (all_digits(whole)?, all_digits(fraction)?),
        None => (all_digits(mantissa)?, ""),
    };
    let point = i64::try_from(whole.len()).ok()?.saturating_add(exponent);
    let mut digits = whole.bytes().chain(fraction.bytes());
    let mut number = 0_i64;
    for _ in 0..point {
        let Some(digit) = digits.next().or((number != 0).then_some(b'0')) else {
            break; // nothing but zeros, however many the exponent adds
        };
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(number)
}

/// An exponent; one that is out of all bounds becomes one that is far out of range.
fn exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    Some(sign * all_digits(digits)?.parse().map_or(FAR, |exponent: i64| exponent.min(FAR)))
}

fn all_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// Milliseconds since the Unix epoch of an RFC 3339 `date-time`, with `T`, `t` or a blank between
/// the date and the time (section 5.6). A leap second is the second after it, as in POSIX time.
fn rfc3339(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    let (date, time) = (text.get(..10)?, text.get(11..19)?);
    let (day, [hour, minute, second]) = match (date, text[10], time) {
        (&[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1], b'T' | b't' | b' ', time) => {
            let &[h0, h1, b':', n0, n1, b':', s0, s1] = time else {
                return None;
            };
            let year = number([y0, y1])? * 100 + number([y2, y3])?;
            let day = days_since_epoch(year, number([m0, m1])?, number([d0, d1])?)?;
            (day, [number([h0, h1])?, number([n0, n1])?, number([s0, s1])?])
        }
        _ => return None,
    };
    let (fraction_ms, zone) = fraction(&text[19..])?;
    let offset = offset_minutes(zone)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minute_start = day * MS_PER_DAY + (hour * 60 + minute - offset) * MS_PER_MINUTE;
    let in_last_minute = minute_start.rem_euclid(MS_PER_DAY) == MS_PER_DAY - MS_PER_MINUTE;
    if second == 60 && !in_last_minute {
        return None;
    }
    Some(minute_start + second * 1000 + fraction_ms)
}

fn number([tens, ones]: [u8; 2]) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// The milliseconds of a fraction of a second, if one is there, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let size = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(size);
    let ms = (0..3).fold(0, |ms, place| {
        ms * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'))
    });
    (size != 0).then_some((ms, rest))
}

/// How many minutes ahead of UTC.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number([h0, h1])?, number([m0, m1])?);
            let ahead = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar; `None` for a date that does not exist.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March end with the leap day, and months then follow one formula.
    let year = if month < 3 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::json::Fields;

    /// What `{"_timestamp": JSON}` means.
    fn time(json: &str) -> Option<i64> {
        let payload = format!("{{\"_timestamp\":{json}}}");
        let fields = Fields::of(payload.as_bytes()).expect("a JSON object");
        milliseconds(fields.timestamp.expect("a timestamp"))
    }

    fn text(text: &str) -> Option<i64> {
        time(&format!("\"{text}\""))
    }

    #[test]
    fn integers_are_milliseconds() {
        assert_eq!(time("1700000000001"), Some(1_700_000_000_001));
        assert_eq!(time("1"), Some(1));
        assert_eq!(time("253402300799999"), Some(LATEST_MS));
    }

    #[test]
    fn fractions_of_a_millisecond_are_cut_off_and_never_rounded() {
        assert_eq!(time("1700000000001.0"), Some(1_700_000_000_001));
        assert_eq!(time("1700000000001.99999999999999999"), Some(1_700_000_000_001));
        assert_eq!(time("253402300799999.9"), Some(LATEST_MS));
        assert_eq!(time("1.9"), Some(1));
        assert_eq!(time("0.9"), None);
        assert_eq!(text("2023-11-14T22:13:20.0019999999999999999999Z"), Some(1_700_000_000_001));
    }

    #[test]
    fn exponents_are_exact_and_bounded() {
        assert_eq!(time("1.700000000001e12"), Some(1_700_000_000_001));
        assert_eq!(time("1.7000000000019E+12"), Some(1_700_000_000_001));
        assert_eq!(time("17000000000019e-1"), Some(1_700_000_000_001));
        assert_eq!(time("1e0"), Some(1));
        assert_eq!(time("12e-1"), Some(1));
        assert_eq!(time("0.00001e5"), Some(1));
        for far in
            ["1e30", "1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999"]
        {
            assert_eq!(time(far), None, "{far}");
        }
    }

    #[test]
    fn strings_may_hold_numbers() {
        for number in [
            "1700000000001",
            " 1700000000001\\n",
            "+1700000000001",
            "01700000000001.5",
            "1.700000000001e12",
            "\\u00317e11",
        ] {
            assert!(
                matches!(text(number), Some(1_700_000_000_000 | 1_700_000_000_001)),
                "{number}"
            );
        }
        for other in [
            "", " ", "+", ".", "1.", ".5", "1e", "e5", "1_000", "0x10", "NaN", "Infinity", "1 2",
            "++1", "+-1", "１",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_unusable() {
        for json in [
            "0",
            "-0",
            "0.0",
            "-5",
            "-1e3",
            "253402300800000",
            "9223372036854775807",
            "9223372036854775808",
            "99999999999999999999999999999",
            "\"0\"",
            "\"-5\"",
        ] {
            assert_eq!(time(json), None, "{json}");
        }
        assert_eq!(text("1970-01-01T00:00:00Z"), None);
        assert_eq!(text("1970-01-01T00:00:00.001Z"), Some(1));
        assert_eq!(text("1969-12-31T23:59:59Z"), None);
        assert_eq!(text("0000-01-01T00:00:00Z"), None);
        assert_eq!(text("9999-12-31T23:59:59.999Z"), Some(LATEST_MS));
        assert_eq!(text("9999-12-31T23:59:60Z"), None);
        assert_eq!(text("9999-12-31T23:59:59-00:01"), None);
    }

    #[test]
    fn values_of_other_types_are_unusable() {
        for json in ["null", "true", "false", "[]", "[1]", "{}", "{\"a\":1}", "\"soon\""] {
            assert_eq!(time(json), None, "{json}");
        }
    }

    #[test]
    fn rfc_3339_is_read_with_any_offset() {
        let expected = Some(1_700_000_000_123);
        for same in [
            "2023-11-14T22:13:20.123Z",
            "2023-11-14t22:13:20.123z",
            "2023-11-14 22:13:20.123Z",
            "2023-11-14T22:13:20.123+00:00",
            "2023-11-14T22:13:20.123-00:00",
            "2023-11-15T00:13:20.123+02:00",
            "2023-11-14T16:43:20.1234-05:30",
            "2023-11-15T22:12:20.123999999+23:59",
        ] {
            assert_eq!(text(same), expected, "{same}");
        }
        assert_eq!(text("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(text("2023-11-14T22:13:20.1Z"), Some(1_700_000_000_100));
    }

    #[test]
    fn text_that_is_nearly_rfc_3339_is_unusable() {
        for other in [
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.123",
            "2023-11-14",
            "22:13:20Z",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20+0200",
            "2023-11-14T22:13:20+02",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20+02:60",
            "2023-11-14T22:13:20Z ",
            " 2023-11-14T22:13:20Z",
            "2023-11-14_22:13:20Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:60:00Z",
            "2023-11-14T22:13:61Z",
            "2023-13-14T22:13:20Z",
            "2023-00-14T22:13:20Z",
            "2023-11-31T22:13:20Z",
            "2023-11-00T22:13:20Z",
            "2023-1-14T22:13:20Z",
            "+2023-11-14T22:13:20Z",
            "20231114T221320Z",
            "2023-11-1é22:13:20Z",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn leap_years_are_those_of_the_gregorian_calendar() {
        assert_eq!(text("2024-02-29T00:00:00Z"), Some(1_709_164_800_000));
        assert_eq!(text("2024-03-01T00:00:00Z"), Some(1_709_251_200_000));
        assert_eq!(text("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(text("2100-02-29T00:00:00Z"), None);
        assert_eq!(text("2023-02-29T00:00:00Z"), None);
    }

    #[test]
    fn a_leap_second_is_the_second_after_it_and_only_ends_a_day() {
        let midnight = text("2017-01-01T00:00:00Z");
        assert_eq!(midnight, Some(1_483_228_800_000));
        assert_eq!(text("2016-12-31T23:59:60Z"), midnight);
        assert_eq!(text("2016-12-31T15:59:60-08:00"), midnight);
        assert_eq!(text("2016-12-31T23:59:60.5Z"), Some(1_483_228_800_500));
        assert_eq!(text("2016-12-31T23:58:60Z"), None);
        assert_eq!(text("2016-12-31T23:59:60+01:00"), None);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = days_since_epoch(1, 1, 1).expect("a date");
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(found) = days_since_epoch(year, month, day) {
                        assert_eq!(found, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, LATEST_MS / MS_PER_DAY + 1);
        assert_eq!(days_since_epoch(1970, 1, 1), Some(0));
    }
}
