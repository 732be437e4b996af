//! What routes cost: one for everything, and fifty that share the same MQTT topics among them.

use std::fmt::Write;

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::scratch::Folder;

use crate::Load;
use crate::carrier::{FILTER, Running};
use crate::measure;
use crate::messages::{Messages, TOPICS};
use crate::table::{CPU, MEDIAN, P99, RATE, Table};

const COUNTS: [usize; 2] = [1, 50];

pub fn run(load: &Load, kafka: &Kafka) -> usize {
    let messages = Messages::new(load.size);
    let folder = Folder::new("routes");
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("routes: round {round} of {}", load.rounds);
        for count in COUNTS {
            let sample = measure::paced(load, kafka, load.rate, &messages, |mosquitto, topic| {
                let host = Host::between(mosquitto, FILTER, kafka, topic);
                let file = folder.write("host.toml", routes(count, topic));
                Running::host(&configured(host, &file))
            });
            table.add(format!("{count} routes"), sample);
        }
    }
    println!("\nroutes: through mosquitto at QoS 1, {} messages/s, one Kafka topic", load.rate);
    print!("{}", table.show("", &[RATE, CPU, MEDIAN, P99]));
    table.missing()
}

/// Routes from a file, in the place of the one on the command line.
pub fn configured(host: Builder, file: &std::path::Path) -> Builder {
    host.without("topic").without("kafka-topic").flag("config", file.display())
}

/// The last of them takes what is left.
fn routes(count: usize, topic: &str) -> String {
    let mut text = format!("topic = [\"{FILTER}\"]\nkafka_topic = \"{topic}\"\n");
    let devices: Vec<_> = (0..TOPICS).collect();
    for devices in devices.chunks(TOPICS / count).take(count - 1) {
        let filters: Vec<_> =
            devices.iter().map(|device| format!("\"plant/dev{device:03}/#\"")).collect();
        // In a String nothing can fail.
        let _ = writeln!(
            text,
            "[[route]]\ntopic = [{}]\nkafka_topic = \"{topic}\"",
            filters.join(", ")
        );
    }
    text
}
