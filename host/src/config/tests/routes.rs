//! `[[route]]`s: what they say, what they inherit, and every way in which they make no sense.

use super::file::{ENOUGH, config_of_file, read_file};
use super::*;

/// All that is required, but nothing about topics.
fn ends() -> String {
    ENOUGH
        .lines()
        .filter(|line| !line.contains("topic"))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// The configuration of a file with this text, and with all that is not about topics above it.
fn routed(text: &str) -> Config {
    bridge_of(read_file(&format!("{}{text}", ends()), &[], &[]).expect("a valid configuration"))
}

/// The lines said about a file with all that is not about topics on its first four lines.
fn problems(text: &str) -> Vec<String> {
    let text = format!("{}{text}", ends());
    let problems = read_file(&text, &[], &[]).expect_err("a wrong configuration");
    problems.lines().map(|line| line.replace("error: host.toml:", "")).collect()
}

fn fixed(name: &str) -> KafkaTopic {
    KafkaTopic::named(name)
}

fn dead_letter(topic: &str) -> OnError {
    OnError::DeadLetter { topic: topic.into() }
}

#[test]
fn a_route_says_its_own_and_inherits_the_rest() {
    let config = config_of_file(
        r#"
        headers = "all"
        plugin = ["/top.wasm"]
        [[route]]
        topic = "plant/alarm/#"
        kafka_topic = "alarm"
        plugin = [{ file = "/alarm.wasm", config = { level = 1 } }]
        headers = "none"
        on_error = "skip"
        payload_deserializer = "none"
        continue = true
        [[route]]
        topic = ["plant/+/temp", "plant/+/rain"]
        kafka_topic = "weather"
        dead_letter_topic = "bad-weather"
        [plugin_config.top]
        x = 1
        "#,
    );
    let plugin = |file: &str, config: &str| Plugin {
        file: file.into(),
        sha256: None,
        config: Some(config.into()),
        limits: LIMITS,
        clock: false,
    };
    let top = plugin("/top.wasm", r#"{"x":1}"#);
    let expected = [
        Route {
            topics: vec!["plant/alarm/#".into()],
            proceed: true,
            kafka_topic: fixed("alarm"),
            transform: Transform { json: false, headers: HeaderPolicy::None },
            plugins: vec![plugin("/alarm.wasm", r#"{"level":1}"#)],
            on_plugin_broken: OnPluginBroken::Pause,
            on_error: OnError::Skip,
        },
        Route {
            topics: vec!["plant/+/temp".into(), "plant/+/rain".into()],
            proceed: false,
            kafka_topic: fixed("weather"),
            transform: Transform { json: true, headers: HeaderPolicy::All },
            plugins: vec![top.clone()],
            on_plugin_broken: OnPluginBroken::Pause,
            on_error: dead_letter("bad-weather"),
        },
        Route {
            topics: Vec::new(),
            proceed: false,
            kafka_topic: fixed("plant"),
            transform: Transform { json: true, headers: HeaderPolicy::All },
            plugins: vec![top],
            on_plugin_broken: OnPluginBroken::Pause,
            on_error: dead_letter("plant.dead-letter"),
        },
    ];
    assert_eq!(config.routes, expected);
    assert_eq!(config.unrouted, dead_letter("plant.dead-letter"));
    assert_eq!(config.source.topics, ["plant/#"]);
}

#[test]
fn without_topics_above_the_routes_theirs_are_subscribed_to() {
    let config = routed(
        r#"
        [[route]]
        topic = ["a/b", "$share/g/c/+"]
        kafka_topic = "k"
        [[route]]
        topic = ["$share/g/c/d", "a/#", "x"]
        kafka_topic = "k2"
        plugin = []
        "#,
    );
    // `a/#` brings `a/b` too, which a second subscription would bring twice.
    assert_eq!(config.source.topics, ["$share/g/c/+", "a/#", "x"]);
    assert_eq!(config.routes.len(), 2);
    assert_eq!(config.unrouted, dead_letter("k2.dead-letter"));
}

#[test]
fn the_command_line_may_name_where_the_rest_goes() {
    let text = format!("{}[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"", ends());
    let arguments = ["--topic", "a", "--topic", "b", "--kafka-topic", "rest", "--headers", "all"];
    let config = bridge_of(read_file(&text, &arguments, &[]).expect("valid"));
    assert_eq!(config.routes.len(), 2);
    assert_eq!(config.routes[1].kafka_topic, fixed("rest"));
    assert_eq!(config.routes[0].transform.headers, HeaderPolicy::All, "inherited");
}

#[test]
fn a_template_goes_with_the_topics_it_may_lead_to() {
    let config = routed(
        r#"
        dead_letter_topic = "bad"
        [[route]]
        topic = "plant/+/temp"
        kafka_topic = "plant.{1}"
        kafka_topics_allowed = ["plant.dev*", "plant.x"]
        "#,
    );
    let allowed = ["plant.dev*".to_owned(), "plant.x".to_owned()];
    let template = KafkaTopic::parse("plant.{1}", &allowed, false).expect("a template");
    assert_eq!(config.routes[0].kafka_topic, template);
    let mut arguments = REQUIRED.to_vec();
    arguments[11] = "plant.{1}";
    arguments.extend(["--kafka-topics-allowed", "plant.dev*", "--kafka-topics-allowed", "plant.x"]);
    arguments.extend(["--dead-letter-topic", "bad"]);
    let by_flags = bridge_of(read_with(&arguments, &[]).expect("a valid configuration"));
    assert_eq!(by_flags.routes[0].kafka_topic, template);
}

#[test]
fn every_problem_with_a_route_says_where_it_is_and_what_to_do() {
    for (text, expected) in [
        (
            "[[route]]\nkafka_topic = \"k\"",
            "5:1: this route has no topic: say which messages it is for, e.g. topic = [\"plant/#\"]",
        ),
        (
            "[[route]]\ntopic = []\nkafka_topic = \"k\"",
            "6:9: topic is an empty list: say which messages the route is for, e.g. topic = [\"plant/#\"]",
        ),
        (
            "[[route]]\ntopic = \"a\"",
            "5:1: this route has no kafka_topic, and there is none above the routes: say where its records go",
        ),
        (
            "[route]\ntopic = \"a\"",
            "5:1: route takes tables: write [[route]] above the keys of each",
        ),
        ("route = [1]", "5:10: a route is a table: write [[route]] above the keys of each"),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\nclient_id = \"x\"",
            "8:1: client_id is not for one route alone: move it above the first [[route]]",
        ),
        (
            "[[route]]\ntopics = \"a\"\nkafka_topic = \"k\"",
            "6:1: unknown key topics; did you mean topic?",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\nspeed = 1",
            "8:1: unknown key speed; there are topic, kafka_topic, kafka_topics_allowed, payload_deserializer, headers, plugin, on_plugin_broken, on_error, dead_letter_topic and continue",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\ncontinue = 1",
            "8:12: continue takes true or false, not a number: write continue = true",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\nheaders = \"some\"",
            "8:11: headers \"some\": it takes none, properties, all",
        ),
        (
            "[[route]]\ntopic = [\n  \"a\", \"a/#/b\"]\nkafka_topic = \"k\"",
            "7:8: topic \"a/#/b\" has levels after '#': '#' is only valid as the last level",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"a b\"",
            "7:15: kafka_topic \"a b\" has characters other than a-z, A-Z, 0-9, '.', '_' and '-': give it the name of a Kafka topic",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"p.{1}\"",
            "7:15: kafka_topic \"p.{1}\" takes its name from messages: list the Kafka topics that it may lead to, by name or by patterns as in plant.*",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"p.{1}\"\nkafka_topics_allowed = [\"p.*\", \"q.*\"]",
            "8:32: kafka_topics_allowed \"q.*\" is allowed, but nothing that \"p.{1}\" can become: mend one of them",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"p.{1}\"\nkafka_topics_allowed = \"p.*\"",
            "7:15: kafka_topic \"p.{1}\" leads to many topics, so dead_letter_topic has no default: give it a name",
        ),
        (
            "[[route]]\ntopic = \"a/#\"\nkafka_topic = \"k\"\n[[route]]\ntopic = [\"a/b\", \"a/+\"]\nkafka_topic = \"k2\"",
            "8:1: no message reaches this route: the one on line 5 takes all of a/b and a/+; move this one above it, or add `continue = true` there",
        ),
        (
            "topic = \"b\"\n[[route]]\ntopic = [\"b\", \"a/#\"]\nkafka_topic = \"k\"",
            "7:15: topic \"a/#\" matches nothing that is subscribed to, which is b: add it above the routes, or drop it here",
        ),
        (
            "topic = [\"b\", \"c/#\"]\n[[route]]\ntopic = [\"b\", \"c/d\"]\nkafka_topic = \"k\"",
            "5:15: topic \"c/#\" is subscribed to, but no route takes all of it: add a [[route]] for the rest, or kafka_topic above the routes",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\ndead_letter_topic = \"k\"",
            "8:21: dead_letter_topic \"k\" is the Kafka topic itself: give rejected messages a topic of their own",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\ndead_letter_topic = \"l\"\n[[route]]\ntopic = \"b\"\nkafka_topic = \"l\"",
            "8:21: dead_letter_topic \"l\" is a topic that records go to: give rejected messages a topic of their own",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\n[[route]]\ntopic = \"b\"\nkafka_topic = \"k.dead-letter\"",
            "5:1: rejected messages go to \"k.dead-letter\" where nothing else is said, and records go there too: give them a dead_letter_topic of their own",
        ),
        (
            "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\non_error = \"skip\"\ndead_letter_topic = \"l\"",
            "9:21: dead_letter_topic has a use only with on_error = \"dead-letter\": drop one of them",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn what_is_wrong_with_several_routes_is_said_at_once() {
    let said = problems(
        "[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\nqos = 1\n[[route]]\ntopic = 5\nkafka_topic = \"k\"",
    );
    assert_eq!(said.len(), 2, "{said:?}");
    let said = problems(
        "[[route]]\ntopic = \"a\"\nkafka_topic = \"k \"\n[[route]]\ntopic = \"#/b\"\nkafka_topic = \"k\"",
    );
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn two_routes_may_share_their_dead_letters() {
    let config = routed(
        "dead_letter_topic = \"bad\"\n[[route]]\ntopic = \"a\"\nkafka_topic = \"k\"\n[[route]]\ntopic = \"b\"\nkafka_topic = \"l\"",
    );
    assert!(config.routes.iter().all(|route| route.on_error == dead_letter("bad")));
    assert_eq!(config.unrouted, dead_letter("bad"));
}

#[test]
fn an_earlier_route_that_continues_leaves_the_others_reachable() {
    let config = routed(
        "[[route]]\ntopic = \"#\"\nkafka_topic = \"k\"\ncontinue = true\n[[route]]\ntopic = \"b\"\nkafka_topic = \"l\"",
    );
    assert_eq!(config.source.topics, ["#"]);
    assert!(config.routes[0].proceed && !config.routes[1].proceed);
}
