//! Which errors of Kafka are a record's own fault, and what to say about the others.

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::message::Reason;

/// Why Kafka does not have a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Kafka's client refuses the record itself: it can never be sent.
    Guilty(Reason, String),
    /// Some record of the request is one that Kafka never takes; not always this one, since
    /// brokers refuse a request as a whole. A record refused when sent alone is guilty.
    Suspect(Reason, String),
    /// Nothing is wrong with the record: it is sent again when the trouble is over.
    Trouble(String),
    /// Nothing is wrong at all: it only must not overtake a record before it.
    HeldBack,
}

impl Fault {
    /// The fault of a record that was refused before it was sent.
    pub(super) fn at_once(code: Code) -> Self {
        match Self::reported(code) {
            Self::Suspect(reason, text) => Self::Guilty(reason, text),
            fault => fault,
        }
    }

    /// The fault that a delivery report tells.
    pub(super) fn reported(code: Code) -> Self {
        match code {
            Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
                Self::Suspect(
                    Reason::TooLarge,
                    format!("Kafka takes no record this large ({code})"),
                )
            }
            Code::InvalidMessage
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::UnsupportedForMessageFormat
            | Code::PolicyViolation
            | Code::InvalidArgument
            | Code::BadMessage => {
                Self::Suspect(Reason::InvalidRecord, format!("Kafka refuses this record ({code})"))
            }
            Code::PurgeQueue => Self::HeldBack,
            code => Self::Trouble(trouble(code)),
        }
    }
}

/// Trouble in one line, with its cure.
fn trouble(code: Code) -> String {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "the topic does not exist; create it, or let the broker create topics".to_owned()
        }
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            "not authorised to write to the topic; give this client the Write right".to_owned()
        }
        Code::PurgeInflight | Code::Fatal => {
            "the producer lost its place and starts again".to_owned()
        }
        code => code.to_string(),
    }
}

/// Whether trying again with the same options cannot help.
pub(super) fn is_permanent(code: Code) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL)
}

/// What to say when no broker answers.
pub(super) fn explain(brokers: &str, code: Code, reason: &str) -> String {
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => {
            format!(
                "Kafka at {brokers} refuses these credentials: {reason}; see -X sasl.username and -X sasl.password"
            )
        }
        Code::SSL => {
            format!(
                "TLS with Kafka at {brokers} failed: {reason}; see -X security.protocol and -X ssl.ca.location"
            )
        }
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
