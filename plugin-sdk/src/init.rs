//! What an init function gets and may return.

use serde::de::DeserializeOwned;

use crate::answers::Answers;
use crate::{Error, IntoError};

/// What an [`init`](macro@crate::init) function may return: nothing, or a `Result` of nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that an init function can return",
    label = "neither `()` nor `Result<(), Error>`",
    note = "`#[init]` goes on a function like `fn init(config: Config) -> Result<(), Error>`"
)]
pub trait IntoInit {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

impl IntoInit for () {
    fn write(self, answers: &mut Answers) {
        answers.use_default();
    }
}

impl<E: IntoError> IntoInit for Result<(), E> {
    fn write(self, answers: &mut Answers) {
        match self {
            Ok(()) => answers.use_default(),
            Err(error) => answers.error(&error.into_error()),
        }
    }
}

/// What an [`init`](macro@crate::init) function may get: any type that serde can deserialize, and that
/// borrows nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a configuration",
    label = "serde cannot deserialize it",
    note = "`#[derive(serde::Deserialize)]` on it makes it one"
)]
pub trait Configuration: Sized {
    #[doc(hidden)]
    fn read(json: &str) -> serde_json::Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<C: DeserializeOwned> Configuration for C {
    fn read(json: &str) -> serde_json::Result<Self> {
        // A position says nothing to somebody who wrote a table of another file.
        serde_json::from_str::<serde_json::Value>(json).and_then(serde_json::from_value)
    }
}

/// Reads the configuration that the host hands over.
pub fn configuration<C: Configuration>(json: &str) -> Result<C, Error> {
    C::read(json).map_err(Error::bad_message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(answer: impl IntoInit) -> Vec<u8> {
        let mut answers = Answers::new();
        answer.write(&mut answers);
        answers.as_bytes().into()
    }

    #[test]
    fn only_an_error_is_no_success() {
        assert_eq!(packed(()), [0]);
        assert_eq!(packed(Ok::<_, Error>(())), [0]);
        assert_eq!(packed(Err(Error::fatal("x"))), [5, 1, 0, 0, 0, b'x']);
        assert_eq!(packed("x".parse::<u8>().map(|_| ()))[0], 4);
    }

    #[test]
    fn a_configuration_that_does_not_fit_is_told_without_a_position() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Config {
            level: usize,
        }
        let read = |json| configuration::<Config>(json).map(|config| config.level);
        assert_eq!(read(r#"{"level":2}"#), Ok(2));
        assert_eq!(read("{}"), Err(Error::bad_message("missing field `level`")));
        let unknown = "unknown field `lvl`, expected `level`";
        assert_eq!(read(r#"{"lvl":2}"#), Err(Error::bad_message(unknown)));
    }
}
