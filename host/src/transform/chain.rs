//! The transformers of a route, one after the other: each gets, one by one, the records that the one
//! before it has made of a batch of messages.

use std::borrow::Cow;
use std::sync::Arc;

use super::builtin::{Builtin, Decision, Wanted};
use super::exceptional;
use crate::message::{
    Batch, Choice, Header, Message, PluginName, Reason, Record, Rejection, Verdict,
};
use crate::plugin::{Answer, Answers, Content, Draft, DraftHeader, Setters};

/// Most records that a whole chain may make of a message. A ticket has no room for more.
pub const MOST: usize = 1 << 16;

/// A record in the making.
#[derive(Debug)]
struct Piece {
    /// Which message of the batch it is made of.
    index: usize,
    draft: Draft,
    /// The plugin that has chosen its topic.
    topic_by: Option<Arc<PluginName>>,
}

/// What becomes of the messages of one batch.
#[derive(Debug, Default)]
pub struct Chain {
    /// In the order of their messages.
    pieces: Vec<Piece>,
    /// Messages that become no record, and why.
    settled: Vec<Option<Verdict<'static>>>,
}

impl Chain {
    /// The next message becomes no record.
    pub fn settle(&mut self, verdict: &Verdict<'_>) {
        self.settled.push(Some(owned(verdict)));
    }

    /// The next message becomes a record about which so much has been decided.
    pub fn begin(&mut self, draft: Draft) {
        self.pieces.push(Piece { index: self.settled.len(), draft, topic_by: None });
        self.settled.push(None);
    }

    /// Lets all transformers work, in order.
    pub fn run(&mut self, plugins: &mut Setters, batch: &Batch) {
        let (mut changed, mut answers) = (Batch::new(), Answers::new());
        for number in 0..plugins.transformers() {
            changed.clear(0);
            let drafts: Vec<Draft> =
                self.pieces.iter().map(|piece| present(piece, batch, &mut changed)).collect();
            plugins.transform(number, &changed, &drafts, &mut answers);
            self.apply(plugins.transformer(number), &mut answers);
        }
    }

    /// Puts what a transformer has answered in the place of what it was given.
    fn apply(&mut self, plugin: Option<&Arc<PluginName>>, answers: &mut Answers) {
        let mut made: Vec<Piece> = Vec::with_capacity(self.pieces.len());
        let pieces = std::mem::take(&mut self.pieces);
        // Where the records of the message at hand begin.
        let mut first = 0;
        for (piece, answer) in pieces.into_iter().zip(answers.items.drain(..)) {
            let index = piece.index;
            if made.last().is_some_and(|last| last.index != index) {
                first = made.len();
            }
            match answer {
                Answer::Records(drafts) => {
                    let over = |draft: Draft| {
                        let chosen = draft.topic.as_ref().and(plugin);
                        let topic_by = chosen.or(piece.topic_by.as_ref()).cloned();
                        Piece { index, draft: draft.over(&piece.draft), topic_by }
                    };
                    made.extend(drafts.into_iter().map(over));
                    if made.len() - first > MOST {
                        made.truncate(first);
                        self.settled[index] = Some(too_many());
                    }
                }
                answer => match exceptional([&answer]) {
                    // The message's other records stay.
                    Some(Verdict::Skip(_)) => {}
                    // One of the message's other records has broken the plugin.
                    Some(Verdict::Wait) if self.settled[index].is_some() => {}
                    Some(verdict) => self.settled[index] = Some(owned(&verdict)),
                    None => made.push(piece),
                },
            }
        }
        let settled = &self.settled;
        made.retain(|piece| settled[piece.index].is_none());
        self.pieces = made;
    }

    /// Says what becomes of each message, in order. What nobody has decided is as the built-in setters
    /// see the message. Gives how many `_timestamp`s named no time.
    pub fn finish(
        self,
        builtin: Builtin,
        batch: &Batch,
        mut decided: impl FnMut(usize, Verdict<'_>),
    ) -> u64 {
        let mut pieces = self.pieces.iter().peekable();
        let mut unusable = 0;
        for (index, verdict) in self.settled.into_iter().enumerate() {
            let own = std::iter::from_fn(|| pieces.next_if(|piece| piece.index == index));
            let own: Vec<&Piece> = own.collect();
            if let Some(verdict) = verdict {
                let waits = matches!(verdict, Verdict::Wait);
                decided(index, verdict);
                if waits {
                    break;
                }
                continue;
            }
            let message = batch.message(index);
            let wanted = Wanted {
                key: own.iter().any(|piece| piece.draft.key == Content::Default),
                timestamp: own.iter().any(|piece| piece.draft.timestamp_ms.is_none()),
            };
            let decision = builtin.decide(&message, wanted);
            unusable += u64::from(decision.timestamp_unusable);
            let mut records: Vec<Record<'_>> =
                own.into_iter().map(|piece| record(piece, &decision, &message)).collect();
            decided(
                index,
                match records.len() {
                    0 => Verdict::Skip(Cow::Borrowed("a transformer made no record of it")),
                    1 => Verdict::Record(records.remove(0)),
                    _ => Verdict::Records(records),
                },
            );
        }
        unusable
    }
}

/// Adds the message of a record as a transformer gets it, and gives what else has been decided.
fn present(piece: &Piece, batch: &Batch, changed: &mut Batch) -> Draft {
    let (message, draft) = (batch.message(piece.index), &piece.draft);
    match &draft.value {
        Content::Default => changed.push_deserialized(&message, message.json()),
        Content::Null => changed.push_changed(&message, &[]),
        Content::Bytes(bytes) => {
            changed.push_changed(&message, bytes);
            return Draft { value: Content::Default, ..draft.clone() };
        }
    }
    draft.clone()
}

fn record<'a>(piece: &'a Piece, decision: &Decision<'a>, message: &Message<'a>) -> Record<'a> {
    let draft = &piece.draft;
    let content = |content: &'a Content, otherwise: Option<Cow<'a, [u8]>>| match content {
        Content::Default => otherwise,
        Content::Null => None,
        Content::Bytes(bytes) => Some(Cow::Borrowed(bytes.as_slice())),
    };
    let header = |(name, value): &'a DraftHeader| Header {
        name: Cow::Borrowed(name),
        value: value.as_deref().map(Cow::Borrowed),
    };
    let headers = draft.headers.as_ref();
    Record {
        key: content(&draft.key, decision.key.clone()),
        value: content(&draft.value, Some(Cow::Borrowed(message.payload()))),
        timestamp_ms: draft.timestamp_ms.unwrap_or(decision.timestamp_ms),
        choice: Some(Box::new(Choice {
            topic: draft.topic.as_deref().map(Cow::Borrowed),
            topic_by: piece.topic_by.as_ref(),
            // The plugin's answer was checked.
            partition: draft.partition.and_then(|partition| i32::try_from(partition).ok()),
            headers: headers.map(|headers| headers.iter().map(header).collect()),
        })),
    }
}

fn too_many() -> Verdict<'static> {
    let error = format!("the transformers made more than {MOST} records of it");
    Verdict::Reject(Rejection { reason: Reason::BadOutput, error, plugin: None })
}

fn owned(verdict: &Verdict<'_>) -> Verdict<'static> {
    match verdict {
        Verdict::Skip(why) => Verdict::Skip(Cow::Owned(why.clone().into_owned())),
        Verdict::Reject(rejection) => Verdict::Reject(rejection.clone()),
        Verdict::Fatal(rejection) => Verdict::Fatal(rejection.clone()),
        Verdict::Wait => Verdict::Wait,
        // Only what becomes no record is kept.
        Verdict::Record(_) | Verdict::Records(_) => Verdict::Skip(Cow::Borrowed("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Publish, Qos};

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::new();
        for payload in payloads {
            let publish = Publish {
                topic: "t",
                payload: payload.as_bytes(),
                qos: Qos::AtLeastOnce,
                retain: false,
                dup: false,
                packet_id: 1,
                properties: None,
            };
            batch.push(0, 7, &publish);
        }
        batch
    }

    fn key(text: &str) -> Draft {
        Draft { key: Content::Bytes(text.into()), ..Draft::default() }
    }

    fn value(text: &str) -> Draft {
        Draft { value: Content::Bytes(text.into()), ..Draft::default() }
    }

    fn rejection(error: &str) -> Rejection {
        let plugin = Some(Arc::new(PluginName { name: "p".into(), sha256: String::new() }));
        Rejection { reason: Reason::BadMessage, error: error.to_owned(), plugin }
    }

    /// What becomes of these messages after transformers with these answers.
    fn told(payloads: &[&str], answers: Vec<Vec<Answer>>) -> Vec<String> {
        let batch = batch(payloads);
        let mut chain = Chain::default();
        for _ in payloads {
            chain.begin(Draft::default());
        }
        for items in answers {
            chain.apply(None, &mut Answers { items, ..Answers::new() });
        }
        let text = |bytes: &Option<Cow<'_, [u8]>>| {
            bytes.as_deref().map_or("null".into(), String::from_utf8_lossy).into_owned()
        };
        let one = |record: &Record<'_>| format!("{}={}", text(&record.key), text(&record.value));
        let mut told = Vec::new();
        chain.finish(Builtin::new(true), &batch, |index, verdict| {
            assert_eq!(index, told.len());
            told.push(match verdict {
                Verdict::Record(record) => one(&record),
                Verdict::Records(records) => records.iter().map(one).collect::<Vec<_>>().join(", "),
                Verdict::Skip(why) => format!("skip: {why}"),
                Verdict::Reject(why) => format!("reject: {}", why.error),
                Verdict::Fatal(why) => format!("fatal: {}", why.error),
                Verdict::Wait => "wait".to_owned(),
            });
        });
        told
    }

    #[test]
    fn each_transformer_gets_the_records_of_the_one_before_it() {
        let split = vec![Answer::Records(vec![value("1"), value("2")]), Answer::Default];
        let keyed = vec![
            Answer::Records(vec![key("a")]),
            Answer::Records(vec![key("b"), value("3")]),
            Answer::Records(vec![Draft { value: Content::Null, ..key("c") }]),
        ];
        let payloads = ["x", r#"{"_key":"k"}"#];
        assert_eq!(told(&payloads, vec![split, keyed]), ["a=1, b=2, t=3", "c=null"]);
        assert_eq!(told(&payloads, vec![]), ["t=x", "k={\"_key\":\"k\"}"]);
    }

    #[test]
    fn a_record_that_is_skipped_leaves_the_others_and_one_that_is_rejected_does_not() {
        let split = || {
            vec![Answer::Records(vec![value("1"), value("2")]), Answer::Records(vec![value("3")])]
        };
        let skip = Answer::Skip("no".to_owned());
        let second = vec![skip.clone(), Answer::Default, skip];
        assert_eq!(
            told(&["x", "y"], vec![split(), second]),
            ["t=2", "skip: a transformer made no record of it"]
        );
        let second = vec![Answer::Default, Answer::Reject(rejection("bad")), Answer::Default];
        let third = vec![Answer::Records(vec![key("k")])];
        assert_eq!(told(&["x", "y"], vec![split(), second, third]), ["reject: bad", "k=3"]);
    }

    #[test]
    fn what_setters_have_settled_reaches_no_transformer() {
        let batch = batch(&["x", "y"]);
        let mut chain = Chain::default();
        chain.settle(&Verdict::Skip(Cow::Borrowed("no")));
        chain.begin(key("k"));
        chain.apply(None, &mut Answers { items: vec![Answer::Default], ..Answers::new() });
        let mut told = Vec::new();
        chain.finish(Builtin::new(true), &batch, |index, verdict| {
            told.push((index, matches!(verdict, Verdict::Skip(_))));
        });
        assert_eq!(told, [(0, true), (1, false)]);
    }

    #[test]
    fn the_plugin_that_has_chosen_a_topic_is_known() {
        let batch = batch(&["x"]);
        let topic = |name: &str| Draft { topic: Some(name.to_owned()), ..Draft::default() };
        let plugin = |name: &str| Arc::new(PluginName { name: name.into(), sha256: String::new() });
        let mut chain = Chain::default();
        chain.begin(Draft::default());
        for (name, drafts) in [
            ("first", vec![topic("a"), key("k"), topic("b")]),
            ("second", vec![key("k")]),
            ("third", vec![topic("c")]),
        ] {
            let answers = match name {
                "third" => vec![Answer::Default, Answer::Default, Answer::Records(drafts)],
                "second" => vec![Answer::Records(drafts), Answer::Default, Answer::Default],
                _ => vec![Answer::Records(drafts)],
            };
            chain.apply(Some(&plugin(name)), &mut Answers { items: answers, ..Answers::new() });
        }
        let mut chosen = Vec::new();
        chain.finish(Builtin::new(true), &batch, |_, verdict| {
            let Verdict::Records(records) = verdict else { panic!("three records") };
            for choice in records.iter().filter_map(|record| record.choice.as_ref()) {
                chosen.push((
                    choice.topic.as_deref().map(str::to_owned),
                    choice.topic_by.map(|plugin| plugin.name.clone()),
                ));
            }
        });
        let expected = [(Some("a"), Some("first")), (None, None), (Some("c"), Some("third"))];
        let expected =
            expected.map(|(topic, by)| (topic.map(str::to_owned), by.map(str::to_owned)));
        assert_eq!(chosen, expected);
    }

    #[test]
    fn a_message_that_has_broken_a_transformer_is_rejected_and_those_behind_it_wait() {
        let split = || Answer::Records(vec![value("1"), value("2")]);
        let first = vec![split(), split(), split()];
        let reject = Answer::Reject(rejection("bad"));
        let wait = || Answer::Wait;
        let second = vec![reject, wait(), wait(), wait(), wait(), wait()];
        // What is behind the first that waits is not decided about.
        assert_eq!(told(&["x", "y", "z"], vec![first, second]), ["reject: bad", "wait"]);
    }

    #[test]
    fn a_chain_that_multiplies_without_end_is_stopped() {
        let many = || Answer::Records(vec![Draft::default(); 1_000]);
        let second = (0..1_000).map(|_| many()).chain([Answer::Default]).collect();
        let told = told(&["x", "y"], vec![vec![many(), Answer::Default], second]);
        assert!(told[0].starts_with("reject: the transformers made more than"), "{}", told[0]);
        assert_eq!(told[1], "t=y");
    }
}
