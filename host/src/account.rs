//! What has become of the messages of a source: an account for each, from its arrival until all that
//! it has become is done with.
//!
//! A message becomes as many parts as it takes routes, and each of these as many records as a plugin
//! makes of it. It is settled when all of them are, and what has become of it is the worst that has
//! happened to one of them.

use crate::message::Sequence;
use crate::numbered::Numbered;

/// What became of a message; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Skipped,
    Delivered,
    DeadLettered,
}

/// How far a source's messages are settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// The first message that somebody waits for and that is not settled, or the next to come.
    pub up_to: Sequence,
    /// Nothing is open, also of what nobody waits for.
    pub all: bool,
}

/// When whoever asks how far messages are settled is to be woken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wake {
    /// It asks again by itself.
    Never,
    /// When they are settled further.
    #[default]
    Further,
    /// Also when nothing is open any more.
    All,
}

#[derive(Debug)]
struct Account {
    /// Parts that are not done with.
    left: u32,
    worst: Fate,
    /// Somebody waits for it: the MQTT server, at QoS 1 and 2.
    is_awaited: bool,
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Accounts {
    /// Those of messages that are not settled.
    open: Numbered<Account>,
    up_to: Sequence,
}

impl Accounts {
    /// Opens the account of the next message, which becomes so many parts.
    pub fn open(&mut self, parts: usize, is_awaited: bool) {
        let account = Account { left: parts as u32, worst: Fate::Skipped, is_awaited };
        self.open.push((parts > 0).then_some(account));
        self.move_on();
    }

    /// A part becomes so many records, at least one. To be said before any of them can be done with.
    pub fn split(&mut self, sequence: Sequence, records: usize) {
        if let Some(account) = self.open.get_mut(sequence) {
            account.left += records as u32 - 1;
        }
    }

    /// A part is done with; what became of the message, if that was the last one.
    pub fn done(&mut self, sequence: Sequence, fate: Fate) -> Option<Fate> {
        let account = self.open.get_mut(sequence)?;
        account.left -= 1;
        account.worst = account.worst.max(fate);
        let worst = (account.left == 0).then_some(account.worst)?;
        self.open.remove(sequence);
        self.move_on();
        Some(worst)
    }

    /// How far all is settled.
    pub fn settled(&self) -> Settled {
        Settled { up_to: self.up_to, all: self.open.is_empty() }
    }

    fn move_on(&mut self) {
        self.up_to = self.open.find(self.up_to, |account| account.is_awaited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn settled(up_to: Sequence, all: bool) -> Settled {
        Settled { up_to, all }
    }

    #[test]
    fn messages_are_settled_up_to_the_first_that_is_not() {
        let mut accounts = Accounts::default();
        assert_eq!(accounts.settled(), settled(0, true));
        for _ in 0..3 {
            accounts.open(1, true);
        }
        assert_eq!(accounts.done(1, Fate::Delivered), Some(Fate::Delivered));
        assert_eq!(accounts.settled(), settled(0, false));
        assert_eq!(accounts.done(0, Fate::Skipped), Some(Fate::Skipped));
        assert_eq!(accounts.settled(), settled(2, false));
        assert_eq!(accounts.done(2, Fate::DeadLettered), Some(Fate::DeadLettered));
        assert_eq!(accounts.settled(), settled(3, true));
        // Nothing is done with twice, and nothing that never was.
        for sequence in [0, 2, 3] {
            assert_eq!(accounts.done(sequence, Fate::Delivered), None);
        }
        assert_eq!(accounts.settled(), settled(3, true));
    }

    #[test]
    fn nobody_waits_behind_a_message_that_nobody_waits_for() {
        let mut accounts = Accounts::default();
        accounts.open(1, false);
        accounts.open(1, true);
        assert_eq!(accounts.settled(), settled(1, false));
        assert_eq!(accounts.done(1, Fate::Delivered), Some(Fate::Delivered));
        accounts.open(1, false);
        assert_eq!(accounts.settled(), settled(3, false));
        accounts.done(2, Fate::Delivered);
        assert_eq!(accounts.settled(), settled(3, false));
        accounts.done(0, Fate::Delivered);
        assert_eq!(accounts.settled(), settled(3, true));
    }

    #[test]
    fn a_message_is_settled_with_its_last_part_and_counts_as_the_worst_of_them() {
        use Fate::{DeadLettered, Delivered, Skipped};
        for (fates, expected) in [
            ([Delivered, Delivered], Delivered),
            ([Delivered, Skipped], Delivered),
            ([Skipped, Skipped], Skipped),
            ([DeadLettered, Delivered], DeadLettered),
            ([Skipped, DeadLettered], DeadLettered),
        ] {
            let mut accounts = Accounts::default();
            accounts.open(2, true);
            assert_eq!(accounts.done(0, fates[0]), None);
            accounts.split(0, 3);
            assert_eq!((accounts.done(0, Skipped), accounts.done(0, Skipped)), (None, None));
            assert_eq!(accounts.settled(), settled(0, false));
            assert_eq!(accounts.done(0, fates[1]), Some(expected), "{fates:?}");
            assert_eq!(accounts.settled(), settled(1, true));
        }
    }

    #[test]
    fn what_becomes_nothing_is_settled_in_its_place() {
        let mut accounts = Accounts::default();
        accounts.open(0, true);
        assert_eq!(accounts.settled(), settled(1, true));
        accounts.open(1, true);
        accounts.open(0, true);
        assert_eq!(accounts.settled(), settled(1, false));
        accounts.done(1, Fate::Delivered);
        assert_eq!(accounts.settled(), settled(3, true));
    }

    /// Everything at random, against the plainest model: a list of what is left of each message.
    #[test]
    fn whatever_happens_is_as_the_model_says() {
        for seed in 1..2_000_u64 {
            let mut dice = Dice(seed);
            let (mut accounts, mut model) = (Accounts::default(), Vec::<(u32, bool, Fate)>::new());
            for _ in 0..60 {
                let at = dice.below(model.len() + 1);
                let entry = model.get_mut(at);
                match dice.below(3) {
                    0 => {
                        let (parts, is_awaited) = (dice.below(4), dice.one_in(2));
                        accounts.open(parts, is_awaited);
                        model.push((parts as u32, is_awaited, Fate::Skipped));
                    }
                    1 => {
                        let records = 1 + dice.below(3);
                        if let Some((left @ 1.., ..)) = entry {
                            accounts.split(at as Sequence, records);
                            *left += records as u32 - 1;
                        }
                    }
                    _ => {
                        let fates = [Fate::Skipped, Fate::Delivered, Fate::DeadLettered];
                        let fate = fates[dice.below(3)];
                        let expected = entry.filter(|(left, ..)| *left > 0).and_then(|entry| {
                            (entry.0, entry.2) = (entry.0 - 1, entry.2.max(fate));
                            (entry.0 == 0).then_some(entry.2)
                        });
                        assert_eq!(accounts.done(at as Sequence, fate), expected, "seed {seed}");
                    }
                }
                let open = |(left, is_awaited, _): &(u32, bool, Fate)| *left > 0 && *is_awaited;
                let up_to = model.iter().position(open).unwrap_or(model.len());
                let all = model.iter().all(|(left, ..)| *left == 0);
                assert_eq!(accounts.settled(), settled(up_to as Sequence, all), "seed {seed}");
            }
        }
    }
}
