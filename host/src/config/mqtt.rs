//! What MQTT allows in topic filters, texts and CONNECT properties.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::ConnectProperties;

/// Longest text that MQTT can carry, in bytes.
const MAX_TEXT: usize = 65_535;

/// One day.
const DEFAULT_SESSION_EXPIRY_SECS: u32 = 86_400;

/// Checks a topic filter (MQTT-4.7.1, and MQTT 5 4.8.2 for shared subscriptions).
pub fn check_filter(filter: &str) -> Result<(), String> {
    check_text("--topic", filter)?;
    let named = |what: &str| Err(format!("--topic {filter:?} {what}"));
    if filter.is_empty() {
        return Err("--topic is empty: name at least one level, or '#' for everything".into());
    }
    let mut levels = filter;
    if let Some(shared) = filter.strip_prefix("$share/") {
        let Some((group, shared_filter)) = shared.split_once('/') else {
            return named("names no topic: write $share/GROUP/FILTER");
        };
        if group.is_empty() || group.contains(['+', '#']) || shared_filter.is_empty() {
            return named(
                "is no shared subscription: write $share/GROUP/FILTER, GROUP without + and #",
            );
        }
        levels = shared_filter;
    }
    let mut levels = levels.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        match level {
            "#" if last => {}
            "#" => return named("has levels after '#': '#' is only valid as the last level"),
            "+" => {}
            _ if level.contains('#') => {
                return named("has '#' beside other text: '#' stands alone as the last level");
            }
            _ if level.contains('+') => {
                return named("has '+' beside other text: '+' stands alone in its level");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a text that goes into an MQTT packet (MQTT-1.5.4).
pub fn check_text(flag: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("{flag} has {} bytes: MQTT takes at most {MAX_TEXT}", text.len()));
    }
    if text.contains('\0') {
        return Err(format!("{flag} holds a NUL character, which MQTT forbids"));
    }
    Ok(())
}

/// Reads `--property NAME=VALUE`s.
pub fn connect_properties(given: &[String]) -> Result<ConnectProperties, String> {
    let (mut expiry, mut maximum, mut user) = (None, None, Vec::new());
    for property in given {
        let Some((name, value)) = property.split_once('=') else {
            return Err(format!("--property {property:?} has no value: write NAME=VALUE"));
        };
        let twice = match (name, name.strip_prefix("user.")) {
            ("session-expiry-interval", _) => {
                expiry.replace(number(name, value, 0..=u32::MAX)?).is_some()
            }
            ("receive-maximum", _) => maximum.replace(number(name, value, 1..=u16::MAX)?).is_some(),
            (_, Some(user_name)) if !user_name.is_empty() => {
                check_text("--property", user_name)?;
                check_text("--property", value)?;
                user.push((user_name.to_owned(), value.to_owned()));
                false
            }
            _ => {
                return Err(format!(
                    "--property {name:?} is not known: there are session-expiry-interval, \
                     receive-maximum and user.NAME"
                ));
            }
        };
        if twice {
            return Err(format!("--property {name} is given twice: keep one"));
        }
    }
    Ok(ConnectProperties {
        session_expiry_secs: expiry.unwrap_or(DEFAULT_SESSION_EXPIRY_SECS),
        receive_maximum: maximum.unwrap_or(u16::MAX),
        user,
    })
}

fn number<N>(name: &str, value: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + Display + PartialOrd,
{
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        format!(
            "--property {name}={value} is out of range: it takes a number from {least} to {most}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_may_hold_wildcards_that_stand_alone() {
        for filter in [
            "a",
            "/",
            "//",
            "a/b/c",
            "#",
            "+",
            "+/+",
            "a/#",
            "/#",
            "+/b/#",
            "a//b",
            "plant/ü",
            "a b",
            "$SYS/#",
            "$share/group/#",
            "$share/group/a/+",
            "$share/group//a",
            "$share",
            "a/$share",
        ] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        assert_eq!(check_filter(&"x".repeat(MAX_TEXT)), Ok(()));
    }

    #[test]
    fn other_filters_are_refused_and_the_rule_is_said() {
        for (filter, rule) in [
            ("", "is empty"),
            ("a/#/b", "only valid as the last level"),
            ("#/", "only valid as the last level"),
            ("##", "'#' stands alone"),
            ("a#", "'#' stands alone"),
            ("a/b#", "'#' stands alone"),
            ("a+/b", "'+' stands alone"),
            ("a/+b", "'+' stands alone"),
            ("++", "'+' stands alone"),
            ("a\0b", "NUL"),
            ("$share/", "$share/GROUP/FILTER"),
            ("$share/group", "$share/GROUP/FILTER"),
            ("$share/group/", "$share/GROUP/FILTER"),
            ("$share//a", "$share/GROUP/FILTER"),
            ("$share/+/a", "GROUP without + and #"),
            ("$share/group/a#", "'#' stands alone"),
            (&"x".repeat(MAX_TEXT + 1), "65536 bytes"),
        ] {
            let error = check_filter(filter).expect_err("a bad filter");
            assert!(error.contains(rule), "{error}");
        }
    }
}
