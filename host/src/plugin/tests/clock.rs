//! Plugins that ask for the time.

use super::guests::{File, module, wat};
use super::*;
use crate::plugin::{Clock, LoadError, Replacements};

const IMPORT: &str =
    r#"(import "mqtt-source:plugin/clock@0.1.0" "now-ms" (func $now (result i64)))"#;

/// A module with functions that may ask for the time.
fn asking(body: &str) -> File {
    wat("asking.wasm", &module(body).replacen("(module", &format!("(module {IMPORT}"), 1))
}

/// A packed timestamp setter that answers with the time, once for each of its messages.
fn clerk() -> File {
    asking(
        r#"
  (func (export "mqtt-source:plugin/packed-timestamp-setter@0.1.0#timestamps") (param $in i32) (param $size i32) (result i32)
    (local $end i32) (local $to i32)
    (local.set $end (i32.add (local.get $in) (local.get $size)))
    (local.set $to (i32.const 512))
    (loop $next
      (i32.store8 (local.get $to) (i32.const 6))
      (i64.store offset=1 (local.get $to) (call $now))
      (local.set $to (i32.add (local.get $to) (i32.const 9)))
      (local.set $in
        (i32.add
          (i32.add (i32.add (local.get $in) (i32.const 28)) (i32.load16_u offset=16 (local.get $in)))
          (i32.add (i32.load (local.get $in)) (i32.load offset=4 (local.get $in)))))
      (br_if $next (i32.lt_u (local.get $in) (local.get $end))))
    (i32.store (i32.const 256) (i32.const 512))
    (i32.store (i32.const 260) (i32.sub (local.get $to) (i32.const 512)))
    (global.set $heap (i32.const 65536))
    (i32.const 256))"#,
    )
}

/// A plugin that refuses its start with the last digit of the time.
fn starter() -> File {
    asking(
        r#"
  (func (export "mqtt-source:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32)
    (i32.store8 (i32.const 300) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (call $now) (i64.const 10)))))
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store (i32.const 260) (i32.const 300))
    (i32.store (i32.const 264) (i32.const 1))
    (i32.const 256))
  (func (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys") (param i32 i32) (result i32) unreachable)"#,
    )
}

fn try_load(file: &File, clock: Clock) -> Result<Plugins, LoadError> {
    let spec = Spec { clock, ..Spec::from(file.path()) };
    Loader::with_cache(limits(), None).load(&[spec])
}

fn load_with(file: &File, clock: Clock) -> Plugins {
    try_load(file, clock).expect("a good plugin")
}

/// What it says of messages that were received then.
fn ask(plugins: &Plugins, received: &[i64]) -> Vec<Said> {
    let publish = Publish {
        topic: "plant/a",
        payload: b"x",
        qos: Qos::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: 0,
        properties: None,
    };
    let mut batch = Batch::new();
    for (sequence, at) in (0..).zip(received) {
        batch.push(sequence, *at, &publish);
    }
    let mut answers = Answers::new();
    plugins.instantiate().call(Ability::Timestamp, &batch, 0..batch.len(), &mut answers);
    answers.items.iter().map(|item| Said::of(item, &answers)).collect()
}

const NOT_ALLOWED: &str = "asked for the time, which it may not know; allow that with \
                           clock = true beside its file, or --plugin-clock";

#[test]
fn a_plugin_that_may_not_know_the_time_fails_as_it_asks() {
    let plugins = load_with(&clerk(), Clock::default());
    let failed = Said::Reject("trap", format!("the timestamp setter {NOT_ALLOWED}"));
    assert_eq!(ask(&plugins, &[1, 2]), [failed.clone(), failed]);
    let line = plugins.describe().next().expect("a plugin").to_string();
    assert!(line.contains("timestamp setter (packed); may not ask for the time;"), "{line}");
}

#[test]
fn a_plugin_that_asks_again_and_again_in_vain_is_broken() {
    let limits = Limits { failures: 2, ..limits() };
    let file = clerk();
    let plugins = load(&[file.path().to_owned()], &limits);
    let said = ask(&plugins, &[1, 2, 3]);
    assert!(matches!(said[1..], [Said::Reject("trap", _), Said::Wait]), "{said:?}");
}

#[test]
fn a_plugin_that_may_know_the_time_is_told_it() {
    let plugins = load_with(&clerk(), Clock::Real);
    let before = crate::message::now_ms();
    let said = ask(&plugins, &[1, 2]);
    let after = crate::message::now_ms();
    for said in &said {
        assert!(matches!(said, Said::Timestamp(at) if (before..=after).contains(at)), "{said:?}");
    }
    assert_eq!(said.len(), 2);
    let line = plugins.describe().next().expect("a plugin").to_string();
    assert!(line.contains("timestamp setter (packed); may ask for the time;"), "{line}");
}

#[test]
fn a_clock_that_stands_shows_the_arrival_of_each_message() {
    let plugins = load_with(&clerk(), Clock::Real.standing());
    let arrivals = [7, 1_700_000_000_123, 8];
    assert_eq!(ask(&plugins, &arrivals), arrivals.map(Said::Timestamp));
}

#[test]
fn what_is_tried_apart_has_a_clock_that_stands() {
    let apart = |clock| load_with(&clerk(), clock).apart(&Replacements::default());
    assert_eq!(ask(&apart(Clock::Real), &[7, 8]), [7, 8].map(Said::Timestamp));
    assert!(matches!(ask(&apart(Clock::Denied), &[7])[..], [Said::Reject("trap", _)]));
}

#[test]
fn a_start_that_asks_for_the_time_needs_the_permission_as_well() {
    let error = try_load(&starter(), Clock::Denied).err().expect("no permission").to_string();
    assert!(error.contains(&format!("does not start: it {NOT_ALLOWED}")), "{error}");
    let error = try_load(&starter(), Clock::Arrival).err().expect("it refuses").to_string();
    assert!(error.contains("its configuration: 0;"), "{error}");
}

#[test]
fn one_file_may_be_allowed_in_one_route_and_not_in_another() {
    let file = clerk();
    let mut loader = Loader::with_cache(limits(), None);
    let mut with = |clock| {
        let spec = Spec { clock, ..Spec::from(file.path()) };
        ask(&loader.load(&[spec]).expect("a good plugin"), &[7])
    };
    assert!(matches!(with(Clock::Denied)[..], [Said::Reject(..)]));
    assert_eq!(with(Clock::Arrival), [Said::Timestamp(7)]);
    assert!(matches!(with(Clock::Real)[..], [Said::Timestamp(at)] if at > 7));
}

#[test]
fn a_plugin_that_does_not_ask_is_not_said_to() {
    let file = wat("key.wasm", &guests::obedient());
    let plugins = load(&[file.path().to_owned()], &limits());
    let described = plugins.describe().next().expect("a plugin");
    assert_eq!(described.clock, None);
    assert!(!described.to_string().contains("the time"), "{described}");
}
