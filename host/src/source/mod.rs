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
pub mod packet;
mod receive;
mod ring;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::message::{Publish, Qos, Sequence};
use connection::{Connection, End};
pub use dial::{Server, Tls};
use packet::Hello;
use ring::Ring;

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
    /// Counts a connection made after the first.
    fn reconnected(&mut self);
}

/// What the source is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    Run,
    /// Take nothing more, acknowledge what gets confirmed, disconnect when all is.
    Drain,
}

/// What to connect to, and what to ask of it.
pub struct Settings {
    pub server: Server,
    pub hello: Hello,
    pub filters: Vec<String>,
    pub qos: Qos,
    /// Largest packet taken, in bytes.
    pub max_packet_size: usize,
}

/// Why a connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    what: String,
    /// Trying again with the same options cannot help.
    permanent: bool,
}

impl Broken {
    fn permanent(what: impl Into<String>) -> Self {
        Self { what: what.into(), permanent: true }
    }

    fn passing(what: impl Into<String>) -> Self {
        Self { what: what.into(), permanent: false }
    }
}

/// See the [module's documentation](self).
pub struct Source<D> {
    settings: Settings,
    downstream: D,
    ring: Ring,
    /// Notified when something was confirmed, or credit came back.
    wake: Arc<Notify>,
    control: watch::Receiver<Control>,
    /// A subscription has been granted since the program started.
    established: bool,
}

impl<D: Downstream> Source<D> {
    pub fn new(
        settings: Settings,
        downstream: D,
        wake: Arc<Notify>,
        control: watch::Receiver<Control>,
    ) -> Self {
        Self { settings, downstream, ring: Ring::default(), wake, control, established: false }
    }

    /// Carries messages until it is told to drain and has done so.
    ///
    /// # Errors
    /// If the server cannot be used as configured, and never could since the program started.
    pub async fn run(mut self) -> Result<(), String> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let began = Instant::now();
            let broken = match self.connect_and_serve().await {
                Ok(End::Drained) => return Ok(()),
                Ok(End::Broken(broken)) | Err(broken) => broken,
            };
            self.ring.next_epoch();
            let server = format!("{}:{}", self.settings.server.host, self.settings.server.port);
            if broken.permanent && !self.established {
                return Err(format!("MQTT server {server}: {}", broken.what));
            }
            if began.elapsed() > LONGEST_PAUSE {
                backoff.reset();
            }
            let pause = backoff.next_pause();
            tracing::warn!(
                "MQTT server {server}: {}; trying again in {:.1} s",
                broken.what,
                pause.as_secs_f32()
            );
            if self.wait(pause).await == Control::Drain {
                self.drain_without_connection().await;
                return Ok(());
            }
        }
    }

    async fn connect_and_serve(&mut self) -> Result<End, Broken> {
        let mut control = self.control.clone();
        let connected = tokio::select! {
            connected = Connection::open(&self.settings) => connected,
            _ = control.wait_for(|control| *control == Control::Drain) => {
                self.drain_without_connection().await;
                return Ok(End::Drained);
            }
        };
        let connection = connected?;
        if self.established {
            self.downstream.reconnected();
            if !connection.session_present && !self.settings.hello.clean_session {
                tracing::warn!(
                    "the MQTT server has lost the session: messages that it had for this client may be missing"
                );
            }
        }
        Ok(self.serve(connection).await)
    }

    /// Pauses; ends early if told to drain.
    async fn wait(&mut self, pause: Duration) -> Control {
        let told = self.control.wait_for(|control| *control == Control::Drain);
        match timeout(pause, told).await {
            // The sender lives as long as the program: without it there is nothing to carry for.
            Ok(_) => Control::Drain,
            Err(_) => Control::Run,
        }
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
