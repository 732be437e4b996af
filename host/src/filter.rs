//! MQTT topic filters (MQTT-4.7): which topics they match, and which filters contain which.
//!
//! A shared subscription, `$share/GROUP/FILTER`, counts as its FILTER here (MQTT 5, 4.8.2).
//! Filters are taken to be valid; what is not simply matches less.

use std::str::Split;

/// Whether a message published on `topic` belongs to a subscription to `filter`.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let filter = unshared(filter);
    if begins_with_wildcard(filter) && topic.starts_with('$') {
        // MQTT-4.7.2-1
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            // `a/#` matches `a`, too (MQTT-4.7.1-2): seen above, when the topic had one level more.
            None | Some(_) => return false,
        }
    }
    levels.next().is_none()
}

/// Whether every topic that `narrow` matches is matched by `wide`.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow) = (unshared(wide), unshared(narrow));
    if begins_with_wildcard(wide) && narrow.starts_with('$') {
        return false;
    }
    if narrow == "#" {
        // A topic has at least one level, so these two say the same.
        return matches!(wide, "#" | "+/#");
    }
    covers_levels(wide.split('/'), narrow.split('/'))
}

fn covers_levels<'a>(mut wide: Split<'a, char>, mut narrow: Split<'a, char>) -> bool {
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(level), Some(other)) if level == other => {}
            _ => return false,
        }
    }
}

/// Whether some topic is matched by both.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (unshared(one), unshared(other));
    if (begins_with_wildcard(one) && other.starts_with('$'))
        || (begins_with_wildcard(other) && one.starts_with('$'))
    {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(level), Some(second)) if level == second || level == "+" || second == "+" => {}
            _ => return false,
        }
    }
}

/// The filter of a shared subscription, or the filter itself.
#[must_use]
pub fn unshared(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/").and_then(|shared| shared.split_once('/'));
    shared.map_or(filter, |(_group, filter)| filter)
}

/// Whether it is a shared subscription.
#[must_use]
pub fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

fn begins_with_wildcard(filter: &str) -> bool {
    filter.starts_with(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every topic and filter of up to three levels from a small alphabet.
    fn all(levels: &[&str], most: usize) -> Vec<String> {
        let mut all: Vec<String> = levels.iter().map(|level| (*level).to_owned()).collect();
        let mut last = all.clone();
        for _ in 1..most {
            last = last
                .iter()
                .flat_map(|start| levels.iter().map(move |level| format!("{start}/{level}")))
                .collect();
            all.extend(last.clone());
        }
        all
    }

    fn is_valid(filter: &str) -> bool {
        filter.split('/').rev().skip(1).all(|level| level != "#")
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, topic) in [
            ("a", "a"),
            ("a/b", "a/b"),
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a"),
            ("#", "/"),
            ("#", "a/b/c"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("+/#", "a"),
            ("+/b/#", "a/b"),
            ("$SYS/#", "$SYS/broker/uptime"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
            ("a/$b/+", "a/$b/c"),
            ("+/$b", "a/$b"),
            ("plant/ü/+", "plant/ü/ö"),
            ("$share/group/a/+", "a/b"),
            ("$share/group/#", "a"),
            ("$share/group//a", "/a"),
            ("$share", "$share"),
        ] {
            assert!(matches(filter, topic), "{filter} matches {topic}");
        }
    }

    #[test]
    fn filters_match_nothing_else() {
        for (filter, topic) in [
            ("a", "b"),
            ("a", "A"),
            ("a", "a/"),
            ("a", "/a"),
            ("a/b", "a"),
            ("a/b", "a/b/c"),
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("+", "a/b"),
            ("sport/#", "sports"),
            ("+/b/#", "a"),
            ("#", "$SYS/broker"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("+", "$SYS"),
            ("$share/group/#", "$SYS/broker"),
            ("$share/group/a", "$share/group/a"),
            ("$share/group/a", "group/a"),
        ] {
            assert!(!matches(filter, topic), "{filter} does not match {topic}");
        }
    }

    #[test]
    fn a_filter_covers_another_exactly_if_it_matches_all_of_its_topics() {
        // One level more than the filters have, and a level that no filter names.
        let topics = all(&["a", "b", "", "$s", "other"], 4);
        let filters = all(&["a", "b", "$s", "+", "#"], 3);
        let filters: Vec<_> = filters.iter().filter(|filter| is_valid(filter)).collect();
        let matched: Vec<Vec<bool>> = filters
            .iter()
            .map(|filter| topics.iter().map(|topic| matches(filter, topic)).collect())
            .collect();
        for (wide, by_wide) in filters.iter().zip(&matched) {
            for (narrow, by_narrow) in filters.iter().zip(&matched) {
                let expected = by_narrow.iter().zip(by_wide).all(|(narrow, wide)| *wide || !narrow);
                assert_eq!(covers(wide, narrow), expected, "{wide} covers {narrow}");
            }
        }
    }

    #[test]
    fn shared_subscriptions_count_as_their_filter() {
        assert!(covers("plant/#", "$share/group/plant/+/temp"));
        assert!(covers("$share/group/plant/#", "plant/a"));
        assert!(!covers("$share/group/#", "$SYS/#"));
        assert!(is_shared("$share/group/a") && !is_shared("share/group/a"));
    }

    #[test]
    fn filters_overlap_where_a_topic_is_matched_by_both() {
        let filters = all(&["a", "b", "$x", "", "+", "#"], 3);
        let filters: Vec<_> = filters.iter().filter(|filter| is_valid(filter)).collect();
        let topics = all(&["a", "b", "$x", ""], 4);
        for one in &filters {
            for other in &filters {
                let both = topics.iter().any(|topic| matches(one, topic) && matches(other, topic));
                assert_eq!(overlap(one, other), both, "{one} {other}");
            }
        }
        assert!(overlap("$share/g/a/+", "a/b") && !overlap("$share/g/a", "$share/h/b"));
    }
}
