//! Deserializers, setters and the built-in ones together.

use super::*;
use crate::message::{Publish, Qos};
use crate::plugin::tests::guests::built;
use crate::plugin::{Limits, Loader, Spec};

/// What becomes of a message on topic `t` with each payload, in words, in the order decided.
fn carried(plugins: &[&str], payloads: &[&str]) -> Vec<(usize, String)> {
    let mut transform = transform(plugins, Limits::default());
    let batch = batch(payloads);
    let mut carried = Vec::new();
    // Twice, since buffers are used again.
    for _ in 0..2 {
        carried.clear();
        transform.each(&batch, |index, verdict| carried.push((index, told(&verdict))));
    }
    carried
}

fn transform(plugins: &[&str], limits: Limits) -> Transform {
    let specs: Vec<_> = plugins.iter().map(|plugin| Spec::from(built(plugin).as_path())).collect();
    let loaded = Loader::with_cache(limits, None).load(&specs).expect("good plugins");
    Transform::new(Builtin::new(true), loaded.instantiate())
}

fn batch(payloads: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for (sequence, payload) in (0..).zip(payloads) {
        let publish = Publish {
            topic: "t",
            payload: payload.as_bytes(),
            qos: Qos::AtMostOnce,
            retain: false,
            dup: false,
            packet_id: 0,
            properties: None,
        };
        batch.push(sequence, 7, &publish);
    }
    batch
}

fn told(verdict: &Verdict<'_>) -> String {
    let text = |bytes: &Option<Cow<'_, [u8]>>| {
        bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned()
    };
    let one = |record: &Record<'_>| {
        format!("{} {} {}", text(&record.key), record.timestamp_ms, text(&record.value))
    };
    match verdict {
        Verdict::Record(record) => one(record),
        Verdict::Records(records) => records.iter().map(one).collect::<Vec<_>>().join(" | "),
        Verdict::Skip(why) => format!("skip: {why}"),
        Verdict::Reject(why) => format!("reject: {}", why.error),
        Verdict::Fatal(why) => format!("fatal: {}", why.error),
        Verdict::Wait => "wait".to_owned(),
    }
}

#[test]
fn the_built_in_setters_find_their_members_in_what_a_deserializer_made() {
    let payloads =
        [r#"json {"_key":"k","_timestamp":1700000000000}"#, "dev42", "default", "json [2]"];
    let expected = [
        r#"k 1700000000000 json {"_key":"k","_timestamp":1700000000000}"#,
        "dev42 7 dev42",
        "t 7 default",
        "t 7 json [2]",
    ];
    let carried = carried(&["scripted"], &payloads);
    assert_eq!(carried.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(carried.iter().map(|(_, told)| told.as_str()).collect::<Vec<_>>(), expected);
}

#[test]
fn a_message_that_a_deserializer_refuses_reaches_no_setter_and_spoils_no_other() {
    let payloads = ["a", "skip it", "b", "bad luck", "json [1", "fatal flaw", "c"];
    let mut carried = carried(&["scripted", "describe"], &payloads);
    carried.sort();
    let told: Vec<_> = carried.iter().map(|(_, told)| told.as_str()).collect();
    let [a, skip, b, bad, not_json, fatal, c] = told[..] else { panic!("{told:?}") };
    for (told, key) in [(a, "a"), (b, "b"), (c, "c")] {
        // The value setter sees both the payload and the JSON; the key setter leaves the key alone.
        let expected = format!("{key} 8 Message {{ topic: \"t\", payload: \"{key}\"");
        assert!(told.starts_with(&expected), "{told}");
        let json = format!(r#"deserialized: Some("{{\"_key\":\"{key}\"}}")"#);
        assert!(told.contains(&json), "{told}");
    }
    assert_eq!(skip, "skip: skip it");
    assert_eq!(bad, "reject: bad luck");
    assert!(not_json.starts_with("reject: the payload deserializer answered what is not JSON"));
    assert_eq!(fatal, "reject: fatal flaw", "since it works for others");
}

#[test]
fn once_a_message_has_to_wait_no_record_is_made_of_those_behind_it() {
    let limits = Limits { failures: 2, memory: 8 << 20, ..Limits::default() };
    let mut transform = transform(&["scripted", "misbehave"], limits);
    let batch = batch(&["bad one", "eat", "eat", "waits", "skip it", "bad luck", "behind"]);
    let mut carried = Vec::new();
    transform.each(&batch, |index, verdict| carried.push((index, told(&verdict))));
    let short: Vec<_> =
        carried.iter().map(|(index, told)| (*index, told.split(' ').next().unwrap())).collect();
    // What the deserializer decides is decided before the setters are asked.
    let expected =
        [(0, "reject:"), (4, "skip:"), (5, "reject:"), (1, "reject:"), (2, "reject:"), (3, "wait")];
    assert_eq!(short, expected);
    let pause = transform.pause().expect("a pause");
    assert!(pause.why.contains("misbehave"), "{}", pause.why);
}

#[test]
fn large_answers_are_used_in_portions_and_each_stays_with_its_message() {
    let payloads: Vec<_> =
        (0..12).map(|number| format!("{number} {}", "x".repeat(4 << 20))).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    for plugins in [&["misbehave"][..], &["misbehave", "scripted"], &["misbehave", "rewrite"]] {
        let carried = carried(plugins, &payloads);
        assert_eq!(carried.len(), payloads.len());
        for ((index, told), (number, payload)) in carried.iter().zip(payloads.iter().enumerate()) {
            assert_eq!(*index, number);
            assert!(*told == format!("{payload} 7 {payload}"), "{number}: {plugins:?}");
        }
    }
}
