//! Which messages go where: the `[[route]]`s of the file, in their order, and after them what stands
//! above them, for the messages that no route takes.
//!
//! A route is the options once more: what it does not say itself is as it stands above the routes.

use super::check::{self, Wrong};
use super::cli::Options;
use super::file::{File, PluginTable, RouteTable};
use super::kind;
use super::plugin;
use super::problem::{Position, Problem, Refusal};
use super::written::{Layer, Origin, Value, Written, list};
use super::{OnError, Plugin, Route, mqtt};
use crate::filter;

/// The routes, and what follows from all of them together.
pub struct Routes {
    pub list: Vec<Route>,
    /// What happens to a message that no route takes.
    pub unrouted: OnError,
    /// What to subscribe to.
    pub topics: Vec<String>,
}

/// A route of the file, with what is needed to speak about it.
struct Placed {
    route: Route,
    at: Position,
    written: Written,
}

/// Makes the routes of what is written.
///
/// # Errors
/// What is wrong with them; of the routes in the file all of it.
pub fn routes(options: &Options, all: &Written, file: Option<&File>) -> Result<Routes, Wrong> {
    let tables = file.map_or(&[][..], |file| &file.routes);
    let top_tables = file.map_or(&[][..], |file| &file.plugins);
    let mut placed = Vec::with_capacity(tables.len());
    let mut problems = Vec::new();
    for table in tables {
        match route(table, all, top_tables) {
            Ok(route) => placed.push(route),
            Err(more) => problems.extend(more),
        }
    }
    fail_with(problems)?;
    let rest = if tables.is_empty() || options.kafka_topic.is_some() {
        let plugins = plugin::plugins(options, all, plugin_tables(all, top_tables));
        Some(check::route(options, plugins.map_err(Wrong::Placed)?)?)
    } else {
        None
    };
    let topics = if options.topic.is_empty() { widest(&placed) } else { options.topic.clone() };
    for filter in &topics {
        mqtt::check_filter("--topic", filter)?;
    }
    fail_with(unreachable(&placed, &topics))?;
    if rest.is_none() {
        covered(&placed, &topics)?;
    }
    fail_with(dead_letters(&placed, rest.as_ref(), all))?;
    let unrouted = unrouted(options, rest.as_ref(), &placed);
    let mut routes: Vec<Route> =
        placed.into_iter().map(|placed| placed.route).chain(rest).collect();
    let mut plugins: Vec<&mut Plugin> =
        routes.iter_mut().flat_map(|route| &mut route.plugins).collect();
    let in_file = file.map_or(&[][..], |file| &file.plugin_configs);
    plugin::configure(&mut plugins, in_file, options.plugins.plugin_config.as_deref())?;
    Ok(Routes { list: routes, unrouted, topics })
}

fn fail_with(mut problems: Vec<Problem>) -> Result<(), Wrong> {
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    if problems.is_empty() { Ok(()) } else { Err(Wrong::Placed(problems)) }
}

/// What the file says of the plugins, if it is the file that names them.
fn plugin_tables<'a>(written: &Written, tables: &'a [PluginTable]) -> &'a [PluginTable] {
    match written.values("plugin") {
        [Value { origin: Origin::File(_), .. }, ..] => tables,
        _ => &[],
    }
}

fn route(
    table: &RouteTable,
    all: &Written,
    top_tables: &[PluginTable],
) -> Result<Placed, Vec<Problem>> {
    let own_plugins = table.layer.contains_key("plugin");
    let written = all.under(&without_contradictions(table));
    let everything: Vec<&str> = written.options().iter().map(kind::name).collect();
    let options = match written.parse(&everything) {
        Ok(bridge) => bridge.options,
        Err(Refusal::Problems(problems)) => return Err(problems),
        Err(Refusal::Usage(error)) => return Err(vec![Problem::at(&table.at, error.to_string())]),
    };
    let placed = |problem: String| vec![written.locate_near(&problem, Some(&table.at))];
    if options.kafka_topic.is_none() {
        let text = "this route has no kafka_topic, and there is none above the routes: say where its records go";
        return Err(vec![Problem::at(&table.at, text)]);
    }
    for filter in &options.topic {
        mqtt::check_filter("--topic", filter).map_err(placed)?;
    }
    let tables = if own_plugins { &table.plugins } else { plugin_tables(all, top_tables) };
    let plugins = plugin::plugins(&options, &written, tables)?;
    let route = check::route(&options, plugins).map_err(placed)?;
    let route = Route { topics: options.topic, proceed: table.goes_on, ..route };
    Ok(Placed { route, at: table.at.clone(), written })
}

/// What a route says itself, and what it thereby says no to: what is above the routes for another
/// Kafka topic or another way with rejected messages is not for this one.
fn without_contradictions(table: &RouteTable) -> Layer {
    let mut layer = table.layer.clone();
    if layer.contains_key("kafka-topic") {
        layer.entry("kafka-topics-allowed".to_owned()).or_default();
    }
    let keeps_dead_letters = match layer.get("on-error").map(Vec::as_slice) {
        Some([value]) => value.text == "dead-letter",
        _ => true,
    };
    if !keeps_dead_letters {
        layer.entry("dead-letter-topic".to_owned()).or_default();
    }
    layer
}

/// The filters of all routes, without those that another one covers.
fn widest(placed: &[Placed]) -> Vec<String> {
    let mut widest: Vec<&String> = Vec::new();
    for topic in placed.iter().flat_map(|placed| &placed.route.topics) {
        if widest.iter().any(|wide| takes(wide, topic)) {
            continue;
        }
        widest.retain(|narrow| !takes(topic, narrow));
        widest.push(topic);
    }
    widest.into_iter().cloned().collect()
}

/// Whether a subscription needs no other one beside it.
fn takes(wide: &str, narrow: &str) -> bool {
    // Another group of subscribers shares its messages with others.
    let group = |filter: &str| filter.strip_suffix(filter::unshared(filter)).map(str::to_owned);
    group(wide) == group(narrow) && filter::covers(wide, narrow)
}

/// What is said about routes, and filters of routes, that no message can reach.
fn unreachable(placed: &[Placed], subscribed: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, Placed { route, at, written }) in placed.iter().enumerate() {
        for topic in &route.topics {
            if !subscribed.iter().any(|filter| filter::overlap(filter, topic)) {
                problems.push(written.locate(&format!(
                    "--topic {topic:?} matches nothing that is subscribed to, which is {}: add it above the routes, or drop it here",
                    list(subscribed)
                )));
            }
        }
        let earlier = || placed[..number].iter().filter(|earlier| !earlier.route.proceed);
        let taker = |topic: &String| {
            earlier().find(|earlier| {
                earlier.route.topics.iter().any(|filter| filter::covers(filter, topic))
            })
        };
        let takers: Option<Vec<&Placed>> = route.topics.iter().map(taker).collect();
        if let Some([taker, ..]) = takers.as_deref() {
            let text = format!(
                "no message reaches this route: the one on line {} takes all of {}; move this one above it, \
                 or add `continue = true` there",
                taker.at.line,
                list(&route.topics)
            );
            problems.push(Problem::at(at, text));
        }
    }
    problems
}

/// Whether all that is subscribed to has a route.
fn covered(placed: &[Placed], subscribed: &[String]) -> Result<(), String> {
    let has_route = |topic: &&String| {
        let mut routed = placed.iter().flat_map(|placed| &placed.route.topics);
        routed.any(|filter| filter::covers(filter, topic))
    };
    match subscribed.iter().find(|topic| !has_route(topic)) {
        None => Ok(()),
        Some(topic) => Err(format!(
            "--topic {topic:?} is subscribed to, but no route takes all of it: add a [[route]] for the rest, or \
             --kafka-topic above the routes"
        )),
    }
}

/// What is said about dead letters that go where records go.
fn dead_letters(placed: &[Placed], rest: Option<&Route>, all: &Written) -> Vec<Problem> {
    let routes = || placed.iter().map(|placed| &placed.route).chain(rest);
    let is_for_records = |name: &str| routes().any(|route| route.kafka_topic.may_be(name));
    let mut problems = Vec::new();
    let places = placed.iter().map(|placed| (&placed.route, Some(placed)));
    for (route, place) in places.chain(rest.map(|rest| (rest, None))) {
        let OnError::DeadLetter { topic } = &route.on_error else { continue };
        if !is_for_records(topic) {
            continue;
        }
        let written = place.map_or(all, |place| &place.written);
        let text = if written.values("dead-letter-topic").is_empty() {
            format!(
                "rejected messages go to {topic:?} where nothing else is said, and records go there too: give them a --dead-letter-topic of their own"
            )
        } else {
            format!(
                "--dead-letter-topic {topic:?} is a topic that records go to: give rejected messages a topic of their own"
            )
        };
        problems.push(written.locate_near(&text, place.map(|place| &place.at)));
    }
    problems.dedup();
    problems
}

/// What happens to messages that no route takes: what stands above the routes, if that says where
/// they would go, else what the last route says.
fn unrouted(options: &Options, rest: Option<&Route>, placed: &[Placed]) -> OnError {
    use super::choice::OnErrorKind;
    if let Some(rest) = rest {
        return rest.on_error.clone();
    }
    match (options.on_error, &options.dead_letter_topic, placed.last()) {
        (OnErrorKind::Skip, ..) => OnError::Skip,
        (OnErrorKind::DeadLetter, Some(topic), _) => OnError::DeadLetter { topic: topic.clone() },
        (OnErrorKind::DeadLetter, None, Some(last)) => last.route.on_error.clone(),
        (OnErrorKind::Stop, ..) | (OnErrorKind::DeadLetter, None, None) => OnError::Stop,
    }
}
