//! What plugins are told of connections, and what they may say to it.

use super::*;
use crate::message::{ConnectionEvent, ConnectionOutcome};
use crate::plugin::{Hook, Hooks};

pub(super) fn connected(attempt: u32) -> ConnectionEvent {
    ConnectionEvent {
        server: "broker:1883".into(),
        client_id: "plant-1".into(),
        attempt,
        reconnect: attempt > 1,
        outcome: ConnectionOutcome::Connected { session_present: attempt > 1 },
    }
}

fn failed() -> ConnectionEvent {
    let outcome = ConnectionOutcome::Failed {
        reason: "connection refused".into(),
        permanent: false,
        lost: true,
    };
    ConnectionEvent { outcome, ..connected(3) }
}

/// Plugins of the guest `scripted`, one per configuration.
fn scripted(configs: &[&str]) -> Vec<Plugins> {
    let file = guests::built("scripted");
    let mut loader = Loader::with_cache(limits(), None);
    let spec = |config: &str| Spec { config: Some(config.into()), ..Spec::from(file.as_path()) };
    configs.iter().map(|config| loader.load(&[spec(config)]).expect("a good plugin")).collect()
}

#[test]
fn a_hook_is_told_everything() {
    let plugins = scripted(&["{}"]);
    let described = plugins[0].describe().next().expect("a plugin");
    assert_eq!(described.hooks, Hook::ALL);
    let line = described.to_string();
    let offers = "payload deserializer (packed), connect success hook, connect failure hook;";
    assert!(line.contains(offers), "{line}");

    let mut hooks = Hooks::new(&plugins);
    let (lines, said) =
        logged(|| [connected(1), connected(2), failed()].map(|event| hooks.call(&event)));
    assert_eq!(said, [None, None, None]);
    for expected in [
        r#"connected Connection { server: "broker:1883", client_id: "plant-1", attempt: 1, reconnect: false, session_present: false, at_ms: "#,
        "attempt: 2, reconnect: true, session_present: true",
        r#"failed Connection { server: "broker:1883", client_id: "plant-1", attempt: 3, reconnect: true, session_present: false"#,
        r#"Failure { reason: "connection refused", permanent: false, lost: true }"#,
    ] {
        assert!(lines.contains(expected), "{expected} is not in {lines}");
    }
}

#[test]
fn a_hook_may_end_the_program_and_the_others_are_still_told() {
    let plugins = scripted(&[
        r#"{"prefix": "first"}"#,
        r#"{"connected": "stop enough\nis enough"}"#,
        r#"{"connected": "stop me too"}"#,
        r#"{"prefix": "last"}"#,
    ]);
    let mut hooks = Hooks::new(&plugins);
    let (lines, said) = logged(|| hooks.call(&connected(1)));
    assert_eq!(said.as_deref(), Some(r"plugin scripted ends the program: enough\nis enough"));
    assert_eq!(lines.matches("connected Connection").count(), 2, "{lines}");
    assert_eq!(hooks.call(&failed()), None);
}

#[test]
fn a_hook_that_panics_or_loops_is_logged_and_means_go_on() {
    let plugins =
        scripted(&[r#"{"connected": "panic at 7", "failed": "loop"}"#, r#"{"prefix": "other"}"#]);
    let mut hooks = Hooks::new(&plugins);
    for (event, why) in [(connected(1), "at 7"), (failed(), "ran longer than 500 ms")] {
        // Twice, since the second time there is a new instance.
        for _ in 0..2 {
            let (lines, said) = logged(|| hooks.call(&event));
            assert_eq!(said, None);
            let warning = lines.lines().find(|line| line.contains("going on without it"));
            let warning = warning.unwrap_or_else(|| panic!("no warning in {lines}"));
            assert!(warning.contains(why) && warning.contains("scripted"), "{warning}");
            assert_eq!(lines.matches("Connection {").count(), 1, "the other is told: {lines}");
        }
    }
}

#[test]
fn a_plugin_of_several_lists_is_told_once_and_one_without_hooks_never() {
    let (scripted, describe) = (guests::built("scripted"), guests::built("describe"));
    let mut loader = Loader::with_cache(limits(), None);
    let [scripted, describe] = [scripted, describe].map(|file| Spec::from(file.as_path()));
    let lists = [vec![scripted.clone()], vec![describe.clone(), scripted], vec![describe]]
        .map(|specs| loader.load(&specs).expect("good plugins"));
    let (lines, _) = logged(|| Hooks::new(&lists).call(&connected(1)));
    assert_eq!(lines.matches("connected Connection").count(), 1, "{lines}");
    assert!(Hooks::new(&lists[2..]).is_empty() && Hooks::new([]).is_empty());
    assert!(!Hooks::new(&lists).is_empty());
}

#[test]
fn a_plugin_may_have_a_hook_and_nothing_else() {
    // The outcome lies at 256: "stop", with five bytes at 16.
    let hook = r#"(func (export "mqtt-source:plugin/connect-failure-hook@0.1.0#on-client-connect-failure")
      (param i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 256) (i32.const 1))
      (i32.store (i32.const 260) (i32.const 16))
      (i32.store (i32.const 264) (i32.const 5))
      (i32.const 256))"#;
    let file = guests::wat("watchdog.wasm", &guests::module(hook));
    let plugins = load(&[file.path().to_owned()], &limits());
    let mut hooks = Hooks::new([&plugins]);
    assert_eq!(hooks.call(&connected(1)), None);
    let said = hooks.call(&failed());
    assert_eq!(said.as_deref(), Some("plugin watchdog ends the program: panic"));
    assert!(!plugins.instantiate().has(Ability::Key));
}
