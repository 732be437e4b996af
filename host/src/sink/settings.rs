//! Beside the path: librdkafka's settings, those that the promises rest on, and the user's on top.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use super::native::{Batches, PARTITIONERS, Partitioner};

/// How to reach Kafka.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `host:port,...`
    pub brokers: String,
    /// The name under which the brokers see this client.
    pub client_id: String,
    /// The user's own properties, already checked against those that carry a promise.
    pub properties: Vec<(String, String)>,
    /// The largest batch that all topics take, in bytes, if it is known.
    pub largest_batch: Option<usize>,
    /// Whether brokers create topics by themselves, if it is known.
    pub creates_topics: Option<bool>,
}

/// librdkafka's own time for records without a key.
const STICK_FOR: Duration = Duration::from_millis(10);

/// librdkafka's own limit for a batch, in bytes.
const BATCH_SIZE: usize = 1_000_000;

/// librdkafka's own limit for the records of a batch.
const BATCH_RECORDS: usize = 10_000;

/// For how long a topic may be unknown before it counts as missing.
const PROPAGATION: &str = "topic.metadata.propagation.max.ms";

/// Each with its reason.
const DEFAULTS: [(&str, &str); 16] = [
    // Retries neither duplicate nor reorder; implies acks=all.
    ("enable.idempotence", "true"),
    // A record is given up never, not after five minutes: an unreachable Kafka is no fault of it.
    ("message.timeout.ms", "0"),
    // Longer is not faster: batches fill by themselves while requests are under way, and sources
    // read in bursts. Less than a millisecond is spent in a loop by librdkafka, not asleep.
    ("linger.ms", "0"),
    ("compression.type", "lz4"),
    // The broker knows what it takes, but hangs up on requests of more than 104,857,600 bytes.
    ("message.max.bytes", "100000000"),
    // The same key goes where Kafka's Java clients put it.
    ("partitioner", "murmur2_random"),
    // The source's credit is what bounds the queue; these are only out of its way.
    ("queue.buffering.max.messages", "10000000"),
    ("queue.buffering.max.kbytes", "2097151"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
    ("reconnect.backoff.max.ms", "1000"),
    ("retry.backoff.max.ms", "1000"),
    // An unknown topic is found soon after somebody creates it.
    ("topic.metadata.refresh.interval.ms", "10000"),
    (PROPAGATION, "10000"),
    // For people who read the reason of a failure.
    ("log.thread.name", "false"),
    // How soon it is noticed that no broker is connected, while there is nothing to send.
    ("statistics.interval.ms", "5000"),
];

impl Settings {
    /// Everything to set for the producer, later ones over earlier ones.
    pub fn properties(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let defaults = DEFAULTS.into_iter().map(|(name, value)| (name, Cow::Borrowed(value)));
        let user = self.user().map(|(name, value)| (name, Cow::Borrowed(value)));
        // Nobody is to wait for a topic that nobody creates.
        let is_soon_missing = self.creates_topics == Some(false);
        let missing = is_soon_missing.then_some((PROPAGATION, Cow::Borrowed("1000")));
        // What a topic does not take is of no use to anybody.
        let batch = ("batch.size", Cow::Owned(self.batch_size().to_string()));
        defaults.chain(self.reach()).chain(missing).chain(user).chain([batch])
    }

    /// How large a batch gets, in bytes.
    fn batch_size(&self) -> usize {
        let wanted = self.last("batch.size").and_then(|wanted| wanted.parse().ok());
        wanted.unwrap_or(BATCH_SIZE).min(self.largest_batch.unwrap_or(usize::MAX))
    }

    /// How a record's partition follows from its key.
    pub(super) fn partitioner(&self) -> &'static Partitioner {
        let wanted = self.last("partitioner");
        // librdkafka knows no others; checking the properties has said so.
        let found = PARTITIONERS.iter().find(|known| Some(known.name) == wanted);
        found.unwrap_or(&PARTITIONERS[0])
    }

    /// How records of a partition are put together.
    pub(super) fn batches(&self) -> Batches {
        fn number<T: FromStr>(wanted: Option<&str>) -> Option<T> {
            wanted.and_then(|wanted| wanted.parse().ok())
        }
        let stick_for = number(self.last("sticky.partitioning.linger.ms"));
        let requests = self.properties().filter(|(name, _)| *name == "message.max.bytes");
        let request = requests.last().and_then(|(_, bytes)| bytes.parse().ok());
        Batches {
            stick_for: stick_for.map_or(STICK_FOR, Duration::from_millis),
            records: number(self.last("batch.num.messages")).unwrap_or(BATCH_RECORDS),
            bytes: self.batch_size().min(request.unwrap_or(usize::MAX)),
        }
    }

    /// The user's last word on a property.
    fn last(&self, name: &str) -> Option<&str> {
        self.user().filter(|(said, _)| *said == name).map(|(_, value)| value).last()
    }

    /// What any client needs to reach the brokers, and nothing that only a producer knows.
    pub fn connection(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        const PREFIXES: [&str; 6] = ["sasl.", "ssl.", "security.", "socket.", "broker.", "client."];
        let user =
            self.user().filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        self.reach().into_iter().chain(user.map(|(name, value)| (name, Cow::Borrowed(value))))
    }

    fn reach(&self) -> [(&str, Cow<'_, str>); 2] {
        let (brokers, client_id) = (self.brokers.as_str(), self.client_id.as_str());
        [("bootstrap.servers", Cow::Borrowed(brokers)), ("client.id", Cow::Borrowed(client_id))]
    }

    fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(settings: &Settings, wanted: &str) -> Option<String> {
        let values = settings.properties().filter(|(name, _)| *name == wanted);
        values.map(|(_, value)| value.into_owned()).last()
    }

    #[test]
    fn the_user_has_the_last_word() {
        let properties = vec![("linger.ms".to_owned(), "50".to_owned())];
        let settings = Settings { properties, ..Settings::default() };
        assert_eq!(value_of(&settings, "linger.ms").as_deref(), Some("50"));
        assert_eq!(value_of(&settings, "enable.idempotence").as_deref(), Some("true"));
    }

    #[test]
    fn the_documentation_says_what_is_set() {
        let text = include_str!("../../../docs/kafka.md");
        let (_, table) = text.split_once("## What is set, and why").expect("there is a table");
        let (table, _) = table.split_once("What may be worth changing").expect("it ends");
        for (name, value) in DEFAULTS {
            let row = table.lines().find(|row| row.contains(&format!("`{name}`")));
            let row = row.unwrap_or_else(|| panic!("{name} is not documented"));
            // Where there is no value in the table, there are words.
            let said = row.split('|').nth(2).filter(|said| said.trim().starts_with('`'));
            assert!(said.is_none_or(|said| said.trim() == format!("`{value}`")), "{row}");
        }
    }

    #[test]
    fn batches_are_no_larger_than_the_topic_takes() {
        let small = Settings { largest_batch: Some(2_000), ..Settings::default() };
        assert_eq!(value_of(&small, "batch.size").as_deref(), Some("2000"));
        let large = Settings { largest_batch: Some(9_000_000), ..Settings::default() };
        assert_eq!(value_of(&large, "batch.size").as_deref(), Some("1000000"));
    }

    #[test]
    fn a_topic_that_brokers_do_not_create_is_soon_missing() {
        for (creates_topics, wait) in
            [(None, "10000"), (Some(true), "10000"), (Some(false), "1000")]
        {
            let mut settings = Settings { creates_topics, ..Settings::default() };
            assert_eq!(value_of(&settings, PROPAGATION).as_deref(), Some(wait));
            settings.properties = vec![(PROPAGATION.to_owned(), "50".to_owned())];
            assert_eq!(value_of(&settings, PROPAGATION).as_deref(), Some("50"));
        }
    }

    #[test]
    fn other_clients_get_credentials_and_no_producer_properties() {
        let properties = [("sasl.username", "me"), ("linger.ms", "0")];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = Settings { brokers: "b:1".to_owned(), properties, ..Settings::default() };
        let names: Vec<_> = settings.connection().map(|(name, _)| name).collect();
        assert_eq!(names, ["bootstrap.servers", "client.id", "sasl.username"]);
    }
}
