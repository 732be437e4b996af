//! Every reason not to load a plugin, and how it is told.

use std::fs;

use super::guests::{File, built, module, obedient, wat};
use super::*;
use crate::plugin::Problem;

/// Why a file is refused: the kind of problem, and the line for the user with the file's path
/// replaced by its name.
fn refused(file: &File) -> (Problem, String) {
    refused_with(&[file.path().to_owned()], &limits())
}

fn refused_with(files: &[PathBuf], limits: &Limits) -> (Problem, String) {
    let specs: Vec<_> = files.iter().map(|file| Spec::from(file.as_path())).collect();
    refused_spec(&specs, limits)
}

fn refused_spec(specs: &[Spec], limits: &Limits) -> (Problem, String) {
    let mut loader = Loader::with_cache(limits.clone(), None);
    let error = loader.load(specs).err().expect("a refusal");
    let mut line = error.to_string();
    for Spec { file, .. } in specs {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        line = line.replace(&file.display().to_string(), &name);
    }
    assert!(!line.contains('\n'), "{line}");
    (error.problem, line)
}

/// A component with a core module of its own that exports one function of an interface.
fn component(interface: &str, lift: &str) -> String {
    format!(
        r#"(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "run") (param i32 i32) (result i32) unreachable))
  (core instance $code (instantiate $code))
  {lift}
  (instance $exported (export "key" (func $run)))
  (export "{interface}" (instance $exported)))"#
    )
}

const TEXT_TO_TEXT: &str = r#"(func $run (param "topic" string) (result string)
    (canon lift (core func $code "run") (memory (core memory $code "memory")) (realloc (core func $code "cabi_realloc"))))"#;

#[test]
fn names_in_a_file_cannot_write_to_a_terminal_or_forge_a_line() {
    let evil = r"\n\1b[2J\e2\80\ae";
    let long = "x".repeat(90_000);
    let setter = "mqtt-source:plugin/key-setter@0.1.0#key";
    let function =
        |name: &str| format!(r#"(module (func (export "{name}") (result i32) (i32.const 0)))"#);
    for (guest, told) in [
        (
            format!(
                r#"(module (import "{evil}" "{evil}{long}" (func)) (func (export "{setter}")))"#
            ),
            "imports",
        ),
        (function(&format!("mqtt-source:plugin/{evil}{long}@0.1.0#key")), "has nothing to do"),
        (function(&format!("mqtt-source:plugin/key-setter@7{evil}{long}#key")), "was built for"),
    ] {
        let (_, line) = refused(&wat("key.wasm", &guest));
        assert!(line.contains(told), "{line}");
        assert!(line.len() < 4096 && !line.contains(['\u{1b}', '\u{202e}']), "{line}");
    }
}

#[test]
fn a_missing_file() {
    let (problem, line) = refused_with(&["/nowhere/key.wasm".into()], &limits());
    assert!(matches!(problem, Problem::Unreadable(_)));
    assert_eq!(
        line,
        "plugin key.wasm: cannot be read: No such file or directory (os error 2); check the path"
    );
}

#[test]
fn a_folder() {
    let (problem, _) = refused_with(&[std::env::temp_dir()], &limits());
    assert!(matches!(problem, Problem::Unreadable(_)));
}

#[test]
fn something_that_is_not_webassembly() {
    for (bytes, what) in [
        (&b""[..], "empty"),
        (b"print('hello')\n", "text"),
        (b"(module)", "WebAssembly in text form"),
        (b"\x7fELF\x02\x01", "a native program or library"),
        (b"\0as", "cut short"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "something else"),
    ] {
        let (problem, line) = refused(&File::new("key.wasm", bytes));
        assert!(matches!(problem, Problem::NotWasm(_)));
        let wanted = format!(
            "plugin key.wasm: is {what}, not WebAssembly; give the .wasm file that `cargo build"
        );
        assert!(line.starts_with(&wanted), "{line}");
    }
}

#[test]
fn webassembly_that_is_cut_short_or_damaged() {
    let whole = fs::read(built("misbehave")).expect("a built guest");
    let cut = File::new("cut.wasm", &whole[..whole.len() / 2]);
    let mut damaged = b"\0asm\x01\0\0\0".to_vec();
    damaged.extend([0x5a; 100]);
    let version = File::new("version.wasm", b"\0asm\x02\0\0\0");
    let component = wat::parse_str(component("a:b/c", TEXT_TO_TEXT)).expect("WebAssembly text");
    let cut_component = File::new("component.wasm", &component[..component.len() - 9]);
    for file in [cut, File::new("damaged.wasm", &damaged), version, cut_component] {
        let (problem, line) = refused(&file);
        assert!(matches!(problem, Problem::Invalid(_)), "{line}");
        assert!(
            line.contains("is not valid WebAssembly (") && line.ends_with("build or copy it again"),
            "{line}"
        );
    }
}

#[test]
fn webassembly_without_the_contract() {
    let module =
        r#"(module (import "env" "f" (func)) (func (export "add") (result i32) i32.const 0))"#;
    for text in ["(module)", "(component)", module, &component("a:b/c", TEXT_TO_TEXT)] {
        let (problem, line) = refused(&wat("add.wasm", text));
        assert!(matches!(problem, Problem::NoContract), "{line}");
        assert_eq!(
            line,
            "plugin add.wasm: is WebAssembly, but no plugin: it exports nothing of mqtt-source:plugin; build it with plugin-sdk"
        );
    }
}

#[test]
fn another_version_of_the_contract() {
    let core = obedient().replace("0.1.0", "0.2.0");
    let built = component("mqtt-source:plugin/key-setter@0.2.0", TEXT_TO_TEXT);
    let importer = r#"(component (import "mqtt-source:plugin/host@0.2.0" (instance)))"#;
    for text in [core.as_str(), &built, importer] {
        let (problem, line) = refused(&wat("new.wasm", text));
        assert!(matches!(problem, Problem::OtherVersion { .. }), "{line}");
        assert_eq!(
            line,
            "plugin new.wasm: was built for mqtt-source:plugin 0.2, this host speaks 0.1; build it with plugin-sdk 0.1"
        );
    }
}

#[test]
fn a_later_patch_of_the_contract_is_no_other_version() {
    let file = wat("patched.wasm", &obedient().replace("0.1.0", "0.1.7"));
    assert_eq!(answer(&mut setters(file.path()), Ability::Key, &["k"]), [bytes("k")]);
}

#[test]
fn an_export_of_another_type() {
    let file = wat("odd.wasm", &component("mqtt-source:plugin/key-setter@0.1.0", TEXT_TO_TEXT));
    let (problem, line) = refused(&file);
    assert!(matches!(problem, Problem::WrongType { .. }), "{line}");
    assert_eq!(
        line,
        "plugin odd.wasm: exports `key-setter` with another type: \
         expected `key: func(message: message) -> result<bytes-outcome, plugin-error>`, \
         found `key: func(topic: string) -> string`; build it with the plugin-sdk of this host"
    );
}

#[test]
fn an_export_without_its_function() {
    let text = component("mqtt-source:plugin/key-setter@0.1.0", TEXT_TO_TEXT)
        .replace(r#""key""#, r#""kee""#);
    let (problem, line) = refused(&wat("odd.wasm", &text));
    assert!(matches!(problem, Problem::WrongType { .. }), "{line}");
    assert!(line.contains("found `no function `key``"), "{line}");
}

#[test]
fn a_core_module_whose_function_has_another_type() {
    let body =
        r#"(func (export "mqtt-source:plugin/key-setter@0.1.0#key") (result i64) unreachable)"#;
    let (problem, line) = refused(&wat("odd.wasm", &module(body)));
    assert!(matches!(problem, Problem::Unfit(_)), "{line}");
    assert!(
        line.contains("key-setter@0.1.0") && line.contains("but found `[] -> [I64]`"),
        "{line}"
    );
}

#[test]
fn an_import_that_is_not_granted() {
    let export = r#"(func (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys") (param i32 i32) (result i32) unreachable)"#;
    let foreign = |from, name| format!(r#"(module (import "{from}" "{name}" (func)) {export})"#);
    let component = r#"(component (import "wasi:cli/environment@0.2.6" (instance)))"#;
    for (text, import) in [
        (foreign("env", "abort").as_str(), "env.abort"),
        (&foreign("wasi_unstable", "fd_write"), "wasi_unstable.fd_write"),
        (component, "wasi:cli/environment@0.2.6"),
    ] {
        let (problem, line) = refused(&wat("wasi.wasm", text));
        assert!(matches!(problem, Problem::NotGranted(_)), "{line}");
        assert_eq!(
            line,
            format!(
                "plugin wasi.wasm: imports `{import}`, which plugins are not granted; \
                 build it without system calls: for wasm32-unknown-unknown (Rust), with --stub-wasi \
                 (componentize-py, componentize-qjs)"
            )
        );
    }
}

#[test]
fn a_host_function_that_this_host_does_not_have() {
    let text = r#"(component
      (import "mqtt-source:plugin/host@0.1.3" (instance (export "client-id" (func (result string)))))
      (instance $none)
      (export "mqtt-source:plugin/key-setter@0.1.3" (instance $none)))"#;
    let (problem, line) = refused(&wat("newer.wasm", text));
    assert!(matches!(problem, Problem::NotOffered(_)), "{line}");
    assert!(line.contains("client-id") && line.contains("newer host"), "{line}");
}

#[test]
fn none_of_the_abilities() {
    let text = component("mqtt-source:plugin/enricher@0.1.2", TEXT_TO_TEXT);
    let core = obedient().replace("packed-key-setter", "enricher");
    for text in [text, core] {
        let (problem, line) = refused(&wat("later.wasm", &text));
        assert!(matches!(problem, Problem::NoAbility(_)), "{line}");
        assert!(
            line.starts_with("plugin later.wasm: has nothing to do: it exports enricher; export"),
            "{line}"
        );
    }
}

#[test]
fn an_ability_that_another_plugin_has() {
    let other = wat("other.wasm", &obedient());
    let files = [built("describe"), other.path().to_owned()];
    let (problem, line) = refused_with(&files, &limits());
    assert!(matches!(problem, Problem::Claimed { ability: Ability::Key, .. }), "{line}");
    assert_eq!(
        line,
        "plugin other.wasm: has a key setter, and so has describe.wasm; give only one of them"
    );
}

#[test]
fn the_same_file_twice_however_it_is_spelled() {
    let file = wat("key.wasm", &obedient());
    let path = file.path().to_owned();
    let detour = path.parent().expect("a folder").join(".").join("key.wasm");
    let (problem, line) = refused_with(&[path, detour], &limits());
    assert!(matches!(problem, Problem::Twice), "{line}");
}

#[test]
fn a_plugin_that_traps_loops_or_takes_too_much_as_it_starts() {
    let limits = Limits { start: Duration::from_millis(60), memory: 4 << 20, ..limits() };
    let starting = |body: &str| {
        obedient().replace("(func $act", &format!("(func $go {body}) (start $go) (func $act"))
    };
    let large =
        obedient().replace(r#"(memory (export "memory") 2)"#, r#"(memory (export "memory") 200)"#);
    for (text, why) in [
        (starting("unreachable"), "wasm trap: wasm `unreachable` instruction executed in go"),
        (starting("(loop $on (br $on))"), "it ran longer than 60 ms"),
        (large, "it exceeded the memory limit of 4 MiB"),
    ] {
        let file = wat("start.wasm", &text);
        let (problem, line) = refused_with(&[file.path().to_owned()], &limits);
        assert!(matches!(problem, Problem::Start(_)), "{line}");
        assert_eq!(
            line,
            format!(
                "plugin start.wasm: does not start: {why}; see what it does before its first message"
            )
        );
    }
}

#[test]
fn compiled_plugins_are_kept_where_that_is_possible() {
    let file = wat("key.wasm", &obedient());
    let folder = file.path().parent().expect("a folder");
    let (kept, not_a_folder) = (folder.join("cache"), file.path().join("cache"));
    for cache in [&kept, &kept, &not_a_folder] {
        let specs = [Spec::from(file.path())];
        let mut loader = Loader::with_cache(limits(), Some(cache.clone()));
        let plugins = loader.load(&specs).expect("a good plugin");
        assert_eq!(answer(&mut plugins.instantiate(), Ability::Key, &["k"]), [bytes("k")]);
    }
    assert!(fs::read_dir(kept).expect("a cache").next().is_some());
}

#[test]
fn another_file_than_the_one_that_was_meant() {
    let file = wat("key.wasm", &obedient());
    let expected = "0".repeat(64);
    let spec = Spec { sha256: Some(expected.clone()), ..Spec::from(file.path()) };
    let (problem, line) = refused_spec(&[spec], &limits());
    let Problem::OtherFile { found, .. } = problem else { panic!("{line}") };
    assert_eq!(
        line,
        format!(
            "plugin key.wasm: has the SHA-256 {found}, not {expected}: it is another file than the \
             configuration means; restore that one, or correct `sha256`"
        )
    );
    let sha256 = Some(found.to_uppercase());
    let good = Spec { sha256, ..Spec::from(file.path()) };
    assert!(Loader::with_cache(limits(), None).load(&[good]).is_ok());
}

#[test]
fn a_configuration_for_a_plugin_that_takes_none() {
    let file = wat("key.wasm", &obedient());
    let spec = Spec { config: Some("{}".into()), ..Spec::from(file.path()) };
    let (problem, line) = refused_spec(&[spec], &limits());
    assert!(matches!(problem, Problem::TakesNoConfig), "{line}");
    assert!(
        line.starts_with("plugin key.wasm: has a configuration, but takes none: it exports no lif"),
        "{line}"
    );
}

#[test]
fn a_configuration_that_its_plugin_does_not_accept() {
    let refused = |config: &str| {
        let file = built("scripted");
        let limits = Limits { start: Duration::from_millis(200), ..limits() };
        refused_spec(&[Spec { config: Some(config.into()), ..Spec::from(file.as_path()) }], &limits)
    };
    for (config, why) in [
        (r#"{"init": "refuse no\nway"}"#, "no\\nway"),
        (r#"{"init": 5}"#, "invalid type: integer `5`, expected a string"),
        (r#"{"inti": ""}"#, "unknown field `inti`, expected one of"),
    ] {
        let (problem, line) = refused(config);
        assert!(matches!(problem, Problem::Config { given: true, .. }), "{line}");
        let expected = format!("plugin scripted.wasm: does not accept its configuration: {why}");
        assert!(line.starts_with(&expected), "{line}");
        assert!(
            line.ends_with("; correct it (--plugin-config, or `config` in the file)"),
            "{line}"
        );
    }
    for (config, why) in [
        (r#"{"init": "panic at once"}"#, "at once"),
        (r#"{"init": "loop"}"#, "it ran longer than 200 ms"),
    ] {
        let (problem, line) = refused(config);
        assert!(matches!(problem, Problem::Start(_)), "{line}");
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn a_plugin_that_only_takes_a_configuration() {
    let init = r#"(func (export "mqtt-source:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32)
      unreachable)"#;
    let (problem, line) = refused(&wat("idle.wasm", &module(init)));
    assert!(matches!(problem, Problem::NoAbility(_)), "{line}");
    assert!(line.contains("has nothing to do: it exports lifecycle;"), "{line}");
}

#[test]
fn all_memories_of_a_component_count_together() {
    // Two memories of 3 MiB each.
    let second =
        "(core module $more (memory 48)) (core instance (instantiate $more)) (core instance $code";
    let text = component("mqtt-source:plugin/key-setter@0.1.0", TEXT_TO_TEXT)
        .replace(r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 48)"#)
        .replacen("(core instance $code", second, 1);
    let file = wat("two.wasm", &text);
    let refused = |mebibytes: usize| {
        let limits = Limits { memory: mebibytes << 20, ..limits() };
        refused_with(&[file.path().to_owned()], &limits).0
    };
    assert!(matches!(refused(4), Problem::Start(why) if why.contains("4 MiB")));
    assert!(matches!(refused(6), Problem::WrongType { .. }));
}
