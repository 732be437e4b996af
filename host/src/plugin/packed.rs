//! Reading the answer of a packed call (`plugin.wit`, "packed"). It comes from the plugin, so
//! nothing about it is taken for granted.

use super::answers::{Answer, Answers, Judge};
use super::{Ability, Draft};

/// Adds one answer for each of `count` messages, or none.
///
/// # Errors
/// What is wrong with the bytes as a whole. What is wrong with one answer, such as its size,
/// condemns only that one.
pub(super) fn read(
    judge: &Judge<'_>,
    count: usize,
    bytes: &[u8],
    answers: &mut Answers,
) -> Result<(), String> {
    let (first, base, in_records) = (answers.items.len(), answers.bytes.len(), answers.in_records);
    let forget = |answers: &mut Answers, error| {
        answers.items.truncate(first);
        answers.in_records = in_records;
        Err(error)
    };
    let mut rest = Rest::new(bytes, judge.limits.memory);
    for _ in 0..count {
        match one(judge, base, &mut rest) {
            Ok(answer) => answers.push(answer),
            Err(error) => return forget(answers, error),
        }
    }
    if rest.left() > 0 {
        return forget(answers, format!("{} bytes follow the last answer", rest.left()));
    }
    // Records have their own.
    if judge.ability != Ability::Transformer {
        answers.bytes.extend_from_slice(bytes);
    }
    Ok(())
}

fn one(judge: &Judge<'_>, base: usize, rest: &mut Rest<'_>) -> Result<Answer, String> {
    let timestamp = judge.ability == Ability::Timestamp;
    let transformer = judge.ability == Ability::Transformer;
    let may_be_null = matches!(judge.ability, Ability::Key | Ability::Value);
    Ok(match rest.take::<1>()?[0] {
        0 => Answer::Default,
        1 if may_be_null => Answer::Null,
        2 if !timestamp && !transformer => {
            let bytes = rest.sized()?;
            judge.bytes(bytes, base + rest.at - bytes.len()..base + rest.at)
        }
        3 => Judge::skip(rest.text()?),
        4 => judge.bad_message(rest.text()?),
        5 => judge.fatal(rest.text()?),
        6 if timestamp => judge.timestamp(i64::from_le_bytes(rest.take()?)),
        7 if transformer => {
            let count = u32::from_le_bytes(rest.take()?) as usize;
            let mut records = Vec::new();
            for number in 0..count {
                let record = Draft::read(rest)?;
                if number < judge.limits.records {
                    rest.make_room(size_of::<Draft>())?;
                    records.push(record);
                }
            }
            judge.records(count, records)
        }
        other => return Err(format!("{other} is no answer of a {}", judge.ability)),
    })
}

/// What has not been read yet.
pub(super) struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes that records and headers may still take here besides what is in them. There, one takes
    /// a few bytes; here, up to a hundred times that.
    room: usize,
}

impl<'a> Rest<'a> {
    pub fn new(bytes: &'a [u8], room: usize) -> Self {
        Self { bytes, at: 0, room }
    }

    /// Before something is kept that takes so much by itself.
    pub fn make_room(&mut self, size: usize) -> Result<(), String> {
        let left = self.room.checked_sub(size);
        self.room = left.ok_or("its records and headers take more than the memory limit")?;
        Ok(())
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], String> {
        let taken = self.bytes[self.at..].first_chunk().ok_or("the answer ends too early")?;
        self.at += SIZE;
        Ok(*taken)
    }

    pub fn sized(&mut self) -> Result<&'a [u8], String> {
        let size = u32::from_le_bytes(self.take()?) as usize;
        let taken = self.bytes[self.at..].get(..size).ok_or("the answer ends too early")?;
        self.at += size;
        Ok(taken)
    }

    pub fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.sized()?).map_err(|_| "a text is not UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::{PluginName, Reason};
    use crate::plugin::{Content, Limits};

    fn read_as(ability: Ability, count: usize, bytes: &[u8]) -> Result<Answers, String> {
        let limits = Limits { output: 4, records: 8, ..Limits::default() };
        let plugin = Arc::new(PluginName { name: "p".into(), sha256: String::new() });
        // Answers of an earlier run, which must stay.
        let mut answers =
            Answers { bytes: b"old".to_vec(), items: vec![Answer::Bytes(0..3)], in_records: 0 };
        let judge = Judge { plugin: &plugin, ability, limits: &limits };
        let read = read(&judge, count, bytes, &mut answers);
        assert_eq!(answers.items[0], Answer::Bytes(0..3));
        assert!(answers.bytes.starts_with(b"old"));
        if read.is_err() {
            assert_eq!(answers.items.len(), 1);
        }
        read.map(|()| answers)
    }

    #[test]
    fn every_kind_of_answer_is_read_in_order() {
        let bytes = b"\x00\x01\x02\x02\0\0\0hi\x03\x01\0\0\0x\x04\x01\0\0\0y\x05\x01\0\0\0z";
        let answers = read_as(Ability::Key, 6, bytes).expect("a good answer");
        let [_, Answer::Default, Answer::Null, Answer::Bytes(at), rest @ ..] = &answers.items[..]
        else {
            panic!("{:?}", answers.items)
        };
        assert_eq!(&answers.bytes[at.clone()], b"hi");
        let [Answer::Skip(skip), Answer::Reject(bad), Answer::Fatal(fatal)] = rest else {
            panic!("{rest:?}")
        };
        assert_eq!((skip.as_str(), bad.error.as_str(), fatal.error.as_str()), ("x", "y", "z"));
        assert_eq!((bad.reason, fatal.reason), (Reason::BadMessage, Reason::Fatal));
    }

    #[test]
    fn a_timestamp_is_eight_bytes_and_positive() {
        let numbers = [1, 0, -1].map(i64::to_le_bytes);
        let bytes: Vec<_> = numbers.iter().flat_map(|number| [&[6][..], number].concat()).collect();
        let answers = read_as(Ability::Timestamp, 3, &bytes).expect("a good answer");
        let [_, good, bad @ ..] = &answers.items[..] else { panic!("{:?}", answers.items) };
        assert_eq!(*good, Answer::Timestamp(1));
        for (bad, number) in bad.iter().zip(["answered 0,", "answered -1,"]) {
            let Answer::Reject(rejection) = bad else { panic!("{bad:?}") };
            assert_eq!(rejection.reason, Reason::BadOutput);
            assert!(rejection.error.contains(number), "{}", rejection.error);
        }
    }

    #[test]
    fn an_answer_over_the_limit_condemns_only_its_message() {
        let answers = read_as(Ability::Value, 2, b"\x02\x05\0\0\0abcde\x02\x04\0\0\0abcd");
        let items = answers.expect("a good answer").items;
        assert!(
            matches!(&items[1], Answer::Reject(rejection) if rejection.reason == Reason::BadOutput)
        );
        assert!(matches!(&items[2], Answer::Bytes(range) if range.len() == 4));
    }

    #[test]
    fn what_is_not_json_condemns_only_its_message() {
        let answers = [&b"[1]"[..], b"[1 ", b"12a", b"", b"\"\xff\"", b"NaN", b"1e9"];
        let size = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        let packed: Vec<_> =
            answers.iter().flat_map(|json| [&[2][..], &size(json), json].concat()).collect();
        let said = read_as(Ability::Json, answers.len(), &packed).expect("a good answer").items;
        for (json, said) in answers.iter().zip(&said[1..]) {
            let good = json == b"[1]" || json == b"1e9";
            match said {
                Answer::Bytes(place) => assert!(good && place.len() == json.len(), "{json:?}"),
                Answer::Reject(rejection) => {
                    assert!(!good && rejection.reason == Reason::BadOutput, "{json:?}");
                    let expected = "the payload deserializer answered what is not JSON: ";
                    assert!(rejection.error.starts_with(expected), "{}", rejection.error);
                }
                other => panic!("{json:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn json_may_be_nested_at_any_depth() {
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        let limits = Limits::default();
        let plugin = Arc::new(PluginName { name: "p".into(), sha256: String::new() });
        let judge = Judge { plugin: &plugin, ability: Ability::Json, limits: &limits };
        assert_eq!(judge.bytes(&deep, 0..deep.len()), Answer::Bytes(0..deep.len()));
    }

    #[test]
    fn a_transformer_answers_with_records_of_their_own() {
        let read = |bytes| read_as(Ability::Transformer, 2, bytes).map(|answers| answers.items);
        let items = read(b"\x07\x02\0\0\0\x02\x01\0\0\0k\x04\0").expect("a good answer");
        let key = Draft { key: Content::Bytes(b"k".to_vec()), ..Draft::default() };
        let tombstone = Draft { value: Content::Null, ..Draft::default() };
        assert_eq!(items[1..], [Answer::Records(vec![key, tombstone]), Answer::Default]);
        let garbage = |bytes| read(bytes).expect_err("garbage");
        assert_eq!(garbage(b"\x07\xff\xff\xff\xff\0\0"), "the answer ends too early");
        assert_eq!(garbage(b"\x02\0\0\0\0\0"), "2 is no answer of a transformer");
        let too_large = read(b"\x07\x01\0\0\0\x02\x05\0\0\0abcde\0").expect("an answer");
        let Answer::Reject(rejection) = &too_large[1] else { panic!("{too_large:?}") };
        assert_eq!(rejection.reason, Reason::BadOutput);
        let many = [&b"\x07\x09\0\0\0"[..], &[0; 9], &[0]].concat();
        let many = read(&many).expect("an answer");
        assert!(
            matches!(&many[1], Answer::Reject(it) if it.error.contains("9 records, at most 8"))
        );
    }

    #[test]
    fn garbage_is_refused_as_a_whole() {
        let key = |count, bytes| read_as(Ability::Key, count, bytes).expect_err("garbage");
        assert_eq!(key(2, b"\0"), "the answer ends too early");
        assert_eq!(key(1, b"\0\0\0"), "2 bytes follow the last answer");
        assert_eq!(key(1, b"\x02\xff\xff\xff\xffabc"), "the answer ends too early");
        assert_eq!(key(1, b"\x02\x01\0"), "the answer ends too early");
        assert_eq!(key(1, b"\x03\x01\0\0\0\xff"), "a text is not UTF-8");
        assert_eq!(key(1, b"\x07"), "7 is no answer of a key setter");
        assert_eq!(key(1, b"\x06\0\0\0\0\0\0\0\0"), "6 is no answer of a key setter");
        let timestamp = read_as(Ability::Timestamp, 1, b"\x01").expect_err("garbage");
        assert_eq!(timestamp, "1 is no answer of a timestamp setter");
        let json = read_as(Ability::Json, 1, b"\x01").expect_err("garbage");
        assert_eq!(json, "1 is no answer of a payload deserializer");
    }
}
