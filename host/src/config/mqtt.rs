//! What MQTT allows in topic filters, texts and CONNECT properties.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ConnectProperties;

/// Longest text that MQTT can carry, in bytes.
const MAX_TEXT: usize = 65_535;

/// One day.
const DEFAULT_SESSION_EXPIRY_SECS: u32 = 86_400;

/// Checks a topic filter (MQTT-4.7.1, and MQTT 5 4.8.2 for shared subscriptions).
pub fn check_filter(flag: &str, filter: &str) -> Result<(), String> {
    check_text(flag, filter)?;
    let named = |what: &str| Err(format!("{flag} {filter:?} {what}"));
    if filter.is_empty() {
        return Err(format!("{flag} is empty: name at least one level, or '#' for everything"));
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

/// Checks the name of a topic to publish to (MQTT-4.7.1-1).
pub fn check_topic(flag: &str, topic: &str) -> Result<(), String> {
    check_text(flag, topic)?;
    if topic.is_empty() {
        return Err(format!("{flag} is empty: name at least one level"));
    }
    if topic.contains(['+', '#']) {
        return Err(format!("{flag} {topic:?} has a wildcard: name one topic"));
    }
    Ok(())
}

/// Checks that a text or its bytes fit into an MQTT packet (MQTT-1.5.4).
pub fn check_size(flag: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("{flag} has {} bytes: MQTT takes at most {MAX_TEXT}", text.len()));
    }
    Ok(())
}

/// Checks a text that goes into an MQTT packet (MQTT-1.5.4).
pub fn check_text(flag: &str, text: &str) -> Result<(), String> {
    check_size(flag, text)?;
    if text.contains('\0') {
        return Err(format!("{flag} holds a NUL character, which MQTT forbids"));
    }
    Ok(())
}

/// Reads `--property NAME=VALUE`s; `largest` is the largest packet taken, in bytes.
pub fn connect_properties(given: &[String], largest: u32) -> Result<ConnectProperties, String> {
    let mut properties = ConnectProperties {
        session_expiry_secs: DEFAULT_SESSION_EXPIRY_SECS,
        receive_maximum: u16::MAX,
        max_packet_size: largest,
        request_response_information: None,
        request_problem_information: None,
        user: Vec::new(),
        authentication_method: None,
        authentication_data: None,
    };
    let mut seen: Vec<&str> = Vec::with_capacity(given.len());
    for property in given {
        let Some((name, value)) = property.split_once('=') else {
            return Err(format!("--property {property:?} has no value: write NAME=VALUE"));
        };
        if let Some(user_name) = name.strip_prefix("user.").filter(|name| !name.is_empty()) {
            check_text("--property", user_name)?;
            check_text("--property", value)?;
            properties.user.push((user_name.to_owned(), value.to_owned()));
            continue;
        }
        if seen.contains(&name) {
            return Err(format!("--property {name} is given twice: keep one"));
        }
        seen.push(name);
        match name {
            "session-expiry-interval" => {
                properties.session_expiry_secs = number(name, value, 0..=u32::MAX)?;
            }
            "receive-maximum" => properties.receive_maximum = number(name, value, 1..=u16::MAX)?,
            "maximum-packet-size" => {
                properties.max_packet_size = number(name, value, 128..=largest)?;
            }
            "request-response-information" => {
                properties.request_response_information = Some(number(name, value, 0..=1)? == 1);
            }
            "request-problem-information" => {
                properties.request_problem_information = Some(number(name, value, 0..=1)? == 1);
            }
            "authentication-method" => {
                check_text("--property authentication-method", value)?;
                properties.authentication_method = Some(value.to_owned());
            }
            "authentication-data" => {
                properties.authentication_data = Some(authentication_data(value)?);
            }
            _ => return Err(unknown(name)),
        }
    }
    if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
        return Err("--property authentication-data has no use without authentication-method: \
                    name the method (MQTT 5, 3.1.2.11.10)"
            .into());
    }
    Ok(properties)
}

fn unknown(name: &str) -> String {
    if name == "topic-alias-maximum" {
        return "--property topic-alias-maximum is not offered: topics come in full".into();
    }
    format!(
        "--property {name:?} is not known: there are session-expiry-interval, receive-maximum, \
         maximum-packet-size, request-response-information, request-problem-information, \
         authentication-method, authentication-data and user.NAME"
    )
}

/// The messages never show it: it may be a secret.
fn authentication_data(value: &str) -> Result<Vec<u8>, String> {
    let bytes = match value.strip_prefix("base64:") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| "--property authentication-data is not valid base64 after base64:")?,
        None => value.as_bytes().to_vec(),
    };
    if bytes.len() > MAX_TEXT {
        let size = bytes.len();
        return Err(format!(
            "--property authentication-data has {size} bytes: MQTT takes at most {MAX_TEXT}"
        ));
    }
    Ok(bytes)
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
            assert_eq!(check_filter("--topic", filter), Ok(()), "{filter}");
        }
        assert_eq!(check_filter("--topic", &"x".repeat(MAX_TEXT)), Ok(()));
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
            let error = check_filter("--topic", filter).expect_err("a bad filter");
            assert!(error.contains(rule), "{error}");
        }
    }
}
