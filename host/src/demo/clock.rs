//! Points in time as simulated devices send them and as people read them. Always UTC.

/// `2020-02-12 15:15:45.787`
pub fn readable(ms: i64) -> String {
    let (date, time) = split(ms);
    format!("{date} {time}")
}

/// `2020-02-12T15:15:45.787123456Z`, as The Things Network dates its messages.
pub fn rfc3339(ms: i64, nanoseconds: u32) -> String {
    let (date, time) = split(ms);
    format!("{date}T{time}{nanoseconds:06}Z")
}

/// The date, and the time of day in milliseconds.
fn split(ms: i64) -> (String, String) {
    const DAY: i64 = 86_400_000;
    let (year, month, day) = date(ms.div_euclid(DAY));
    let of_day = ms.rem_euclid(DAY);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}.{ms:03}"))
}

/// The year, month and day that are so many days after 1970-01-01 in the Gregorian calendar.
fn date(days: i64) -> (i64, i64, i64) {
    // Years that begin in March end with the leap day; 400 of them always have as many days.
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let day = days.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(readable(0), "1970-01-01 00:00:00.000");
        assert_eq!(readable(1_709_164_800_001), "2024-02-29 00:00:00.001");
        assert_eq!(readable(4_107_542_399_999), "2100-02-28 23:59:59.999");
        assert_eq!(readable(4_107_542_400_000), "2100-03-01 00:00:00.000");
        assert_eq!(rfc3339(1_581_520_545_787, 123_456), "2020-02-12T15:15:45.787123456Z");
        assert_eq!(rfc3339(1_700_000_000_000, 7), "2023-11-14T22:13:20.000000007Z");
    }
}
