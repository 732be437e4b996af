//! MQTT: one task owns the connection. It alone reads, and it alone acknowledges.
//!
//! It never waits for the rest of the path: when the path has no credit left it stops reading, so
//! that the broker keeps the messages, but goes on acknowledging and answering keep-alives. (A
//! client's keep-alive is what it sends, MQTT-3.1.2-22.) A lost connection is made again with
//! growing pauses, and every CONNACK is followed by a SUBSCRIBE.
//!
//! rumqttc is named only here, and only for its codec: its event loop acknowledges one packet per
//! system call, replays stale events after a reconnect, and drops the connection on a resumed
//! PUBREL.

mod connection;
mod dial;
mod input;
mod outage;
pub mod packet;
mod receive;
mod ring;
mod session;
mod try_out;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::message::{ConnectionEvent, ConnectionOutcome, Cut, Publish, Qos, Sequence};
use connection::{Connection, End};
pub use dial::{ClientFiles, Server, Tls, TlsSettings, Websocket};
use outage::Outage;
use packet::{Hello, Version};
use ring::Ring;
use session::Session;
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
    /// Takes a message whose packet is too large, of which only the start is there.
    fn take_cut(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        cut: Cut,
    );
    /// Sends on what was taken.
    fn forward(&mut self);
    /// Counts a message at QoS 0 that was received and could not be taken.
    fn dropped(&mut self);
    /// Counts a message that is left to the broker.
    fn let_go(&mut self);
    /// The messages that Kafka has, or that need not get there, since the last call.
    fn confirmed(&mut self) -> &[Sequence];
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

/// See the [module's documentation](self).
pub struct Source<D> {
    settings: Settings,
    downstream: D,
    ring: Ring,
    session: Session,
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
        Self {
            settings,
            downstream,
            ring: Ring::default(),
            session: Session::default(),
            wake,
            control,
            established: false,
            attempt: 0,
            outage: None,
        }
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
            let broken = match self.connect_and_serve().await {
                Ok(End::Drained) => return Ok(()),
                Ok(End::Broken(broken)) | Err(broken) => broken,
            };
            self.ring.next_epoch();
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
            let control = self.control.clone();
            let server = &self.settings.server;
            let outage = self.outage.get_or_insert_with(|| Outage::new(server.name()));
            outage.goes_on(&reason, pause);
            if outage.during(wait(pause, control)).await == Control::Drain {
                self.drain_without_connection().await;
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

    async fn connect_and_serve(&mut self) -> Result<End, Broken> {
        let mut control = self.control.clone();
        let server = &self.settings.server;
        let outage = self.outage.get_or_insert_with(|| Outage::new(server.name()));
        let connected = tokio::select! {
            connected = outage.during(Connection::open(&self.settings)) => connected,
            _ = control.wait_for(|control| *control == Control::Drain) => {
                self.drain_without_connection().await;
                return Ok(End::Drained);
            }
        };
        let connection = connected?;
        let Hello { clean_session, .. } = self.settings.hello;
        self.session.resume(if clean_session { Some(false) } else { connection.session_present });
        if self.established && connection.session_present == Some(false) && !clean_session {
            tracing::warn!(
                "the MQTT server has lost the session: messages that it had for this client may be missing"
            );
        }
        Ok(self.serve(connection).await)
    }

    /// The subscription has been granted: messages flow.
    fn connected(&mut self, session_present: bool) {
        let Settings { server, filters, .. } = &self.settings;
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

    /// Waits until everything taken is in Kafka. Nothing can be acknowledged any more: the broker
    /// will send it again.
    async fn drain_without_connection(&mut self) {
        loop {
            self.collect();
            self.ring.release().for_each(drop);
            if self.ring.is_empty() {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// Marks in the ring what has been confirmed.
    fn collect(&mut self) {
        for sequence in self.downstream.confirmed() {
            self.ring.confirm(*sequence);
        }
    }
}

/// Pauses; ends early if told to drain.
async fn wait(pause: Duration, mut control: watch::Receiver<Control>) -> Control {
    let told = control.wait_for(|control| *control == Control::Drain);
    match timeout(pause, told).await {
        // The sender lives as long as the program: without it there is nothing to carry for.
        Ok(_) => Control::Drain,
        Err(_) => Control::Run,
    }
}
