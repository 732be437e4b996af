//! What setters answer.

use super::*;
use crate::plugin::Calls;

#[test]
fn a_plugin_of_the_sdk_is_loaded_described_and_called() {
    let plugins = load(&[guests::built("describe")], &limits());
    let described: Vec<_> = plugins.describe().collect();
    let [plugin] = &described[..] else { panic!("{described:?}") };
    let packed = |ability| (ability, Calls::Packed);
    let setters = [Ability::Key, Ability::Value, Ability::Timestamp];
    assert_eq!(plugin.abilities, setters.map(packed));
    assert_eq!((plugin.name.name.as_str(), plugin.name.sha256.len()), ("describe", 64));
    let line = plugin.to_string();
    assert!(line.contains("describe.wasm: key setter (packed), value setter (packed)"), "{line}");

    let mut setters = plugins.instantiate();
    assert!(setters.has(Ability::Value));
    let values = answer(&mut setters, Ability::Value, &["one", ""]);
    assert!(
        matches!(&values[0], Said::Bytes(value) if value.contains(r#"payload: "one""#)),
        "{values:?}"
    );
    assert_eq!(values[1], Said::Null);
    let times = answer(&mut setters, Ability::Timestamp, &["one"]);
    assert_eq!(times, [Said::Timestamp(1_700_000_000_001)]);
}

#[test]
fn properties_reach_plugins_through_both_interfaces() {
    let user = |name: &[u8], value: &[u8]| {
        let size = |text: &[u8]| (text.len() as u16).to_be_bytes();
        [&[0x26][..], &size(name), name, &size(value), value].concat()
    };
    let mut batch = Batch::new();
    for (key, time) in
        [("k", "-5"), ("ü", "0"), ("", "77"), ("a", "default"), ("b", "x"), ("c", "fatal")]
    {
        let properties =
            [user(b"key", key.as_bytes()), user(b"timestamp", time.as_bytes())].concat();
        let publish = Publish {
            topic: "t",
            payload: b"p",
            qos: Qos::ExactlyOnce,
            retain: true,
            dup: true,
            packet_id: 9,
            properties: Some(&properties),
        };
        batch.push(0, 5, &publish);
    }
    let plugins = load(&[guests::built("describe")], &limits());
    let (mut packed, mut typed) = (plugins.instantiate(), typed_only(&plugins).instantiate());
    for ability in Ability::ALL {
        let [packed, typed] = [&mut packed, &mut typed].map(|setters| {
            let mut answers = Answers::new();
            setters.call(ability, &batch, 1..batch.len(), &mut answers);
            answers.items.iter().map(|item| Said::of(item, &answers)).collect::<Vec<_>>()
        });
        assert_eq!(packed.len(), 5);
        assert_eq!(packed, typed, "{ability}");
    }
}

#[test]
fn every_answer_of_a_typed_setter_arrives() {
    let file = guests::wat("by-hand.wasm", &guests::typed());
    let mut setters = setters(file.path());
    let said = answer(&mut setters, Ability::Key, &["", "n", "s", "b", "f", "q", "other"]);
    assert_eq!(
        said,
        [
            bytes("plant/a"),
            Said::Null,
            Said::Skip("plant/a".into()),
            Said::Reject("bad-message", "plant/a".into()),
            // It has worked for the first.
            Said::Reject("fatal", "plant/a".into()),
            bytes("1"),
            bytes("plant/a"),
        ]
    );
}

#[test]
fn nonsense_from_a_typed_setter_condemns_only_its_message() {
    let file = guests::wat("by-hand.wasm", &guests::typed());
    let mut setters = setters(file.path());
    let said = answer(&mut setters, Ability::Key, &["u", "", "d", "", "x", ""]);
    for (index, said) in said.iter().enumerate() {
        match said {
            Said::Bytes(topic) if index % 2 == 1 => assert_eq!(topic, "plant/a"),
            Said::Reject("bad-output", error) if index % 2 == 0 => {
                assert!(error.starts_with("the key setter answered nonsense: "), "{error}");
            }
            other => panic!("{index}: {other:?}"),
        }
    }
}

#[test]
fn a_deserializer_answers_the_same_through_both_interfaces() {
    let plugins = load(&[guests::built("scripted")], &limits());
    let rejected = |said: &Said, expected: &str| {
        let Said::Reject(reason, error) = said else { panic!("{said:?}") };
        assert_eq!(format!("{reason}: {error}").split_at(expected.len()).0, expected);
    };
    for plugins in [plugins.clone(), typed_only(&plugins)] {
        let payloads = [
            "word",
            "default",
            "skip it",
            "bad luck",
            "fatal flaw",
            "json [1",
            "huge",
            "panic x",
            "json {}",
            "\u{fc}",
        ];
        let said = answer(&mut plugins.instantiate(), Ability::Json, &payloads);
        assert_eq!(said[0], bytes(r#"{"_key":"word"}"#));
        assert_eq!(said[1], Said::Default);
        assert_eq!(said[2], Said::Skip("skip it".into()));
        rejected(&said[3], "bad-message: bad luck");
        rejected(&said[4], "fatal: fatal flaw");
        rejected(&said[5], "bad-output: the payload deserializer answered what is not JSON: EOF");
        rejected(&said[6], "bad-output: the payload deserializer answered 20971520 bytes");
        rejected(&said[7], "trap: panicked at");
        assert_eq!(said[8], bytes("{}"));
        assert_eq!(said[9], bytes("{\"_key\":\"\u{fc}\"}"));
    }
}

#[test]
fn the_configuration_reaches_every_new_instance_before_its_first_call() {
    let file = guests::built("scripted");
    let config = r#"{"prefix": "n/", "init": "log here"}"#.to_owned();
    let spec = Spec { config: Some(config), ..Spec::from(file.as_path()) };
    let (lines, ()) = logged(|| {
        let plugins = Loader::with_cache(limits(), None).load(&[spec]).expect("a good plugin");
        let mut setters = plugins.instantiate();
        let said = answer(&mut setters, Ability::Json, &["a", "panic", "b"]);
        assert_eq!(said[0], bytes(r#"{"_key":"n/a"}"#));
        assert!(matches!(said[1], Said::Reject("trap", _)), "{said:?}");
        assert_eq!(said[2], bytes(r#"{"_key":"n/b"}"#));
    });
    // At the load, for the run, for the guilty message alone, for what is left.
    let inits = lines.matches("init here").count();
    assert!((3..=5).contains(&inits), "{inits}: {lines}");
}

#[test]
fn without_a_configuration_a_plugin_gets_an_empty_object() {
    let mut setters = setters(&guests::built("scripted"));
    assert_eq!(answer(&mut setters, Ability::Json, &["a"]), [bytes(r#"{"_key":"a"}"#)]);
}

#[test]
fn a_loader_compiles_a_file_once_and_shares_what_is_the_same() {
    let (file, other) = (guests::built("scripted"), guests::built("describe"));
    let with = |config: &str| Spec { config: Some(config.into()), ..Spec::from(file.as_path()) };
    let mut loader = Loader::with_cache(limits(), None);
    let [a, b, c] = [
        vec![with(r#"{"prefix":"a"}"#)],
        vec![Spec::from(other.as_path()), with(r#"{"prefix":"a"}"#)],
        vec![with(r#"{"prefix":"c"}"#)],
    ]
    .map(|specs| loader.load(&specs).expect("good plugins"));
    assert!(Arc::ptr_eq(&a.loaded[0], &b.loaded[1]));
    assert!(!Arc::ptr_eq(&a.loaded[0], &c.loaded[0]));
    // The time of the one compilation, to the nanosecond.
    assert_eq!(a.loaded[0].plugin().code.compile, c.loaded[0].plugin().code.compile);
    for (plugins, key) in [(&a, "a"), (&b, "a"), (&c, "c")] {
        let said = answer(&mut plugins.instantiate(), Ability::Json, &["x"]);
        assert_eq!(said, [bytes(&format!(r#"{{"_key":"{key}x"}}"#))]);
    }
    assert_eq!(b.file_with(Ability::Json), Some(file));
    assert_eq!(b.file_with(Ability::Key), Some(other));
    assert_eq!(a.file_with(Ability::Key), None);
}

#[test]
fn abilities_without_a_plugin_answer_default() {
    let mut setters = setters(&guests::built("misbehave"));
    assert!(setters.has(Ability::Key) && !setters.has(Ability::Value));
    assert_eq!(answer(&mut setters, Ability::Value, &["a", "b"]), [Said::Default, Said::Default]);
    let mut none = load(&[], &limits()).instantiate();
    assert!(!none.has(Ability::Key));
    assert_eq!(answer(&mut none, Ability::Key, &["a"]), [Said::Default]);
}

#[test]
fn answers_belong_to_the_run_that_was_asked_for() {
    let mut setters = setters(&guests::built("misbehave"));
    let payloads: Vec<_> = (0..200).map(|number| format!("k{number}")).collect();
    let batch = batch(&payloads);
    let mut answers = Answers::new();
    for range in [3..4, 10..10, 100..200] {
        setters.call(Ability::Key, &batch, range.clone(), &mut answers);
        let said: Vec<_> = answers.items.iter().map(|item| Said::of(item, &answers)).collect();
        let wanted: Vec<_> = payloads[range].iter().map(|key| bytes(key)).collect();
        assert_eq!(said, wanted);
    }
}

#[test]
fn a_run_has_at_most_64_messages_and_a_mebibyte() {
    let file = guests::wat("obedient.wasm", &guests::obedient());
    // The guest answers how many calls it has had: A in the first call, B in the second.
    let calls = |payloads: &[Vec<u8>]| -> String {
        let mut setters = setters(file.path());
        let said = answer(&mut setters, Ability::Key, payloads);
        let first = |said| match said {
            Said::Bytes(bytes) => bytes.chars().next().expect("a letter"),
            other => panic!("{other:?}"),
        };
        said.into_iter().map(first).collect()
    };
    let [small, large] = [1, 700 << 10].map(|size| vec![b'c'; size]);
    assert_eq!(calls(&vec![small.clone(); 65]), "A".repeat(64) + "B");
    assert_eq!(calls(&[large.clone(), large, small.clone(), small]), "ABBB");
}

#[test]
fn one_message_may_be_larger_than_a_run() {
    let mut setters = setters(&guests::built("misbehave"));
    let payload = "x".repeat(5 << 20);
    let said = answer(&mut setters, Ability::Key, &["a", &payload, "b"]);
    assert!(said == [bytes("a"), bytes(&payload), bytes("b")]);
}

#[test]
fn what_a_plugin_logs_carries_its_name_and_no_line_breaks() {
    let mut setters = setters(&guests::built("misbehave"));
    let (lines, said) = logged(|| answer(&mut setters, Ability::Key, &["log one\ntwo"]));
    assert_eq!(said, [bytes("log one\ntwo")]);
    assert!(lines.contains("INFO plugin: one\\ntwo plugin=\"misbehave\""), "{lines}");
}

#[test]
fn setters_can_move_to_another_thread() {
    let mut setters = setters(&guests::built("misbehave"));
    assert_eq!(answer(&mut setters, Ability::Key, &["a"]), [bytes("a")]);
    let lane = std::thread::spawn(move || answer(&mut setters, Ability::Key, &["b"]));
    assert_eq!(lane.join().expect("no panic"), [bytes("b")]);
}

#[test]
fn a_component_works_like_the_core_module_that_it_was_made_of() {
    let module = std::fs::read(guests::built("misbehave")).expect("a built guest");
    let component = crate::plugin::wrap::component(&module).expect("a component");
    let file = guests::File::new("component.wasm", &component);
    let said =
        answer(&mut setters(file.path()), Ability::Key, &["a", "null", "default", "skip it"]);
    assert_eq!(said, [bytes("a"), Said::Null, Said::Default, Said::Skip("skip it".into())]);
}
