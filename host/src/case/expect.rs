//! Whether an outcome is the one that a case expects.

use serde_json::{Map, Value};

use super::Outcome;

/// In what an outcome differs from what is expected, if it does: `key: expected "a", found "b"`.
///
/// Only what is expected is compared; what is expected to be neither skipped nor rejected has to become a
/// record, whatever of it is compared. Text is compared as it is; where `key` or `value` is expected to
/// be an object, a list, a number or a boolean, the text found is read as JSON. `"skip": true` takes any
/// reason, and `"reject": "trap"` any error of that reason.
#[must_use]
pub fn difference(expected: &Value, outcome: &Outcome) -> Option<String> {
    let found = outcome.json();
    match (expected, &found) {
        (Value::Object(expected), Value::Object(found)) => {
            let carried = matches!(outcome, Outcome::Records(_));
            if !carried && !["skip", "reject"].iter().any(|name| expected.contains_key(*name)) {
                let found = Value::Object(found.clone());
                return Some(format!("expected a record, found {found}"));
            }
            object("", expected, found)
        }
        _ => {
            Some(format!("\"expect\" is {expected}: it takes an object such as {{\"key\": \"a\"}}"))
        }
    }
}

fn object(path: &str, expected: &Map<String, Value>, found: &Map<String, Value>) -> Option<String> {
    expected.iter().find_map(|(name, expected)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match found.get(name) {
            Some(found) => value(&path, name, expected, found),
            None => {
                Some(format!("{path}: expected {expected}, found {}", Value::Object(found.clone())))
            }
        }
    })
}

fn value(path: &str, name: &str, expected: &Value, found: &Value) -> Option<String> {
    let differs = || Some(format!("{path}: expected {expected}, found {found}"));
    match (expected, found) {
        (Value::Bool(true), Value::String(_)) if name == "skip" => None,
        (Value::String(reason), Value::Object(rejection)) if name == "reject" => {
            if rejection.get("reason").and_then(Value::as_str) == Some(reason) {
                None
            } else {
                differs()
            }
        }
        (
            Value::Object(_) | Value::Array(_) | Value::Number(_) | Value::Bool(_),
            Value::String(text),
        ) if matches!(name, "key" | "value") => match serde_json::from_str::<Value>(text) {
            Ok(found) if found == *expected => None,
            _ => differs(),
        },
        (Value::Object(expected), Value::Object(found)) => object(path, expected, found),
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                let (expected, found) = (expected.len(), found.len());
                return Some(format!("{path}: expected {expected} of them, found {found}"));
            }
            expected.iter().zip(found).enumerate().find_map(|(index, (expected, found))| {
                value(&format!("{path}[{index}]"), name, expected, found)
            })
        }
        _ if expected == found => None,
        _ => differs(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{Reason, Rejection};

    fn record(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no record"),
        }
    }

    fn one() -> Outcome {
        let members = json!({"key": "a", "value": "{\"b\": 1}", "timestamp": 5, "headers": []});
        Outcome::Records(vec![record(members)])
    }

    fn rejected() -> Outcome {
        let error = "unreachable".to_owned();
        Outcome::Reject(Rejection { reason: Reason::Trap, error, plugin: None })
    }

    #[test]
    fn only_what_is_expected_is_compared() {
        for expected in [
            json!({}),
            json!({"key": "a"}),
            json!({"timestamp": 5, "value": "{\"b\": 1}"}),
            json!({"value": {"b": 1}, "headers": []}),
        ] {
            assert_eq!(difference(&expected, &one()), None, "{expected}");
        }
    }

    #[test]
    fn what_is_expected_without_a_word_of_skips_and_rejections_is_a_record() {
        let skip = Outcome::Skip("too small".into());
        for (outcome, found) in [
            (skip, r#"{"skip":"too small"}"#),
            (rejected(), r#"{"reject":{"error":"unreachable","reason":"trap"}}"#),
        ] {
            for expected in [json!({}), json!({"key": "a"})] {
                let told = format!("expected a record, found {found}");
                assert_eq!(difference(&expected, &outcome), Some(told));
            }
        }
    }

    #[test]
    fn a_difference_names_the_member_and_both_values() {
        for (expected, told) in [
            (json!({"key": "b"}), r#"key: expected "b", found "a""#),
            (json!({"key": null}), r#"key: expected null, found "a""#),
            (json!({"key": 1}), r#"key: expected 1, found "a""#),
            (json!({"value": {"b": 2}}), r#"value: expected {"b":2}, found "{\"b\": 1}""#),
            (json!({"headers": [{}]}), "headers: expected 1 of them, found 0"),
        ] {
            assert_eq!(difference(&expected, &one()).as_deref(), Some(told));
        }
        let found = difference(&json!({"skip": true}), &one()).expect("a difference");
        assert!(found.starts_with("skip: expected true, found {"), "{found}");
        assert!(difference(&json!("a"), &one()).is_some());
    }

    #[test]
    fn records_are_compared_one_by_one() {
        let two = Outcome::Records(vec![record(json!({"key": "a"})), record(json!({"key": "b"}))]);
        for expected in [json!([{}, {"key": "b"}]), json!([{"key": "a"}, {"key": "b"}])] {
            assert_eq!(difference(&json!({ "records": expected }), &two), None);
        }
        let expected = json!({"records": [{"key": "a"}, {"key": "c"}]});
        let found = r#"records[1].key: expected "c", found "b""#;
        assert_eq!(difference(&expected, &two).as_deref(), Some(found));
    }

    #[test]
    fn skips_and_rejections_are_expected_in_a_word() {
        let skip = Outcome::Skip("too small".into());
        assert_eq!(difference(&json!({"skip": true}), &skip), None);
        assert_eq!(difference(&json!({"skip": "too small"}), &skip), None);
        assert!(difference(&json!({"skip": "too large"}), &skip).is_some());
        assert_eq!(difference(&json!({"reject": "trap"}), &rejected()), None);
        assert!(difference(&json!({"reject": "time-out"}), &rejected()).is_some());
        let detail = json!({"reject": {"error": "unreachable"}});
        assert_eq!(difference(&detail, &rejected()), None);
    }

    #[test]
    fn an_outcome_meets_its_own_expectation() {
        for outcome in [one(), rejected(), Outcome::Skip("why".into())] {
            assert_eq!(difference(&outcome.expectation(), &outcome), None);
        }
    }
}
