//! How options are called in messages to the user: as this user has written them.

use std::fmt;
use std::sync::Arc;

use super::written::Written;

/// Turns what is said of `--option`s into the user's words. Cheap to clone.
#[derive(Clone)]
pub struct Wording(Arc<Written>);

impl Wording {
    pub(super) fn new(written: &Arc<Written>) -> Self {
        Self(Arc::clone(written))
    }

    /// The problem with the place in the file first, if what it names stands there.
    pub fn of(&self, problem: &str) -> String {
        self.0.locate(problem).to_string()
    }
}

impl fmt::Debug for Wording {
    /// It knows passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(wording)")
    }
}
