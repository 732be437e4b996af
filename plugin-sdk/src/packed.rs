//! Answers many messages in one call: the loop behind the packed interfaces of `wit/plugin.wit`.

use crate::answers::Answers;
use crate::message::Message;

/// Writes one answer for each of the packed messages.
///
/// # Panics
/// If the bytes are not packed messages. The host makes them, so nothing else could be done.
#[expect(clippy::panic, reason = "documented")]
pub fn answer_all(
    mut messages: &[u8],
    answers: &mut Answers,
    mut setter: impl FnMut(&Message, &mut Answers),
) {
    while !messages.is_empty() {
        let Some(message) = Message::take(&mut messages) else {
            panic!("the host's packed messages end in the middle of one");
        };
        setter(message, answers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IntoKey;

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

    #[test]
    fn no_messages_get_no_answers() {
        let mut answers = Answers::new();
        answer_all(&[], &mut answers, |_, answers| "x".write(answers));
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
