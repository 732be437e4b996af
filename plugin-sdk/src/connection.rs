//! What hooks learn of the connection to the MQTT server, and what they may return.

use std::borrow::Cow;

use crate::answers::Answers;

/// A connection to the MQTT server, or an attempt to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Host name or address and port, `HOST:PORT`.
    pub server: String,
    pub client_id: String,
    /// Which attempt this was since the last connection, counted from 1.
    pub attempt: u32,
    /// There has been a connection before, since the host started.
    pub reconnect: bool,
    /// The server had kept the session of this client id. Only of a connection that was made.
    pub session_present: bool,
    /// When the host noticed, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Connection {
    /// A first attempt, for a test, which may change the fields.
    pub fn new(server: impl Into<String>, client_id: impl Into<String>) -> Self {
        crate::logging::install();
        Self {
            server: server.into(),
            client_id: client_id.into(),
            attempt: 1,
            reconnect: false,
            session_present: false,
            at_ms: 0,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What happened, in one line.
    pub reason: String,
    /// Trying again with the same options cannot help. The host ends if there never was a
    /// connection, and tries again if there was.
    pub permanent: bool,
    /// The connection had been in use; otherwise the attempt to make one failed.
    pub lost: bool,
}

impl Failure {
    /// An attempt that failed and may succeed the next time, for a test, which may change the
    /// fields.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: false, lost: false }
    }
}

/// What a hook decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hook {
    /// Do what the host does without this plugin.
    #[default]
    GoOn,
    /// End the host, after what it has taken is in Kafka. The text says why.
    Stop(Cow<'static, str>),
}

/// What a hook may return: nothing, which is [`Hook::GoOn`], or [`Hook`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a hook can return",
    label = "neither `()` nor `Hook`",
    note = "hooks are like `fn connected(connection: &Connection) -> Hook` and `fn failed(connection: &Connection, failure: &Failure) -> Hook`"
)]
pub trait IntoHook {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

impl IntoHook for () {
    fn write(self, answers: &mut Answers) {
        answers.use_default();
    }
}

impl IntoHook for Hook {
    fn write(self, answers: &mut Answers) {
        match self {
            Self::GoOn => answers.use_default(),
            Self::Stop(reason) => answers.skip(&reason),
        }
    }
}
