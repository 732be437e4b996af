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
    /// The plugin that has last chosen its topic, or its partition.
    placed_by: Option<Arc<PluginName>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    records: usize,
    bytes: usize,
}

/// What becomes of some messages of a batch that stand together.
#[derive(Debug, Default)]
pub struct Chain {
    /// The first of them.
    first: usize,
    /// Bytes that all records of a message may take.
    limit: usize,
    /// In the order of their messages.
    pieces: Vec<Piece>,
    /// Of the records of the last message that has any.
    last: Size,
    /// Messages that become no record, and why.
    settled: Vec<Option<Verdict<'static>>>,
}

impl Chain {
    pub fn new(first: usize, limit: usize) -> Self {
        Self { first, limit, ..Self::default() }
    }

    /// The next message becomes no record.
    pub fn settle(&mut self, verdict: &Verdict<'_>) {
        self.settled.push(Some(owned(verdict)));
    }

    /// The next message becomes a record about which so much has been decided.
    pub fn begin(&mut self, draft: Draft) {
        let index = self.first + self.settled.len();
        self.pieces.push(Piece { index, draft, placed_by: None });
        self.settled.push(None);
    }

    /// Lets all transformers work, in order.
    pub fn run(&mut self, plugins: &mut Setters, batch: &Batch) {
        let (mut changed, mut answers) = (Batch::new(), Answers::new());
        for number in 0..plugins.transformers() {
            changed.clear(0);
            let drafts: Vec<Draft> =
                self.pieces.iter().map(|piece| present(piece, batch, &mut changed)).collect();
            let plugin = plugins.transformer(number).cloned();
            let mut given = std::mem::take(&mut self.pieces).into_iter();
            self.last = Size::default();
            let mut answered = 0;
            while answered < drafts.len() {
                plugins.transform(number, &changed, &drafts, answered, &mut answers);
                answered += answers.items.len();
                self.apply(plugin.as_ref(), &mut given, &mut answers);
            }
        }
    }

    /// Puts what a transformer has answered in the place of what it was given.
    fn apply(
        &mut self,
        plugin: Option<&Arc<PluginName>>,
        given: &mut impl Iterator<Item = Piece>,
        answers: &mut Answers,
    ) {
        for answer in answers.items.drain(..) {
            let Some(piece) = given.next() else { break };
            let index = piece.index;
            let settled = self.settled[index - self.first].is_some();
            match answer {
                // Its other records are gone already.
                answer if settled && !matches!(answer, Answer::Fatal(_)) => {}
                Answer::Records(drafts) => {
                    for draft in drafts {
                        let places = draft.topic.is_some() || draft.partition.is_some();
                        let placed_by =
                            plugin.filter(|_| places).or(piece.placed_by.as_ref()).cloned();
                        let draft = draft.over(&piece.draft);
                        if let Err(what) = self.add(Piece { index, draft, placed_by }) {
                            self.settle_last(index, too_much(&what, plugin));
                            break;
                        }
                    }
                }
                answer => match exceptional([&answer]) {
                    // The message's other records stay.
                    Some(Verdict::Skip(_)) => {}
                    Some(verdict) => self.settle_last(index, owned(&verdict)),
                    None => {
                        if let Err(what) = self.add(piece) {
                            self.settle_last(index, too_much(&what, plugin));
                        }
                    }
                },
            }
        }
    }

    /// Adds a record behind the others, unless its message has too much: what of it is said then.
    fn add(&mut self, piece: Piece) -> Result<(), String> {
        let so_far = self.pieces.last().filter(|last| last.index == piece.index);
        self.last = so_far.map_or_else(Size::default, |_| self.last);
        self.last.records += 1;
        self.last.bytes += piece.draft.size();
        if self.last.records > MOST {
            return Err(format!("more than {MOST} records"));
        }
        if self.last.bytes > self.limit {
            let limit = self.limit;
            return Err(format!("more than {limit} bytes of records (--plugin-output-limit)"));
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// Nothing more becomes of a message than this. Its records are the last ones, and go.
    fn settle_last(&mut self, index: usize, verdict: Verdict<'static>) {
        let others = self.pieces.partition_point(|piece| piece.index < index);
        self.pieces.truncate(others);
        self.settled[index - self.first] = Some(verdict);
    }

    /// Whether one of the messages has to wait.
    pub fn waits(&self) -> bool {
        self.settled.iter().flatten().any(|verdict| matches!(verdict, Verdict::Wait))
    }

    /// Says what becomes of each message, in order. What nobody has decided is as the built-in setters
    /// see the message. Gives how many `_timestamp`s named no time.
    pub fn finish(
        self,
        builtin: Builtin,
        batch: &Batch,
        decided: &mut impl FnMut(usize, Verdict<'_>),
    ) -> u64 {
        let mut pieces = self.pieces.iter().peekable();
        let mut unusable = 0;
        for (index, verdict) in (self.first..).zip(self.settled) {
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
            placed_by: piece.placed_by.as_ref(),
            // The plugin's answer was checked.
            partition: draft.partition.and_then(|partition| i32::try_from(partition).ok()),
            headers: headers.map(|headers| headers.iter().map(header).collect()),
        })),
    }
}

/// A transformer has made too much of a message; it need not have made most of it.
fn too_much(what: &str, plugin: Option<&Arc<PluginName>>) -> Verdict<'static> {
    let error = format!("the transformers made {what} of it");
    Verdict::Reject(Rejection { reason: Reason::BadOutput, error, plugin: plugin.cloned() })
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

    /// Bytes that the records of a message may take.
    const LIMIT: usize = 1 << 10;

    /// The next transformer answers.
    fn answer(chain: &mut Chain, items: Vec<Answer>) {
        answer_as(chain, None, items);
    }

    fn answer_as(chain: &mut Chain, plugin: Option<&Arc<PluginName>>, items: Vec<Answer>) {
        let mut given = std::mem::take(&mut chain.pieces).into_iter();
        let mut answers = Answers::new();
        answers.items = items;
        chain.apply(plugin, &mut given, &mut answers);
    }

    /// What becomes of these messages after transformers with these answers.
    fn told(payloads: &[&str], answers: Vec<Vec<Answer>>) -> Vec<String> {
        let batch = batch(payloads);
        let mut chain = Chain::new(0, LIMIT);
        for _ in payloads {
            chain.begin(Draft::default());
        }
        for items in answers {
            answer(&mut chain, items);
        }
        let text = |bytes: &Option<Cow<'_, [u8]>>| {
            bytes.as_deref().map_or("null".into(), String::from_utf8_lossy).into_owned()
        };
        let one = |record: &Record<'_>| format!("{}={}", text(&record.key), text(&record.value));
        let mut told = Vec::new();
        chain.finish(Builtin::new(true), &batch, &mut |index: usize, verdict: Verdict<'_>| {
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
        let mut chain = Chain::new(0, LIMIT);
        chain.settle(&Verdict::Skip(Cow::Borrowed("no")));
        chain.begin(key("k"));
        answer(&mut chain, vec![Answer::Default]);
        let mut told = Vec::new();
        chain.finish(Builtin::new(true), &batch, &mut |index: usize, verdict: Verdict<'_>| {
            told.push((index, matches!(verdict, Verdict::Skip(_))));
        });
        assert_eq!(told, [(0, true), (1, false)]);
    }

    #[test]
    fn the_plugin_that_has_chosen_a_topic_is_known() {
        let batch = batch(&["x"]);
        let topic = |name: &str| Draft { topic: Some(name.to_owned()), ..Draft::default() };
        let plugin = |name: &str| Arc::new(PluginName { name: name.into(), sha256: String::new() });
        let mut chain = Chain::new(0, LIMIT);
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
            answer_as(&mut chain, Some(&plugin(name)), answers);
        }
        let mut chosen = Vec::new();
        chain.finish(Builtin::new(true), &batch, &mut |_: usize, verdict: Verdict<'_>| {
            let Verdict::Records(records) = verdict else { panic!("three records") };
            for choice in records.iter().filter_map(|record| record.choice.as_ref()) {
                chosen.push((
                    choice.topic.as_deref().map(str::to_owned),
                    choice.placed_by.map(|plugin| plugin.name.clone()),
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

    #[test]
    fn records_that_are_repeated_until_they_take_too_much_are_stopped() {
        let large = || Answer::Records(vec![value(&"v".repeat(LIMIT / 2))]);
        let twice = || Answer::Records(vec![Draft::default(); 2]);
        let thrice = Answer::Records(vec![Draft::default(); 3]);
        let stages = vec![vec![large(), large()], vec![twice(), thrice]];
        let told = told(&["x", "y"], stages);
        assert!(told[0].starts_with("t=vvv"), "{}", told[0]);
        let error = "reject: the transformers made more than 1024 bytes of records \
                     (--plugin-output-limit) of it";
        assert_eq!(told[1], error);
    }
}
