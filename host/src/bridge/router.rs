//! Which routes a message takes: the first that matches, and those after it as long as they say
//! "continue".
//!
//! Routes are found by the topic alone, so that all messages of a topic take the same ones and
//! stay in order, and what was found for a topic is remembered.

use std::collections::HashMap;

use super::Route;
use crate::filter;
use crate::kafka_topic::KafkaTopic;

/// How many topics are remembered, and the longest of them in bytes: together a few MiB. When it
/// is full it begins anew, which costs little.
const REMEMBERED: usize = 16_384;
const LONGEST: usize = 256;

/// Finds the routes of topics, and remembers them.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Routed>,
    /// The first route takes everything, and no other gets anything.
    is_simple: bool,
    /// Sets of routes that messages take, each once.
    sets: Vec<Vec<usize>>,
    /// The place of a topic's set.
    known: HashMap<Box<str>, usize>,
}

/// What it takes to find a route.
#[derive(Debug)]
struct Routed {
    filters: Vec<String>,
    /// The routes after it get its messages, too.
    proceed: bool,
    kafka_topic: KafkaTopic,
}

impl Routed {
    fn new(route: &Route) -> Self {
        let Route { topics, proceed, kafka_topic, .. } = route;
        Self { filters: topics.clone(), proceed: *proceed, kafka_topic: kafka_topic.clone() }
    }
}

impl Router {
    /// A message that none of the routes takes has the number after the last.
    pub fn new(routes: &[Route]) -> Self {
        let routes: Vec<_> = routes.iter().map(Routed::new).collect();
        let is_simple =
            routes.first().is_some_and(|first| first.filters.is_empty() && !first.proceed);
        Self { routes, is_simple, sets: Vec::new(), known: HashMap::new() }
    }

    /// How many routes there are, and the one for what none of them takes.
    pub fn places(&self) -> usize {
        self.routes.len() + 1
    }

    /// The numbers of the routes that a message on this topic takes; never empty.
    pub fn routes_of(&mut self, topic: &str) -> &[usize] {
        if self.is_simple {
            return &[0];
        }
        let set = match self.known.get(topic) {
            Some(&set) => set,
            None => self.learn(topic),
        };
        &self.sets[set]
    }

    /// The number of the route that a dead letter took, as far as its topic and where its record would
    /// have gone tell; of the first that its topic takes now, if they do not.
    pub fn route_of_letter(&mut self, topic: &str, kafka_topic: Option<&str>) -> usize {
        let candidates = self.routes_of(topic).to_vec();
        let meant = |number: &&usize| {
            let route = self.routes.get(**number);
            let name = route.map(|route| route.kafka_topic.name_or_written(topic));
            name.as_deref() == kafka_topic
        };
        let found = candidates.iter().find(meant).or_else(|| candidates.first());
        found.copied().unwrap_or(self.routes.len())
    }

    fn learn(&mut self, topic: &str) -> usize {
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        let found = self.find(topic);
        let set = self.sets.iter().position(|set| *set == found).unwrap_or_else(|| {
            self.sets.push(found);
            self.sets.len() - 1
        });
        if topic.len() <= LONGEST {
            self.known.insert(topic.into(), set);
        }
        set
    }

    fn find(&self, topic: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for (number, Routed { filters, proceed, .. }) in self.routes.iter().enumerate() {
            if filters.is_empty() || filters.iter().any(|filter| filter::matches(filter, topic)) {
                found.push(number);
                if !proceed {
                    break;
                }
            }
        }
        if found.is_empty() {
            found.push(self.routes.len());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::OnError;
    use crate::kafka_topic::KafkaTopic;
    use crate::transform::headers::HeaderPolicy;

    fn route(topics: &[&str], proceed: bool) -> Route {
        Route {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            proceed,
            kafka_topic: KafkaTopic::named("k".to_owned()),
            headers: HeaderPolicy::None,
            on_error: OnError::Stop,
        }
    }

    #[test]
    fn the_first_route_that_matches_takes_a_message() {
        let mut router =
            Router::new(&[route(&["a/+", "$share/g/b"], false), route(&["a/#"], false)]);
        for (topic, routes) in [("a/1", 0), ("b", 0), ("a", 1), ("a/1/2", 1), ("c", 2)] {
            for _ in 0..2 {
                assert_eq!(router.routes_of(topic), [routes], "{topic}");
            }
        }
    }

    #[test]
    fn a_route_that_continues_leaves_its_messages_to_the_routes_after_it() {
        let mut router = Router::new(&[
            route(&["a/#"], true),
            route(&["a/1"], false),
            route(&["+/1"], true),
            route(&[], true),
        ]);
        assert_eq!(router.routes_of("a/1"), [0, 1]);
        assert_eq!(router.routes_of("a/2"), [0, 3]);
        assert_eq!(router.routes_of("b/1"), [2, 3]);
        assert_eq!(router.routes_of("b"), [3]);
    }

    #[test]
    fn a_dead_letter_takes_only_the_route_that_it_took_or_else_the_first() {
        let to = |name: &str, proceed| {
            let kafka_topic = KafkaTopic::named(name.to_owned());
            Route { kafka_topic, ..route(&["a/#"], proceed) }
        };
        let mut router = Router::new(&[to("raw", true), to("clean", true)]);
        for (kafka_topic, number) in
            [(Some("raw"), 0), (Some("clean"), 1), (Some("of yesterday"), 0), (None, 0)]
        {
            assert_eq!(router.route_of_letter("a/1", kafka_topic), number, "{kafka_topic:?}");
        }
        assert_eq!(router.route_of_letter("b", Some("raw")), 2, "no route takes it");
        assert_eq!(router.route_of_letter("b", None), 2);
    }

    #[test]
    fn a_single_route_without_filters_takes_everything_and_remembers_nothing() {
        let mut router = Router::new(&[route(&[], false)]);
        assert_eq!(router.routes_of("a"), [0]);
        assert_eq!(router.routes_of("$SYS/b"), [0]);
        assert!(router.known.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut router = Router::new(&[route(&["1/#"], false)]);
        for number in 0..REMEMBERED * 2 + 10 {
            let expected = usize::from(number != 1);
            assert_eq!(router.routes_of(&number.to_string()), [expected]);
            assert!(router.known.len() <= REMEMBERED);
        }
        router.known.clear();
        assert_eq!(router.routes_of(&"x".repeat(LONGEST + 1)), [1]);
        assert!(router.known.is_empty());
    }
}
