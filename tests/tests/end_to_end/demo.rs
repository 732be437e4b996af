//! `host demo`: the path with its embedded brokers, as somebody tries it.

use std::path::Path;

use tests::host::{Builder, Ended, Host};
use tests::plugin::plugin;
use tests::scratch::Folder;

/// The demonstration with freshly built plugins.
fn demo() -> Builder {
    let packages = ["owntracks", "ttn-uplink", "topic-level-key", "topic-in-value"];
    let files = packages.map(plugin);
    with_plugins(files[0].parent().unwrap())
}

fn with_plugins(folder: &Path) -> Builder {
    Host::bare().argument("demo").argument(format!("--plugins={}", folder.display()))
}

/// The number that follows a name in the summary.
fn count(ended: &Ended, name: &str) -> u64 {
    let (_, summary) = ended.output.rsplit_once(" messages in ").expect("a summary");
    let (_, rest) = summary.split_once(name).unwrap_or_else(|| panic!("no {name} in:\n{summary}"));
    let digits = rest.trim_start().chars().filter(|&letter| letter != ',');
    digits.take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Everything that was published came out of Kafka, and the bridges' own count says the same.
fn assert_complete(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.output, ended.errors);
    let confirmed = count(ended, "confirmed");
    let [read, dead, lost, wrong] =
        ["in Kafka", "dead letters", "lost", "wrong"].map(|name| count(ended, name));
    assert_eq!((read, lost, wrong), (confirmed, 0, 0));
    let ledger =
        ["received=", "delivered=", "dead_lettered=", "in_flight="].map(|name| count(ended, name));
    assert_eq!(ledger, [confirmed, confirmed - dead, dead, 0]);
}

#[test]
fn the_demo_carries_three_formats_and_proves_that_nothing_is_lost() {
    let ended = demo().argument("--messages=200").run();
    assert_complete(&ended);
    assert_eq!(count(&ended, "confirmed"), 200);
    for shown in ["locations[", "uplinks[", "plant[", "uplinks.dead-letter["] {
        assert!(
            ended.output.lines().any(|line| line.starts_with(shown)),
            "{shown}\n{}",
            ended.output
        );
    }
    for header in ["firmware=", "reject.reason=bad-message"] {
        assert!(ended.output.contains(header), "{header}\n{}", ended.output);
    }
    let long =
        ended.output.lines().find(|line| line.chars().count() > 79 && !line.contains(".wasm"));
    assert_eq!(long, None);
    assert!(!ended.output.contains('\x1b'), "no colours where no terminal is");
    assert_eq!(ended.errors, "");
}

#[test]
fn the_demo_ends_cleanly_when_it_is_told_to_stop() {
    let demo = demo().argument("--seconds=600").launch();
    demo.wait_for_line("a record", |line| line.starts_with("plant["));
    assert_complete(&demo.stop());
}

#[test]
fn without_its_plugins_the_demo_says_how_to_get_them() {
    let empty = Folder::new("no-plugins");
    let ended = with_plugins(empty.path()).run();
    ended.assert_failed(1, &["owntracks.wasm", "make plugins", "--plugins"]);
    assert_eq!(ended.output, "");
}
