//! A payload deserializer and hooks, for tests of how the host deals with them. The first word of
//! the payload, of the configuration's `init` and of its `connected` and `failed` says what to do:
//! `panic`, `loop`, and what belongs to the function at hand.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use plugin_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize, Default, Clone)]
#[serde(default, deny_unknown_fields)]
struct Config {
    init: String,
    connected: String,
    failed: String,
    /// What a payload of one word becomes, with that word behind it.
    prefix: String,
    /// In between it panics whatever it is asked, in milliseconds since the Unix epoch.
    broken_from: i64,
    broken_to: i64,
}

static CONFIG: Mutex<Option<Config>> = Mutex::new(None);

fn config() -> Config {
    CONFIG.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

#[init]
fn init(config: Config) -> Result<(), Error> {
    let (word, rest) = script(&config.init);
    match word {
        "refuse" => return Err(Error::bad_message(rest)),
        "log" => info!("init {rest}"),
        _ => {}
    }
    *CONFIG.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    Ok(())
}

/// What stands behind `json` is answered as it is, whatever it is; objects stay as they are.
#[payload_deserializer]
fn deserialize(message: &Message) -> Result<Option<Json>, Error> {
    let Config { broken_from, broken_to, .. } = config();
    assert!(
        broken_from == broken_to || !(broken_from..broken_to).contains(&plugin_sdk::now_ms()),
        "it is broken"
    );
    let (word, rest) = script(message.text()?);
    Ok(Some(match word {
        "json" => Json::Text(rest.to_owned()),
        "default" => return Ok(None),
        json if json.starts_with('{') => return Ok(None),
        "skip" => Json::Skip(format!("skip {rest}").into()),
        "bad" => return Err(Error::bad_message(format!("bad {rest}"))),
        "fatal" => return Err(Error::fatal(format!("fatal {rest}"))),
        "huge" => Json::Text("1".repeat(20 << 20)),
        other => Json::Text(format!(r#"{{"_key":"{}{other}"}}"#, config().prefix)),
    }))
}

#[on_client_connect_success]
fn connected(connection: &Connection) -> Hook {
    hook(&config().connected, &format!("connected {connection:?}"))
}

#[on_client_connect_failure]
fn failed(connection: &Connection, failure: &Failure) -> Hook {
    hook(&config().failed, &format!("failed {connection:?} {failure:?}"))
}

/// Logs what it was told, unless it is to do something else.
fn hook(what: &str, told: &str) -> Hook {
    if let ("stop", rest) = script(what) {
        return Hook::Stop(rest.to_owned().into());
    }
    info!("{told}");
    Hook::GoOn
}

/// The first word and the rest; does what any function can do.
fn script(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        #[expect(clippy::panic, reason = "that is what is asked for")]
        "panic" => panic!("{rest}"),
        "loop" => loop {
            black_box(());
        },
        _ => (word, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_it_is_told() {
        let json = |payload| deserialize(&Message::new("t", payload));
        assert_eq!(json("json [1"), Ok(Some(Json::Text("[1".into()))));
        assert_eq!(json("default"), Ok(None));
        assert_eq!(json("bad luck"), Err(Error::bad_message("bad luck")));

        assert_eq!(
            init(Config { init: "refuse no".into(), ..Config::default() })
                .map_err(|error| error.to_string()),
            Err("no".into())
        );
        let stop = Config { connected: "stop now".into(), prefix: "p".into(), ..Config::default() };
        assert_eq!(init(stop), Ok(()));
        assert_eq!(connected(&Connection::new("s", "c")), Hook::Stop("now".into()));
        assert_eq!(failed(&Connection::new("s", "c"), &Failure::new("x")), Hook::GoOn);
        assert_eq!(json("word"), Ok(Some(Json::Text(r#"{"_key":"pword"}"#.into()))));
    }
}
