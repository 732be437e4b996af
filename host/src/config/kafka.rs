//! What Kafka allows in names and addresses, and which properties of its client are not for the
//! user to set, because a promise of this program rests on them.

use std::net::Ipv6Addr;

use super::Secret;
use crate::kafka_topic;

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
        if let Some(reason) = refusal(name, value) {
            return Err(format!("-X {name} is not yours to set this way: {reason}"));
        }
        properties.push((name.to_owned(), Secret::new(value)));
    }
    Ok(properties)
}

/// Why a property may not have a value, if it may not.
fn refusal(name: &str, value: &str) -> Option<&'static str> {
    let harmless: &[&str] = match name {
        "acks" | "request.required.acks" => &["all", "-1"],
        "enable.idempotence" => TRUE,
        "delivery.report.only.error" | "enable.gapless.guarantee" => FALSE,
        "max.in.flight" | "max.in.flight.requests.per.connection" => &["1", "2", "3", "4", "5"],
        "message.timeout.ms" | "delivery.timeout.ms" => &["0"],
        "queuing.strategy" => &["fifo"],
        "retries" | "message.send.max.retries" => &["2147483647"],
        _ => &[],
    };
    (!harmless.contains(&value)).then(|| reason(name)).flatten()
}

const TRUE: &[&str] = &["true", "t", "1"];
const FALSE: &[&str] = &["false", "f", "0"];

fn reason(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" | "metadata.broker.list" => "use --broker-address",
        "acks" | "request.required.acks" => {
            "a message is acknowledged to MQTT once all in-sync replicas have its record, so this stays \"all\""
        }
        "enable.idempotence" => "without it a retry could write a record twice or out of order",
        "message.timeout.ms" | "delivery.timeout.ms" => {
            "records wait for Kafka as long as it takes; giving one up would lose it or break the order"
        }
        "retries" | "message.send.max.retries" => {
            "records are tried again as long as it takes; giving one up would lose it or break the order"
        }
        "max.in.flight" | "max.in.flight.requests.per.connection" => {
            "order and idempotence hold up to 5 requests in flight: give it 1 to 5"
        }
        "enable.gapless.guarantee" => {
            "it makes every failed batch fatal, also where trying again is enough"
        }
        "transactional.id" => {
            "records are not written in transactions, so none would ever be committed"
        }
        "queue.buffering.max.messages" | "queue.buffering.max.kbytes" => {
            "the queue must hold all that is in flight: use --max-in-flight-bytes"
        }
        "queue.buffering.max.ms" => "it is the old name of linger.ms: use that",
        "compression.codec" => "it is the old name of compression.type: use that",
        "queuing.strategy" => {
            "records leave in the order their messages came, so this stays \"fifo\""
        }
        "delivery.report.only.error" => {
            "successes must be reported too, or nothing could be acknowledged"
        }
        "enabled_events" | "opaque" | "default_topic_conf" | "interceptors" => CALLBACK,
        _ if name.ends_with("_cb") => CALLBACK,
        _ if name.starts_with("test.mock.") => {
            "records would go to a simulated Kafka and be lost: see `host demo`"
        }
        _ => return None,
    })
}

const CALLBACK: &str = "it connects Kafka's client with this program, which does that itself";

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
            ("delivery.report.only.error=true", "acknowledged"),
            ("dr_msg_cb=1", "does that itself"),
            ("dr_cb=1", "does that itself"),
            ("opaque=1", "does that itself"),
            ("test.mock.num.brokers=3", "simulated"),
        ] {
            let error = property(given).expect_err("a property that breaks a promise");
            let name = given.split('=').next().expect("a name");
            assert!(error.contains(reason) && error.contains(name), "{error}");
            assert!(!error.contains('\n'));
        }
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
