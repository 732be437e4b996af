//! Changed files take over from what runs, or leave it alone; and what happens if errors rise then.

use std::sync::Weak;
use std::time::Instant;

use super::guests::{File, binary, marked, obedient, typed, typed_transformer, wat};
use super::*;
use crate::plugin::swap::{Refusal, Replacements, Swapped, Swapper};
use crate::plugin::{Report, SwapOutcome};

/// A plugin that runs, and what puts other files in its place.
struct Running {
    file: File,
    swapper: Swapper,
    plugins: Plugins,
    setters: Setters,
}

const LIMIT: u32 = 5;

fn run(guest: &str, limit: u32) -> Running {
    run_with(wat("key.wasm", guest), limit, None)
}

fn run_with(file: File, limit: u32, config: Option<&str>) -> Running {
    let mut loader = Loader::with_cache(limits(), None);
    let config = config.map(str::to_owned);
    let spec = Spec { config, ..Spec::from(file.path()) };
    let plugins = loader.load(&[spec]).expect("a good plugin");
    let (setters, swapper) = (plugins.instantiate(), Swapper::new(loader, limit));
    Running { file, swapper, plugins, setters }
}

impl Running {
    fn swap(&mut self, bytes: &[u8]) -> Result<Swapped, Refusal> {
        self.swap_if(bytes, &Ok(0))
    }

    fn swap_if(
        &mut self,
        bytes: &[u8],
        golden: &Result<usize, String>,
    ) -> Result<Swapped, Refusal> {
        self.file.replace(bytes);
        self.swapper.swap(0, &|_: &Replacements| golden.clone())
    }

    fn takes_over(&mut self, bytes: &[u8]) {
        let swapped = self.swap(bytes);
        assert!(matches!(swapped, Ok(Swapped::TakesOver { .. })), "{swapped:?}");
    }

    fn refused(&mut self, bytes: &[u8]) -> String {
        let before = self.sha256();
        let refusal = self.swap(bytes).expect_err("no good file").to_string();
        assert_eq!(self.sha256(), before, "the old one stays");
        refusal
    }

    fn sha256(&self) -> String {
        self.plugins.loaded[0].plugin().name.sha256.clone()
    }

    /// As a lane does for a batch.
    fn keys<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Vec<Said> {
        self.setters.renew();
        answer(&mut self.setters, Ability::Key, payloads)
    }
}

/// [`obedient`], but it traps for another first byte.
fn traps_for(letter: char) -> Vec<u8> {
    binary(&obedient().replace("(i32.const 0x74)", &format!("(i32.const {})", u32::from(letter))))
}

#[test]
fn a_changed_file_takes_over_between_two_batches_and_with_a_new_memory() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.keys(&["c"]), [bytes("A")]);
    assert_eq!(running.keys(&["c"]), [bytes("B")]);
    let swapped = running.swap(&marked(&binary(&obedient()), 1)).expect("a good file");
    let Swapped::TakesOver { from, to, messages: 1, changed: 0, cases: 0 } = swapped else {
        panic!("{swapped:?}")
    };
    assert!(from.name == "key" && to.name == "key" && from.sha256 != to.sha256);
    assert_eq!(answer(&mut running.setters, Ability::Key, &["c"]), [bytes("C")], "not between two");
    assert_eq!(running.keys(&["c"]), [bytes("A")]);
    running.takes_over(&binary(&typed()));
    assert_eq!(running.keys(&["a"]), [bytes("plant/a")], "another kind of calls");
}

#[test]
fn the_same_file_again_is_left_alone() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.swap(&binary(&obedient())).expect("a file"), Swapped::Same);
    assert_eq!(running.keys(&["c"]), [bytes("A")]);
}

#[test]
fn a_file_that_is_no_good_leaves_the_old_one_where_it_is() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.keys(&["c"]), [bytes("A")]);
    let good = traps_for('z');
    for (bad, why) in [
        (&good[..good.len() / 2], "is not valid WebAssembly"),
        (b"", "is empty, not WebAssembly"),
        (b"\0asm\x01\0\0\0", "is WebAssembly, but no plugin"),
        (
            &binary(&typed_transformer()),
            "offers transformer (typed), not key setter (packed); what plugins decide does not change \
             under way: restart host to use it",
        ),
    ] {
        let refusal = running.refused(bad);
        assert!(
            refusal.contains(&why.replace(" (typed)", "").replace(" (packed)", "")),
            "{refusal}"
        );
    }
    let (swapper, file) = (&mut running.swapper, running.file.path());
    std::fs::remove_file(file).expect("the file is there");
    let refusal = swapper.swap(0, &|_: &Replacements| Ok(0)).expect_err("no file").to_string();
    assert!(refusal.contains("cannot be read"), "{refusal}");
    assert_eq!(running.keys(&["c"]), [bytes("B")], "its instance goes on");
}

#[test]
fn what_does_not_start_with_the_configuration_does_not_take_over() {
    let wasm = std::fs::read(guests::built("scripted")).expect("a guest");
    let mut running = run_with(File::new("scripted.wasm", &wasm), LIMIT, Some(r#"{"prefix":"a"}"#));
    let key_setter = std::fs::read(guests::built("misbehave")).expect("a guest");
    let refusal = running.refused(&key_setter);
    assert!(refusal.contains("has a configuration, but takes none"), "{refusal}");
}

#[test]
fn a_file_that_the_configuration_names_by_its_hash_is_not_replaced() {
    let file = wat("key.wasm", &obedient());
    let mut loader = Loader::with_cache(limits(), None);
    let open = loader.load(&[file.path().into()]).expect("a good plugin");
    let sha256 = Some(open.loaded[0].plugin().name.sha256.clone());
    let pinned = Spec { sha256, ..Spec::from(file.path()) };
    let plugins = loader.load(&[pinned]).expect("a good plugin");
    assert!(Arc::ptr_eq(&open.loaded[0], &plugins.loaded[0]), "whoever names it, it is one plugin");
    let (setters, swapper) = (plugins.instantiate(), Swapper::new(loader, LIMIT));
    let mut running = Running { file, swapper, plugins, setters };
    let refusal = running.refused(&traps_for('z'));
    assert!(refusal.contains("another file than the configuration means"), "{refusal}");
}

#[test]
fn a_recent_message_that_the_new_version_fails_on_keeps_the_old_one() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.keys(&["a"]), [bytes("a")]);
    let refusal = running.refused(&traps_for('a'));
    let expected = "fails for a recent message on \"plant/a\" (trap): wasm trap";
    assert!(refusal.starts_with(expected), "{refusal}");
    running.takes_over(&traps_for('b'));
}

#[test]
fn a_recent_message_that_the_version_before_failed_on_says_nothing() {
    let mut running = run(&obedient(), LIMIT);
    assert!(matches!(running.keys(&["t"])[0], Said::Reject("trap", _)));
    running.takes_over(&marked(&binary(&obedient()), 1));
}

#[test]
fn recent_messages_that_the_new_version_calls_bad_count_as_errors() {
    for (limit, good) in [(LIMIT, false), (100, true)] {
        let mut running = run(&obedient(), limit);
        assert_eq!(running.keys(&["a", "b"]), [bytes("a"), bytes("b")]);
        let swapped = running.swap(&binary(&typed()));
        let refusal = swapped.as_ref().map_err(ToString::to_string);
        let expected =
            "rejects 1 of 2 recent messages that were carried, such as one on \"plant/a\"";
        match refusal {
            Err(refusal) if !good => assert!(refusal.starts_with(expected), "{refusal}"),
            swapped => assert!(good && swapped.is_ok(), "{swapped:?}"),
        }
    }
}

#[test]
fn a_version_that_makes_something_else_of_recent_messages_says_of_how_many_and_may_be_refused() {
    // It counts its calls at another letter.
    let other = binary(&obedient().replace("(i32.const 0x63)", "(i32.const 0x79)"));
    for (limit, good) in [(100, true), (50, true), (49, false)] {
        let mut running = run(&obedient(), 100);
        running.swapper = running.swapper.changing(limit);
        let keys = running.keys(&["c", "y", "z", "w"]);
        assert_eq!(keys, ["A", "y", "z", "w"].map(bytes));
        match running.swap(&other) {
            Ok(Swapped::TakesOver { messages: 4, changed: 2, .. }) => assert!(good),
            Err(refusal) => {
                let expected = "makes something else of 2 of 4 recent messages, such as one on \
                                \"plant/a\"; correct it, or raise --swap-changes-limit";
                assert!(!good && refusal.to_string() == expected, "{refusal}");
            }
            swapped => panic!("{swapped:?}"),
        }
    }
}

#[test]
fn a_golden_case_that_fails_keeps_the_old_one() {
    let mut running = run(&obedient(), LIMIT);
    let before = running.sha256();
    let refusal = running.swap_if(&traps_for('z'), &Err("cases.jsonl:1: no".into()));
    let said = refusal.expect_err("a failed case").to_string();
    assert_eq!(said, "fails a golden case: cases.jsonl:1: no; correct one of the two");
    assert_eq!(running.sha256(), before);
    let swapped = running.swap_if(&traps_for('z'), &Ok(7)).expect("a good file");
    assert!(matches!(swapped, Swapped::TakesOver { cases: 7, .. }), "{swapped:?}");
}

#[test]
fn a_version_that_does_not_start_any_more_fails_its_trial_and_loses_its_place_at_once() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.keys(&["x"]), [bytes("x")]);
    let starved = changed(&running.plugins, |plugin| plugin.limits.memory = 1 << 10);
    let starved = starved.loaded[0].plugin();
    let slot = &running.plugins.loaded[0];
    let tried = slot.samples.try_out(&starved, &slot.plugin());
    let (_, rejection) = tried.failed.expect("it cannot work");
    let why = "exceeded the memory limit of 1 KiB";
    assert!(rejection.error.contains(why), "{}", rejection.error);

    slot.put(Arc::clone(&starved), Vec::new(), Some(0.5));
    let (lines, said) = logged(|| running.keys(&["x", "y"]));
    assert_eq!(said, [bytes("x"), bytes("y")]);
    let line = lines.lines().find(|line| line.contains("comes back")).expect("it is said");
    assert!(line.contains(why), "{line}");
}

#[test]
fn trying_out_leaves_no_trace_in_what_runs() {
    let mut running = run(&obedient(), LIMIT);
    let apart = running.plugins.apart(&Replacements::default());
    let (lines, said) = logged(|| answer(&mut apart.instantiate(), Ability::Key, &["c", "p"]));
    assert_eq!((said[0].clone(), lines.as_str()), (bytes("A"), ""));
    assert_eq!(running.keys(&["c"]), [bytes("A")]);
    // Had the panic been kept, it would have been tried.
    running.takes_over(&traps_for('p'));
}

#[test]
fn if_errors_rise_the_old_one_comes_back_and_answers_the_batch_at_hand() {
    let mut running = run(&obedient(), LIMIT);
    let (old, bad) = (running.sha256(), traps_for('z'));
    assert_eq!(running.keys(&["a"; 100]).len(), 100);
    running.takes_over(&bad);
    assert_eq!(running.keys(&["a"; 50]), vec![bytes("a"); 50]);
    let (lines, said) = logged(|| running.keys(&["z"; 20]));
    assert_eq!((said, running.sha256()), (vec![bytes("z"); 20], old));
    let line = lines.lines().find(|line| line.contains("comes back")).expect("it is said");
    assert!(
        line.contains(
            "20 of the last 70 answers were errors, 0.0 % before; the last one: wasm trap"
        ),
        "{line}"
    );
    assert!(lines.contains("ERROR"), "{lines}");
    let refusal = running.refused(&bad);
    assert!(refusal.starts_with("is the one that gave way when errors rose"), "{refusal}");
    running.takes_over(&traps_for('y'));
    assert_eq!(running.swap(&traps_for('y')).expect("a file"), Swapped::Same);
    running.takes_over(&bad);
}

#[test]
fn a_few_errors_or_as_many_as_ever_bring_nothing_back() {
    let mut running = run(&obedient(), LIMIT);
    running.takes_over(&traps_for('z'));
    let new = running.sha256();
    assert!(running.keys(&["z"; 9]).iter().all(|said| matches!(said, Said::Reject("trap", _))));
    assert_eq!(running.sha256(), new, "nine are few");

    let mut running = run(&obedient(), LIMIT);
    let half: Vec<&str> = ["a", "t"].repeat(20);
    running.keys(&half);
    running.takes_over(&marked(&binary(&obedient()), 1));
    let new = running.sha256();
    running.keys(&half);
    assert_eq!(running.sha256(), new, "half of them have always failed");

    let mut running = run(&obedient(), 100);
    running.takes_over(&traps_for('z'));
    let new = running.sha256();
    running.keys(&["z"; 100]);
    assert_eq!(running.sha256(), new, "nobody wants it back");
}

#[test]
fn a_version_on_trial_that_cannot_work_at_all_does_not_end_the_program() {
    let mut running = run(&obedient(), LIMIT);
    let old = running.sha256();
    running.takes_over(&binary(&typed()));
    assert_eq!(running.keys(&["fatal", "x"]), [bytes("fatal"), bytes("x")]);
    assert_eq!(running.sha256(), old);
}

#[test]
fn a_version_that_turns_bad_later_gives_way_as_soon() {
    let mut running = run(&obedient(), LIMIT);
    let old = running.sha256();
    running.takes_over(&traps_for('z'));
    for _ in 0..50 {
        running.keys(&["a"; 100]);
    }
    assert_eq!(running.keys(&["z"; 9]).len(), 9);
    assert_ne!(running.sha256(), old, "nine are few");
    assert_eq!(running.keys(&["z"; 9]), vec![bytes("z"); 9]);
    assert_eq!(running.sha256(), old);
}

#[test]
fn messages_that_are_bad_for_the_version_before_as_well_bring_nothing_back() {
    let mut running = run(&obedient(), LIMIT);
    assert_eq!(running.keys(&["a"; 100]).len(), 100);
    running.takes_over(&marked(&binary(&obedient()), 1));
    let new = running.sha256();
    let bad = running.keys(&["t"; 100]);
    assert!(bad.iter().all(|said| matches!(said, Said::Reject("trap", _))));
    assert_eq!((running.sha256(), running.setters.pause()), (new, None));
}

#[test]
fn a_version_that_gave_way_does_not_come_back_with_a_restart() {
    let file = wat("key.wasm", &obedient());
    let cache = File::new("x", b"");
    let start = || {
        let mut loader =
            Loader::with_cache(limits(), Some(cache.path().with_file_name("cache"))).remembering();
        let plugins = loader.load(&[file.path().into()]).expect("a good plugin");
        let (setters, swapper) = (plugins.instantiate(), Swapper::new(loader, LIMIT));
        swapper.keep();
        (plugins, setters, swapper)
    };
    let sha256 = |plugins: &Plugins| plugins.loaded[0].plugin().name.sha256.clone();
    let (plugins, mut setters, mut swapper) = start();
    let old = sha256(&plugins);
    file.replace(&traps_for('z'));
    swapper.swap(0, &|_: &Replacements| Ok(0)).expect("a good file");
    setters.renew();
    let (lines, said) = logged(|| answer(&mut setters, Ability::Key, &["z"; 20]));
    assert_eq!((said, sha256(&plugins)), (vec![bytes("z"); 20], old.clone()));
    assert!(lines.contains("until it changes, nor after a restart"), "{lines}");

    let (lines, (plugins, _, mut swapper)) = logged(start);
    assert_eq!(sha256(&plugins), old);
    let loud = format!("version {} runs, not ", &old[..12]);
    assert!(
        lines.contains("ERROR")
            && lines.contains(&loud)
            && lines.contains("of the last 20 answers were errors"),
        "{lines}"
    );
    let refusal = swapper.swap(0, &|_: &Replacements| Ok(0)).expect_err("it gave way").to_string();
    let note = refusal.split("remove ").nth(1).and_then(|rest| rest.split(" and restart").next());
    let note = note.unwrap_or_else(|| panic!("{refusal}"));
    std::fs::remove_file(note).expect("the note is where it is said to be");
    let (plugins, ..) = start();
    assert_ne!(sha256(&plugins), old, "as asked for");

    // What is named by its hash is meant.
    let mut loader =
        Loader::with_cache(limits(), Some(cache.path().with_file_name("cache"))).remembering();
    let pinned = Spec { sha256: Some(sha256(&plugins)), ..Spec::from(file.path()) };
    assert_eq!(sha256(&loader.load(&[pinned]).expect("a good plugin")), sha256(&plugins));
}

#[test]
fn a_version_on_trial_that_is_broken_gives_way_at_once() {
    let file = wat("key.wasm", &obedient());
    let strict = Limits { failures: 2, ..limits() };
    let mut loader = Loader::with_cache(strict, None);
    let plugins = loader.load(&[file.path().into()]).expect("a good plugin");
    let (setters, swapper) = (plugins.instantiate(), Swapper::new(loader, LIMIT));
    let mut running = Running { file, swapper, plugins, setters };
    let old = running.sha256();
    running.takes_over(&traps_for('z'));
    assert_eq!(running.keys(&["z"; 5]), vec![bytes("z"); 5]);
    assert_eq!((running.sha256(), running.setters.pause()), (old, None));
}

#[test]
fn messages_need_not_wait_for_a_broken_plugin_once_another_version_has_taken_over() {
    let file = wat("key.wasm", &obedient());
    let strict = Limits { failures: 1, ..limits() };
    let mut loader = Loader::with_cache(strict, None);
    let plugins = loader.load(&[file.path().into()]).expect("a good plugin");
    let (setters, swapper) = (plugins.instantiate(), Swapper::new(loader, LIMIT));
    let mut running = Running { file, swapper, plugins, setters };
    running.keys(&["t"]);
    assert!(running.setters.pause().is_some());
    running.takes_over(&traps_for('z'));
    assert_eq!(running.setters.pause(), None);
    assert_eq!(running.keys(&["t"]), [bytes("t")]);
}

#[test]
fn what_comes_back_is_the_last_version_that_has_stood_its_trial() {
    let mut running = run(&obedient(), LIMIT);
    let first = running.sha256();
    running.keys(&["a"]);
    running.takes_over(&traps_for('y'));
    running.takes_over(&traps_for('z'));
    assert_eq!(running.keys(&["z"; 10]), vec![bytes("z"); 10]);
    assert_eq!(running.sha256(), first);

    running.takes_over(&traps_for('y'));
    let second = running.sha256();
    let start = Instant::now();
    let later = start + Duration::from_mins(2);
    assert!(running.swapper.settle(later), "it has answered nothing yet");
    running.keys(&vec!["a"; 1_000]);
    assert!(running.swapper.settle(start), "a minute is not over");
    assert!(!running.swapper.settle(later), "a minute and a thousand answers are enough");
    running.takes_over(&traps_for('z'));
    running.keys(&["z"; 10]);
    assert_eq!(running.sha256(), second);
    running.takes_over(&traps_for('x'));
    assert!(!running.swapper.settle(start + Duration::from_hours(2)), "no trial is longer");
}

#[test]
fn old_versions_are_given_back() {
    let mut running = run(&obedient(), LIMIT);
    let wasm = binary(&obedient());
    let mut versions: Vec<Weak<Plugin>> = Vec::new();
    for mark in 0..100 {
        versions.push(Arc::downgrade(&running.plugins.loaded[0].plugin()));
        running.takes_over(&marked(&wasm, mark));
        assert_eq!(running.keys(&["c"]), [bytes("A")]);
    }
    let alive = || versions.iter().filter(|version| version.strong_count() > 0).count();
    assert_eq!(alive(), 1, "the one that would come back");
    running.swapper.settle(Instant::now() + Duration::from_hours(2));
    assert_eq!(alive(), 0);
}

#[test]
fn whoever_calls_it_finds_an_instance_ready() {
    let wasm = std::fs::read(guests::built("scripted")).expect("a guest");
    let config = Some(r#"{"init":"log hello"}"#);
    let mut running = run_with(File::new("scripted.wasm", &wasm), LIMIT, config);
    let mut other = running.plugins.instantiate();
    let (lines, ()) = logged(|| running.takes_over(&marked(&wasm, 1)));
    assert_eq!(lines.matches("init hello").count(), 2, "{lines}");
    let (lines, ()) = logged(|| {
        for setters in [&mut running.setters, &mut other] {
            setters.renew();
            answer(setters, Ability::Json, &["x"]);
        }
    });
    assert_eq!(lines.matches("init hello").count(), 0, "{lines}");
}

#[test]
fn hooks_change_with_their_plugin() {
    let wasm = std::fs::read(guests::built("scripted")).expect("a guest");
    let config = Some(r#"{"init":"log hello"}"#);
    let mut running = run_with(File::new("scripted.wasm", &wasm), LIMIT, config);
    let mut hooks = crate::plugin::Hooks::new([&running.plugins]);
    let mut started = || {
        let (lines, _) = logged(|| hooks.call(&hooks::connected(1)));
        lines.matches("init hello").count()
    };
    assert_eq!((started(), started()), (1, 0));
    running.takes_over(&marked(&wasm, 1));
    assert_eq!((started(), started()), (1, 0));
}

#[test]
fn a_file_with_several_configurations_changes_in_all_places_or_in_none() {
    let wasm = std::fs::read(guests::built("scripted")).expect("a guest");
    let file = File::new("scripted.wasm", &wasm);
    let mut loader = Loader::with_cache(limits(), None);
    let with = |config: &str| Spec { config: Some(config.into()), ..Spec::from(file.path()) };
    let plugins = [r#"{"prefix":"a"}"#, r#"{"prefix":"b"}"#]
        .map(|config| loader.load(&[with(config)]).expect("a good plugin"));
    let mut setters = [&plugins[0], &plugins[1]].map(Plugins::instantiate);
    assert_eq!(answer(&mut setters[1], Ability::Json, &["x"]), [bytes(r#"{"_key":"bx"}"#)]);
    let mut swapper = Swapper::new(loader, LIMIT);
    file.replace(&marked(&wasm, 1));
    let failing = |_: &Replacements| Err("no".to_owned());
    assert!(swapper.swap(0, &failing).is_err());
    let versions = || [0, 1].map(|number: usize| plugins[number].loaded[0].plugin().name.clone());
    let [one, other] = versions();
    assert_eq!(one.sha256, other.sha256);
    swapper.swap(0, &|_: &Replacements| Ok(0)).expect("a good file");
    let [new, newer] = versions();
    assert!(new.sha256 == newer.sha256 && new.sha256 != one.sha256);
    for (setters, key) in setters.iter_mut().zip(["ax", "bx"]) {
        setters.renew();
        let json = format!(r#"{{"_key":"{key}"}}"#);
        assert_eq!(answer(setters, Ability::Json, &["x"]), [bytes(&json)], "as configured");
    }
}

#[test]
fn a_watched_file_is_taken_once_it_has_stayed_the_same_and_only_once() {
    let mut running = run(&obedient(), LIMIT);
    let looks = |running: &mut Running| {
        let (lines, ()) = logged(|| running.swapper.look(&|_: &Replacements| Ok(0)));
        lines
    };
    assert_eq!(looks(&mut running) + &looks(&mut running), "", "it is what runs");
    let (old, good) = (running.sha256(), traps_for('z'));
    running.file.replace(&good[..100]);
    assert_eq!(looks(&mut running), "", "it may be written still");
    running.file.replace(&good[..200]);
    assert_eq!(looks(&mut running), "", "it is");
    let line = looks(&mut running);
    let stays = format!("version {} stays: the changed file is not valid WebAssembly", &old[..12]);
    assert!(line.contains("WARN") && line.contains(&stays), "{line}");
    assert_eq!(looks(&mut running), "", "that has been said");
    std::fs::remove_file(running.file.path()).expect("the file is there");
    assert_eq!(looks(&mut running), "", "it is about to be put there");
    running.file.replace(&good);
    assert_eq!(looks(&mut running), "");
    let line = looks(&mut running);
    let over = format!("version {} takes over from {}", &running.sha256()[..12], &old[..12]);
    let tested = "(self-test: 0 recent messages, 0 golden cases)";
    assert!(line.contains("INFO") && line.contains(&over) && line.contains(tested), "{line}");
    assert_eq!(looks(&mut running), "");
    let (line, reports) = logged(|| running.swapper.take_all(&|_: &Replacements| Ok(0)));
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.outcome, SwapOutcome::Unchanged { version: running.sha256() });
    assert!(line.contains(&report.to_string()), "{line}");
    running.file.replace(b"no plugin");
    let (line, reports) = logged(|| running.swapper.take_all(&|_: &Replacements| Ok(0)));
    let [Report { outcome: SwapOutcome::Stays { version, reason }, .. }] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!(*version, running.sha256());
    assert!(reason.starts_with("the changed file is "), "{reason}");
    assert!(line.contains(&reports[0].to_string()), "{line}");
}
