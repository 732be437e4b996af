//! One connection, from CONNECT to its end.

use std::time::{Duration, Instant, SystemTime};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::dial::Stream;
use super::input::Input;
use super::packet::{self, Frame, Incoming, Malformed, Version};
use super::{Broken, Control, Downstream, Settings, Source};
use crate::message::{Publish, Qos};

/// How long CONNACK, SUBACK and the answer to a ping may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may take to hang up after DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long reading stops for the sake of messages at QoS 0, which the broker would not keep.
const QOS_0_PATIENCE: Duration = Duration::from_secs(5);
/// How often time is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Unwritten acknowledgements beyond which reading waits for the server to read, in bytes.
const OUTPUT_LIMIT: usize = 256 * 1024;

const SUBSCRIBE_ID: u16 = 1;

/// How a connection ended.
pub(super) enum End {
    Drained,
    Broken(Broken),
}

/// An open connection.
pub(super) struct Connection {
    stream: Stream,
    input: Input,
    output: BytesMut,
    version: Version,
    max_packet_size: usize,
    pub(super) session_present: bool,
    subscribed: bool,
    /// Zero: no pings.
    keep_alive: Duration,
    opened: Instant,
    last_sent: Instant,
    ping_sent: Option<Instant>,
    /// The path has had no credit for a message since then.
    starved: Option<Instant>,
    /// The message at the start of the input waits for credit; nothing is read meanwhile.
    paused: bool,
    /// Bytes that the packet at the start of the input has in all.
    needed: usize,
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::passing(malformed.to_string())
    }
}

impl Connection {
    /// Connects, and sends the subscription.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Broken> {
        let stream = settings.server.dial().await?;
        let now = Instant::now();
        let mut connection = Self {
            stream,
            input: Input::new(),
            output: BytesMut::new(),
            version: settings.hello.version,
            max_packet_size: settings.max_packet_size,
            session_present: false,
            subscribed: false,
            keep_alive: Duration::from_secs(settings.hello.keep_alive.into()),
            opened: now,
            last_sent: now,
            ping_sent: None,
            starved: None,
            paused: false,
            needed: 2,
        };
        packet::connect(&settings.hello, &mut connection.output)?;
        timeout(PATIENCE, connection.handshake(settings.server.tls.is_some())).await.map_err(
            |_| Broken::passing("it accepts the connection and does not answer CONNECT in 10 s"),
        )??;
        let (filters, qos) = (&settings.filters, settings.qos);
        packet::subscribe(connection.version, SUBSCRIBE_ID, filters, qos, &mut connection.output)?;
        Ok(connection)
    }

    /// Sends CONNECT and reads CONNACK.
    async fn handshake(&mut self, tls: bool) -> Result<(), Broken> {
        let failed =
            |error: std::io::Error| Broken::passing(format!("the connection failed: {error}"));
        while !self.output.is_empty() {
            self.write().await.map_err(failed)?;
        }
        loop {
            if let Ok(frame) = packet::frame(self.input.bytes(), self.max_packet_size)? {
                let size = frame.whole.len();
                let Incoming::ConnAck(ack) = packet::incoming(self.version, &frame)? else {
                    return Err(Broken::passing(
                        "it answered CONNECT with another packet than CONNACK",
                    ));
                };
                self.input.consume(size);
                ack.answer.map_err(|refusal| Broken {
                    what: format!("connection refused: {}", refusal.reason),
                    permanent: refusal.permanent,
                })?;
                self.session_present = ack.session_present;
                if let Some(seconds) = ack.server_keep_alive {
                    self.keep_alive = Duration::from_secs(seconds.into());
                }
                return Ok(());
            }
            let read = self.stream.reader.read(self.input.space(2)).await.map_err(failed)?;
            if read == 0 {
                let cure = if tls {
                    ""
                } else {
                    "; if this port speaks TLS, leave out --tls-enabled=false"
                };
                return Err(Broken::passing(format!(
                    "it closed the connection instead of answering CONNECT{cure}"
                )));
            }
            self.input.filled(read);
        }
    }

    async fn write(&mut self) -> std::io::Result<()> {
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
                return self.disconnect(connection).await;
            }
            self.take_in(connection, draining)?;
            let reading = !connection.paused && connection.output.len() < OUTPUT_LIMIT;
            let Connection { stream, input, output, needed, .. } = connection;
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                written = stream.writer.write(output), if !output.is_empty() => match written {
                    Ok(0) => return Err(Broken::passing("it closed the connection")),
                    Ok(written) => connection.sent(written),
                    Err(error) => return Err(Broken::passing(format!("the connection failed: {error}"))),
                },
                read = stream.reader.read(input.space(*needed)), if reading => match read {
                    Ok(0) => return Err(Broken::passing("it closed the connection")),
                    Ok(read) => {
                        input.filled(read);
                        connection.ping_sent = None;
                    }
                    Err(error) => return Err(Broken::passing(format!("the connection failed: {error}"))),
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

    /// Takes the whole packets that have been read, as far as there is credit.
    fn take_in(&mut self, connection: &mut Connection, draining: bool) -> Result<(), Broken> {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let received_at_ms = since_1970.map_or(0, |since| since.as_millis() as i64);
        connection.paused = false;
        let result = loop {
            let frame = match packet::frame(connection.input.bytes(), connection.max_packet_size) {
                Ok(Ok(frame)) => frame,
                Ok(Err(needed)) => {
                    connection.needed = needed;
                    break Ok(());
                }
                Err(malformed) => break Err(malformed.into()),
            };
            let size = frame.whole.len();
            let step = if packet::is_publish(frame.first) {
                let starved = &mut connection.starved;
                packet::publish(connection.version, &frame).map_err(Broken::from).map(|publish| {
                    if draining {
                        self.let_go(&publish);
                        return Step::Done;
                    }
                    self.take(&publish, received_at_ms, starved)
                })
            } else {
                self.react(
                    connection.version,
                    &frame,
                    &mut connection.output,
                    &mut connection.subscribed,
                )
            };
            match step {
                Ok(Step::Done) => connection.input.consume(size),
                Ok(Step::Wait) => {
                    connection.paused = true;
                    break Ok(());
                }
                Err(broken) => break Err(broken),
            }
        };
        self.downstream.forward();
        result
    }

    /// Takes a message if there is credit. Messages at QoS 1 and 2 wait for it as long as it
    /// takes; the broker would drop those at QoS 0 sooner or later, so here they are dropped,
    /// and counted.
    fn take(
        &mut self,
        publish: &Publish<'_>,
        received_at_ms: i64,
        starved: &mut Option<Instant>,
    ) -> Step {
        if self.downstream.has_credit(publish.qos) {
            *starved = None;
            let sequence = self.ring.push(publish.packet_id, publish.qos);
            self.downstream.take(sequence, received_at_ms, publish);
            return Step::Done;
        }
        let since = *starved.get_or_insert_with(Instant::now);
        if publish.qos == Qos::AtMostOnce && since.elapsed() >= QOS_0_PATIENCE {
            self.downstream.dropped();
            return Step::Done;
        }
        Step::Wait
    }

    /// While draining, a message at QoS 1 or 2 is let go unacknowledged, and the broker keeps it
    /// for the next connection; one at QoS 0 is lost.
    fn let_go(&mut self, publish: &Publish<'_>) {
        if publish.qos == Qos::AtMostOnce {
            self.downstream.dropped();
        } else {
            self.downstream.let_go();
        }
    }

    /// Does what a packet other than PUBLISH asks for.
    fn react(
        &mut self,
        version: Version,
        frame: &Frame<'_>,
        output: &mut BytesMut,
        subscribed: &mut bool,
    ) -> Result<Step, Broken> {
        match packet::incoming(version, frame)? {
            Incoming::SubAck { packet_id: SUBSCRIBE_ID, granted } => {
                self.check_subscription(&granted)?;
                *subscribed = true;
            }
            Incoming::PubRel(packet_id) => packet::complete(packet_id, output),
            Incoming::Disconnect(reason) => {
                return Err(Broken::passing(format!("it closed the connection: {reason}")));
            }
            Incoming::ConnAck(_) => return Err(Broken::passing("it sent a second CONNACK")),
            Incoming::SubAck { .. } | Incoming::PingResp | Incoming::Other => {}
        }
        Ok(Step::Done)
    }

    fn check_subscription(&mut self, granted: &[Result<Qos, String>]) -> Result<(), Broken> {
        for (filter, granted) in self.settings.filters.iter().zip(granted) {
            match granted {
                Err(reason) => {
                    return Err(Broken::permanent(format!(
                        "the subscription to {filter:?} is refused: {reason}"
                    )));
                }
                Ok(qos) if *qos < self.settings.qos => {
                    tracing::warn!("the MQTT server grants only QoS {} for {filter:?}", *qos as u8);
                }
                Ok(_) => {}
            }
        }
        self.established = true;
        let Settings { server, filters, .. } = &self.settings;
        tracing::info!("subscribed to {} at {}:{}", filters.join(", "), server.host, server.port);
        Ok(())
    }

    /// Everything is done: says goodbye, so that the server does not send a last will.
    ///
    /// Then reads on until the server hangs up: closing a connection with unread messages in it
    /// would reset it, and the server might never see the last acknowledgements.
    async fn disconnect(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        let Connection { stream, input, .. } = connection;
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
        Ok(())
    }
}

/// What became of a packet.
enum Step {
    Done,
    /// It stays where it is until there is credit.
    Wait,
}
