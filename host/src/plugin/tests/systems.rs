//! What plugins find that call a system: one that has nothing but standard output and error.

use super::guests::{module, wat};
use super::*;

/// A key setter whose key is what `body` leaves in memory at 256, as many bytes as it says.
fn guest(imports: &str, body: &str) -> String {
    module(&format!(
        r#"
  (data (i32.const 64) "half \c3\bc\nlater \c3")
  (data (i32.const 96) "\bc\n")
  (func (export "mqtt-source:plugin/key-setter@0.1.0#key") (param $in i32) (result i32)
    (local $size i32)
    {body}
    (global.set $heap (i32.const 65536))
    (i32.store8 (i32.const 128) (i32.const 0))
    (i32.store8 (i32.const 132) (i32.const 2))
    (i32.store (i32.const 136) (i32.const 256))
    (i32.store (i32.const 140) (local.get $size))
    (i32.const 128))"#
    ))
    .replacen("(module", &format!("(module {imports}"), 1)
}

fn system(name: &str, types: &str) -> String {
    format!(r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))"#)
}

fn key_of(text: &str) -> (String, Vec<Said>) {
    let file = wat("system.wasm", text);
    logged(|| {
        let mut setters = setters(file.path());
        answer(&mut setters, Ability::Key, &["x"])
    })
}

#[test]
fn what_is_written_is_logged_line_by_line() {
    let write = |fd: u32, pieces: &[(u32, u32)]| -> String {
        let stored = (256..).step_by(8).zip(pieces).map(|(at, (from, size))| {
            let next = at + 4;
            format!("(i32.store (i32.const {at}) (i32.const {from}))")
                + &format!("(i32.store (i32.const {next}) (i32.const {size}))")
        });
        let count = pieces.len();
        stored.collect::<String>()
            + &format!(
                "(drop (call $fd_write (i32.const {fd}) (i32.const 256) (i32.const {count}) (i32.const 300)))"
            )
    };
    // `ü` is cut in two between the writes to standard error.
    let body = [
        write(1, &[(64, 3)]),
        write(2, &[(64, 8), (72, 7)]),
        write(2, &[(96, 2)]),
        write(1, &[(67, 2)]),
        write(3, &[(64, 8)]),
    ];
    let fd_write = system("fd_write", "(param i32 i32 i32 i32) (result i32)");
    let (lines, _) = key_of(&guest(&fd_write, &body.concat()));
    let lines: Vec<_> = lines.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            r#"ERROR plugin: half ü plugin="system" from="stderr""#,
            r#"ERROR plugin: later ü plugin="system" from="stderr""#,
            r#"INFO plugin: half plugin="system" from="stdout""#,
        ]
    );
}

#[test]
fn the_clock_and_random_numbers_are_the_same_in_every_run() {
    let imports = system("clock_time_get", "(param i32 i64 i32) (result i32)")
        + &system("random_get", "(param i32 i32) (result i32)");
    let body = "
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 512)))
        (i64.store (i32.const 256) (i64.sub (i64.load (i32.const 512)) (i64.const 1000000000)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 512)))
        (i64.store (i32.const 264) (i64.sub (i64.load (i32.const 512)) (i64.const 1000000000)))
        (drop (call $random_get (i32.const 272) (i32.const 8)))
        (local.set $size (i32.const 24))";
    let text = guest(&imports, body);
    let file = wat("system.wasm", &text);
    let keys: Vec<_> = (0..2)
        .map(|_| {
            let mut setters = setters(file.path());
            let batch = batch(["x"]);
            let mut answers = Answers::new();
            setters.call(Ability::Key, &batch, 0..1, &mut answers);
            answers.bytes.clone()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    let number = |at: usize| u64::from_le_bytes(keys[0][at..at + 8].try_into().expect("8 bytes"));
    assert_eq!((number(0), number(8)), (1_000, 2_000));
    let random = &keys[0][16..24];
    assert!(random.iter().any(|byte| *byte != random[0]), "{random:?}");
}

#[test]
fn sleeping_takes_no_time() {
    let imports = system("clock_time_get", "(param i32 i64 i32) (result i32)")
        + &system("poll_oneoff", "(param i32 i32 i32 i32) (result i32)");
    // An hour from now, the name of the subscription being 7.
    let body = "
        (memory.fill (i32.const 512) (i32.const 0) (i32.const 48))
        (i64.store (i32.const 512) (i64.const 7))
        (i64.store (i32.const 536) (i64.const 3600000000000))
        (drop (call $poll_oneoff (i32.const 512) (i32.const 264) (i32.const 1) (i32.const 600)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 256)))
        (local.set $size (i32.const 48))";
    let file = wat("system.wasm", &guest(&imports, body));
    let mut answers = Answers::new();
    setters(file.path()).call(Ability::Key, &batch(["x"]), 0..1, &mut answers);
    let number =
        |at: usize| u64::from_le_bytes(answers.bytes[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!(number(0), 3_601_000_001_000);
    assert_eq!((number(8), number(16)), (7, 0));
}

#[test]
fn there_are_no_files_no_arguments_and_no_environment() {
    let imports = system("path_open", "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)")
        + &system("fd_prestat_get", "(param i32 i32) (result i32)")
        + &system("args_sizes_get", "(param i32 i32) (result i32)")
        + &system("environ_sizes_get", "(param i32 i32) (result i32)");
    let body = r"
        (i32.store8 (i32.const 256) (i32.add (i32.const 48) (call $path_open (i32.const 3) (i32.const 0)
          (i32.const 64) (i32.const 4) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 512))))
        (i32.store8 (i32.const 257) (i32.add (i32.const 48) (call $fd_prestat_get (i32.const 3) (i32.const 512))))
        (i32.store (i32.const 512) (i32.const 9))
        (drop (call $args_sizes_get (i32.const 512) (i32.const 516)))
        (i32.store8 (i32.const 258) (i32.add (i32.const 48) (i32.load (i32.const 512))))
        (i32.store (i32.const 512) (i32.const 9))
        (drop (call $environ_sizes_get (i32.const 512) (i32.const 516)))
        (i32.store8 (i32.const 259) (i32.add (i32.const 48) (i32.load (i32.const 512))))
        (local.set $size (i32.const 4))";
    assert_eq!(key_of(&guest(&imports, body)).1, [bytes("8800")]);
}

#[test]
fn a_program_that_exits_spoils_one_message() {
    let text = guest(&system("proc_exit", "(param i32)"), "(call $proc_exit (i32.const 0))");
    let (_, said) = key_of(&text);
    assert!(matches!(said[..], [Said::Reject("trap", _)]), "{said:?}");
}
