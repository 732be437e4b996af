//! MQTT: one task owns the connection. It alone reads, and it alone acknowledges.
//!
//! It never waits for the rest of the path: when the path has no credit left it stops reading, so
//! that the broker keeps the messages, but goes on acknowledging and answering keep-alives. (A
//! client's keep-alive is what it sends, MQTT-3.1.2-22.) A lost connection is made again with
//! growing pauses, and every CONNACK is followed by a SUBSCRIBE.
//!
//! `protocol` knows what the bytes mean, and neither sockets nor what time it is; `connection` moves
//! them. rumqttc is named only here, and only for its codec: its event loop acknowledges one packet
//! per system call, replays stale events after a reconnect, and drops the connection on a resumed
//! PUBREL.

mod connection;
mod delay;
mod dial;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a panic is how a fuzzer learns")]
pub mod fuzzing;
mod input;
mod outage;
mod pace;
pub mod packet;
mod protocol;
mod try_out;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::account::{Settled, Wake};
use crate::backoff::Backoff;
use crate::message::{ConnectionEvent, ConnectionOutcome, Defect, Publish, Qos, Sequence};
use connection::{Connection, Ends};
pub use dial::{ClientFiles, Server, Tls, TlsSettings, Websocket};
use outage::Outage;
use packet::{Hello, Malformed, Version};
use protocol::Protocol;
pub use try_out::{TriedOut, try_out};

/// The longest pause between two attempts to connect. A connection that lasted longer makes the
/// next pause a short one again; one that did not may be part of a quarrel over a client id.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What the source needs of the path behind it.
pub trait Downstream: Send + 'static {
    /// Whether a message may be taken now.
    fn has_credit(&self, qos: Qos) -> bool;
    /// Takes a message; may keep it until [`Self::forward`].
    fn take(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>);
    /// Takes a message that can only be rejected, for the reason given; not all of it may be there.
    fn take_defective(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        defect: Defect,
    );
    /// Sends on what was taken.
    fn forward(&mut self);
    /// Counts a message at QoS 0 that was received and could not be taken.
    fn dropped(&mut self);
    /// Counts a message that is left to the broker.
    fn let_go(&mut self);
    /// How far all messages are in Kafka, or need not get there, and when whoever asks is to be notified.
    fn settled(&mut self, wake: Wake) -> Settled;
    /// Counts acknowledgements that have been written.
    fn acknowledged(&mut self, messages: u64);
    /// News of the connection.
    fn connection_event(&mut self, event: ConnectionEvent);
}

/// What the source is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    Run,
    /// Take nothing more, acknowledge what gets confirmed, disconnect when all is.
    Drain,
    /// Acknowledge what is confirmed, and go without a goodbye: the server publishes the last will.
    Leave,
}

/// What to connect to, and what to ask of it.
#[derive(Clone)]
pub struct Settings {
    pub server: Server,
    pub hello: Hello,
    pub filters: Vec<String>,
    /// Filters that an earlier session may have subscribed to and that are no longer wanted.
    pub unsubscribe: Vec<String>,
    pub qos: Qos,
    /// Largest packet taken, in bytes.
    pub max_packet_size: usize,
    /// How long a message may wait for others.
    pub max_delay: Duration,
}

impl Settings {
    /// The same in a session of its own, which takes no message from anybody as long as no subscription
    /// is shared, and is forgotten as it ends. Its client id ends with `suffix`.
    #[must_use]
    pub fn aside(&self, suffix: &str) -> Self {
        let mut settings = self.clone();
        let hello = &mut settings.hello;
        hello.client_id.push_str(suffix);
        (hello.clean_session, hello.will) = (true, None);
        hello.properties.session_expiry = 0;
        settings.unsubscribe.clear();
        settings
    }
}

/// Why a connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{suspicion}")]
pub(crate) struct Broken {
    what: String,
    /// Which option may be wrong, unless the server has worked with these before.
    suspicion: &'static str,
    nature: Nature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Passing,
    /// Trying again with the same options cannot help.
    Permanent,
    /// The server closed the connection without a word.
    HungUp,
    /// Another client has connected with the same client id.
    TakenOver,
}

impl Broken {
    fn permanent(what: impl Into<String>) -> Self {
        Self { what: what.into(), suspicion: "", nature: Nature::Permanent }
    }

    fn passing(what: impl Into<String>) -> Self {
        Self { what: what.into(), suspicion: "", nature: Nature::Passing }
    }

    fn suspect(self, suspicion: &'static str) -> Self {
        Self { suspicion, ..self }
    }

    fn hung_up() -> Self {
        let what = "it closed the connection".to_owned();
        Self { what, suspicion: "", nature: Nature::HungUp }
    }
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::passing(malformed.to_string())
    }
}

/// See the [module's documentation](self).
pub struct Source<D> {
    settings: Arc<Settings>,
    protocol: Protocol,
    downstream: D,
    /// Notified when something was confirmed, or credit came back.
    wake: Arc<Notify>,
    control: watch::Receiver<Control>,
    /// A subscription has been granted since the program started.
    established: bool,
    /// Attempts to connect since the last connection ended.
    attempt: u32,
    /// `None` while messages may flow.
    outage: Option<Outage>,
}

impl<D: Downstream> Source<D> {
    pub fn new(
        settings: Settings,
        downstream: D,
        wake: Arc<Notify>,
        control: watch::Receiver<Control>,
    ) -> Self {
        let settings = Arc::new(settings);
        let protocol = Protocol::new(Arc::clone(&settings));
        let (established, attempt, outage) = (false, 0, None);
        Self { settings, protocol, downstream, wake, control, established, attempt, outage }
    }

    /// Carries messages until it is told to drain and has done so.
    ///
    /// # Errors
    /// If the server cannot be used as configured, and never could since the program started.
    pub async fn run(mut self) -> Result<(), String> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        self.warn_about_the_client_id();
        loop {
            let began = Instant::now();
            self.attempt += 1;
            let ended = self.connect_and_serve().await;
            self.protocol.disconnected();
            let Err(broken) = ended else { return Ok(()) };
            let lost = self.outage.is_none();
            let reason = self.explain(&broken, began.elapsed());
            self.tell(ConnectionOutcome::Failed {
                reason: reason.clone(),
                permanent: broken.nature == Nature::Permanent,
                lost,
            });
            if lost {
                self.attempt = 0;
            }
            if broken.nature == Nature::Permanent && !self.established {
                return Err(format!("MQTT server {}: {reason}", self.settings.server.name()));
            }
            // Whoever takes the session over will do so again.
            if began.elapsed() > LONGEST_PAUSE && broken.nature != Nature::TakenOver {
                backoff.reset();
            }
            let pause = backoff.next_pause();
            let mut outage = self.take_outage();
            outage.goes_on(&reason, pause);
            let told = outage.during(timeout(pause, self.until_drained())).await;
            self.outage = Some(outage);
            if told.is_ok() {
                return Ok(());
            }
        }
    }

    /// MQTT 3.1 has short client ids; many servers take longer ones all the same.
    fn warn_about_the_client_id(&self) {
        const LONGEST: usize = 23;
        let Hello { version, client_id, .. } = &self.settings.hello;
        let length = client_id.chars().count();
        if *version == Version::V3_1 && length > LONGEST {
            tracing::warn!(
                "--client-id {client_id:?} has {length} characters, and MQTT 3.1 allows {LONGEST}: the server may refuse it"
            );
        }
    }

    /// What broke the connection, with what may be behind it.
    fn explain(&self, broken: &Broken, lasted: Duration) -> String {
        let client_id = &self.settings.hello.client_id;
        match broken.nature {
            Nature::TakenOver => format!(
                "another client has connected with the client id {client_id:?}, so the server closed this connection ({}); \
                 give each running client a --client-id of its own",
                broken.what
            ),
            Nature::HungUp if self.outage.is_none() && lasted < LONGEST_PAUSE => {
                format!(
                    "{}; if this repeats, another client may be using the client id {client_id:?}",
                    broken.what
                )
            }
            _ if self.established => broken.what.clone(),
            _ => broken.to_string(),
        }
    }

    fn tell(&mut self, outcome: ConnectionOutcome) {
        self.downstream.connection_event(ConnectionEvent {
            server: self.settings.server.name(),
            client_id: self.settings.hello.client_id.clone(),
            attempt: self.attempt,
            reconnect: self.established,
            outcome,
        });
    }

    /// Serves one connection, until everything is drained.
    async fn connect_and_serve(&mut self) -> Result<(), Broken> {
        let (settings, mut control) = (Arc::clone(&self.settings), self.control.clone());
        let mut outage = self.take_outage();
        let opened = tokio::select! {
            biased;
            _ = control.wait_for(|control| *control != Control::Run) => None,
            opened = outage.during(Connection::open(&settings, self.ends())) => Some(opened),
        };
        self.outage = Some(outage);
        let Some(opened) = opened else {
            self.protocol.disconnected();
            self.until_drained().await;
            return Ok(());
        };
        let mut connection = opened?;
        let session_present = self.protocol.session_present();
        if self.established && session_present == Some(false) && !settings.hello.clean_session {
            tracing::warn!(
                "the MQTT server has lost the session: messages that it had for this client may be missing"
            );
        }
        let subscribed = |protocol: &Protocol| protocol.is_subscribed() || protocol.is_drained();
        connection.run(self.ends(), subscribed).await?;
        if self.protocol.is_subscribed() {
            self.connected(session_present == Some(true));
        }
        connection.run(self.ends(), Protocol::is_drained).await?;
        connection.close(&self.protocol).await;
        Ok(())
    }

    /// What a connection moves bytes for.
    fn ends(&mut self) -> Ends<'_, D> {
        let Self { protocol, downstream, wake, control, .. } = self;
        Ends { protocol, downstream, wake, control }
    }

    /// The present outage, or one that begins now.
    fn take_outage(&mut self) -> Outage {
        self.outage.take().unwrap_or_else(|| Outage::new(self.settings.server.name()))
    }

    /// The subscription has been granted: messages flow.
    fn connected(&mut self, session_present: bool) {
        let Settings { server, filters, .. } = &*self.settings;
        tracing::info!(
            "subscribed to {} at {}{}",
            filters.join(", "),
            server.name(),
            if session_present { "; the session goes on" } else { "" }
        );
        if let Some(outage) = self.outage.take().filter(|_| self.established) {
            tracing::info!("connected again, after {:.1} s", outage.length().as_secs_f32());
        }
        self.tell(ConnectionOutcome::Connected { session_present });
        self.established = true;
    }

    /// Without a connection: waits until it is told to drain, and then until everything taken is in
    /// Kafka. Nothing can be acknowledged any more: the server will send it again.
    async fn until_drained(&mut self) {
        let Ends { protocol, downstream, wake, control } = self.ends();
        loop {
            protocol.obey(*control.borrow_and_update());
            protocol.settle(downstream.settled(protocol.wake()));
            protocol.acknowledge();
            if protocol.is_drained() {
                return;
            }
            tokio::select! {
                () = wake.notified() => {}
                // Its sender lives as long as the program.
                Ok(()) = control.changed() => {}
            }
        }
    }
}
