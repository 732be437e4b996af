//! What happens to a plugin that exceeds its limits, and to its messages.

use super::*;

/// Answers of a plugin that does as it is told; all other messages must get their own key.
fn obedient(limits: &Limits, payloads: &[&str]) -> Vec<Said> {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let mut setters = load(&[file.path().to_owned()], limits).instantiate();
    answer(&mut setters, Ability::Key, payloads)
}

/// A run of messages with a guilty one in the middle.
fn run_with(guilty: &str) -> Vec<&str> {
    let mut payloads = vec!["innocent"; 10];
    payloads[4] = guilty;
    payloads
}

fn only_the_fifth_is_rejected(said: &[Said], reason: &'static str, error: &str) {
    for (index, said) in said.iter().enumerate() {
        if index == 4 {
            assert_eq!(said, &Said::Reject(reason, error.to_owned()));
        } else {
            assert_eq!(said, &bytes("innocent"));
        }
    }
}

#[test]
fn a_trap_condemns_only_the_guilty_message() {
    let said = obedient(&limits(), &run_with("t"));
    let error = "wasm trap: wasm `unreachable` instruction executed in act < keys";
    only_the_fifth_is_rejected(&said, "trap", error);
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    let said = obedient(&limits(), &run_with("p"));
    only_the_fifth_is_rejected(&said, "trap", "panicked at src/lib.rs:13:33: empty payload on x");
}

#[test]
fn a_panic_of_the_sdk_is_told_and_logged_once() {
    let mut setters = setters(&guests::built("misbehave"));
    let (lines, said) =
        logged(|| answer(&mut setters, Ability::Key, &["a", "panic at the disco", "b"]));
    assert_eq!((&said[0], &said[2]), (&bytes("a"), &bytes("b")));
    let Said::Reject("trap", error) = &said[1] else { panic!("{said:?}") };
    assert!(error.starts_with("panicked at ") && error.ends_with(": at the disco"), "{error}");
    assert_eq!(lines.matches(error.as_str()).count(), 1, "{lines}");
}

#[test]
fn a_loop_is_ended_and_condemns_only_its_message() {
    let limits = Limits { call: Duration::from_millis(60), ..limits() };
    let said = obedient(&limits, &run_with("l"));
    only_the_fifth_is_rejected(&said, "time-out", "the key setter ran longer than 60 ms");
}

#[test]
fn eating_memory_condemns_only_the_message_that_does() {
    let limits = Limits { memory: 8 << 20, ..limits() };
    let said = obedient(&limits, &run_with("e"));
    only_the_fifth_is_rejected(
        &said,
        "memory-limit",
        "the key setter exceeded the memory limit of 8 MiB",
    );
}

#[test]
fn a_plugin_of_the_sdk_survives_everything_that_a_message_can_do_to_it() {
    let mut setters = setters(&guests::built("misbehave"));
    let payloads =
        ["eat", "a", "recurse", "b", "loop", "c", "huge", "d", "bad luck", "e", "fatal flaw", "f"];
    let said = answer(&mut setters, Ability::Key, &payloads);
    let rejected = |index: usize, wanted: &str, text: &str| match &said[index] {
        Said::Reject(reason, error) => {
            assert!(*reason == wanted && error.contains(text), "{reason} {error}");
        }
        other => panic!("{index}: {other:?}"),
    };
    rejected(0, "memory-limit", "64 MiB");
    rejected(2, "trap", "misbehave::recurse");
    rejected(4, "time-out", "500 ms");
    rejected(6, "bad-output", "at most 16 MiB");
    rejected(8, "bad-message", "bad luck");
    rejected(10, "fatal", "fatal flaw");
    for (index, key) in [(1, "a"), (3, "b"), (5, "c"), (7, "d"), (9, "e"), (11, "f")] {
        assert_eq!(said[index], bytes(key));
    }
}

#[test]
fn a_garbled_packed_answer_condemns_only_the_message_behind_it() {
    let said = obedient(&limits(), &run_with("g"));
    let error = "the key setter answered nonsense: 9 is no answer of a key setter";
    only_the_fifth_is_rejected(&said, "bad-output", error);
}

#[test]
fn a_failure_leaves_a_new_instance_behind() {
    // The guest answers how many calls its instance has had: A in the first.
    let said = obedient(&limits(), &["c", "t", "c"]);
    assert_eq!((&said[0], &said[2]), (&bytes("A"), &bytes("A")));
}

#[test]
fn a_message_is_not_guilty_of_what_an_instance_has_come_to() {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let mut setters = setters(file.path());
    for payload in ["c", "once", "once"] {
        let said = answer(&mut setters, Ability::Key, &[payload]);
        assert!(matches!(&said[0], Said::Bytes(_)), "{said:?}");
    }
}

#[test]
fn an_instance_that_takes_most_of_its_memory_is_replaced_between_calls() {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let mut setters = setters(file.path());
    let mut call = |payload| answer(&mut setters, Ability::Key, &[payload]).remove(0);
    // Every M takes 20 of 64 MiB; three are more than three quarters.
    let said = ["M", "M", "c", "M", "c"].map(&mut call);
    assert_eq!(said[2..], [bytes("C"), bytes("M"), bytes("A")]);
}

#[test]
fn runs_get_shorter_when_only_their_number_takes_too_long() {
    let file = guests::wat("slow.wasm", &guests::slow());
    let limits = Limits { call: Duration::from_millis(100), ..limits() };
    let mut setters = load(&[file.path().to_owned()], &limits).instantiate();
    let payloads = ["k"; 24];
    let (first, said) = logged(|| answer(&mut setters, Ability::Key, &payloads));
    assert_eq!(said, vec![bytes("k"); 24]);
    assert!(first.contains("messages=24"), "{first}");
    let (second, said) = logged(|| answer(&mut setters, Ability::Key, &payloads));
    assert_eq!(said, vec![bytes("k"); 24]);
    assert!(!second.contains("messages=24"), "{second}");
}

#[test]
fn growth_that_fails_for_another_reason_does_not_count() {
    // The memory may have 20 MiB; every M asks for 20 MiB more, and does not get it.
    let text = guests::obedient()
        .replace(r#"(memory (export "memory") 2)"#, r#"(memory (export "memory") 2 320)"#);
    let file = guests::wat("obedient.wasm", &text);
    let mut setters = setters(file.path());
    let said = answer(&mut setters, Ability::Key, &["M", "M", "M", "M", "M"]);
    assert_eq!(said, vec![bytes("M"); 5]);
    assert_eq!(answer(&mut setters, Ability::Key, &["c"]), [bytes("B")]);
}
