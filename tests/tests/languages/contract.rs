//! Everything that the contract lets a plugin see and say, in each language. The guests
//! (`tests/guests/everything-*`) do what the payload says.

use host::message::{Batch, ConnectionEvent, ConnectionOutcome};
use host::plugin::{Ability, Clock, Content, Draft, Hook, Hooks, OnBroken, Spec};

use crate::support::{Said, ask, ask_batch, bytes, full, guest, load, load_spec, plain, wasm};

/// As MQTT 5 encodes them: payload format, expiry, content type, response topic, correlation data,
/// and two user properties of one name.
const PROPERTIES: &[u8] =
    b"\x01\x01\x02\x00\x00\x00\x3c\x03\x00\x04text\x08\x00\x03r/t\x09\x00\x02\
    id\x26\x00\x01a\x00\x011\x26\x00\x01a\x00\x02\xc3\xbc";

pub fn sees_all(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let mut batch = Batch::new();
    batch.push(0, 1_700_000_000_123, &full("see ü", PROPERTIES));
    batch.push(1, -5, &full("see", &[]));
    batch.push(2, 0, &plain("see"));
    let mut all = Batch::new();
    for message in batch.messages() {
        all.push_deserialized(&message, (message.received_at_ms() != 0).then_some("[1]"));
    }
    assert_eq!(
        ask_batch(&mut setters, Ability::Value, &all),
        [
            bytes(
                "plant/ü/temp see ü qos=2 retain=1 dup=1 id=513 at=1700000000123 format=1 \
                 expiry=60 type=text response=r/t correlation=id a=1 a=ü json=[1]"
            ),
            bytes("plant/ü/temp see qos=2 retain=1 dup=1 id=513 at=-5 json=[1]"),
            bytes("plant/dev42 see qos=0 retain=0 dup=0 id=0 at=0"),
        ]
    );
}

pub fn gives_every_answer(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let words = ["default", "null", "empty", "skip", "bad", "answer"];
    let messages = words.map(plain);
    let skip = || Said::Skip("told to skip".into());
    let bad = || Said::Reject("bad-message", "told to be bad: ü".into());
    assert_eq!(
        ask(&mut setters, Ability::Key, &messages),
        [Said::Default, Said::Null, bytes(""), skip(), bad(), bytes("key")]
    );
    let messages = ["default", "skip", "bad", "answer"].map(plain);
    assert_eq!(
        ask(&mut setters, Ability::Timestamp, &messages),
        [Said::Default, skip(), bad(), Said::Timestamp(5_000_000_000)]
    );
    assert_eq!(
        ask(&mut setters, Ability::Json, &messages),
        [Said::Default, skip(), bad(), bytes(r#"{"_key":"ü"}"#)]
    );
    for ability in [Ability::Key, Ability::Timestamp, Ability::Json, Ability::Transformer] {
        // Where other messages have gone well, it would be about this one only.
        let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
        let plugins = plugins.when_broken(OnBroken::Stop);
        let said = ask(&mut plugins.instantiate(), ability, &[plain("fatal")]);
        assert_eq!(said, [Said::Fatal("told to end".into())], "{ability}");
    }
}

pub fn makes_records(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let messages = ["default", "none", "skip", "bad", "answer"].map(plain);
    let said = ask(&mut setters, Ability::Transformer, &messages);
    assert_eq!(said[0], Said::Default);
    assert!(matches!(said[1], Said::Skip(_)), "{:?}", said[1]);
    assert_eq!(said[2], Said::Skip("told to skip".into()));
    assert_eq!(said[3], Said::Reject("bad-message", "told to be bad: ü".into()));
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(Into::into));
    let whole = Draft {
        topic: Some("alarms".into()),
        partition: Some(3),
        key: Content::Bytes("k".into()),
        value: Content::Null,
        timestamp_ms: Some(5_000_000_000),
        headers: Some(vec![header("a", Some("1")), header("b", None)]),
    };
    let small = Draft { value: Content::Bytes("v".into()), ..Draft::default() };
    assert_eq!(said[4], Said::Records(vec![whole, small]));
}

pub fn spoils_one_message(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let said = ask(&mut setters, Ability::Key, &["answer", "crash", "answer"].map(plain));
    assert_eq!((&said[0], &said[2]), (&bytes("key"), &bytes("key")));
    let trapped = |said: &Said, texts: &[&str]| {
        let Said::Reject("trap", error) = said else { panic!("{said:?}") };
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    };
    // What C says as it aborts is not text.
    let told = if language == "c" { vec![] } else { vec!["crashed: ü"] };
    trapped(&said[1], &told);
    let bug: &[&str] = match language {
        "python" => &["KeyError: 'missing' (everything.py:"],
        "javascript" => &["TypeError: "],
        "go" => &["panic: runtime error: invalid memory address or nil pointer"],
        _ => return,
    };
    trapped(&ask(&mut setters, Ability::Key, &[plain("bug")])[0], bug);
    if language == "python" {
        let answer = ask(&mut setters, Ability::Transformer, &[plain("no pair")]);
        trapped(&answer[0], &["ValueError: not enough values"]);
        let time = ask(&mut setters, Ability::Timestamp, &[plain("soon")]);
        let told = "'soon' is no time in milliseconds".to_owned();
        assert_eq!(time, [Said::Reject("bad-message", told)]);
    }
}

/// A bug that shows for every message makes the plugin broken, and costs no more than a few of them.
pub fn is_broken_by_its_bugs(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let messages = ["crash"; 20].map(plain);
    let said = ask(&mut setters, Ability::Key, &messages);
    let rejected = said.iter().filter(|said| matches!(said, Said::Reject("trap", _))).count();
    assert_eq!((rejected, setters.pause().is_some()), (10, true), "{said:?}");
}

pub fn hears_of_connections(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let described = plugins.describe().next().expect("a plugin");
    assert_eq!(described.hooks, Hook::ALL);
    let mut hooks = Hooks::new([&plugins]);
    let mut tell = |client_id: &str, outcome| {
        let (server, client_id) = ("broker:1883".to_owned(), client_id.to_owned());
        hooks.call(&ConnectionEvent { server, client_id, attempt: 2, reconnect: true, outcome })
    };
    let connected = || ConnectionOutcome::Connected { session_present: true };
    let reason = "refused: ü".to_owned();
    let failed =
        || ConnectionOutcome::Failed { reason: reason.clone(), permanent: true, lost: false };
    let ends = |text: &str| Some(format!("plugin everything_{language} ends the program: {text}"));
    // What goes wrong in a hook means going on, and spoils nothing that comes later.
    for client_id in ["plant-1", "crash", "bad", "stop"] {
        let stops = client_id == "stop";
        assert_eq!(
            tell(client_id, connected()),
            ends("connected broker:1883 attempt=2 reconnect=1 session=1 late=1").filter(|_| stops)
        );
        assert_eq!(
            tell(client_id, failed()),
            ends(
                "refused: ü permanent=1 lost=0 broker:1883 attempt=2 reconnect=1 session=0 late=1"
            )
            .filter(|_| stops)
        );
    }
}

pub fn tells_the_time(language: &str) {
    let time = |clock: Clock| {
        let spec = Spec { file: wasm(&guest(language)), clock, ..Spec::default() };
        let mut setters = load_spec(spec).expect("a good plugin").instantiate();
        ask(&mut setters, Ability::Key, &[plain("time"), plain("answer")])
    };
    assert_eq!(time(Clock::Arrival), [bytes("1700000000123"), bytes("key")]);
    let told = time(Clock::Real);
    let Said::Bytes(now) = &told[0] else { panic!("{told:?}") };
    // Whatever this machine's clock says, it is later than this test was written.
    assert!(now.parse::<i64>().is_ok_and(|now| now > 1_750_000_000_000), "{now}");
    let denied = time(Clock::Denied);
    let Said::Reject("trap", error) = &denied[0] else { panic!("{denied:?}") };
    assert!(error.contains("asked for the time") && error.contains("--plugin-clock"), "{error}");
    assert_eq!(denied[1], bytes("key"));
}

/// An instance that has taken most of the memory it may have is replaced, and would count anew.
pub fn frees_its_memory(language: &str) {
    let plugins = load(wasm(&guest(language)), None).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let payload = format!("count{}", "x".repeat(70_000));
    let mut batch = Batch::new();
    for sequence in 0..100 {
        batch.push(sequence, 1, &plain(&payload));
    }
    // 70 MB through an instance that may have 64 MiB.
    let mut last = Vec::new();
    for _ in 0..10 {
        last = ask_batch(&mut setters, Ability::Key, &batch);
    }
    assert_eq!(last.last(), Some(&bytes("1000")));
}
