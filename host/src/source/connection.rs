//! One connection, from CONNECT to its end.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::dial::{Server, Stream};
use super::input::Input;
use super::packet::{self, Incoming, Malformed, ServerLimits, Version};
use super::{Broken, Control, Downstream, Settings, Source};
use crate::filter;

/// How long CONNACK, SUBACK and the answer to a ping may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may take to hang up after DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(3);
/// How often time is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Unwritten acknowledgements beyond which reading waits for the server to read, in bytes.
const OUTPUT_LIMIT: usize = 256 * 1024;

pub(super) const SUBSCRIBE_ID: u16 = 1;
pub(super) const UNSUBSCRIBE_ID: u16 = 2;

const AUTH: &str = "it wants a further step of authentication (AUTH), and only methods that need none work here; see --property authentication-method";

/// How a connection ended.
pub(super) enum End {
    Drained,
    Broken(Broken),
}

/// An open connection.
pub(super) struct Connection {
    stream: Stream,
    pub(super) input: Input,
    pub(super) output: BytesMut,
    pub(super) version: Version,
    pub(super) max_packet_size: usize,
    /// MQTT 3.1 does not say.
    pub(super) session_present: Option<bool>,
    /// The subscription has been granted.
    pub(super) subscribed: bool,
    /// Zero: no pings.
    keep_alive: Duration,
    opened: Instant,
    last_sent: Instant,
    ping_sent: Option<Instant>,
    /// The path has had no credit for a message since then.
    pub(super) starved: Option<Instant>,
    /// The message at the start of the input waits for credit; nothing is read meanwhile.
    pub(super) paused: bool,
    /// Bytes that the packet at the start of the input has in all, as far as it must be there.
    pub(super) needed: usize,
    /// Bytes at the start of the input, and still to come, that are of no interest.
    pub(super) skip: usize,
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::passing(malformed.to_string())
    }
}

impl Connection {
    /// Connects, and sends the subscription.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Broken> {
        let (mut connection, limits) = Self::greet(settings).await?;
        limits.check(&settings.filters)?;
        connection.subscribe(settings, &limits)?;
        Ok(connection)
    }

    /// Connects, and waits for what the server says to that.
    pub(super) async fn greet(settings: &Settings) -> Result<(Self, ServerLimits), Broken> {
        let stream = settings.server.dial().await?;
        let now = Instant::now();
        let mut connection = Self {
            stream,
            input: Input::new(),
            output: BytesMut::new(),
            version: settings.hello.version,
            max_packet_size: settings.max_packet_size,
            session_present: None,
            subscribed: false,
            keep_alive: Duration::from_secs(settings.hello.keep_alive.into()),
            opened: now,
            last_sent: now,
            ping_sent: None,
            starved: None,
            paused: false,
            needed: 2,
            skip: 0,
        };
        packet::connect(&settings.hello, &mut connection.output)?;
        let handshake = connection.handshake(&settings.server);
        let limits = timeout(PATIENCE, handshake).await.map_err(|_| settings.server.silent())??;
        Ok((connection, limits))
    }

    /// Sends the subscription, and takes back what is no longer wanted.
    pub(super) fn subscribe(
        &mut self,
        settings: &Settings,
        limits: &ServerLimits,
    ) -> Result<(), Broken> {
        let Settings { hello, filters, unsubscribe, qos, .. } = settings;
        limits.tell(hello.properties.session_expiry);
        let output = &mut self.output;
        // Before the new ones, so that a filter never counts twice.
        if !unsubscribe.is_empty() && self.session_present != Some(false) {
            packet::unsubscribe(self.version, UNSUBSCRIBE_ID, unsubscribe, output)?;
        }
        let before = output.len();
        packet::subscribe(self.version, SUBSCRIBE_ID, filters, *qos, output)?;
        let (size, limit) = (output.len() - before, limits.max_packet_size);
        if let Some(limit) = limit.filter(|limit| size > *limit as usize) {
            return Err(Broken::permanent(format!(
                "it takes packets of up to {limit} bytes, and the subscription needs {size}; name fewer or shorter --topic"
            )));
        }
        Ok(())
    }

    /// Sends CONNECT and reads CONNACK.
    async fn handshake(&mut self, server: &Server) -> Result<ServerLimits, Broken> {
        // A server that has hung up may have said why: that is still to be read.
        while !self.output.is_empty() && self.write().await.is_ok() {}
        loop {
            if let Some(broken) = server.other_protocol(self.input.bytes()) {
                return Err(broken);
            }
            if let Ok(frame) = packet::frame(self.input.bytes(), self.max_packet_size)? {
                let size = frame.whole.len();
                let ack = match packet::incoming(self.version, &frame)? {
                    Incoming::ConnAck(ack) => ack,
                    Incoming::Auth => return Err(Broken::permanent(AUTH)),
                    _ => {
                        return Err(Broken::passing(
                            "it answered CONNECT with another packet than CONNACK",
                        ));
                    }
                };
                self.input.consume(size);
                ack.answer.map_err(|refusal| {
                    let what = format!("connection refused: {}", refusal.reason);
                    if refusal.permanent { Broken::permanent(what) } else { Broken::passing(what) }
                })?;
                self.session_present = ack.session_present;
                if let Some(seconds) = ack.limits.keep_alive {
                    self.keep_alive = Duration::from_secs(seconds.into());
                }
                return Ok(ack.limits);
            }
            match self.stream.reader.read(self.input.space(2)).await {
                Ok(0) => return Err(server.unanswered(None)),
                Ok(read) => self.input.filled(read),
                Err(error) => return Err(server.unanswered(Some(&error))),
            }
        }
    }

    /// Passes over what is of no interest; says whether all of it has been.
    pub(super) fn skip(&mut self) -> bool {
        let size = self.skip.min(self.input.bytes().len());
        self.input.consume(size);
        self.skip -= size;
        self.skip == 0
    }

    /// Says goodbye, so that the server does not send a last will.
    ///
    /// Then reads on until the server hangs up: closing a connection with unread messages in it
    /// would reset it, and the server might never see the last acknowledgements.
    pub(super) async fn close(&mut self) {
        let Self { stream, input, .. } = self;
        let goodbye = async {
            stream.writer.write_all(&packet::DISCONNECT).await?;
            stream.writer.shutdown().await?;
            loop {
                input.consume(input.bytes().len());
                if stream.reader.read(input.space(1)).await? == 0 {
                    return std::io::Result::Ok(());
                }
            }
        };
        // What it does not get to know comes again, no more.
        drop(timeout(GOODBYE, goodbye).await);
    }

    /// Reads what comes next.
    pub(super) async fn read(&mut self, server: &Server) -> Result<(), Broken> {
        match self.stream.reader.read(self.input.space(self.needed)).await {
            Ok(0) => Err(Broken::hung_up()),
            Ok(read) => {
                self.input.filled(read);
                Ok(())
            }
            Err(error) => Err(server.trouble(&error)),
        }
    }

    pub(super) async fn write(&mut self) -> std::io::Result<()> {
        let written = self.stream.writer.write(&self.output).await?;
        self.sent(written);
        Ok(())
    }

    fn sent(&mut self, written: usize) {
        self.output.advance(written);
        self.last_sent = Instant::now();
    }

    /// Pings when it is time, and says when the server has gone silent.
    fn look_at_the_clock(&mut self) -> Result<(), Broken> {
        if !self.subscribed && self.opened.elapsed() > PATIENCE && !self.paused {
            return Err(Broken::passing("it does not answer SUBSCRIBE in 10 s"));
        }
        if self.keep_alive.is_zero() {
            return Ok(());
        }
        match self.ping_sent {
            // What it has sent waits to be read, its answer too.
            Some(_) if self.paused => self.ping_sent = Some(Instant::now()),
            Some(sent) if sent.elapsed() > PATIENCE.max(self.keep_alive / 2) => {
                return Err(Broken::passing("it does not answer pings"));
            }
            _ => {}
        }
        if self.last_sent.elapsed() >= self.keep_alive.mul_f32(0.75) {
            self.output.extend_from_slice(&packet::PING);
            self.last_sent = Instant::now();
            self.ping_sent.get_or_insert_with(Instant::now);
        }
        Ok(())
    }
}

impl ServerLimits {
    /// Whether the server can do what the subscription needs.
    pub(super) fn check(&self, filters: &[String]) -> Result<(), Broken> {
        let find = |unable: bool, asks: fn(&str) -> bool| {
            filters.iter().find(|filter| unable && asks(filter))
        };
        let shared = find(self.no_shared_subscriptions, filter::is_shared);
        let wildcard = find(self.no_wildcards, |filter| filter.contains(['+', '#']));
        match (shared, wildcard) {
            (Some(filter), _) => Err(Broken::permanent(format!(
                "it has no shared subscriptions: write the filter {filter:?} without $share/GROUP/"
            ))),
            (None, Some(filter)) => Err(Broken::permanent(format!(
                "it takes no wildcards in topic filters: name the topics that {filter:?} stands for"
            ))),
            (None, None) => Ok(()),
        }
    }

    /// Says what the user may want to know. `asked` is how long the session was to be kept.
    fn tell(&self, asked: u32) {
        if let Some(kept) = self.session_expiry.filter(|kept| *kept < asked) {
            tracing::warn!(
                "the MQTT server keeps the session for {kept} s after a connection, not for {asked} s: \
                 what is published during a longer absence is lost"
            );
        }
        if let Some(information) = &self.response_information {
            tracing::info!("the MQTT server's response information is {information:?}");
        }
        if let Some(reason) = &self.reason {
            tracing::info!("the MQTT server says {reason:?}");
        }
    }
}

impl<D: Downstream> Source<D> {
    /// Serves a connection until it ends.
    pub(super) async fn serve(&mut self, mut connection: Connection) -> End {
        match self.serve_until_broken(&mut connection).await {
            Ok(()) => End::Drained,
            Err(broken) => End::Broken(broken),
        }
    }

    async fn serve_until_broken(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.acknowledge(connection);
            let draining = *self.control.borrow() == Control::Drain;
            if draining && self.ring.is_empty() && connection.output.is_empty() {
                connection.close().await;
                return Ok(());
            }
            self.take_in(connection, draining)?;
            if connection.subscribed && self.outage.is_some() {
                self.connected(connection.session_present == Some(true));
            }
            let reading = !connection.paused && connection.output.len() < OUTPUT_LIMIT;
            let Connection { stream, input, output, needed, .. } = connection;
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                written = stream.writer.write(output), if !output.is_empty() => match written {
                    Ok(0) => return Err(Broken::hung_up()),
                    Ok(written) => connection.sent(written),
                    Err(error) => return Err(self.settings.server.trouble(&error)),
                },
                read = stream.reader.read(input.space(*needed)), if reading => match read {
                    Ok(0) => return Err(Broken::hung_up()),
                    Ok(read) => {
                        input.filled(read);
                        connection.ping_sent = None;
                    }
                    Err(error) => return Err(self.settings.server.trouble(&error)),
                },
                _ = tick.tick() => connection.look_at_the_clock()?,
                _ = self.control.changed(), if !draining => {}
            }
        }
    }

    /// Appends the acknowledgements of what Kafka has, in the order received.
    fn acknowledge(&mut self, connection: &mut Connection) {
        self.collect();
        let mut messages = 0;
        for acknowledgement in self.ring.release() {
            packet::acknowledge(
                acknowledgement.packet_id,
                acknowledgement.qos,
                &mut connection.output,
            );
            messages += 1;
        }
        if messages > 0 {
            self.downstream.acknowledged(messages);
        }
    }
}
