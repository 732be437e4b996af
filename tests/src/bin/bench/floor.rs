//! The floor: what the two client libraries cost by themselves, each in a process of its own or both in
//! one, with nothing between them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::sink::Settings;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tests::SOON;
use tests::usage::Usage;

use crate::carrier::FILTER;
use crate::messages::Messages;

/// Enough for full batches and no more: what waits longer only leaves the processor's caches.
const QUEUE: usize = 20_000;

/// Large enough for what is sent here; the default is 10 KiB.
const MAX_PACKET_SIZE: usize = 1 << 20;

/// What a process says of itself when it is done.
pub struct Cost {
    pub cpu: Duration,
    pub elapsed: Duration,
    pub peak_resident_bytes: u64,
}

/// Where a cost begins.
pub struct Start {
    usage: Usage,
    at: Instant,
}

impl Start {
    pub fn end(&self) -> Cost {
        let now = Usage::own();
        Cost {
            cpu: now.cpu.saturating_sub(self.usage.cpu),
            elapsed: self.at.elapsed(),
            peak_resident_bytes: now.peak_resident_bytes,
        }
    }
}

impl Cost {
    /// Of this process, from now on.
    pub fn start() -> Start {
        Start { usage: Usage::own(), at: Instant::now() }
    }

    /// The reverse of `to_string`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.strip_prefix("cost ")?.split(' ').map(|word| word.parse().ok());
        let mut number = || numbers.next()?;
        Some(Self {
            cpu: Duration::from_micros(number()?),
            elapsed: Duration::from_micros(number()?),
            peak_resident_bytes: number()?,
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpu, elapsed) = (self.cpu.as_micros(), self.elapsed.as_micros());
        write!(f, "cost {cpu} {elapsed} {}", self.peak_resident_bytes)
    }
}

/// rumqttc as its users run it: its event loop acknowledges by itself, every message is dropped.
pub fn rumqttc(port: u16, qos: u8, messages: usize) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(subscribe(port, qos, messages))
}

async fn subscribe(port: u16, qos: u8, messages: usize) -> Cost {
    let mut events = connect(port, "#", qos).await;
    let (mut start, mut left) = (Cost::start(), messages);
    while left > 0 {
        if let Event::Incoming(Packet::Publish(_)) = next(&mut events).await {
            if left == messages {
                start.at = Instant::now();
            }
            left -= 1;
        }
    }
    start.end()
}

/// Subscribed, once the server has said so.
async fn connect(port: u16, filter: &str, qos: u8) -> EventLoop {
    let mut options = MqttOptions::new("bench-rumqttc", "127.0.0.1", port);
    options.set_max_packet_size(MAX_PACKET_SIZE, MAX_PACKET_SIZE);
    let (client, mut events) = AsyncClient::new(options, 16);
    events.network_options.set_tcp_nodelay(true);
    let wanted = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    client.subscribe(filter, wanted).await.expect("there is room for a request");
    while !matches!(next(&mut events).await, Event::Incoming(Packet::SubAck(_))) {}
    // It would hang up without a client.
    std::mem::forget(client);
    events
}

async fn next(events: &mut EventLoop) -> Event {
    events.poll().await.expect("the server stays connected")
}

/// librdkafka as `host` runs it, with nothing in front of it.
pub fn librdkafka(brokers: &str, topic: &str, messages: usize, size: usize) -> Cost {
    let settings = Settings { brokers: brokers.to_owned(), ..Settings::default() };
    let settings: Vec<_> = settings.properties().collect();
    let queue = QUEUE.to_string();
    let settings = settings.iter().map(|(name, value)| (*name, &**value));
    let settings: Vec<_> = settings.chain([("queue.buffering.max.messages", &*queue)]).collect();
    let (producer, delivered) = client(brokers, &settings);
    producer.client().fetch_metadata(Some(topic), SOON).expect("Kafka answers");
    let all = Messages::new(size);
    while_polled(&producer, || {
        let start = Cost::start();
        for index in 0..messages {
            let (key, payload) = all.record(index);
            send(&producer, BaseRecord::to(topic).key(key).payload(payload));
        }
        delivered.wait_for(messages);
        start.end()
    })
}

/// Both in one process, until it is killed. What rumqttc receives it acknowledges by itself, and it is
/// handed to librdkafka, with settings as their users write them.
pub fn both(port: u16, brokers: &str, topic: &str) {
    let settings = [("enable.idempotence", "true"), ("compression.type", "lz4")];
    let (producer, _) = client(brokers, &settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    while_polled(&producer, || {
        runtime.block_on(async {
            let mut events = connect(port, FILTER, 1).await;
            loop {
                if let Event::Incoming(Packet::Publish(message)) = next(&mut events).await {
                    let key = message.topic.split('/').nth(1).unwrap_or_default();
                    send(&producer, BaseRecord::to(topic).key(key).payload(&message.payload[..]));
                }
            }
        });
    });
}

/// A producer with these settings, and the count of what it has delivered.
pub fn client(brokers: &str, settings: &[(&str, &str)]) -> (BaseProducer<Count>, Delivered) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let delivered = Delivered::default();
    let producer = config.create_with_context(Count(Arc::clone(&delivered.0)));
    (producer.expect("the settings are right"), delivered)
}

/// Works while a thread of its own fetches the reports, as rdkafka's own `ThreadedProducer` does.
pub fn while_polled<T>(producer: &BaseProducer<Count>, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                producer.poll(Duration::from_millis(100));
            }
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

pub fn send(producer: &BaseProducer<Count>, mut record: BaseRecord<'_, str, [u8]>) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                thread::sleep(Duration::from_millis(1));
                record = back;
            }
            Err((error, _)) => panic!("librdkafka refuses a record: {error}"),
        }
    }
}

/// How much is delivered.
#[derive(Default)]
pub struct Delivered(Arc<AtomicUsize>);

impl Delivered {
    pub fn wait_for(&self, count: usize) {
        while self.0.load(Ordering::Relaxed) < count {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Counts it.
pub struct Count(Arc<AtomicUsize>);

impl ClientContext for Count {
    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            // This is librdkafka's own thread, where a panic would go unnoticed.
            eprintln!("a record is not delivered: {error}");
            std::process::exit(1);
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
