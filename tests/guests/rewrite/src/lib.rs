//! A transformer that does what the payload says, for tests of how the host deals with it. The first
//! word says what to do, the others belong to it; whatever else there is stays as it came.

use std::hint::black_box;

use plugin_sdk::prelude::*;

#[transformer]
fn rewrite(message: &Message, so_far: &Record) -> Result<Transformed, Error> {
    let Ok(text) = message.text() else { return Ok(Transformed::Default) };
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let record = Record::new().value(second);
    let records = match word {
        "split" => rest.split(' ').map(|value| Record::new().value(value)).collect(),
        "drop" => Vec::new(),
        "many" => {
            let values = 0..first.parse::<u32>()?;
            values.map(|value| Record::new().value(value.to_string())).collect()
        }
        "huge" => vec![Record::new().value(vec![b'x'; first.parse()?])],
        "key" => vec![record.key(first)],
        "topic" => vec![record.topic(first)],
        "topics" => rest.split(' ').map(|topic| Record::new().topic(topic).value(topic)).collect(),
        "partition" => vec![record.partition(first.parse()?)],
        "time" => vec![record.timestamp_ms(first.parse()?)],
        "header" => vec![record.header(first, "1").header(first, "2").null_header("null")],
        "bare" => vec![record.no_headers()],
        "null" => vec![Record::new().null_key().null_value()],
        "show" => vec![Record::new().value(format!("{so_far:?}"))],
        "skip" => return Ok(Transformed::Skip(rest.to_owned().into())),
        "bad" => return Err(Error::bad_message(rest.to_owned())),
        "fatal" => return Err(Error::fatal(rest.to_owned())),
        #[expect(clippy::panic, reason = "that is what is asked for")]
        "panic" => panic!("{rest}"),
        "loop" => loop {
            black_box(());
        },
        _ => return Ok(Transformed::Default),
    };
    Ok(Transformed::Records(records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_it_is_told() {
        let told = |payload| rewrite(&Message::new("t", payload), &Record::new());
        assert_eq!(
            told("split a b"),
            Ok(vec![Record::new().value("a"), Record::new().value("b")].into())
        );
        assert_eq!(told("many 1"), Ok(Record::new().value("0").into()));
        assert_eq!(told("drop"), Ok(Transformed::Records(Vec::new())));
        assert_eq!(told("partition 7 x"), Ok(Record::new().value("x").partition(7).into()));
        assert_eq!(told("skip it"), Ok(Transformed::Skip("it".into())));
        assert_eq!(told("bad luck"), Err(Error::bad_message("luck")));
        assert_eq!(told("anything"), Ok(Transformed::Default));
    }
}
