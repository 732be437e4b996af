//! A plugin that does harm in every way it can, in a `host` that goes on carrying the innocent messages
//! in between, in order.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tests::host::{self, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::wire::Publish;
use tests::{A_WHILE, eventually};

/// What `tests/guests/hostile.wat` does with a payload that begins so, and why it is rejected then.
const HARM: [(&str, &str, &str); 14] = [
    ("trap", "trap", "unreachable"),
    ("loop", "time-out", "ran longer than"),
    ("host calls for ever", "time-out", "ran longer than"),
    ("Host calls for ever with much", "time-out", "ran longer than"),
    ("recursion", "trap", "call stack exhausted"),
    ("eating memory", "memory-limit", "64 MiB"),
    ("Tables", "memory-limit", "64 MiB"),
    ("garbage", "bad-output", "9 is no answer of a key setter"),
    ("out of range", "bad-output", "ends too early"),
    ("utf-8 it is not", "bad-output", "not UTF-8"),
    ("short", "bad-output", "ends too early"),
    ("more", "bad-output", "5 bytes follow"),
    ("pointer", "bad-output", "nonsense"),
    ("zeppelin", "bad-output", "nonsense"),
];

const ROUNDS: usize = 5;
/// Innocent messages before each guilty one.
const BETWEEN: usize = 5;

fn values(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::value_text).collect()
}

#[test]
fn no_harm_that_a_plugin_does_reaches_the_messages_around_it() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("hostile");
    kafka.create_topic(&topic, 1, &[]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let folder = Folder::new("hostile");
    let text = include_str!("../../guests/hostile.wat");
    let plugin = folder.write("hostile.wasm", wat::parse_str(text).expect("WebAssembly text"));
    let host =
        Host::between(&mosquitto, "#", kafka, &topic).flag("plugin", plugin.display()).start();

    let harms = || (0..ROUNDS).flat_map(|_| HARM);
    let innocent: Vec<String> =
        (0..ROUNDS * HARM.len() * BETWEEN).map(|number| format!("innocent-{number}")).collect();
    let mut messages = Vec::new();
    for (good, (harm, ..)) in innocent.chunks(BETWEEN).zip(harms()) {
        messages.extend(good.iter().map(|payload| Publish::new("plant/a", payload.as_str())));
        messages.push(Publish::new("plant/a", harm));
    }
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, innocent.len(), A_WHILE);
    assert_eq!(values(&records), innocent);
    assert!(records.iter().all(|record| record.key_text() == record.value_text()));
    let dead = kafka.wait_for(&dead_letters(&topic), ROUNDS * HARM.len(), A_WHILE);
    for (letter, (harm, reason, error)) in dead.iter().zip(harms()) {
        assert_eq!(letter.value_text(), Some(harm));
        assert_eq!(letter.header("reject.reason"), Some(reason), "{harm}");
        let said = letter.header("reject.error").expect("an error");
        assert!(said.contains(error), "{harm}: {said}");
    }
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.delivered, innocent.len() as u64);
    assert_eq!(ledger.dead_lettered, (ROUNDS * HARM.len()) as u64);
}

/// A value setter that traps at its thousandth call, and writes a million lines into the log for a
/// payload that begins with `L`.
const PATIENT: &str = r#"(module
  (import "mqtt-source:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "it is me again")
  (global $heap (mut i32) (i32.const 1024))
  (global $calls (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func (export "mqtt-source:plugin/value-setter@0.1.0#value") (param $message i32) (result i32)
    (local $lines i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (global.get $calls) (i32.const 1000)) (then unreachable))
    (if (i32.eq (i32.load8_u (i32.load offset=8 (local.get $message))) (i32.const 0x4c (; L ;)))
      (then
        (loop $next
          (call $log (i32.const 2) (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 14))
          (local.set $lines (i32.add (local.get $lines) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $lines) (i32.const 1000000))))))
    (i32.const 0))
  (func (export "cabi_post_mqtt-source:plugin/value-setter@0.1.0#value") (param i32)
    (global.set $heap (i32.const 1024))))"#;

#[test]
fn a_trap_at_the_thousandth_call_and_a_million_lines_cost_no_message() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("patient");
    kafka.create_topic(&topic, 1, &[]);
    let folder = Folder::new("hostile");
    let plugin = folder.write("patient.wasm", wat::parse_str(PATIENT).expect("WebAssembly text"));
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .flag("plugin", plugin.display())
        .flag("plugin-time-limit", 10_000)
        .start();
    let payload = |number| match number {
        1_500 => "Lines without end".to_owned(),
        number => format!("innocent-{number}"),
    };
    let payloads: Vec<String> = (0..3_000).map(payload).collect();
    let messages: Vec<_> =
        payloads.iter().map(|payload| Publish::new("plant/a", payload.as_str())).collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    let records = kafka.wait_for(&topic, payloads.len(), A_WHILE);
    assert_eq!(values(&records), payloads);
    let ended = host.stop();
    assert_eq!(ended.assert_clean().delivered, 3_000);
    let lines = ended.errors.lines().filter(|line| line.contains("it is me again")).count();
    assert!((1..5_000).contains(&lines), "a hundred in a second, not {lines}");
}

/// A custom section of so many bytes, which makes a module larger and nothing else.
fn padding(size: u32) -> Vec<u8> {
    let mut section = vec![0];
    // Five bytes of LEB 128, as a linker leaves them, for the name's byte and what follows it.
    let length = size + 1;
    section.extend((0..5).map(|at| {
        let bits = (length >> (7 * at)) as u8 & 0x7f;
        if at < 4 { bits | 0x80 } else { bits }
    }));
    section.extend(vec![0; length as usize]);
    section
}

#[test]
fn no_file_that_takes_the_place_of_a_plugin_reaches_the_messages_around_it() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("hostile-files");
    kafka.create_topic(&topic, 1, &[]);
    let folder = Folder::new("hostile");
    let good = std::fs::read(tests::plugin::plugin("topic-level-key")).expect("a built plugin");
    let file = folder.write("key.wasm", &good);
    let socket = folder.path().join("control.sock");
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .flag("plugin", file.display())
        .flag("control-socket", socket.display())
        .start();

    let text = include_str!("../../guests/hostile.wat");
    let wasm = |text: &str| wat::parse_str(text).expect("WebAssembly text");
    // In front of the first function of its own.
    let with =
        |more: &str| wasm(&text.replacen("(func $allocate", &format!("{more} (func $allocate"), 1));
    let import = text.replacen("(memory", "(import \"env\" \"open\" (func)) (memory", 1);
    let init = "(func (export \"mqtt-source:plugin/lifecycle@0.1.0#init\") (param i32 i32) (result i32) unreachable)";
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("another version of the contract", wasm(&text.replace("0.1.0", "0.2.0")), "was built for"),
        ("an import that is not granted", wasm(&import), "env.open"),
        ("a start that loops", with("(func $spin (loop $on (br $on))) (start $spin)"), "5000 ms"),
        ("a start that traps", with("(func $boom unreachable) (start $boom)"), "unreachable"),
        ("a trap in init", with(init), "unreachable"),
        ("half a file", good[..good.len() / 2].to_vec(), "not valid WebAssembly"),
        ("random bytes", tests::load::noise(50_000), "not WebAssembly"),
        ("70 MB", [good.clone(), padding(70_000_000)].concat(), "64 MiB"),
        ("50 MB", [good.clone(), padding(50_000_000)].concat(), "takes over"),
    ];
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    let mut payloads = Vec::new();
    let mut publish = |what: &str| {
        let payload = format!("after {what}");
        publisher.publish(&[Publish::new("plant/dev/x", payload.as_str())]);
        payloads.push(payload);
    };
    publish("nothing");
    for (what, bytes, words) in &files {
        folder.replace("key.wasm", bytes);
        let swap = Host::bare().subcommand("plugin swap");
        let ended = swap.flag("control-socket", socket.display()).run();
        let taken = *words == "takes over";
        assert_eq!(ended.code, Some(i32::from(!taken)), "{what}: {}{}", ended.output, ended.errors);
        assert!(ended.output.contains(words), "{what}: {}", ended.output);
        publish(what);
    }
    let records = kafka.wait_for(&topic, payloads.len(), A_WHILE);
    assert_eq!(values(&records), payloads);
    assert!(records.iter().all(|record| record.key_text() == Some("dev")), "{records:?}");
    assert_eq!(host.stop().assert_clean().delivered, payloads.len() as u64);
}

/// A number as WebAssembly writes it.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&leb128(bytes.len()), bytes].concat()
}

/// A component of a few MB that takes the compiler many seconds.
fn heavy_component() -> Vec<u8> {
    const FUNCTIONS: usize = 100;
    let multiply = [0x20, 0, 0x20, 0, 0x6c, 0x41, 7, 0x6a, 0x21, 0].repeat(10_000);
    let body = sized(&[&[0][..], &multiply, &[0x20, 0, 0x0b]].concat());
    let count = leb128(FUNCTIONS);
    let section = |id: u8, content: &[u8]| [&[id], &sized(content)[..]].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[&count[..], &[0; FUNCTIONS]].concat()),
        section(10, &[&count[..], &body.repeat(FUNCTIONS)].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

/// The process that compiles for this one, as soon as there is one.
fn compiler_of(host: &Host) -> u32 {
    eventually("it has a compiler", A_WHILE, || {
        std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let process = entry.path();
            let name = std::fs::read(process.join("cmdline")).ok()?;
            let status = std::fs::read_to_string(process.join("status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
            let is_it =
                name.starts_with(b"host-plugin-compiler\0") && parent == host.id().to_string();
            is_it.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
        })
    })
}

#[test]
fn a_plugin_that_changes_is_compiled_apart_and_the_old_one_stays_if_the_compiler_is_killed() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("compiled-apart");
    let folder = Folder::new("apart");
    let plugin = std::fs::read(tests::plugin::plugin("topic-level-key")).unwrap();
    let plugin = folder.write("key.wasm", plugin);
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .flag("plugin", plugin.display())
        .argument("--watch-plugins")
        .start();
    folder.replace("key.wasm", heavy_component());
    let compiler = compiler_of(&host);
    let score = std::fs::read_to_string(format!("/proc/{compiler}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "1000", "it is the one to end where memory runs out");
    let killed = Command::new("kill").args(["-KILL", &compiler.to_string()]).status().unwrap();
    assert!(killed.success());
    host.wait_for_line("that the version stays", |line| line.contains("the compiler was killed"));
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("plant/dev1", "x")]);
    assert_eq!(kafka.wait_for(&topic, 1, A_WHILE)[0].key_text(), Some("dev1"));
    host.stop().assert_clean();
}

#[test]
fn the_compiler_is_a_process_that_ends_at_its_limits() {
    let compile = |component: &[u8], seconds: u64, memory: u64| {
        let mut compiler = Command::new(host::binary())
            .arg0("host-plugin-compiler")
            .args(["0".to_owned(), seconds.to_string(), memory.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = compiler.stdin.take().unwrap();
        // It may be gone before it has read everything.
        let _ = input.write_all(component);
        drop(input);
        compiler.wait_with_output().unwrap()
    };
    let light = wat::parse_str("(component (core module (func)))").unwrap();
    let (enough, heavy) = (4 << 30, heavy_component());
    let compiled = compile(&light, 60, enough);
    assert!(compiled.status.success() && compiled.stdout.len() > 100, "{compiled:?}");
    for (component, seconds, memory) in [(&heavy, 1, enough), (&heavy, 600, 96 << 20)] {
        let ended = compile(component, seconds, memory);
        assert!(ended.status.code() != Some(0) && ended.stdout.is_empty(), "{:?}", ended.status);
    }
    let refused = compile(b"nonsense", 60, enough);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
}
