//! Answers many messages in one call: the loop behind the packed interfaces of `wit/plugin.wit`.

use crate::answer::Answers;
use crate::message::Message;

/// Writes one answer for each of the packed messages.
///
/// # Panics
/// If the bytes are not packed messages. The host makes them, so nothing else could be done.
#[expect(clippy::panic, reason = "documented")]
pub fn answer_all(
    mut messages: &[u8],
    answers: &mut Answers,
    setter: impl Fn(&Message, &mut Answers),
) {
    while !messages.is_empty() {
        let Some(message) = Message::take(&mut messages) else {
            panic!("the host's packed messages end in the middle of one");
        };
        setter(message, answers);
    }
}
