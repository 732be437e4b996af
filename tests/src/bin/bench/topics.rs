//! What many Kafka topics cost: each MQTT topic has one of its own by a template, or all share one.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tests::host::Host;
use tests::kafka::Kafka;
use tests::{A_WHILE, SOON, eventually};

use crate::Load;
use crate::carrier::{self, FILTER, Running};
use crate::measure;
use crate::messages::Messages;
use crate::paced::Publisher;
use crate::table::{CPU, RATE, Sample, Table};

/// Topics that are made with one request.
const BATCH: usize = 500;
/// Many logs need many mapped files; small ones will do. And making them is no reason to be given up.
const SETTINGS: &str = "auto.create.topics.enable=false\nlog.index.size.max.bytes=4096\n\
                        broker.session.timeout.ms=60000\n";

const LETTERS: &str = "dead-letters";

/// In a Kafka of its own, since ten thousand topics are there to stay.
pub fn run(load: &Load) -> usize {
    let kafka = Kafka::start_with(SETTINGS);
    let counts = [1, usize::from(load.topics)];
    eprintln!("topics: Kafka makes {} of them", counts[1]);
    let names: Vec<_> = (0..counts[1]).map(|device| format!("dev{device:03}")).collect();
    create(&kafka, &[&names[..], &[LETTERS.to_owned()]].concat());
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("topics: round {round} of {}", load.rounds);
        for count in counts {
            let sample = carry(load, &kafka, &names[..count]);
            table.add(format!("{count} Kafka topics"), sample);
        }
    }
    println!(
        "\ntopics: through mosquitto at QoS 1, {} messages/s, Kafka topics by template",
        load.rate
    );
    print!("{}", table.show("", &[RATE, CPU]));
    table.missing()
}

fn carry(load: &Load, kafka: &Kafka, names: &[String]) -> Sample {
    let consumer: BaseConsumer = client(kafka);
    let before = count(&consumer, names);
    let mosquitto = carrier::mosquitto(measure::WINDOW);
    let host = Host::between(&mosquitto, FILTER, kafka, "{1}")
        .flag("kafka-topics-allowed", "dev*")
        .flag("dead-letter-topic", LETTERS);
    let running = Running::host(&host);
    // Each topic is met once before anything is measured.
    let messages = Messages::over(names.len(), load.size);
    let mut publisher = Publisher::connect(mosquitto.port(), &messages);
    publisher.flood(names.len());
    let first = publisher.finish();
    eventually("each topic has its first record", 5 * A_WHILE, || {
        (count(&consumer, names) - before >= first).then_some(())
    });
    let run = measure::publish(load, load.rate, &messages, &mosquitto, &running);
    running.stop();
    let mut sample = run.sample;
    sample.missing = (first + run.published).saturating_sub(count(&consumer, names) - before);
    sample
}

fn create(kafka: &Kafka, names: &[String]) {
    let admin: AdminClient<DefaultClientContext> = client(kafka);
    let options =
        AdminOptions::new().operation_timeout(Some(A_WHILE)).request_timeout(Some(A_WHILE));
    for names in names.chunks(BATCH) {
        let topics: Vec<_> =
            names.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1))).collect();
        let created = pollster::block_on(admin.create_topics(&topics, &options));
        for topic in created.expect("Kafka makes topics") {
            topic.expect("Kafka makes this topic");
        }
    }
    let consumer: BaseConsumer = client(kafka);
    let last = names.last().map(std::slice::from_ref).unwrap_or_default();
    eventually("the last topic can be used", 5 * A_WHILE, || {
        consumer.fetch_watermarks(&last[0], 0, Duration::from_secs(5)).ok()
    });
}

fn client<T: rdkafka::config::FromClientConfig>(kafka: &Kafka) -> T {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("group.id", "bench");
    config.create().expect("the settings of a client are right")
}

/// Records in all of these topics.
fn count(consumer: &BaseConsumer, names: &[String]) -> usize {
    let end = |name: &String| {
        let ask = || consumer.fetch_watermarks(name, 0, SOON).ok();
        eventually("Kafka says how much it has", A_WHILE, ask).1
    };
    names.iter().map(end).sum::<i64>() as usize
}
