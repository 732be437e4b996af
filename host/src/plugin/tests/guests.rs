//! Plugins to test with: real ones, built from the workspace, and small ones written by hand for
//! what no SDK would do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

/// A guest of the workspace, built with the profile that plugin authors use.
pub fn built(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(format!("{name}.wasm"))
}

fn build() -> PathBuf {
    let test = env::current_exe().expect("a running test");
    // target/release/deps/host-0123456789abcdef
    let target = test.ancestors().nth(3).expect("a target folder");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-unknown-unknown"])
        .args([
            "-p",
            "misbehave",
            "-p",
            "describe",
            "-p",
            "scripted",
            "-p",
            "rewrite",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("wasm32-unknown-unknown/plugin")
}

/// A file that is removed with its folder when the test is over.
pub struct File(PathBuf);

impl File {
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let unique =
            format!("host-plugin-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(unique);
        fs::create_dir(&folder).expect("a new folder");
        let file = folder.join(name);
        fs::write(&file, bytes).expect("a new file");
        Self(file)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts another file in its place, as a whole.
    pub fn replace(&self, bytes: &[u8]) {
        let new = self.0.with_extension("new");
        fs::write(&new, bytes).expect("a new file");
        fs::rename(new, &self.0).expect("another file in its place");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

pub fn wat(name: &str, text: &str) -> File {
    File::new(name, &binary(text))
}

/// What a text of WebAssembly stands for.
pub fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("WebAssembly text")
}

/// The same plugin as another file: with a custom section at the end.
pub fn marked(wasm: &[u8], mark: u32) -> Vec<u8> {
    [wasm, &[0, 9, 4], b"mark", &mark.to_le_bytes()].concat()
}

/// A core module without a custom section, that keeps its heap only during a call.
pub fn module(body: &str) -> String {
    format!(
        r#"(module
  (import "mqtt-source:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "panic")
  (data (i32.const 32) "panicked at src/lib.rs:13:33:\0aempty payload on x")
  (global $heap (mut i32) (i32.const 65536))
  (global $calls (mut i32) (i32.const 0))
  (func $allocate (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        unreachable))
    local.get $at)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $allocate (local.get 3)))
  {body})"#
    )
}

/// A packed key setter that does what the first byte of a payload says: `t` traps, `l` loops,
/// `p` panics, `e` eats memory until there is none, `g` answers garbage, `M` takes 20 MiB more and
/// keeps it, `c` answers the number of calls that its instance has had, as a letter from `A`, `o`
/// traps unless it is the first call. Any other payload is its own key.
pub fn obedient() -> String {
    let act = r#"
  (func $act (param $what i32)
    (if (i32.eq (local.get $what) (i32.const 0x74)) (then unreachable))
    (if (i32.and (i32.eq (local.get $what) (i32.const 0x6f)) (i32.gt_u (global.get $calls) (i32.const 1)))
      (then unreachable))
    (if (i32.eq (local.get $what) (i32.const 0x6c)) (then (loop $on (br $on))))
    (if (i32.eq (local.get $what) (i32.const 0x4d))
      (then (drop (memory.grow (i32.const 320)))))
    (if (i32.eq (local.get $what) (i32.const 0x65))
      (then (loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))
    (if (i32.eq (local.get $what) (i32.const 0x70))
      (then
        (call $log (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 48))
        unreachable)))
  (func $keys (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys") (param $in i32) (param $size i32) (result i32)
    (local $end i32) (local $payload i32) (local $length i32) (local $what i32) (local $out i32) (local $to i32)
    (local.set $end (i32.add (local.get $in) (local.get $size)))
    (local.set $out (call $allocate (i32.add (i32.const 8) (local.get $size))))
    (local.set $to (i32.add (local.get $out) (i32.const 8)))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (loop $next
      (local.set $length (i32.load (local.get $in)))
      (local.set $payload
        (i32.add (i32.add (local.get $in) (i32.const 28)) (i32.load16_u offset=16 (local.get $in))))
      (local.set $what (i32.load8_u (local.get $payload)))
      (call $act (local.get $what))
      (if (i32.eq (local.get $what) (i32.const 0x63))
        (then (i32.store8 (local.get $payload) (i32.add (i32.const 0x40) (global.get $calls)))))
      (i32.store8 (local.get $to)
        (select (i32.const 9) (i32.const 2) (i32.eq (local.get $what) (i32.const 0x67))))
      (i32.store offset=1 (local.get $to) (local.get $length))
      (memory.copy (i32.add (local.get $to) (i32.const 5)) (local.get $payload) (local.get $length))
      (local.set $to (i32.add (i32.add (local.get $to) (i32.const 5)) (local.get $length)))
      (local.set $in
        (i32.add (i32.add (local.get $payload) (local.get $length)) (i32.load offset=4 (local.get $in))))
      (br_if $next (i32.lt_u (local.get $in) (local.get $end))))
    (i32.store (local.get $out) (i32.add (local.get $out) (i32.const 8)))
    (i32.store offset=4 (local.get $out) (i32.sub (local.get $to) (i32.add (local.get $out) (i32.const 8))))
    (global.set $heap (i32.const 65536))
    local.get $out)"#;
    module(act)
}

/// A packed key setter that takes between 5 and 50 ms for each message, whatever the machine.
pub fn slow() -> String {
    let wait = "(local.set $what (i32.const 20000000))
      (loop $wait
        (local.set $what (i32.sub (local.get $what) (i32.const 1)))
        (br_if $wait (local.get $what)))";
    obedient().replace("(call $act (local.get $what))", wait)
}

/// A typed key setter whose key is the topic, or what the first byte of the payload says: `n`
/// null, `s` a skip for the reason of the topic, `b` a bad message, `f` fatal, `u` bytes outside
/// of its memory, `d` a variant that there is not, `x` a reason that is not UTF-8, `q` the
/// quality of service as a digit.
pub fn typed() -> String {
    let mut body = String::from(
        r#"
  (data (i32.const 128) "\ff\fe")
  (func $say (param $out i32) (param $result i32) (param $case i32) (param $at i32) (param $size i32)
    (i32.store8 (local.get $out) (local.get $result))
    (i32.store8 offset=4 (local.get $out) (local.get $case))
    (i32.store offset=8 (local.get $out) (local.get $at))
    (i32.store offset=12 (local.get $out) (local.get $size)))
  (func (export "mqtt-source:plugin/key-setter@0.1.0#key") (param $in i32) (result i32)
    (local $out i32) (local $what i32) (local $topic i32) (local $size i32)
    (local.set $out (call $allocate (i32.const 16)))
    (local.set $topic (i32.load (local.get $in)))
    (local.set $size (i32.load offset=4 (local.get $in)))
    (if (i32.load offset=12 (local.get $in))
      (then (local.set $what (i32.load8_u (i32.load offset=8 (local.get $in))))))
    (i32.store8 (i32.const 100) (i32.add (i32.const 48) (i32.load8_u offset=16 (local.get $in))))
    (global.set $heap (i32.const 65536))
    (call $say (local.get $out) (i32.const 0) (i32.const 2) (local.get $topic) (local.get $size))"#,
    );
    let topic = "(local.get $topic) (local.get $size)";
    for (what, result, case, text) in [
        ('n', 0, 1, topic),
        ('s', 0, 3, topic),
        ('b', 1, 0, topic),
        ('f', 1, 1, topic),
        ('u', 0, 2, "(i32.const -16) (i32.const 64)"),
        ('d', 0, 7, topic),
        ('x', 0, 3, "(i32.const 128) (i32.const 2)"),
        ('q', 0, 2, "(i32.const 100) (i32.const 1)"),
    ] {
        let _ = write!(
            body,
            "(if (i32.eq (local.get $what) (i32.const {}))
               (then (call $say (local.get $out) (i32.const {result}) (i32.const {case}) {text})))\n",
            u32::from(what)
        );
    }
    module(&(body + "local.get $out)"))
}

/// A typed transformer: a payload becomes a record for the Kafka topic of the message's MQTT topic,
/// without a key, with the topic as its value, and with the partition that it came with. An empty
/// payload becomes none.
pub fn typed_transformer() -> String {
    module(
        r#"
  (func (export "mqtt-source:plugin/transformer@0.1.0#transform") (param $in i32) (result i32)
    (local $out i32) (local $record i32) (local $topic i32) (local $size i32)
    (local.set $out (call $allocate (i32.const 16)))
    (local.set $record (call $allocate (i32.const 80)))
    (global.set $heap (i32.const 65536))
    (local.set $topic (i32.load (local.get $in)))
    (local.set $size (i32.load offset=4 (local.get $in)))
    (i32.store8 (local.get $out) (i32.const 0))
    (i32.store8 offset=4 (local.get $out) (i32.const 1))
    (i32.store offset=8 (local.get $out) (local.get $record))
    (i32.store offset=12 (local.get $out) (i32.ne (i32.load offset=12 (local.get $in)) (i32.const 0)))
    (memory.fill (local.get $record) (i32.const 0) (i32.const 80))
    (i32.store8 (local.get $record) (i32.const 1))
    (i32.store offset=4 (local.get $record) (local.get $topic))
    (i32.store offset=8 (local.get $record) (local.get $size))
    (i64.store offset=12 align=4 (local.get $record) (i64.load offset=116 align=4 (local.get $in)))
    (i32.store8 offset=20 (local.get $record) (i32.const 1))
    (i32.store8 offset=32 (local.get $record) (i32.const 2))
    (i32.store offset=36 (local.get $record) (local.get $topic))
    (i32.store offset=40 (local.get $record) (local.get $size))
    local.get $out)"#,
    )
}
