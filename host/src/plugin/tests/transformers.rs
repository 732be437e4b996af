//! What transformers answer, one alone and several in a chain.

use std::fs;

use super::*;
use crate::plugin::Content;

/// What the transformers of a plugin answer about messages with these payloads.
fn transformed(file: &std::path::Path, payloads: &[&str], drafts: &[Draft]) -> Vec<Said> {
    transformed_by(&mut setters(file), payloads, drafts)
}

fn transformed_by(setters: &mut Setters, payloads: &[&str], drafts: &[Draft]) -> Vec<Said> {
    let batch = batch(payloads);
    let mut answers = Answers::new();
    assert_eq!(setters.transformers(), 1);
    setters.transform(0, &batch, drafts, 0, &mut answers);
    assert_eq!(answers.items.len(), payloads.len());
    answers.items.iter().map(|item| Said::of(item, &answers)).collect()
}

fn value(text: &str) -> Draft {
    Draft { value: Content::Bytes(text.into()), ..Draft::default() }
}

#[test]
fn every_field_that_a_transformer_decides_arrives() {
    let payloads = [
        "split a b",
        "key k v",
        "topic other v",
        "partition 7 v",
        "time 5 v",
        "header h v",
        "bare v",
        "null",
        "as it came",
        "drop",
        "skip it",
    ];
    let header = |value: &str| ("h".to_owned(), Some(value.as_bytes().to_vec()));
    let headers = Some(vec![header("1"), header("2"), ("null".to_owned(), None)]);
    let one = |draft| Said::Records(vec![draft]);
    let expected = [
        Said::Records(vec![value("a"), value("b")]),
        one(Draft { key: Content::Bytes(b"k".to_vec()), ..value("v") }),
        one(Draft { topic: Some("other".to_owned()), ..value("v") }),
        one(Draft { partition: Some(7), ..value("v") }),
        one(Draft { timestamp_ms: Some(5), ..value("v") }),
        one(Draft { headers, ..value("v") }),
        one(Draft { headers: Some(Vec::new()), ..value("") }),
        one(Draft { key: Content::Null, value: Content::Null, ..Draft::default() }),
        Said::Default,
        Said::Skip("it became no record".to_owned()),
        Said::Skip("it".to_owned()),
    ];
    assert_eq!(transformed(&guests::built("rewrite"), &payloads, &[]), expected);
}

#[test]
fn a_transformer_sees_what_has_been_decided_so_far() {
    let draft = Draft {
        topic: Some("t".to_owned()),
        key: Content::Bytes(b"k".to_vec()),
        headers: Some(vec![("h".to_owned(), None)]),
        ..Draft::default()
    };
    let said =
        transformed(&guests::built("rewrite"), &["show", "show"], &[draft, Draft::default()]);
    let [Said::Records(first), Said::Records(second)] = &said[..] else { panic!("{said:?}") };
    let [Content::Bytes(first), Content::Bytes(second)] = [&first[0].value, &second[0].value]
    else {
        panic!("{said:?}")
    };
    let first = String::from_utf8_lossy(first);
    assert!(["k", "\"t\"", "\"h\""].iter().all(|part| first.contains(part)), "{first}");
    assert!(String::from_utf8_lossy(second).len() < first.len());
}

#[test]
fn one_that_fails_or_answers_too_much_spoils_only_its_own_message() {
    let payloads = [
        "split a b",
        "panic now",
        "bad luck",
        "loop",
        "many 1001",
        "huge 17000000",
        "time 0 v",
        "partition 2147483648 v",
        "key k v",
    ];
    let said = transformed(&guests::built("rewrite"), &payloads, &[]);
    let [first, panicked, bad, looped, many, huge, time, partition, last] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(*first, Said::Records(vec![value("a"), value("b")]));
    assert!(matches!(last, Said::Records(records) if records.len() == 1));
    for (said, reason, words) in [
        (panicked, "trap", "now"),
        (bad, "bad-message", "luck"),
        (looped, "time-out", "the transformer ran longer than 500 ms"),
        (many, "bad-output", "answered 1001 records, at most 1000 are allowed"),
        (huge, "bad-output", "17000000 bytes of records, at most 16 MiB"),
        (time, "bad-output", "the timestamp 0, a timestamp is positive"),
        (partition, "bad-output", "partition 2147483648, Kafka has no such partition"),
    ] {
        let Said::Reject(found, error) = said else { panic!("{said:?}") };
        assert_eq!(*found, reason);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn several_plugins_may_have_a_transformer_each() {
    let other =
        guests::File::new("other.wasm", &fs::read(guests::built("rewrite")).expect("built"));
    let plugins = load(&[guests::built("rewrite"), other.path().to_owned()], &limits());
    assert_eq!(plugins.instantiate().transformers(), 2);
    let described: Vec<_> = plugins.describe().map(|plugin| plugin.to_string()).collect();
    assert!(described.iter().all(|line| line.contains("transformer (packed)")), "{described:?}");
}

#[test]
fn a_transformer_written_by_hand_with_the_typed_interface_alone_works_as_well() {
    let file = guests::wat("by-hand.wasm", &guests::typed_transformer());
    let draft = Draft { partition: Some(3), ..Draft::default() };
    let said = transformed(file.path(), &["abc", ""], &[draft, Draft::default()]);
    let record = Draft {
        topic: Some("plant/a".to_owned()),
        key: Content::Null,
        value: Content::Bytes(b"plant/a".to_vec()),
        partition: Some(3),
        ..Draft::default()
    };
    assert_eq!(said, [Said::Records(vec![record]), Said::Skip("it became no record".to_owned())]);
}
