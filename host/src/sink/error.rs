//! The sink, where Kafka refuses: what each error means for a record, in one exhaustive match. A record is
//! *rejected* if Kafka never takes it, *retryable* if nothing is wrong with it, and *purged* if it was only taken back; and a topic, a
//! partition or the producer may be at fault.

use rdkafka::types::RDKafkaRespErr as Code;

use crate::message::Reason;

/// What follows from an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Kafka never takes this record, or another one of its batch if brokers do not say which.
    Rejected(Reason, String),
    /// The topic is missing, has a name that cannot be, or this client may not write to it: the record's
    /// own fault if the message has named the topic.
    NoTopic(String),
    /// The topic does not have the partition, as far as Kafka's client knows.
    NoPartition,
    /// Nothing is wrong with the record.
    Retryable(String),
    /// Nothing is wrong with this producer's records, but with the producer.
    OutOfUse(String),
    /// It was taken back unsent, or refused for another record of its batch.
    Purged,
}

pub(super) const NOT_AUTHORISED: &str =
    "not authorised to write to the topic; give this client the Write right";

/// What goes behind the error of a producer that may not be idempotent.
pub(super) const NO_IDEMPOTENCE: &str = "; give this client the Write right on its topics, and with Kafka before 2.8 IdempotentWrite on the cluster";

/// What an error of a produced record means.
#[expect(clippy::too_many_lines, reason = "each code has its place, so that a new one is noticed")]
pub(super) fn meaning(code: Code) -> Meaning {
    use Code as E;
    let text = || text(code);
    match code {
        E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        | E::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE
        | E::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE => Meaning::Rejected(
            Reason::TooLarge,
            format!("Kafka takes no record this large ({})", text()),
        ),
        E::RD_KAFKA_RESP_ERR_INVALID_MSG
        | E::RD_KAFKA_RESP_ERR_INVALID_RECORD
        | E::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP
        | E::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT
        | E::RD_KAFKA_RESP_ERR_POLICY_VIOLATION
        | E::RD_KAFKA_RESP_ERR__INVALID_ARG => Meaning::Rejected(
            Reason::InvalidRecord,
            format!("Kafka refuses this record ({})", text()),
        ),
        E::RD_KAFKA_RESP_ERR__PURGE_QUEUE | E::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD => {
            Meaning::Purged
        }
        E::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION => Meaning::NoPartition,
        E::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC | E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => {
            Meaning::NoTopic(
                "the topic does not exist; create it, or let the broker create topics".to_owned(),
            )
        }
        E::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION => {
            Meaning::NoTopic("Kafka does not let clients write to a topic of this name".to_owned())
        }
        E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED => {
            Meaning::NoTopic(NOT_AUTHORISED.to_owned())
        }
        E::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED => {
            Meaning::Retryable(NOT_AUTHORISED.to_owned())
        }
        // What is under way when a producer goes out of use comes back like this.
        E::RD_KAFKA_RESP_ERR__FATAL
        | E::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
        | E::RD_KAFKA_RESP_ERR__INCONSISTENT
        | E::RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE
        | E::RD_KAFKA_RESP_ERR__FENCED
        | E::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER
        | E::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER
        | E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
        | E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID
        | E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
        | E::RD_KAFKA_RESP_ERR__DESTROY => Meaning::OutOfUse(text()),
        // Kafka is not ready, or what answers is no Kafka (`_BAD_MSG`), or these concern no producer.
        E::RD_KAFKA_RESP_ERR__BEGIN
        | E::RD_KAFKA_RESP_ERR__BAD_MSG
        | E::RD_KAFKA_RESP_ERR__BAD_COMPRESSION
        | E::RD_KAFKA_RESP_ERR__FAIL
        | E::RD_KAFKA_RESP_ERR__TRANSPORT
        | E::RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE
        | E::RD_KAFKA_RESP_ERR__RESOLVE
        | E::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
        | E::RD_KAFKA_RESP_ERR__PARTITION_EOF
        | E::RD_KAFKA_RESP_ERR__FS
        | E::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
        | E::RD_KAFKA_RESP_ERR__TIMED_OUT
        | E::RD_KAFKA_RESP_ERR__QUEUE_FULL
        | E::RD_KAFKA_RESP_ERR__ISR_INSUFF
        | E::RD_KAFKA_RESP_ERR__NODE_UPDATE
        | E::RD_KAFKA_RESP_ERR__SSL
        | E::RD_KAFKA_RESP_ERR__WAIT_COORD
        | E::RD_KAFKA_RESP_ERR__UNKNOWN_GROUP
        | E::RD_KAFKA_RESP_ERR__IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR__EXISTING_SUBSCRIPTION
        | E::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
        | E::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
        | E::RD_KAFKA_RESP_ERR__CONFLICT
        | E::RD_KAFKA_RESP_ERR__STATE
        | E::RD_KAFKA_RESP_ERR__UNKNOWN_PROTOCOL
        | E::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED
        | E::RD_KAFKA_RESP_ERR__AUTHENTICATION
        | E::RD_KAFKA_RESP_ERR__NO_OFFSET
        | E::RD_KAFKA_RESP_ERR__OUTDATED
        | E::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
        | E::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
        | E::RD_KAFKA_RESP_ERR__WAIT_CACHE
        | E::RD_KAFKA_RESP_ERR__INTR
        | E::RD_KAFKA_RESP_ERR__KEY_SERIALIZATION
        | E::RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION
        | E::RD_KAFKA_RESP_ERR__KEY_DESERIALIZATION
        | E::RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION
        | E::RD_KAFKA_RESP_ERR__PARTIAL
        | E::RD_KAFKA_RESP_ERR__READ_ONLY
        | E::RD_KAFKA_RESP_ERR__NOENT
        | E::RD_KAFKA_RESP_ERR__UNDERFLOW
        | E::RD_KAFKA_RESP_ERR__INVALID_TYPE
        | E::RD_KAFKA_RESP_ERR__RETRY
        | E::RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED
        | E::RD_KAFKA_RESP_ERR__UNKNOWN_BROKER
        | E::RD_KAFKA_RESP_ERR__NOT_CONFIGURED
        | E::RD_KAFKA_RESP_ERR__APPLICATION
        | E::RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST
        | E::RD_KAFKA_RESP_ERR__NOOP
        | E::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
        | E::RD_KAFKA_RESP_ERR__LOG_TRUNCATION
        | E::RD_KAFKA_RESP_ERR__DESTROY_BROKER
        | E::RD_KAFKA_RESP_ERR__END
        | E::RD_KAFKA_RESP_ERR_UNKNOWN
        | E::RD_KAFKA_RESP_ERR_NO_ERROR
        | E::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
        | E::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
        | E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
        | E::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH
        | E::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE
        | E::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION
        | E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR
        | E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
        | E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | E::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS
        | E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
        | E::RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL
        | E::RD_KAFKA_RESP_ERR_INVALID_GROUP_ID
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
        | E::RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT
        | E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE
        | E::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
        | E::RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM
        | E::RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE
        | E::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION
        | E::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS
        | E::RD_KAFKA_RESP_ERR_INVALID_PARTITIONS
        | E::RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR
        | E::RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT
        | E::RD_KAFKA_RESP_ERR_INVALID_CONFIG
        | E::RD_KAFKA_RESP_ERR_NOT_CONTROLLER
        | E::RD_KAFKA_RESP_ERR_INVALID_REQUEST
        | E::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE
        | E::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT
        | E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS
        | E::RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED
        | E::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | E::RD_KAFKA_RESP_ERR_SECURITY_DISABLED
        | E::RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED
        | E::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
        | E::RD_KAFKA_RESP_ERR_LOG_DIR_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
        | E::RD_KAFKA_RESP_ERR_REASSIGNMENT_IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTH_DISABLED
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_OWNER_MISMATCH
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED
        | E::RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_EXPIRED
        | E::RD_KAFKA_RESP_ERR_INVALID_PRINCIPAL_TYPE
        | E::RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP
        | E::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH
        | E::RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_TOPIC_DELETION_DISABLED
        | E::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH
        | E::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE
        | E::RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH
        | E::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_MEMBER_ID_REQUIRED
        | E::RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED
        | E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
        | E::RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE
        | E::RD_KAFKA_RESP_ERR_ELECTION_NOT_NEEDED
        | E::RD_KAFKA_RESP_ERR_NO_REASSIGNMENT_IN_PROGRESS
        | E::RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC
        | E::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT
        | E::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED
        | E::RD_KAFKA_RESP_ERR_RESOURCE_NOT_FOUND
        | E::RD_KAFKA_RESP_ERR_DUPLICATE_RESOURCE
        | E::RD_KAFKA_RESP_ERR_UNACCEPTABLE_CREDENTIAL
        | E::RD_KAFKA_RESP_ERR_INCONSISTENT_VOTER_SET
        | E::RD_KAFKA_RESP_ERR_INVALID_UPDATE_VERSION
        | E::RD_KAFKA_RESP_ERR_FEATURE_UPDATE_FAILED
        | E::RD_KAFKA_RESP_ERR_PRINCIPAL_DESERIALIZATION_FAILURE
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID
        | E::RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH
        | E::RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID
        | E::RD_KAFKA_RESP_ERR_UNSUPPORTED_ASSIGNOR
        | E::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_SUBSCRIPTION_ID
        | E::RD_KAFKA_RESP_ERR_TELEMETRY_TOO_LARGE
        | E::RD_KAFKA_RESP_ERR_REBOOTSTRAP_REQUIRED
        | E::RD_KAFKA_RESP_ERR_END_ALL => Meaning::Retryable(text()),
    }
}

/// librdkafka's words for an error.
pub(super) fn text(code: Code) -> String {
    rdkafka::error::RDKafkaErrorCode::from(code).to_string()
}
