//! The floor: what the two client libraries cost by themselves. Each runs in a process of its own,
//! measures itself, and says so in one line.

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
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tests::SOON;
use tests::usage::Usage;

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

impl Cost {
    fn since(before: Usage, began: Instant) -> Self {
        let now = Usage::own();
        Self {
            cpu: now.cpu.saturating_sub(before.cpu),
            elapsed: began.elapsed(),
            peak_resident_bytes: now.peak_resident_bytes,
        }
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
    let mut options = MqttOptions::new("bench-rumqttc", "127.0.0.1", port);
    options.set_max_packet_size(MAX_PACKET_SIZE, MAX_PACKET_SIZE);
    let (client, mut events) = AsyncClient::new(options, 16);
    events.network_options.set_tcp_nodelay(true);
    let wanted = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    client.subscribe("#", wanted).await.expect("there is room for a request");

    let (mut before, mut began, mut left) = (Usage::own(), Instant::now(), messages);
    while left > 0 {
        match events.poll().await.expect("the feeder stays connected") {
            Event::Incoming(Packet::SubAck(_)) => before = Usage::own(),
            Event::Incoming(Packet::Publish(_)) => {
                if left == messages {
                    began = Instant::now();
                }
                left -= 1;
            }
            _ => {}
        }
    }
    Cost::since(before, began)
}

/// librdkafka as `host` runs it, with nothing in front of it.
pub fn librdkafka(brokers: &str, topic: &str, messages: usize, size: usize) -> Cost {
    let mut config = ClientConfig::new();
    let settings = Settings { brokers: brokers.to_owned(), ..Settings::default() };
    for (name, value) in settings.properties() {
        config.set(name, value);
    }
    config.set("queue.buffering.max.messages", QUEUE.to_string());
    let delivered = Arc::<AtomicUsize>::default();
    let producer = config.create_with_context(Count(Arc::clone(&delivered)));
    let producer: BaseProducer<Count> = producer.expect("the settings are right");
    let metadata = producer.client().fetch_metadata(Some(topic), SOON);
    metadata.expect("Kafka answers");
    let all = Messages::new(size);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                producer.poll(Duration::from_millis(100));
            }
        });
        let (before, began) = (Usage::own(), Instant::now());
        for index in 0..messages {
            let (key, payload) = all.record(index);
            send(&producer, BaseRecord::to(topic).key(key).payload(payload));
        }
        while delivered.load(Ordering::Relaxed) < messages {
            thread::sleep(Duration::from_millis(1));
        }
        let cost = Cost::since(before, began);
        stop.store(true, Ordering::Relaxed);
        cost
    })
}

fn send(producer: &BaseProducer<Count>, mut record: BaseRecord<'_, str, [u8]>) {
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

/// Counts what is delivered.
struct Count(Arc<AtomicUsize>);

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
