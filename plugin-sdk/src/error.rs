//! [`Error`]: why a setter has no answer.

use std::fmt;

/// Why a setter has no answer.
///
/// Any error of another kind becomes one with `?`: it then means that this message is bad.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[timestamp_setter]
/// fn timestamp(message: &Message) -> Result<i64, Error> {
///     let seconds: i64 = message.text()?.trim().parse()?;
///     if seconds < 0 {
///         return Err(Error::bad_message(format!("{seconds} is before 1970")));
///     }
///     Ok(seconds * 1000)
/// }
///
/// assert_eq!(timestamp(&Message::new("clock", "1700000000")).unwrap(), 1_700_000_000_000);
/// let error = timestamp(&Message::new("clock", "soon")).unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// ```
// Not a `std::error::Error`: then `?` could not convert every other error into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    BadMessage,
    Fatal,
}

impl Error {
    /// This message is bad, the next may be fine. The host puts it aside (by default into the
    /// dead-letter topic) with this text, and goes on.
    pub fn bad_message(text: impl fmt::Display) -> Self {
        Self { kind: Kind::BadMessage, text: text.to_string() }
    }

    /// The plugin cannot work at all. Unless it has worked for other messages, the host leaves it alone for
    /// a while, and messages wait for it (`--on-plugin-broken`).
    pub fn fatal(text: impl fmt::Display) -> Self {
        Self { kind: Kind::Fatal, text: text.to_string() }
    }

    /// Whether it says that the plugin cannot work at all.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.kind == Kind::Fatal
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self { kind: Kind::BadMessage, text }
    }
}

/// What a setter's `Result` may fail with: [`Error`], and all that `?` makes one of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a setter",
    label = "not an error that a setter can return",
    note = "the error is `Error`, as in `fn key(message: &Message) -> Result<Vec<u8>, Error>`, or any `std::error::Error`",
    note = "text becomes one with `Error::bad_message(text)`"
)]
pub trait IntoError {
    #[doc(hidden)]
    fn into_error(self) -> Error;
}

impl IntoError for Error {
    fn into_error(self) -> Error {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error> IntoError for E {
    fn into_error(self) -> Error {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no count")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_of_another_kind_condemns_the_message_and_names_its_causes() {
        let cause = "x".parse::<u8>().unwrap_err();
        let error = Error::from(Outer(cause));
        assert_eq!(error, Error::bad_message("no count: invalid digit found in string"));
        assert!(!error.is_fatal());
    }

    #[test]
    fn only_fatal_errors_are_fatal() {
        assert!(Error::fatal("no table").is_fatal());
        assert!(!Error::bad_message("no table").is_fatal());
    }
}
