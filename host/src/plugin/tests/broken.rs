//! A plugin that fails for many messages in a row, whose fault that is, and what becomes of the next
//! ones.

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

/// Lets another plugin run in the place of what runs, as if that had become this: what it has handled
/// well before is known.
fn becomes(plugins: &Plugins, setters: &mut Setters, guest: &str) {
    let file = guests::wat("obedient.wasm", guest);
    let limits = Limits { failures: 3, ..limits() };
    let other = load(&[file.path().to_owned()], &limits).loaded[0].plugin();
    plugins.loaded[0].put(other, Vec::new(), None);
    setters.renew();
}

/// [`guests::obedient`], but it traps for everything.
fn traps_always() -> String {
    let is_t = "(i32.eq (local.get $what) (i32.const 0x74))";
    assert!(guests::obedient().contains(is_t));
    guests::obedient().replace(is_t, "(i32.const 1)")
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
    assert_eq!(brief(&keys(&mut setters, &["t", "t"])), "!!");
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
}

#[test]
fn messages_are_to_blame_while_those_that_went_well_before_still_do() {
    let mut setters = fragile(OnBroken::Pause);
    // What has just gone well counts, too.
    let poison = ["t"; 100];
    let (lines, said) = logged(|| keys(&mut setters, &[&["x"], &poison[..], &["y"]].concat()));
    assert_eq!(brief(&said), format!("x{}y", "!".repeat(100)));
    assert_eq!(setters.pause(), None);
    let blamed =
        "its key setter failed for 3 messages in a row, which are to blame: it still handles";
    assert_eq!(lines.matches(blamed).count(), 1, "{lines}");
    assert!(!lines.contains("is broken"), "{lines}");
    assert_eq!(brief(&keys(&mut setters, &poison)), "!".repeat(100));
    assert_eq!(setters.pause(), None);
}

#[test]
fn a_plugin_that_fails_for_what_it_has_handled_before_is_broken() {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let limits = Limits { failures: 3, ..limits() };
    let plugins = load(&[file.path().to_owned()], &limits);
    let mut setters = plugins.instantiate();
    assert_eq!(brief(&keys(&mut setters, &["x", "y", "z"])), "xyz");
    becomes(&plugins, &mut setters, &traps_always());
    assert_eq!(brief(&keys(&mut setters, &["a", "b", "c", "d", "e"])), "!!!ww");
    assert!(setters.pause().is_some());
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["f", "g"])), "!w");

    // Nothing but what it has handled before shows that it works again.
    becomes(&plugins, &mut setters, &guests::obedient());
    assert_eq!(setters.pause(), None);
}

#[test]
fn most_of_what_went_well_before_decides() {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    let plugins = load(&[file.path().to_owned()], &limits());
    let mut setters = plugins.instantiate();
    assert_eq!(brief(&keys(&mut setters, &["x", "y", "z", "a", "b"])), "xyzab");
    let samples = &plugins.loaded[0].samples;
    let proven = |bad: char| {
        let trap = format!("(i32.const {})", u32::from(bad));
        let guest = guests::obedient().replace("(i32.const 0x74)", &trap);
        let file = guests::wat("obedient.wasm", &guest);
        let plugin = load(&[file.path().to_owned()], &limits()).loaded[0].plugin();
        samples.prove(Ability::Key, &plugin)
    };
    assert_eq!(
        (proven('x'), samples.prove(Ability::Value, &plugins.loaded[0].plugin())),
        (Some(true), None)
    );
    let file = guests::wat("obedient.wasm", &traps_always());
    let broken = load(&[file.path().to_owned()], &limits()).loaded[0].plugin();
    assert_eq!(samples.prove(Ability::Key, &broken), Some(false));
}

#[test]
fn a_plugin_that_says_that_it_cannot_work_is_broken_and_the_message_waits() {
    let mut setters = load(&[guests::built("misbehave")], &limits()).instantiate();
    let (lines, said) = logged(|| keys(&mut setters, &["fatal flaw", "a"]));
    assert_eq!(brief(&said), "ww");
    let why = "is broken: its key setter says that it cannot work; the messages of its route wait";
    assert!(lines.contains(why) && lines.contains("fatal flaw"), "{lines}");
    let first = setters.pause().expect("a pause").until;
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["fatal flaw", "a"])), "ww");
    assert!(setters.pause().is_some_and(|pause| pause.until > first));
    setters.end_pauses();
    assert_eq!(brief(&keys(&mut setters, &["a", "b"])), "ab");
    // It has handled some by now, so the next one is about the message.
    let said = keys(&mut setters, &["fatal flaw", "c"]);
    assert_eq!(said, [Said::Reject("fatal", "fatal flaw".into()), bytes("c")]);
}

#[test]
fn messages_can_do_without_a_plugin_that_says_that_it_cannot_work_or_end_the_program() {
    let plugins = load(&[guests::built("misbehave")], &limits());
    let mut setters = plugins.clone().when_broken(OnBroken::Default).instantiate();
    assert_eq!(brief(&keys(&mut setters, &["fatal flaw", "a"])), "dd");
    let mut setters = plugins.when_broken(OnBroken::Stop).instantiate();
    assert_eq!(keys(&mut setters, &["fatal flaw"]), [Said::Fatal("fatal flaw".into())]);
}

#[test]
fn answers_that_are_not_allowed_are_the_messages_fault_while_nothing_else_is_known() {
    let file = guests::built("misbehave");
    let limits = Limits { failures: 2, output: 1 << 10, ..limits() };
    let mut setters = load(&[file], &limits).instantiate();
    let long = "x".repeat(2 << 10);
    let (lines, said) = logged(|| keys(&mut setters, &[&long[..]; 9]));
    assert_eq!((brief(&said).as_str(), setters.pause()), ("!!!!!!!!!", None));
    assert_eq!(lines.matches("which are to blame: such answers follow").count(), 1, "{lines}");
}

#[test]
fn one_of_several_messages_that_wait_shows_that_a_plugin_works() {
    let mut setters = fragile(OnBroken::Pause);
    assert_eq!(brief(&keys(&mut setters, &["t", "t", "t", "t"])), "!!!w");
    setters.end_pauses();
    setters.trying(true);
    let until = setters.pause().expect("a pause").until;
    assert_eq!(brief(&keys(&mut setters, &["t", "t"])), "ww");
    assert_eq!(setters.pause().expect("it goes on").until, until, "nothing has been tried");
    let (lines, said) = logged(|| keys(&mut setters, &["t", "t", "x", "t"]));
    assert_eq!((brief(&said).as_str(), setters.pause()), ("wwx!", None));
    assert_eq!(lines.matches("works again, after").count(), 1, "{lines}");
    setters.trying(false);
    // And what it has handled then is evidence.
    assert_eq!(brief(&keys(&mut setters, &["t", "t", "t", "t", "y"])), "!!!!y");
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
    let long = |limit: usize| Limits { failures: 2, output: limit, ..limits() };
    let plugins = load(&[guests::built("misbehave")], &long(1 << 10));
    let mut setters = plugins.instantiate();
    assert_eq!(brief(&keys(&mut setters, &["evidence"])), "e");
    let strict = load(&[guests::built("misbehave")], &long(3)).loaded[0].plugin();
    plugins.loaded[0].put(strict, Vec::new(), None);
    setters.renew();
    let said = keys(&mut setters, &["a", "long", "b", "long", "long", "c", "d"]);
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
    let mut setters = load(&[guests::built("misbehave")], &limits).instantiate();
    assert_eq!(brief(&keys(&mut setters, &["panic", "bad luck", "panic", "null"])[..3]), "!!!");
    assert_eq!(setters.pause(), None);
}

#[test]
fn each_ability_of_a_plugin_is_broken_by_itself() {
    // Its value is a long one, its key the default.
    let few = |output: usize| Limits { failures: 2, output, ..limits() };
    let plugins = load(&[guests::built("describe")], &few(1 << 10));
    let mut setters = plugins.instantiate();
    assert!(setters.has(Ability::Key) && setters.has(Ability::Value));
    answer(&mut setters, Ability::Value, &["x"]);
    let strict = load(&[guests::built("describe")], &few(9)).loaded[0].plugin();
    plugins.loaded[0].put(strict, Vec::new(), None);
    setters.renew();
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
    let tick = common.clock.as_ref().map(|clock| clock.calls.tick);
    assert_eq!(tick, Some(Duration::from_millis(1)));

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
