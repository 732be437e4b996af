//! Things that are numbered as they come, most of which go soon. One that stays for long costs no more than
//! itself, however many come after it.

use std::collections::{BTreeMap, VecDeque};

/// So many places of what has gone are no matter.
const FEW: usize = 1_024;

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Numbered<T> {
    /// The number of the first of the recent ones.
    first: u64,
    recent: VecDeque<Option<T>>,
    /// How many of the recent ones are there.
    there: usize,
    /// Those that have stayed for long.
    old: BTreeMap<u64, T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { first: 0, recent: VecDeque::new(), there: 0, old: BTreeMap::new() }
    }
}

impl<T> Numbered<T> {
    /// Gives a thing the next number. One that is nothing has a number, too.
    pub fn push(&mut self, thing: Option<T>) -> u64 {
        let number = self.next();
        self.there += usize::from(thing.is_some());
        self.recent.push_back(thing);
        if self.recent.len() > FEW && self.there < self.recent.len() / 4 {
            self.set_aside();
        }
        self.let_go();
        number
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        match number.checked_sub(self.first) {
            Some(at) => self.recent.get(at as usize)?.as_ref(),
            None => self.old.get(&number),
        }
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        match number.checked_sub(self.first) {
            Some(at) => self.recent.get_mut(at as usize)?.as_mut(),
            None => self.old.get_mut(&number),
        }
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let Some(at) = number.checked_sub(self.first) else { return self.old.remove(&number) };
        let thing = self.recent.get_mut(at as usize)?.take()?;
        self.there -= 1;
        self.let_go();
        Some(thing)
    }

    pub fn is_empty(&self) -> bool {
        self.there == 0 && self.old.is_empty()
    }

    /// The number of the next thing.
    pub fn next(&self) -> u64 {
        self.first + self.recent.len() as u64
    }

    /// The first number from this one on whose thing is there and is like that, or else the next one.
    pub fn find(&self, from: u64, is_it: impl Fn(&T) -> bool) -> u64 {
        if !self.old.is_empty()
            && let Some((number, _)) = self.old.range(from..).find(|(_, thing)| is_it(thing))
        {
            return *number;
        }
        let from = from.max(self.first);
        let at = (from - self.first) as usize;
        let recent = self.recent.range(at.min(self.recent.len())..);
        let passed = recent.take_while(|thing| !thing.as_ref().is_some_and(&is_it)).count();
        from + passed as u64
    }

    /// Sets aside what is left of the older half.
    fn set_aside(&mut self) {
        for _ in 0..self.recent.len() / 2 {
            if let Some(thing) = self.recent.pop_front().flatten() {
                self.old.insert(self.first, thing);
                self.there -= 1;
            }
            self.first += 1;
        }
    }

    fn let_go(&mut self) {
        while self.recent.front().is_some_and(Option::is_none) {
            self.recent.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    #[test]
    fn one_that_stays_takes_no_place_of_those_that_go() {
        let mut numbered = Numbered::default();
        assert_eq!(numbered.push(Some(7)), 0);
        for number in 1..100_000 {
            assert_eq!(numbered.push(Some(8)), number);
            assert_eq!(numbered.remove(number), Some(8));
            assert!(numbered.recent.len() <= FEW + 1);
        }
        assert_eq!((numbered.get(0), numbered.is_empty()), (Some(&7), false));
        assert_eq!((numbered.remove(0), numbered.remove(0)), (Some(7), None));
        assert!(numbered.is_empty());
    }

    #[test]
    fn whatever_comes_and_goes_is_as_in_a_map() {
        for seed in 1..50 {
            let mut dice = Dice(seed);
            let (mut numbered, mut map) = (Numbered::default(), BTreeMap::new());
            let stays = 1 + dice.below(200);
            for next in 0..6_000_u64 {
                let thing = (!dice.one_in(20)).then_some(next * 3);
                assert_eq!((numbered.next(), numbered.push(thing)), (next, next));
                map.extend(thing.map(|thing| (next, thing)));
                let number = next.saturating_sub(dice.below(50) as u64);
                if !dice.one_in(stays) {
                    assert_eq!(numbered.remove(number), map.remove(&number));
                }
                let number = dice.below(next as usize + 3) as u64;
                if let Some(thing) = numbered.get_mut(number) {
                    *thing += 1;
                }
                map.entry(number).and_modify(|thing| *thing += 1);
                assert_eq!(numbered.get(number), map.get(&number));
                assert_eq!(numbered.is_empty(), map.is_empty());
                let is_it = |thing: &u64| thing.is_multiple_of(5);
                let found = map.range(number..).find(|(_, thing)| is_it(thing));
                let found = found.map_or((next + 1).max(number), |(number, _)| *number);
                assert_eq!(numbered.find(number, is_it), found);
            }
        }
    }
}
