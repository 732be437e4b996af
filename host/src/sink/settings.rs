//! librdkafka's settings: those that the promises rest on, and the user's on top.

/// How to reach Kafka.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `host:port,...`
    pub brokers: String,
    /// The name under which the brokers see this client.
    pub client_id: String,
    /// The user's own properties, already checked against those that carry a promise.
    pub properties: Vec<(String, String)>,
}

/// Each with its reason.
const DEFAULTS: [(&str, &str); 15] = [
    // Retries neither duplicate nor reorder; implies acks=all.
    ("enable.idempotence", "true"),
    // A record is given up never, not after five minutes: an unreachable Kafka is no fault of it.
    ("message.timeout.ms", "0"),
    // Waiting this long for company gives full batches at high rates and hardly shows at low ones.
    ("linger.ms", "5"),
    ("batch.num.messages", "10000"),
    ("compression.type", "lz4"),
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
    ("topic.metadata.propagation.max.ms", "10000"),
    ("log.connection.close", "false"),
];

impl Settings {
    /// Everything to set, later ones over earlier ones.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = [
            ("bootstrap.servers", &*self.brokers),
            ("client.id", &*self.client_id),
        ];
        let user = self
            .properties
            .iter()
            .map(|(name, value)| (&**name, &**value));
        DEFAULTS.into_iter().chain(own).chain(user)
    }
}
