//! Beside the path: what to say when Kafka does not answer, or not with the topic.

use rdkafka::error::RDKafkaErrorCode as Code;

/// Whether trying again with the same options cannot help.
pub(super) fn is_permanent(code: Code, reason: &str) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL)
        || refuses_certificate(reason)
}

/// Whether the broker ended the TLS connection because of the client's certificate. In TLS 1.3 it
/// does so after the handshake.
fn refuses_certificate(reason: &str) -> bool {
    reason.contains("SSL routines")
        && reason.contains("alert")
        && (reason.contains("certificate") || reason.contains("unknown ca"))
}

/// Whether the broker hung up before it had said anything of use. librdkafka means to say what this
/// often means, but does not (2.12.1).
fn hung_up_early(text: &str) -> bool {
    let state = text.split_once(" (after ").map_or("", |(_, state)| state);
    let young = state
        .split_once("ms ")
        .and_then(|(ms, _)| ms.parse::<u32>().ok())
        .is_some_and(|ms| ms < 2_000);
    text.contains("Disconnected")
        && (state.contains("in state APIVERSION_QUERY") || young && state.contains("in state UP"))
}

/// librdkafka ends its texts with how long the connection was in which state, and begins those in its
/// log with a thread's name.
fn without_state(text: &str) -> &str {
    let logged = text.strip_prefix("[thrd:").and_then(|text| text.split_once("]: "));
    let text = logged.map_or(text, |(_, text)| text);
    text.split_once(" (after ").map_or(text, |(reason, _)| reason)
}

/// librdkafka goes on with one of the cures for a certificate that does not verify.
fn without_advice(reason: &str) -> &str {
    reason.split_once(": broker certificate could not be verified").map_or(reason, |(what, _)| what)
}

/// Why no broker answers, in one line that names the cure.
pub(super) fn explain(brokers: &str, code: Code, text: &str) -> String {
    let reason = without_state(text);
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed
            if reason.contains("Unsupported SASL mechanism") =>
        {
            format!(
                "Kafka at {brokers} does not take this mechanism: {reason}; see -X sasl.mechanisms"
            )
        }
        Code::Authentication | Code::SaslAuthenticationFailed => format!(
            "Kafka at {brokers} refuses these credentials: {reason}; see -X sasl.username and -X sasl.password"
        ),
        _ if refuses_certificate(reason) => format!(
            "Kafka at {brokers} wants a certificate of this client, or does not trust the one it has: {reason}; \
             see -X ssl.certificate.location and -X ssl.key.location"
        ),
        // OpenSSL tells librdkafka no more than that it does not verify.
        Code::SSL if reason.contains("certificate") => format!(
            "the certificate of Kafka at {brokers} is not to be trusted: {}; either it has expired (renew it at the \
             broker), or its authority is not known (give that one's file with -X ssl.ca.location), or it is for \
             another name (give that one in --broker-address)",
            without_advice(reason)
        ),
        Code::SSL => format!(
            "TLS with Kafka at {brokers} failed: {reason}; see -X security.protocol and -X ssl.ca.location"
        ),
        _ if reason.contains("PLAINTEXT broker listener?") => format!(
            "Kafka at {brokers} hangs up when spoken to with TLS: {reason}; \
             if its port is for plain text, leave -X security.protocol out or make it sasl_plaintext"
        ),
        _ if hung_up_early(text) => format!(
            "Kafka at {brokers} hangs up at once: {reason}; if its port wants TLS or a password, say so with \
             -X security.protocol=ssl, sasl_plaintext or sasl_ssl"
        ),
        _ => format!("Kafka at {brokers} does not answer: {reason}"),
    }
}

/// What to say when a broker answers, but not with the topic.
pub(super) fn explain_topic(topic: &str, code: Code) -> String {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition => {
            format!(
                "Kafka topic {topic:?} does not exist, and the broker does not create it; create it"
            )
        }
        Code::TopicAuthorizationFailed => {
            format!(
                "this client may not use Kafka topic {topic:?}; give it the Describe and Write rights"
            )
        }
        Code::InvalidTopic => format!("{topic:?} is no name for a Kafka topic; see --kafka-topic"),
        code => format!("Kafka topic {topic:?} is not ready: {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_nobody_is_left_out_of_reasons() {
        let logged =
            "[thrd:a:1/bootstrap]: a:1/bootstrap: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(without_state(logged), "a:1/bootstrap: Connection refused");
        assert_eq!(without_state("[thrd: no end"), "[thrd: no end");
    }

    #[test]
    fn every_way_to_be_kept_out_names_its_cure() {
        let transport = Code::BrokerTransportFailure;
        for (code, text, cure) in [
            (
                Code::Authentication,
                "b: SASL authentication error: Authentication failed",
                "sasl.password",
            ),
            (
                Code::Authentication,
                "b: handshake failed: Broker: Unsupported SASL mechanism",
                "sasl.mechanisms",
            ),
            (Code::SSL, "b: certificate verify failed", "ssl.ca.location"),
            (Code::SSL, "b: certificate verify failed", "expired (renew it at the broker)"),
            (Code::SSL, "b: certificate verify failed", "--broker-address"),
            (Code::SSL, "b: wrong version number", "security.protocol"),
            (
                transport,
                "b: SSL routines::tlsv13 alert certificate required",
                "ssl.certificate.location",
            ),
            (transport, "b: SSL routines::tlsv1 alert unknown ca", "ssl.certificate.location"),
            (
                transport,
                "b: Disconnected: connecting to a PLAINTEXT broker listener?",
                "sasl_plaintext",
            ),
            (
                transport,
                "b: Disconnected: closed (after 3ms in state APIVERSION_QUERY)",
                "sasl_ssl",
            ),
            (transport, "b: Disconnected: closed (after 3ms in state UP)", "sasl_ssl"),
            (transport, "b: Disconnected: closed (after 30000ms in state UP)", "does not answer"),
            (transport, "b: Connection refused (after 0ms in state CONNECT)", "does not answer"),
        ] {
            let line = explain("a:1", code, text);
            assert!(line.contains(cure) && line.contains("a:1"), "{text}: {line}");
            assert!(line.contains("b: ") && !line.contains("(after"), "{line}");
        }
    }
}
