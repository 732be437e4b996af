//! Routes that pause because a plugin of theirs is broken. Their messages wait here, in the order in
//! which they came, while the other routes of the lane go on.
//!
//! What waits has not been sent. It keeps its credit, which bounds how much there can be.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::inbox::Parcel;
use super::lane::Lane;
use crate::message::Batch;
use crate::transform::Pause;

/// How often it is looked whether a pause has ended early, because a corrected plugin has taken over.
const LOOK: Duration = Duration::from_secs(1);

/// Messages that show at the end of a pause whether a plugin works again, and those of which they are
/// chosen.
const SEVERAL: usize = 8;
const LOOKED_AT: usize = 1_000;

/// Messages of a parcel that are to be carried.
#[derive(Debug)]
pub struct Load {
    pub parcel: Arc<Parcel>,
    /// Where the parcel is in the in-flight table.
    pub slot: usize,
    /// The first of them; those before it have been dealt with.
    pub from: usize,
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub struct Waiting {
    /// The routes that pause, by number; none of them is empty.
    routes: BTreeMap<usize, Paused>,
    /// When to look next whether a pause has ended early.
    look: Option<Instant>,
    reasons: Arc<Reasons>,
}

#[derive(Debug)]
struct Paused {
    /// When the first message may be tried.
    until: Instant,
    loads: VecDeque<Load>,
}

/// Why routes pause, for whoever wants to say it.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<BTreeMap<usize, String>>);

impl Reasons {
    /// Of one of them, in one line.
    pub fn first(&self) -> Option<String> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.first_key_value().map(|(_, why)| why.clone())
    }

    fn set(&self, route: usize, why: Option<String>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => reasons.insert(route, why),
            None => reasons.remove(&route),
        };
    }
}

impl Waiting {
    /// Why routes pause, also later.
    pub fn reasons(&self) -> Arc<Reasons> {
        Arc::clone(&self.reasons)
    }

    /// When something may be tried, or is to be looked at, if anything waits.
    pub fn until(&self) -> Option<Instant> {
        let until = self.routes.values().map(|paused| paused.until).min()?;
        Some(self.look.map_or(until, |look| until.min(look)))
    }

    /// Ends the pauses of routes that need not wait any more.
    pub fn look(&mut self, needs_to: impl Fn(usize) -> bool, now: Instant) {
        for (route, paused) in &mut self.routes {
            if paused.until > now && !needs_to(*route) {
                paused.until = now;
            }
        }
        self.look = Some(now + LOOK);
    }

    /// Keeps what comes for a route that pauses, behind what has come before. Gives it back if the
    /// route does not.
    pub fn queue(&mut self, load: Load) -> Option<Load> {
        let Some(paused) = self.routes.get_mut(&load.parcel.route) else { return Some(load) };
        paused.loads.push_back(load);
        None
    }

    /// Keeps what was to be carried, and is not, before all else of its route: for as long as the pause
    /// lasts, or until the next look.
    pub fn put_back(&mut self, load: Load, pause: Option<Pause>, now: Instant) {
        let route = load.parcel.route;
        if self.routes.is_empty() {
            self.look = Some(now + LOOK);
        }
        let (until, why) = pause.map_or((now, None), |pause| (pause.until, Some(pause.why)));
        self.reasons.set(route, why);
        let paused =
            self.routes.entry(route).or_insert_with(|| Paused { until, loads: VecDeque::new() });
        paused.until = until;
        paused.loads.push_front(load);
    }

    /// A few different messages of those that a route has to carry next: these of a parcel, and what waits
    /// behind it.
    pub fn several(&self, parcel: &Parcel, from: usize) -> Batch {
        let behind = self.routes.get(&parcel.route).into_iter().flat_map(|paused| &paused.loads);
        let behind = behind.flat_map(|load| load.parcel.batch.messages().skip(load.from));
        let next: Vec<_> =
            parcel.batch.messages().skip(from).chain(behind).take(LOOKED_AT).collect();
        let mut topics = HashSet::new();
        let new_topic = |at: &usize| topics.insert(next[*at].topic());
        let mut chosen: BTreeSet<_> = (0..next.len()).filter(new_topic).take(SEVERAL).collect();
        let spread = (0..next.len()).step_by(next.len().div_ceil(SEVERAL).max(1));
        chosen.extend(spread.take(SEVERAL - chosen.len()));
        let mut batch = Batch::new();
        for at in chosen {
            batch.push_deserialized(&next[at], None);
        }
        batch
    }

    /// The first of a route whose pause is over, for as long as there is something.
    pub fn take_due(&mut self, now: Instant) -> Option<Load> {
        let (&route, paused) = self.routes.iter_mut().find(|(_, paused)| paused.until <= now)?;
        let load = paused.loads.pop_front();
        if paused.loads.is_empty() {
            self.routes.remove(&route);
            self.reasons.set(route, None);
        }
        load
    }
}

impl Lane {
    /// Carries a parcel, unless its route pauses.
    pub(super) fn take_in(&mut self, parcel: Parcel) {
        let parcel = Arc::new(parcel);
        let slot = self.in_flight.insert(&parcel);
        if let Some(load) = self.waiting.queue(Load { parcel, slot, from: 0 }) {
            self.carry(load);
        }
    }

    /// Carries something of a route whose pause is over.
    pub(super) fn try_again(&mut self) {
        let Self { routes, waiting, .. } = self;
        let now = Instant::now();
        let needs_to = |route: usize| {
            let route = routes.get(route).and_then(Option::as_ref);
            route.is_some_and(|(_, transform)| transform.pause().is_some())
        };
        waiting.look(needs_to, now);
        if let Some(load) = waiting.take_due(now) {
            self.carry(load);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(route: usize, slot: usize) -> Load {
        Load { parcel: Arc::new(Parcel::new(route, 0)), slot, from: 0 }
    }

    fn slot(load: Option<Load>) -> Option<usize> {
        load.map(|load| load.slot)
    }

    fn pause(until: Instant) -> Pause {
        Pause { until, why: "broken".to_owned() }
    }

    #[test]
    fn a_route_that_pauses_keeps_what_comes_in_order_and_another_one_does_not() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        assert_eq!((waiting.until(), slot(waiting.queue(load(1, 7)))), (None, Some(7)));
        let later = now + LOOK;
        waiting.put_back(load(1, 0), Some(pause(later)), now);
        for slot in [1, 2] {
            assert!(waiting.queue(load(1, slot)).is_none());
        }
        assert_eq!(slot(waiting.queue(load(2, 7))), Some(7));
        assert_eq!((waiting.until(), slot(waiting.take_due(now))), (Some(later), None));

        // It is tried in vain.
        let tried = waiting.take_due(later).expect("it is due");
        let latest = later + LOOK;
        waiting.put_back(tried, Some(pause(latest)), later);
        waiting.look(|_| true, later);
        assert_eq!((waiting.until(), slot(waiting.take_due(later))), (Some(latest), None));
        let taken: Vec<_> = std::iter::from_fn(|| slot(waiting.take_due(latest))).collect();
        assert_eq!(taken, [0, 1, 2]);
        assert_eq!((waiting.until(), slot(waiting.queue(load(1, 7)))), (None, Some(7)));
    }

    #[test]
    fn the_route_whose_pause_ends_first_is_tried_first_and_each_has_its_reason() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let at = |quarters| now + LOOK * quarters / 4;
        let reasons = waiting.reasons();
        waiting.put_back(load(1, 1), Some(pause(at(2))), now);
        waiting.put_back(load(2, 2), Some(pause(at(1))), now);
        assert_eq!((waiting.until(), slot(waiting.take_due(at(1)))), (Some(at(1)), Some(2)));
        assert_eq!(reasons.first().as_deref(), Some("broken"));
        assert_eq!((waiting.until(), slot(waiting.take_due(at(2)))), (Some(at(2)), Some(1)));
        assert_eq!(reasons.first(), None);
    }

    #[test]
    fn a_pause_ends_early_if_the_route_need_not_wait_any_more() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let later = now + LOOK * 60;
        waiting.put_back(load(1, 1), Some(pause(later)), now);
        waiting.put_back(load(2, 2), Some(pause(later)), now);
        assert_eq!(waiting.until(), Some(now + LOOK), "it is looked at before that");
        waiting.look(|_| true, now + LOOK);
        assert_eq!(waiting.until(), Some(now + LOOK * 2));
        waiting.look(|route| route == 1, now + LOOK * 2);
        assert_eq!(slot(waiting.take_due(now + LOOK * 2)), Some(2));
        assert_eq!(slot(waiting.take_due(now + LOOK * 2)), None);
    }

    #[test]
    fn what_is_put_back_without_a_pause_is_due_and_has_no_reason() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.put_back(load(1, 1), None, now);
        assert_eq!(waiting.reasons().first(), None);
        assert_eq!(slot(waiting.take_due(now)), Some(1));
    }
}
