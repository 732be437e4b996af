//! Times as RFC 3339 writes them: `2020-02-12T15:15:45.787123456Z`.

/// Milliseconds since the Unix epoch; what is finer is cut off.
pub fn milliseconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').map_or((time, None), |(t, f)| (t, Some(f)));

    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let minutes_ahead = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
            let ahead = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let days = days_since_1970(year, month, day)?;
    // A second of 60 is a leap second, which the Unix epoch counts as the next one.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = (days * 24 + hour) * 60 + minute - minutes_ahead;
    Some((minutes * 60 + second) * 1000 + fraction.map_or(Some(0), thousandths)?)
}

/// Numbers of exactly these many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && is_number(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first three digits after a point.
fn thousandths(digits: &str) -> Option<i64> {
    is_number(digits).then(|| format!("{digits}00"))?[..3].parse().ok()
}

fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE_MONTH: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month = usize::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    let leap_day = i64::from(leap && month == 2);
    let length = BEFORE_MONTH[month] - BEFORE_MONTH[month - 1] + leap_day;
    if !(1..=length).contains(&day) {
        return None;
    }
    let past = year - 1;
    let before_year = past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    let before_month = BEFORE_MONTH[month - 1] + i64::from(leap && month > 2);
    // 719,162 days lie between the first day of year 1 and 1970.
    Some(before_year - 719_162 + before_month + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2024-12-31T23:59:60Z", 1_735_689_600_000),
            ("2020-02-12T15:15:45.787123456Z", 1_581_520_545_787),
            ("2020-02-12T16:15:45.7+01:00", 1_581_520_545_700),
            ("2020-02-12t10:45:45.78-04:30", 1_581_520_545_780),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000),
        ] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_with_a_zone_is_refused() {
        for text in [
            "",
            "2020-02-12",
            "2020-02-12T15:15:45",
            "2020-02-12 15:15:45Z",
            "2020-02-30T15:15:45Z",
            "2021-02-29T15:15:45Z",
            "2020-13-01T15:15:45Z",
            "2020-00-01T15:15:45Z",
            "2020-02-12T24:00:00Z",
            "2020-02-12T15:15:45.Z",
            "2020-02-12T15:15:45.1x5Z",
            "2020-02-12T15:15:45ZZ",
            "2020-02-12T15:15:45+1:00",
            "2020-02-12T15:15:45+24:00",
            "20-02-12T15:15:45Z",
            "+020-02-12T15:15:45Z",
            "2020-02-12T15:15:45.5ü",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
