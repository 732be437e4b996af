//! Answers many messages in one call: the loop behind the packed interfaces of `wit/plugin.wit`.

use crate::answers::Answers;
use crate::message::Message;
use crate::record::PackedRecord;

/// Writes one answer for each of the packed messages.
///
/// # Panics
/// If the bytes are not packed messages. The host makes them, so nothing else could be done.
pub fn answer_all(
    messages: &[u8],
    answers: &mut Answers,
    mut setter: impl FnMut(&Message, &mut Answers),
) {
    for_each(messages, Message::take, |message| setter(message, answers));
}

/// Writes one answer for each of the packed messages, each of which has its record so far behind
/// it.
///
/// # Panics
/// As [`answer_all`] does.
pub fn transform_all(
    messages: &[u8],
    answers: &mut Answers,
    mut transformer: impl FnMut(&Message, &PackedRecord<'_>, &mut Answers),
) {
    for_each(messages, take_with_record, |(message, record)| {
        transformer(message, &record, answers);
    });
}

fn take_with_record<'a>(packed: &mut &'a [u8]) -> Option<(&'a Message, PackedRecord<'a>)> {
    Some((Message::take(packed)?, PackedRecord::take(packed)?))
}

#[expect(clippy::panic, reason = "documented where it is called")]
fn for_each<'a, T>(
    mut packed: &'a [u8],
    take: impl Fn(&mut &'a [u8]) -> Option<T>,
    mut answer: impl FnMut(T),
) {
    while !packed.is_empty() {
        let Some(taken) = take(&mut packed) else {
            panic!("the host's packed messages end in the middle of one");
        };
        answer(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntoKey, IntoRecords, Record};

    /// Two messages as the contract lays them out.
    const MESSAGES: &[u8] =
        b"\x03\0\0\0\x05\0\0\0\xe8\x03\0\0\0\0\0\0\x03\0\x09\0\x15\0\0\0\x02\0\0\0a/bone\x03\0\x02xy{}\
        \0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\x0a\0\0\0\0\0\0\0t";

    #[test]
    fn each_message_gets_its_answer_in_order() {
        let mut answers = Answers::new();
        answer_all(MESSAGES, &mut answers, |message, answers| {
            message.level(1).write(answers);
        });
        assert_eq!(answers.as_bytes(), [2, 1, 0, 0, 0, b'b', 0]);
    }

    #[test]
    fn messages_are_read_as_the_contract_lays_them_out() {
        let mut shown = Vec::new();
        answer_all(MESSAGES, &mut Answers::new(), |message, _| {
            shown.push(format!("{message:?}"));
        });
        assert_eq!(
            shown,
            [
                "Message { topic: \"a/b\", payload: \"one\", qos: AtLeastOnce, retain: true, dup: false, \
                 packet_id: Some(9), received_at_ms: 1000, properties: [ContentType(\"xy\")], \
                 deserialized: Some(\"{}\") }",
                "Message { topic: \"t\", payload: \"\", qos: ExactlyOnce, retain: false, dup: true, \
                 packet_id: None, received_at_ms: -1, properties: [], deserialized: None }",
            ]
        );
    }

    /// A message with a record of which the key is decided, and one with a record as it came.
    fn with_records() -> Vec<u8> {
        let (first, second) = MESSAGES.split_at(MESSAGES.len() - 29);
        [first, b"\x02\x03\0\0\0key", second, b"\0"].concat()
    }

    #[test]
    fn a_transformer_gets_each_message_with_the_record_behind_it() {
        let mut answers = Answers::new();
        let mut seen = Vec::new();
        transform_all(&with_records(), &mut answers, |message, record, answers| {
            seen.push((message.topic().to_owned(), record.unpack()));
            (message.topic() == "t").write(answers);
        });
        let expected = [("a/b", Record::new().key("key")), ("t", Record::new())];
        assert_eq!(seen, expected.map(|(topic, record)| (topic.to_owned(), record)));
        assert_eq!(answers.as_bytes(), [7, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_message_without_its_record_is_noticed() {
        let whole = with_records();
        for size in [MESSAGES.len() - 29, MESSAGES.len() - 29 + 7, whole.len() - 1] {
            let cut = std::panic::catch_unwind(|| {
                transform_all(&whole[..size], &mut Answers::new(), |_, _, _| {});
            });
            assert!(cut.is_err(), "{size} bytes");
        }
    }

    #[test]
    fn no_messages_get_no_answers() {
        let mut answers = Answers::new();
        answer_all(&[], &mut answers, |_, answers| "x".write(answers));
        transform_all(&[], &mut answers, |_, _, answers| true.write(answers));
        assert!(answers.as_bytes().is_empty());
    }

    #[test]
    fn bytes_that_are_no_messages_are_noticed() {
        for size in [1, 27, 30, MESSAGES.len() - 1] {
            let cut = std::panic::catch_unwind(|| {
                answer_all(&MESSAGES[..size], &mut Answers::new(), |_, _| {});
            });
            assert!(cut.is_err(), "{size} bytes");
        }
        let endless = std::panic::catch_unwind(|| {
            answer_all(&[0xff; 64], &mut Answers::new(), |_, _| {});
        });
        assert!(endless.is_err());
    }
}
