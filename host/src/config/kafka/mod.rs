//! What Kafka allows in names and addresses, and the properties of its client: on the command line
//! and in files.

mod files;
mod java;
mod promises;

use std::fs::File;
use std::net::Ipv6Addr;

use super::Secret;
use crate::kafka_topic;
pub use files::properties_with_files;

/// Checks a topic's name by Kafka's own rules.
pub fn check_topic(flag: &str, name: &str) -> Result<(), String> {
    kafka_topic::check_name(name)
        .map_err(|problem| format!("{flag} {name:?} {problem}: give it the name of a Kafka topic"))
}

/// Checks `HOST:PORT,...`; the answer has no blanks.
pub fn brokers(addresses: &str) -> Result<String, String> {
    let addresses: Vec<&str> = addresses.split(',').map(str::trim).collect();
    for address in &addresses {
        check_address(address).map_err(|problem| {
            format!(
                "--broker-address {address:?} {problem}: write HOST:PORT,..., e.g. 127.0.0.1:9092"
            )
        })?;
    }
    Ok(addresses.join(","))
}

fn check_address(address: &str) -> Result<(), &'static str> {
    if address.is_empty() {
        return Err("is empty");
    }
    if address.contains("://") {
        return Err("has a protocol, which -X security.protocol says");
    }
    let (host, port) = address.rsplit_once(':').ok_or("has no port")?;
    let valid_host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '/', '@', '[', ']']),
    };
    if !valid_host || host.contains(char::is_whitespace) {
        return Err("has no valid host name or address");
    }
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err("has no port from 1 to 65535"),
    }
}

/// Reads `-X NAME=VALUE`s. Messages never show a value, which may be a password.
pub fn properties(given: &[Secret]) -> Result<Vec<(String, Secret)>, String> {
    let mut properties: Vec<(String, Secret)> = Vec::with_capacity(given.len());
    for (index, property) in given.iter().enumerate() {
        let (name, value) = match property.reveal().split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => (name.trim(), value),
            _ => return Err(format!("-X number {} is not NAME=VALUE", index + 1)),
        };
        if properties.iter().any(|(before, _)| before == name) {
            return Err(format!("-X {name} is given twice: keep one"));
        }
        check_property(name, value).map_err(|problem| format!("-X {name} {problem}"))?;
        properties.push((name.to_owned(), Secret::new(value)));
    }
    Ok(properties)
}

/// What is wrong with a property, if it is one of Kafka's Java client or would break a promise.
/// What librdkafka itself knows is for librdkafka to say.
fn check_property(name: &str, value: &str) -> Result<(), String> {
    if let Some(instead) = java::instead(name) {
        return Err(format!("is a property of Kafka's Java client: {instead}"));
    }
    if let Some(reason) = promises::broken(name, value) {
        return Err(format!("is not yours to set this way: {reason}"));
    }
    // librdkafka says of a file only that it does not like it.
    if FILES.contains(&name)
        && value != "probe"
        && let Err(error) = File::open(value.trim_start())
    {
        return Err(format!("names a file that cannot be read: {error}"));
    }
    Ok(())
}

/// Properties that name a file, or for certificate authorities a folder or `probe`.
const FILES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn property(text: &str) -> Result<Vec<(String, Secret)>, String> {
        properties(&[Secret::new(text)])
    }

    #[test]
    fn topic_names_follow_kafkas_rules() {
        for name in ["a", "plant", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(check_topic("--kafka-topic", name), Ok(()), "{name}");
        }
        for (name, rule) in [
            ("", "is empty"),
            (".", "reserves"),
            ("..", "reserves"),
            ("a b", "characters other than"),
            ("a/b", "characters other than"),
            ("ü", "characters other than"),
            (&"x".repeat(250), "longer than 249"),
        ] {
            let error = check_topic("--kafka-topic", name).expect_err("a bad name");
            assert!(error.contains(rule) && error.contains("--kafka-topic"), "{error}");
        }
    }

    #[test]
    fn broker_addresses_are_hosts_with_ports() {
        for (given, taken) in [
            ("127.0.0.1:9092", "127.0.0.1:9092"),
            (" a.example:1 , b-2:65535", "a.example:1,b-2:65535"),
            ("[::1]:9092", "[::1]:9092"),
        ] {
            assert_eq!(brokers(given).as_deref(), Ok(taken));
        }
        for (given, problem) in [
            ("", "is empty"),
            (",", "is empty"),
            ("a:1,", "is empty"),
            ("localhost", "no port"),
            ("a:", "no port from"),
            ("a:0", "no port from"),
            ("a:65536", "no port from"),
            ("a:+1", "no port from"),
            ("a:http", "no port from"),
            (":9092", "no valid host"),
            ("::1:9092", "no valid host"),
            ("[::g]:9092", "no valid host"),
            ("a b:9092", "no valid host"),
            ("PLAINTEXT://a:9092", "has a protocol"),
        ] {
            let error = brokers(given).expect_err("a bad address");
            assert!(error.contains(problem) && error.contains("HOST:PORT"), "{given}: {error}");
        }
    }

    #[test]
    fn properties_that_tune_are_taken() {
        for given in [
            "linger.ms=1",
            "compression.type=zstd",
            "sasl.password=a=b",
            "acks=all",
            "acks=-1",
            "enable.idempotence=true",
            "max.in.flight=1",
            "message.timeout.ms=0",
            "queuing.strategy=fifo",
            "queuing.strategy=FIFO",
            "acks=ALL",
            "enable.idempotence=True",
            "partitioner=consistent",
            "message.max.bytes=1000000",
            "client.id=",
        ] {
            let (name, value) = given.split_once('=').expect("a name and a value");
            assert_eq!(property(given), Ok(vec![(name.to_owned(), Secret::new(value))]));
        }
    }

    #[test]
    fn properties_that_would_break_a_promise_are_refused_with_the_reason() {
        for (given, reason) in [
            ("bootstrap.servers=a:1", "--broker-address"),
            ("metadata.broker.list=a:1", "--broker-address"),
            ("acks=1", "in-sync replicas"),
            ("request.required.acks=0", "in-sync replicas"),
            ("enable.idempotence=false", "twice or out of order"),
            ("message.timeout.ms=300000", "as long as it takes"),
            ("delivery.timeout.ms=1", "as long as it takes"),
            ("retries=0", "as long as it takes"),
            ("message.send.max.retries=3", "as long as it takes"),
            ("max.in.flight=6", "1 to 5"),
            ("max.in.flight.requests.per.connection=0", "1 to 5"),
            ("enable.gapless.guarantee=true", "fatal"),
            ("transactional.id=x", "transactions"),
            ("queue.buffering.max.messages=1", "--max-in-flight-bytes"),
            ("queue.buffering.max.kbytes=1", "--max-in-flight-bytes"),
            ("queue.buffering.max.ms=1", "linger.ms"),
            ("compression.codec=lz4", "compression.type"),
            ("queuing.strategy=lifo", "order"),
            ("delivery.report.only.error=false", "known before"),
            ("dr_msg_cb=1", "does that itself"),
            ("dr_cb=1", "does that itself"),
            ("opaque=1", "does that itself"),
            ("test.mock.num.brokers=3", "simulated"),
            ("acks= 0", "in-sync replicas"),
            ("acks=0x0", "in-sync replicas"),
            ("acks=4294967296", "in-sync replicas"),
            ("enable.idempotence=False", "twice or out of order"),
            ("enable.idempotence=F", "twice or out of order"),
            ("max.in.flight=010", "1 to 5"),
            ("message.timeout.ms=0x10", "as long as it takes"),
            ("queuing.strategy=LIFO", "order"),
            ("partitioner=random", "one partition"),
            ("partitioner= random", "one partition"),
            ("message.max.bytes=1000", "dead letter"),
            ("message.max.bytes=0x400", "dead letter"),
            ("api.version.request=false", "headers"),
            ("internal.termination.signal=15", "signals"),
            ("plugin.library.paths=evil.so", "native code"),
            ("statistics.interval.ms=0", "whether Kafka is there"),
        ] {
            let error = property(given).expect_err("a property that breaks a promise");
            let name = given.split('=').next().expect("a name");
            assert!(error.contains(reason) && error.contains(name), "{error}");
            assert!(!error.contains('\n'));
        }
    }

    #[test]
    fn what_only_kafkas_java_client_knows_gets_what_to_write_instead() {
        for (given, instead) in [
            ("sasl.jaas.config=hunter2", "sasl.username and sasl.password"),
            ("ssl.truststore.location=/a.jks", "ssl.ca.location"),
            ("key.serializer=x", "drop it"),
            ("buffer.memory=1", "--max-in-flight-bytes"),
            ("max.request.size=1", "message.max.bytes"),
        ] {
            let error = property(given).expect_err("a property of the Java client");
            assert!(error.contains("Java client") && error.contains(instead), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused() {
        for name in FILES {
            let error = property(&format!("{name}=/no/such/file")).expect_err("no file");
            assert!(error.contains(name) && error.contains("cannot be read"), "{error}");
        }
        assert!(property("ssl.ca.location=probe").is_ok());
        assert!(property("ssl.ca.location=/").is_ok());
    }

    #[test]
    fn a_malformed_property_is_refused_without_showing_it() {
        for given in ["hunter2", "=hunter2", "sasl.password:hunter2"] {
            let error = property(given).expect_err("no name and value");
            assert!(
                error.contains("-X number 1 is not NAME=VALUE") && !error.contains("hunter2"),
                "{error}"
            );
        }
        let twice = [Secret::new("linger.ms=hunter2"), Secret::new("linger.ms=2")];
        assert_eq!(properties(&twice), Err("-X linger.ms is given twice: keep one".into()));
    }
}
