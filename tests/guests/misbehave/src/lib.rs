//! A key setter that does what the first word of the payload says, for tests of how the host
//! deals with it. Any other payload is its own key.

use std::hint::black_box;

use plugin_sdk::now_ms;
use plugin_sdk::prelude::*;

/// More than a host should take for a key, in bytes; still within its memory limit.
const HUGE: usize = 20 << 20;

#[key_setter]
fn key(message: &Message) -> Result<Key, Error> {
    let text = message.text()?;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        #[expect(clippy::panic, reason = "that is what is asked for")]
        "panic" => panic!("{rest}"),
        "loop" => loop {
            black_box(());
        },
        "busy" => busy(rest),
        "eat" => eat(),
        "recurse" => Ok(Key::Bytes(recurse(0).to_le_bytes().into())),
        "huge" => Ok(Key::Bytes(vec![b'x'; HUGE])),
        "bad" => Err(Error::bad_message(format!("bad {rest}"))),
        "fatal" => Err(Error::fatal(format!("fatal {rest}"))),
        "skip" => Ok(Key::Skip(format!("skip {rest}").into())),
        "time" => Ok(now_ms().to_string().into()),
        "null" => Ok(Key::Null),
        "default" => Ok(Key::Default),
        "log" => {
            info!("{rest}");
            Ok(text.into())
        }
        _ => Ok(text.into()),
    }
}

/// Works for so many milliseconds on the clock.
fn busy(time: &str) -> Result<Key, Error> {
    let time = time.split(' ').next().unwrap_or_default();
    let time: i64 = time.parse().map_err(|_| Error::bad_message("not a number"))?;
    let end = now_ms() + time;
    while black_box(now_ms()) < end {}
    Ok(Key::Default)
}

/// Takes memory until there is none.
fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Calls itself until the stack ends.
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if black_box(depth) == u64::MAX {
        return depth;
    }
    recurse(depth + 1) + frame[15]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(payload: &str) -> Result<Key, Error> {
        key(&Message::new("t", payload))
    }

    #[test]
    fn it_behaves_unless_asked() {
        assert_eq!(key_of("dev42"), Ok("dev42".into()));
        assert_eq!(key_of("log a line"), Ok("log a line".into()));
        assert_eq!(key_of("skip it"), Ok(Key::Skip("skip it".into())));
        assert_eq!(key_of("bad luck"), Err(Error::bad_message("bad luck")));
        assert_eq!(plugin_sdk::at_ms(7, || key_of("time")), Ok("7".into()));
        assert_eq!(plugin_sdk::at_ms(7, || key_of("busy 0 rest")), Ok(Key::Default));
        assert_eq!(key_of("fatal flaw"), Err(Error::fatal("fatal flaw")));
    }

    #[test]
    #[should_panic(expected = "as asked")]
    fn it_panics_as_asked() {
        let _ = key_of("panic as asked");
    }
}
