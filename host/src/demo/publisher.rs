//! Publishes what simulated devices say, at QoS 1 over real MQTT, and tells which messages the
//! broker confirmed.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event as MqttEvent, EventLoop, MqttOptions};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, timeout};

use super::Event;
use super::devices::{Devices, Fleet, Message};
use crate::message::now_ms;

/// At first devices speak one after the other, so that each record can be read.
const GENTLE: Duration = Duration::from_millis(1500);
const GENTLE_RATE: f64 = 10.0;
/// Then this many messages per second.
const RATE: f64 = 500.0;

/// How many messages of a connection may be unconfirmed.
const WINDOW: u16 = 100;

/// How long the broker may take to open a session.
const PATIENCE: Duration = Duration::from_secs(10);

/// When to stop publishing: whatever comes first.
pub struct Limits {
    pub time: Duration,
    pub messages: Option<u64>,
    /// Becomes true.
    pub stop: watch::Receiver<bool>,
}

/// Publishes until a limit is reached, then keeps the connections for what is unconfirmed.
///
/// Resolves only to say why it cannot go on.
pub async fn publish(
    devices: Devices,
    port: u16,
    limits: Limits,
    events: UnboundedSender<Event>,
) -> String {
    let mut confirming = JoinSet::new();
    let connections = Fleet::ALL.map(|fleet| {
        let (connection, event_loop, sending) = Connection::open(fleet, port);
        confirming.spawn(confirm(event_loop, sending, events.clone()));
        connection
    });
    tokio::select! {
        published = pace(devices, &connections, limits, &events) => {
            if let Err(error) = published {
                return error;
            }
        }
        ended = confirming.join_next() => return why(ended),
    }
    // Nobody listens any more when the demonstration has failed; here and below.
    drop(events.send(Event::AllPublished));
    why(confirming.join_next().await)
}

fn why(ended: Option<Result<String, JoinError>>) -> String {
    match ended {
        Some(Ok(error)) => error,
        Some(Err(error)) => format!("a simulated device ended: {error}"),
        None => "there is no simulated device".to_owned(),
    }
}

/// Publishes at the devices' pace until a limit is reached.
async fn pace(
    mut devices: Devices,
    connections: &[Connection; Fleet::ALL.len()],
    limits: Limits,
    events: &UnboundedSender<Event>,
) -> Result<(), String> {
    let start = Instant::now();
    let mut tick = interval(Duration::from_millis(10));
    let most = limits.messages.unwrap_or(u64::MAX);
    let mut published = 0;
    let running = || start.elapsed() < limits.time && !*limits.stop.borrow();
    while published < most && running() {
        tick.tick().await;
        while published < due(start.elapsed()).min(most) && running() {
            let message = devices.next(now_ms());
            published += 1;
            drop(events.send(Event::Published(message.expected.clone())));
            connections[message.fleet as usize].send(message).await?;
        }
    }
    Ok(())
}

/// How many messages are to be published by then.
fn due(elapsed: Duration) -> u64 {
    let gentle = elapsed.min(GENTLE).as_secs_f64() * GENTLE_RATE;
    let fast = elapsed.saturating_sub(GENTLE).as_secs_f64() * RATE;
    // The first message is due at once.
    1 + (gentle + fast) as u64
}

/// The MQTT connection of one fleet.
struct Connection {
    client: AsyncClient,
    /// The values that the messages must become, in the order they are handed to the client.
    sent: UnboundedSender<Bytes>,
}

impl Connection {
    fn open(fleet: Fleet, port: u16) -> (Self, EventLoop, UnboundedReceiver<Bytes>) {
        let mut options = options(&format!("devices-{}", fleet.name()), port);
        options.set_outgoing_inflight_upper_limit(WINDOW);
        let (client, event_loop) = AsyncClient::new(options, WINDOW.into());
        let (sent, sending) = mpsc::unbounded_channel();
        (Self { client, sent }, event_loop, sending)
    }

    async fn send(&self, message: Message) -> Result<(), String> {
        let properties = PublishProperties {
            content_type: message.content_type.map(str::to_owned),
            user_properties: message.user_properties,
            ..PublishProperties::default()
        };
        // If its receiver is gone, the publish fails too.
        drop(self.sent.send(message.expected.value));
        let topic = message.expected.mqtt_topic;
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, message.payload, properties)
            .await
            .map_err(|error| format!("a simulated device cannot publish: {error}"))
    }
}

/// Tells which messages are confirmed, until the connection is lost, and then why it was.
async fn confirm(
    mut event_loop: EventLoop,
    mut sending: UnboundedReceiver<Bytes>,
    events: UnboundedSender<Event>,
) -> String {
    let mut unconfirmed = HashMap::new();
    loop {
        match event_loop.poll().await {
            Ok(MqttEvent::Outgoing(Outgoing::Publish(packet_id))) => {
                if let Ok(value) = sending.try_recv() {
                    unconfirmed.insert(packet_id, value);
                }
            }
            Ok(MqttEvent::Incoming(Packet::PubAck(confirmed))) => {
                if let Some(value) = unconfirmed.remove(&confirmed.pkid) {
                    drop(events.send(Event::Confirmed(value)));
                }
            }
            Ok(MqttEvent::Outgoing(_) | MqttEvent::Incoming(_)) => {}
            Err(error) => return format!("a simulated device lost its connection: {error}"),
        }
    }
}

/// Makes the broker keep what matches a filter for a client that is not there yet.
///
/// The bridges are such clients: what devices say before a bridge has connected is not missed.
pub async fn open_session(client_id: &str, filter: &str, port: u16) -> Result<(), String> {
    let opened = timeout(PATIENCE, subscribe_once(client_id, filter, port)).await;
    opened
        .unwrap_or_else(|_| Err("it does not answer".to_owned()))
        .map_err(|error| format!("cannot open a session in the embedded MQTT broker: {error}"))
}

async fn subscribe_once(client_id: &str, filter: &str, port: u16) -> Result<(), String> {
    let mut options = options(client_id, port);
    options.set_clean_start(false);
    let (client, mut event_loop) = AsyncClient::new(options, 2);
    client.subscribe(filter, QoS::AtLeastOnce).await.map_err(|error| error.to_string())?;
    loop {
        match event_loop.poll().await {
            Ok(MqttEvent::Incoming(Packet::SubAck(_))) => break,
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    client.disconnect().await.map_err(|error| error.to_string())?;
    // The session is there for others once the broker has hung up.
    while event_loop.poll().await.is_ok() {}
    Ok(())
}

fn options(client_id: &str, port: u16) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(30));
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_speak_slowly_at_first() {
        assert_eq!(due(Duration::ZERO), 1);
        assert_eq!(due(Duration::from_secs(1)), 11);
        assert_eq!(due(GENTLE), 16);
        assert_eq!(due(GENTLE + Duration::from_secs(2)), 1016);
    }
}
