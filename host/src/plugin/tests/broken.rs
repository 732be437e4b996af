//! A plugin that fails for many messages in a row, and what becomes of the next ones.

use super::*;
use crate::plugin::OnBroken;

/// A key setter that traps at `t`, and counts the calls of its instance at `c`: the first is `A`. Three
/// failures in a row are too many.
fn fragile(on_broken: OnBroken) -> Setters {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let limits = Limits { failures: 3, ..limits() };
    load(&[file.path().to_owned()], &limits).when_broken(on_broken).instantiate()
}

fn keys(setters: &mut Setters, payloads: &[&str]) -> Vec<Said> {
    answer(setters, Ability::Key, payloads)
}

/// As [`fragile`], but no instance of it starts any more.
fn starved(on_broken: OnBroken) -> Plugins {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let limits = Limits { failures: 3, ..limits() };
    let plugins = load(&[file.path().to_owned()], &limits).when_broken(on_broken);
    changed(&plugins, |plugin| plugin.limits.memory = 1 << 10)
}

/// Answers in one letter each.
fn brief(said: &[Said]) -> String {
    let letter = |said: &Said| match said {
        Said::Bytes(key) => key.chars().next().unwrap_or('-'),
        Said::Reject(..) => '!',
        Said::Wait => 'w',
        Said::Default => 'd',
        other => panic!("{other:?}"),
    };
    said.iter().map(letter).collect()
}

#[test]
fn messages_wait_for_a_plugin_that_fails_for_many_in_a_row() {
    let mut setters = fragile(OnBroken::Pause);
    assert_eq!(brief(&keys(&mut setters, &["x", "t", "t", "y", "t", "t"])), "x!!y!!");
    assert_eq!(setters.pause(), None);
    let (lines, said) = logged(|| keys(&mut setters, &["t", "x", "t", "x"]));
    assert_eq!(brief(&said), "!www");
    assert_eq!(
        lines.matches("is broken: its key setter failed for 3 messages in a row").count(),
        1,
        "{lines}"
    );
    assert!(lines.contains("topic=\"plant/a\"") && lines.contains("unreachable"), "{lines}");
    let pause = setters.pause().expect("a pause");
    assert!(pause.why.contains("plugin obedient is broken"), "{}", pause.why);
    let (lines, said) = logged(|| keys(&mut setters, &["x"]));
    assert_eq!((brief(&said).as_str(), lines.as_str()), ("w", ""));
}

#[test]
fn one_message_tries_a_broken_plugin_again_in_a_fresh_instance() {
    let mut setters = fragile(OnBroken::Pause);
    assert_eq!(brief(&keys(&mut setters, &["t", "t", "t", "t", "x"])), "!!!ww");
    setters.end_pauses();
    let first = setters.pause().expect("a pause").until;
    let (lines, said) = logged(|| keys(&mut setters, &["t", "x"]));
    assert_eq!(brief(&said), "!w");
    assert!(lines.contains("its key setter failed for 4 messages in a row"), "{lines}");
    assert!(setters.pause().is_some_and(|pause| pause.until > first));

    setters.end_pauses();
    let (lines, said) = logged(|| keys(&mut setters, &["c", "c"]));
    assert_eq!(brief(&said), "AB");
    assert_eq!(lines.matches("works again, after").count(), 1, "{lines}");
    assert_eq!(setters.pause(), None);
    // It counts from the start.
    assert_eq!(brief(&keys(&mut setters, &["t", "t", "x", "t"])), "!!x!");
}

#[test]
fn messages_can_do_without_a_broken_plugin() {
    let mut setters = fragile(OnBroken::Default);
    let (lines, said) = logged(|| keys(&mut setters, &["t", "t", "t", "t", "x"]));
    assert_eq!(brief(&said), "!!!dd");
    assert!(lines.contains("messages do without it"), "{lines}");
    assert_eq!(setters.pause(), None);
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["t", "x"])), "!d");
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["c", "x"])), "Ax");
}

#[test]
fn a_broken_plugin_can_end_the_program() {
    let mut setters = fragile(OnBroken::Stop);
    let said = keys(&mut setters, &["t", "t", "t", "x"]);
    let [.., Said::Fatal(why), Said::Wait] = said.as_slice() else { panic!("{said:?}") };
    assert!(why.contains("3 messages in a row") && why.contains("--on-plugin-broken"), "{why}");
    assert_eq!(brief(&said[..2]), "!!");
}

#[test]
fn no_message_is_blamed_for_a_plugin_that_does_not_start_any_more() {
    let plugins = starved(OnBroken::Pause);
    let mut setters = plugins.instantiate();
    let (lines, said) = logged(|| keys(&mut setters, &["a", "b", "c", "d"]));
    assert_eq!(brief(&said), "wwww");
    let why = "exceeded the memory limit of 1 KiB";
    let broken = "is broken: it does not start any more; the messages of its route wait";
    assert!(lines.contains("WARN") && lines.contains(broken) && lines.contains(why), "{lines}");
    let first = setters.pause().expect("a pause");
    assert!(first.why.contains("does not start any more: it exceeded"), "{}", first.why);
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["e", "f"])), "ww");
    assert!(setters.pause().is_some_and(|pause| pause.until > first.until));

    // A version that does start ends that.
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let good = load(&[file.path().to_owned()], &limits()).loaded[0].plugin();
    plugins.loaded[0].put(good, Vec::new(), None);
    setters.renew();
    assert_eq!((setters.pause(), brief(&keys(&mut setters, &["x", "y"])).as_str()), (None, "xy"));
}

#[test]
fn messages_can_do_without_a_plugin_that_does_not_start_any_more_or_end_the_program() {
    let said = keys(&mut starved(OnBroken::Default).instantiate(), &["a", "b"]);
    assert_eq!(brief(&said), "dd");
    let said = keys(&mut starved(OnBroken::Stop).instantiate(), &["a", "b"]);
    let [Said::Fatal(why), Said::Wait] = said.as_slice() else { panic!("{said:?}") };
    assert!(why.contains("does not start any more: it exceeded the memory"), "{why}");
}

#[test]
fn an_init_that_refuses_or_panics_after_it_has_worked_keeps_the_plugin_from_starting() {
    let started = load(&[guests::built("scripted")], &limits());
    for (init, why) in [("refuse no more", "no more"), ("panic no more", "no more")] {
        let config = format!(r#"{{"init": "{init}"}}"#);
        let failing = changed(&started, |plugin| plugin.config = Some(config.clone()));
        let mut setters = failing.instantiate();
        assert_eq!(brief(&answer(&mut setters, Ability::Json, &["a"])), "w");
        let pause = setters.pause().expect("a pause").why;
        assert!(pause.contains("it does not start any more: ") && pause.contains(why), "{pause}");
    }
}

#[test]
fn what_is_answered_wrongly_counts_in_the_middle_of_a_run_and_what_follows_is_taken_back() {
    let file = guests::built("misbehave");
    let limits = Limits { failures: 2, output: 1 << 10, ..limits() };
    let mut setters = load(&[file], &limits).instantiate();
    let long = "x".repeat(2 << 10);
    let said = keys(&mut setters, &["a", &long, "b", &long, &long, "c", "d"]);
    assert_eq!(brief(&said), "a!b!!ww");
}

#[test]
fn what_a_plugin_says_about_messages_does_not_make_it_broken() {
    let file = guests::built("misbehave");
    let limits = Limits { failures: 2, ..limits() };
    let mut setters = load(&[file], &limits).instantiate();
    let said = keys(&mut setters, &["bad luck", "bad luck", "skip it", "bad luck", "skip it", "k"]);
    assert_eq!(said[5], bytes("k"));
    assert_eq!(setters.pause(), None);
    assert_eq!(brief(&keys(&mut setters, &["panic", "bad luck", "panic", "null"])[..3]), "!!!");
    assert_eq!(setters.pause(), None);
}

#[test]
fn each_ability_of_a_plugin_is_broken_by_itself() {
    // Its value is a long one, its key the default.
    let limits = Limits { failures: 2, output: 9, ..limits() };
    let mut setters = load(&[guests::built("describe")], &limits).instantiate();
    assert!(setters.has(Ability::Key) && setters.has(Ability::Value));
    for _ in 0..2 {
        assert_eq!(brief(&answer(&mut setters, Ability::Key, &["x"])), "d");
        assert_eq!(brief(&answer(&mut setters, Ability::Value, &["x"])), "!");
    }
    let pause = setters.pause().expect("a pause");
    assert!(pause.why.contains("its value setter failed for 2"), "{}", pause.why);
}

#[test]
fn all_plugins_forget_when_they_are_told_to() {
    let mut setters = fragile(OnBroken::Pause);
    assert_eq!(brief(&keys(&mut setters, &["c", "c"])), "AA");
    assert_eq!(brief(&keys(&mut setters, &["c"])), "B");
    setters.forget();
    assert_eq!(brief(&keys(&mut setters, &["c"])), "A");
}

#[test]
fn each_plugin_has_its_own_limits_and_the_clock_keeps_the_shortest_time() {
    let (patient, hasty) = (Duration::from_mins(1), Duration::from_millis(10));
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let spec = |limits: Option<Limits>| Spec { limits, ..Spec::from(file.path()) };
    let own = Limits { call: hasty, memory: 8 << 20, ..limits() };
    let mut loader = Loader::with_cache(Limits { call: patient, ..limits() }, None).timing(hasty);
    let common = loader.load(&[spec(None)]).expect("a good plugin");
    let strict = loader.load(&[spec(Some(own.clone()))]).expect("a good plugin");
    let again = loader.load(&[spec(Some(own))]).expect("a good plugin");
    assert!(!Arc::ptr_eq(&common.loaded[0], &strict.loaded[0]));
    assert!(Arc::ptr_eq(&strict.loaded[0], &again.loaded[0]));
    assert_eq!(common.loaded[0].plugin().tick, Duration::from_millis(1));

    let mut setters = strict.instantiate();
    let [Said::Reject("time-out", slow), Said::Reject("memory-limit", greedy)] =
        &keys(&mut setters, &["l", "e"])[..]
    else {
        panic!("not what was asked for")
    };
    assert!(slow.contains("10 ms") && greedy.contains("8 MiB"), "{slow}; {greedy}");
    let said = keys(&mut common.instantiate(), &["e"]);
    assert!(matches!(&said[..], [Said::Reject("memory-limit", error)] if error.contains("64 MiB")));
}
