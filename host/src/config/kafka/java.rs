//! What users of Kafka's Java clients write, and librdkafka does not know: what to write instead.

const SERIALIZER: &str = "keys and values are bytes here, so drop it";
const TRUST_STORE: &str = "give the certificate authorities as a PEM file with ssl.ca.location \
     (keytool -exportcert -rfc makes one)";
const TLS_PROVIDER: &str = "TLS is OpenSSL's here, so drop it";
const METRICS: &str = "there are no such metrics here, so drop it";
const LOGIN: &str = "use sasl.mechanisms with sasl.username and sasl.password";
const LEVEL: &str = "use compression.level";

/// Properties of Kafka's Java producer 3.9 that librdkafka does not have under that name.
const PROPERTIES: &[(&str, &str)] = &[
    ("key.serializer", SERIALIZER),
    ("value.serializer", SERIALIZER),
    ("key.deserializer", SERIALIZER),
    ("value.deserializer", SERIALIZER),
    ("sasl.jaas.config", "use sasl.username and sasl.password"),
    ("sasl.client.callback.handler.class", LOGIN),
    ("sasl.login.callback.handler.class", LOGIN),
    ("sasl.login.class", LOGIN),
    ("ssl.truststore.location", TRUST_STORE),
    ("ssl.truststore.certificates", "use ssl.ca.pem"),
    ("ssl.truststore.password", TRUST_STORE),
    ("ssl.truststore.type", TRUST_STORE),
    (
        "ssl.keystore.type",
        "ssl.keystore.location takes PKCS#12 only, so drop it; for PEM use ssl.certificate.location and ssl.key.location",
    ),
    ("ssl.keystore.key", "use ssl.key.pem"),
    ("ssl.keystore.certificate.chain", "use ssl.certificate.pem"),
    ("ssl.protocol", TLS_PROVIDER),
    ("ssl.enabled.protocols", TLS_PROVIDER),
    ("ssl.provider", TLS_PROVIDER),
    ("ssl.keymanager.algorithm", TLS_PROVIDER),
    ("ssl.trustmanager.algorithm", TLS_PROVIDER),
    ("ssl.secure.random.implementation", TLS_PROVIDER),
    ("ssl.engine.factory.class", TLS_PROVIDER),
    ("security.providers", TLS_PROVIDER),
    ("buffer.memory", "use --max-in-flight-bytes"),
    ("max.block.ms", "nothing blocks here, so drop it"),
    ("max.request.size", "use message.max.bytes"),
    ("send.buffer.bytes", "use socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "use socket.receive.buffer.bytes"),
    ("socket.connection.setup.timeout.max.ms", "use socket.connection.setup.timeout.ms"),
    (
        "partitioner.class",
        "use partitioner, which is Java's murmur2_random unless you say otherwise",
    ),
    ("partitioner.ignore.keys", "use a plugin that makes the keys null"),
    (
        "partitioner.adaptive.partitioning.enable",
        "records without a key stick to one partition per batch, so drop it",
    ),
    (
        "partitioner.availability.timeout.ms",
        "records without a key stick to one partition per batch, so drop it",
    ),
    ("interceptor.classes", "use a plugin of this program (--plugin)"),
    ("compression.gzip.level", LEVEL),
    ("compression.lz4.level", LEVEL),
    ("compression.zstd.level", LEVEL),
    ("metric.reporters", METRICS),
    ("metrics.num.samples", METRICS),
    ("metrics.sample.window.ms", METRICS),
    ("metrics.recording.level", METRICS),
    ("auto.include.jmx.reporter", METRICS),
];

/// What to do instead of setting a property of the Java client.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    PROPERTIES.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}
