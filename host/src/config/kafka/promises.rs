//! Which properties of librdkafka are not for the user to set, because a promise of this program
//! rests on them, or only to some values.
//!
//! Compared with CONFIGURATION.md of librdkafka 2.12.1; `docs/kafka.md` has the same table.

/// A property, under all its names.
pub(super) struct Promise {
    pub names: &'static [&'static str],
    pub allowed: Allowed,
    pub reason: &'static str,
}

/// What it may be set to.
pub(super) enum Allowed {
    Nothing,
    /// Compared without blanks around it and without regard to case, as librdkafka does or less
    /// strictly.
    Only(&'static [&'static str]),
    AllBut(&'static str),
    /// A decimal number.
    AtLeast(u64),
}

const TRUE: Allowed = Allowed::Only(&["true", "t", "1"]);
const FALSE: Allowed = Allowed::Only(&["false", "f", "0"]);

const FOR_EVER: &str =
    "records are tried again as long as it takes; giving one up would lose it or break the order";
const CALLBACK: &str = "it connects Kafka's client with this program, which does that itself";

pub(super) const PROMISES: &[Promise] = &[
    Promise {
        names: &["bootstrap.servers", "metadata.broker.list"],
        allowed: Allowed::Nothing,
        reason: "use --broker-address",
    },
    Promise {
        names: &["acks", "request.required.acks"],
        allowed: Allowed::Only(&["all", "-1"]),
        reason: "a message is acknowledged to MQTT once all in-sync replicas have its record, so this stays \"all\"",
    },
    Promise {
        names: &["enable.idempotence"],
        allowed: TRUE,
        reason: "without it a retry could write a record twice or out of order",
    },
    Promise {
        names: &["message.timeout.ms", "delivery.timeout.ms"],
        allowed: Allowed::Only(&["0"]),
        reason: FOR_EVER,
    },
    Promise {
        names: &["retries", "message.send.max.retries"],
        allowed: Allowed::Only(&["2147483647"]),
        reason: FOR_EVER,
    },
    Promise {
        names: &["max.in.flight", "max.in.flight.requests.per.connection"],
        allowed: Allowed::Only(&["1", "2", "3", "4", "5"]),
        reason: "order and idempotence hold up to 5 requests in flight: give it 1 to 5",
    },
    Promise {
        names: &["enable.gapless.guarantee"],
        allowed: FALSE,
        reason: "it makes every failed batch fatal, also where trying again is enough",
    },
    Promise {
        names: &["transactional.id"],
        allowed: Allowed::Nothing,
        reason: "records are not written in transactions, so none would ever be committed",
    },
    Promise {
        names: &["queuing.strategy"],
        allowed: Allowed::Only(&["fifo"]),
        reason: "records leave in the order their messages came, so this stays \"fifo\"",
    },
    Promise {
        names: &["partitioner"],
        allowed: Allowed::AllBut("random"),
        reason: "records of one key must go to one partition, or they would lose their order",
    },
    Promise {
        names: &["delivery.report.only.error"],
        allowed: TRUE,
        reason: "what Kafka has is known before there could be a report of it",
    },
    Promise {
        names: &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        allowed: Allowed::Nothing,
        reason: "the queue must hold all that is in flight: use --max-in-flight-bytes",
    },
    Promise {
        names: &["message.max.bytes"],
        allowed: Allowed::AtLeast(131_072),
        reason: "a dead letter of 64 KiB and its headers must fit: give it a number from 131072",
    },
    Promise {
        names: &["api.version.request"],
        allowed: TRUE,
        reason: "without it Kafka's client takes every broker for one that knows neither headers nor idempotence",
    },
    Promise {
        names: &["statistics.interval.ms"],
        allowed: Allowed::Nothing,
        reason: "this program learns from it whether Kafka is there",
    },
    Promise {
        names: &["internal.termination.signal"],
        allowed: Allowed::Nothing,
        reason: "signals are for this program, which stops cleanly on them",
    },
    Promise {
        names: &["plugin.library.paths"],
        allowed: Allowed::Nothing,
        reason: "native code inside Kafka's client could change anything promised here",
    },
    Promise {
        names: &["queue.buffering.max.ms"],
        allowed: Allowed::Nothing,
        reason: "it is the old name of linger.ms: use that",
    },
    Promise {
        names: &["compression.codec"],
        allowed: Allowed::Nothing,
        reason: "it is the old name of compression.type: use that",
    },
    Promise {
        names: &["enabled_events", "opaque", "default_topic_conf", "interceptors", "msg_order_cmp"],
        allowed: Allowed::Nothing,
        reason: CALLBACK,
    },
    Promise { names: &["..._cb"], allowed: Allowed::Nothing, reason: CALLBACK },
    Promise {
        names: &["test.mock..."],
        allowed: Allowed::Nothing,
        reason: "records would go to a simulated Kafka and be lost: see `host demo`",
    },
];

/// Why a property may not have a value, if it may not.
pub(super) fn broken(name: &str, value: &str) -> Option<&'static str> {
    let promise = PROMISES.iter().find(|promise| promise.names.iter().any(|of| is(name, of)))?;
    let value = value.trim();
    let allowed = match promise.allowed {
        Allowed::Nothing => false,
        Allowed::Only(values) => values.iter().any(|allowed| value.eq_ignore_ascii_case(allowed)),
        Allowed::AllBut(refused) => !value.eq_ignore_ascii_case(refused),
        Allowed::AtLeast(least) => value.parse::<u64>().is_ok_and(|number| number >= least),
    };
    (!allowed).then_some(promise.reason)
}

/// Whether a name is the one in the table, where `...` stands for anything.
fn is(name: &str, listed: &str) -> bool {
    match (listed.strip_prefix("..."), listed.strip_suffix("...")) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of the documentation's table.
    fn row(promise: &Promise) -> String {
        let names: Vec<_> = promise.names.iter().map(|name| format!("`{name}`")).collect();
        let allowed = match promise.allowed {
            Allowed::Nothing => "nothing".to_owned(),
            Allowed::Only(values) => {
                values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
            }
            Allowed::AllBut(refused) => format!("anything but `{refused}`"),
            Allowed::AtLeast(least) => format!("{least} or more"),
        };
        format!("| {} | {allowed} | {} |", names.join(", "), promise.reason)
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let text = include_str!("../../../../docs/kafka.md");
        let (_, table) = text.split_once("| property | may be |").expect("the table is there");
        let (table, _) = table.split_once("\n\n").expect("the table ends");
        let documented: Vec<_> = table.lines().skip(2).collect();
        let rows: Vec<_> = PROMISES.iter().map(row).collect();
        assert_eq!(documented, rows);
    }
}
