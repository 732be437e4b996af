//! A plugin that is called for ever, fails now and then and takes ever more memory does not make the
//! host larger. A test program of its own: what is measured is the memory of the whole process.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read what it measures fails"
)]

use std::{env, fs, process};

use host::message::{Batch, Publish, Qos};
use host::plugin::{Ability, Answer, Answers, Limits, Loader, Setters, Spec};

/// Says how many calls are made, instead of some that take a moment.
const CALLS: &str = "HOST_TEST_CALLS";

/// A key setter that takes a mebibyte more at every hundredth call, and traps on payloads that begin
/// with `t`.
const GUEST: &str = r#"(module
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
  (func (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys") (param $in i32) (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eqz (i32.rem_u (global.get $calls) (i32.const 100)))
      (then (memory.fill
        (i32.shl (memory.grow (i32.const 16)) (i32.const 16)) (i32.const 1) (i32.const 0x100000))))
    (if (i32.eq (i32.load8_u offset=35 (local.get $in)) (i32.const 0x74)) (then unreachable))
    (i32.store8 (i32.const 32) (i32.const 2))
    (i32.store offset=1 (i32.const 32) (i32.const 4))
    (i32.store offset=5 (i32.const 32) (i32.load offset=35 (local.get $in)))
    (i32.store (i32.const 16) (i32.const 32))
    (i32.store (i32.const 20) (i32.const 9))
    (i32.const 16)))"#;

/// Bytes of memory that this process has.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}

fn setters() -> Setters {
    let file = env::temp_dir().join(format!("host-memory-{}.wasm", process::id()));
    fs::write(&file, wat::parse_str(GUEST).expect("WebAssembly text")).expect("a file");
    let plugins = Loader::with_cache(Limits::default(), None).load(&[Spec::from(file.as_path())]);
    let _ = fs::remove_file(&file);
    plugins.expect("a good plugin").instantiate()
}

fn batch() -> Batch {
    let mut batch = Batch::new();
    for payload in [b"21.5", b"trap"] {
        let publish = Publish {
            topic: "plant/a",
            payload,
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            packet_id: 1,
            properties: None,
        };
        batch.push(0, 0, &publish);
    }
    batch
}

/// So many calls, of which one in 20,000 fails.
fn call(setters: &mut Setters, batch: &Batch, calls: usize) {
    let mut answers = Answers::new();
    for number in 1..=calls {
        setters.call(Ability::Key, batch, 0..1, &mut answers);
        let [Answer::Bytes(range)] = &answers.items[..] else { panic!("{answers:?}") };
        assert_eq!(&answers.bytes[range.clone()], b"21.5");
        if number % 20_000 == 0 {
            setters.call(Ability::Key, batch, 1..2, &mut answers);
            assert!(matches!(&answers.items[..], [Answer::Reject(_)]), "{answers:?}");
        }
    }
}

#[test]
fn memory_stays_what_it_is_however_often_a_plugin_is_called_and_renewed() {
    let calls = env::var(CALLS).map_or(300_000, |calls| calls.parse().expect("a number"));
    let (mut setters, batch) = (setters(), batch());
    // An instance grows until it is replaced after some 5,000 calls: more than one of them.
    call(&mut setters, &batch, 40_000);
    let before = resident();
    let most = (0..10).map(|_| {
        call(&mut setters, &batch, calls / 10);
        resident()
    });
    let most = most.max().expect("ten of them");
    println!("{calls} calls: {} KiB before, {} KiB at most", before >> 10, most >> 10);
    // It counts where in its life the instance was each time: it has 48 MiB at most.
    assert!(most < before + (64 << 20), "{before} bytes became {most}");
}
