//! Which Kafka topic a record goes to: always the same, or one that follows from the MQTT topic.
//!
//! A template such as `plant.{1}` takes levels of the MQTT topic, counted from 0. Whoever may
//! publish could name any Kafka topic that way, so a template comes with the names that it may
//! lead to: topics, or patterns in which `*` stands for any characters.

mod pattern;

use std::borrow::Cow;

use pattern::{Symbol, overlap, symbols};

/// Longest name that Kafka takes.
const MAX: usize = 249;

/// Says what is wrong with the name of a Kafka topic, by Kafka's own rules.
///
/// # Errors
/// What goes behind the name in a sentence: "is empty".
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("is empty"),
        "." | ".." => Err("is a name that Kafka reserves"),
        _ if name.len() > MAX => Err("is longer than 249 characters"),
        _ if !name.bytes().all(is_legal) => {
            Err("has characters other than a-z, A-Z, 0-9, '.', '_' and '-'")
        }
        _ => Ok(()),
    }
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// See the [module's documentation](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    written: String,
    /// Absent for a name that is always the same.
    template: Option<Vec<Part>>,
    /// What a template, or a plugin, may lead to.
    allowed: Vec<String>,
    /// A plugin may choose among the allowed ones.
    free: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Level(usize),
}

impl KafkaTopic {
    /// Always the same topic, whose name must be valid.
    pub fn named(name: impl Into<String>) -> Self {
        Self { written: name.into(), template: None, allowed: Vec::new(), free: false }
    }

    /// Reads a name or a template; `allowed` are the names and patterns that a template may lead to,
    /// and that a plugin may choose if there is one that is `free` to.
    ///
    /// # Errors
    /// What is wrong, in one line with the cure, without saying where it was written.
    pub fn parse(written: &str, allowed: &[String], free: bool) -> Result<Self, String> {
        let template = if written.contains(['{', '}']) { Some(parts(written)?) } else { None };
        match &template {
            None => {
                if let Err(problem) = check_name(written) {
                    return Err(format!(
                        "{written:?} {problem}: give it the name of a Kafka topic"
                    ));
                }
                if !allowed.is_empty() && !free {
                    return Err(format!(
                        "{written:?} is always the same topic, so the list of allowed topics has no \
                         use: leave it out, or take levels of the MQTT topic as in plant.{{1}}"
                    ));
                }
            }
            Some(_) if allowed.is_empty() => {
                return Err(format!(
                    "{written:?} takes its name from messages: list the Kafka topics that it may lead \
                     to, by name or by patterns as in plant.*"
                ));
            }
            Some(_) => {}
        }
        for pattern in allowed {
            check_pattern(pattern)?;
        }
        // Who has no choice is not free.
        let free = free && !allowed.is_empty();
        let topic = Self { written: written.to_owned(), template, allowed: allowed.into(), free };
        match allowed.iter().find(|pattern| !topic.can_become(&symbols(pattern))) {
            Some(pattern) if !free => Err(format!(
                "{pattern:?} is allowed, but nothing that {written:?} can become: mend one of them"
            )),
            _ => Ok(topic),
        }
    }

    /// The topic for a message; a template writes its name into `buffer`.
    ///
    /// # Errors
    /// Why this MQTT topic leads to no Kafka topic, in one line.
    pub fn name<'a>(&'a self, mqtt_topic: &str, buffer: &'a mut String) -> Result<&'a str, String> {
        match &self.template {
            None => Ok(&self.written),
            Some(parts) => self.render(parts, mqtt_topic, buffer),
        }
    }

    /// As [`Self::name`], or what was written if there is none.
    #[must_use]
    pub fn name_or_written(&self, mqtt_topic: &str) -> Cow<'_, str> {
        let mut name = String::new();
        match self.name(mqtt_topic, &mut name).map(str::to_owned) {
            Ok(name) => Cow::Owned(name),
            Err(_) => Cow::Borrowed(&self.written),
        }
    }

    /// Checks the topic that a plugin has chosen for a record.
    ///
    /// # Errors
    /// Why it may not, in one line.
    pub fn check_choice(&self, name: &str) -> Result<(), String> {
        if let Err(problem) = check_name(name) {
            return Err(format!("a plugin has chosen the Kafka topic {name:?}, which {problem}"));
        }
        if self.allows(name) {
            return Ok(());
        }
        Err(format!(
            "a plugin has chosen the Kafka topic {name:?}, which is not among the allowed topics; \
             see --kafka-topics-allowed"
        ))
    }

    /// Whether some message can lead to this topic.
    #[must_use]
    pub fn may_be(&self, name: &str) -> bool {
        self.allows(name) && (self.free || self.can_become(&symbols(name)))
    }

    /// The name, if it is the same wherever no plugin chooses another.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        self.template.is_none().then_some(&self.written)
    }

    /// Whether the user has named this topic, so that it ought to be there; otherwise a message
    /// came upon it.
    #[must_use]
    pub fn names(&self, topic: &str) -> bool {
        self.known().any(|known| known == topic)
    }

    /// The topics that are known by name before any message.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let allowed = self.allowed.iter().filter(|pattern| !pattern.contains('*'));
        self.fixed().into_iter().chain(allowed.map(String::as_str))
    }

    /// Whether messages can lead to topics that are not [known](Self::known) before.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        self.allowed.iter().any(|pattern| pattern.contains('*'))
    }

    fn allows(&self, name: &str) -> bool {
        self.fixed() == Some(name)
            || self.allowed.iter().any(|pattern| pattern::matches(pattern, name))
    }

    /// Whether what is written can become something of this shape.
    fn can_become(&self, shape: &[Symbol]) -> bool {
        let own = match &self.template {
            None => symbols(&self.written),
            Some(parts) => parts.iter().flat_map(Part::shape).collect(),
        };
        overlap(&own, shape)
    }

    fn render<'a>(
        &self,
        parts: &[Part],
        mqtt_topic: &str,
        buffer: &'a mut String,
    ) -> Result<&'a str, String> {
        buffer.clear();
        for part in parts {
            match part {
                Part::Text(text) => buffer.push_str(text),
                Part::Level(level) => match mqtt_topic.split('/').nth(*level) {
                    Some("") => return Err(self.problem(&format!("level {level} is empty"))),
                    Some(text) => buffer.push_str(text),
                    None => {
                        return Err(self.problem(&format!("the topic has no level {level}")));
                    }
                },
            }
        }
        if let Err(problem) = check_name(buffer) {
            return Err(self.problem(&format!("{buffer:?} {problem}")));
        }
        if !self.allows(buffer) {
            return Err(self.problem(&format!("{buffer:?} is not among the allowed topics")));
        }
        Ok(buffer)
    }

    fn problem(&self, problem: &str) -> String {
        format!("no Kafka topic by {:?}: {problem}", self.written)
    }
}

/// As it was written.
impl std::fmt::Display for KafkaTopic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl Part {
    /// What a name made of this part looks like.
    fn shape(&self) -> Vec<Symbol> {
        match self {
            Self::Text(text) => symbols(text),
            Self::Level(_) => vec![Symbol::Any],
        }
    }
}

/// Splits a template at its braces.
fn parts(written: &str) -> Result<Vec<Part>, String> {
    let problem = |problem: &str| {
        Err(format!("{written:?} {problem}: levels of the MQTT topic are {{0}}, {{1}} and so on"))
    };
    let (mut parts, mut rest) = (Vec::new(), written);
    while let Some(at) = rest.find(['{', '}']) {
        if rest[at..].starts_with('}') {
            return problem("has a '}' without a '{' before it");
        }
        let (text, behind) = (&rest[..at], &rest[at + 1..]);
        let Some((level, behind)) = behind.split_once('}') else {
            return problem("has a '{' without a '}' behind it");
        };
        let digits = level.bytes().all(|byte| byte.is_ascii_digit());
        let Some(level) = level.parse().ok().filter(|_| digits) else {
            return problem(&format!("has {{{level}}}, which is no number"));
        };
        parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
        parts.push(Part::Level(level));
        rest = behind;
    }
    parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Level(_) => None,
    });
    let fixed: String = texts.collect();
    if fixed.len() >= MAX {
        return problem("leaves no room for a level: names have at most 249 characters");
    }
    if !fixed.bytes().all(is_legal) {
        return problem("has characters other than a-z, A-Z, 0-9, '.', '_' and '-'");
    }
    Ok(parts)
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let problem = if pattern.contains('*') {
        let legal = pattern.bytes().all(|byte| byte == b'*' || is_legal(byte));
        (!legal).then_some("has characters other than a-z, A-Z, 0-9, '.', '_', '-' and '*'")
    } else {
        check_name(pattern).err()
    };
    problem.map_or(Ok(()), |problem| {
        Err(format!(
            "the allowed topic {pattern:?} {problem}: give it the name of a Kafka topic, or a pattern as in plant.*"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    fn template(written: &str, patterns: &[&str]) -> KafkaTopic {
        KafkaTopic::parse(written, &allowed(patterns), false).expect("a good template")
    }

    fn name(topic: &KafkaTopic, mqtt_topic: &str) -> Result<String, String> {
        topic.name(mqtt_topic, &mut String::new()).map(str::to_owned)
    }

    #[test]
    fn a_name_without_braces_is_always_the_same_topic() {
        let topic = KafkaTopic::parse("plant", &[], false).expect("a good name");
        assert_eq!(topic, KafkaTopic::named("plant".to_owned()));
        assert_eq!(name(&topic, "a/b").as_deref(), Ok("plant"));
        assert_eq!(topic.known().collect::<Vec<_>>(), ["plant"]);
        assert!(topic.may_be("plant") && !topic.may_be("plant2"));
        assert_eq!(topic.name_or_written("a"), "plant");
    }

    #[test]
    fn a_template_takes_levels_of_the_mqtt_topic() {
        for (written, mqtt_topic, expected) in [
            ("plant.{1}", "plant/dev42/temp", "plant.dev42"),
            ("{0}", "a", "a"),
            ("{2}-{0}.x", "a/b/c", "c-a.x"),
            ("{0}{0}", "a/b", "aa"),
        ] {
            assert_eq!(name(&template(written, &["*"]), mqtt_topic).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_message_that_leads_to_no_topic_is_told_why() {
        let topic = template("plant.{1}", &["plant.dev*", "plant.x"]);
        for (mqtt_topic, why) in [
            ("plant", "the topic has no level 1"),
            ("plant//temp", "level 1 is empty"),
            ("plant/dev 1", "has characters other than"),
            ("plant/ü", "has characters other than"),
            (&format!("plant/dev{}", "x".repeat(249)), "longer than 249"),
            ("plant/other", "\"plant.other\" is not among the allowed topics"),
            ("plant/xx", "not among"),
        ] {
            let error = name(&topic, mqtt_topic).expect_err("no topic");
            assert!(error.contains(why) && error.contains("\"plant.{1}\""), "{error}");
            assert!(!error.contains('\n'));
            assert_eq!(topic.name_or_written(mqtt_topic), "plant.{1}");
        }
        assert_eq!(name(&topic, "plant/dev1").as_deref(), Ok("plant.dev1"));
        assert_eq!(topic.name_or_written("plant/dev1"), "plant.dev1");
        assert!(name(&template("{0}", &["*"]), "..").is_err());
    }

    #[test]
    fn what_a_template_may_become_is_known_before_any_message() {
        let topic = template("plant.{1}", &["plant.dev*", "plant.x"]);
        assert_eq!(topic.known().collect::<Vec<_>>(), ["plant.x"]);
        assert!(topic.names("plant.x") && !topic.names("plant.dev1"));
        assert!(topic.may_be("plant.x") && topic.may_be("plant.dev1"));
        assert!(!topic.may_be("plant.y") && !topic.may_be("dev1"));
        assert!(!template("{0}.a", &["*"]).may_be("x.b"));
    }

    #[test]
    fn a_plugin_may_choose_among_the_topics_that_are_allowed() {
        let fixed =
            KafkaTopic::parse("plant", &allowed(&["alarm.*", "audit"]), true).expect("good");
        for name in ["plant", "audit", "alarm.1"] {
            assert_eq!(fixed.check_choice(name), Ok(()));
            assert!(fixed.may_be(name));
        }
        for (name, why) in
            [("other", "not among the allowed"), ("a b", "characters"), ("", "empty")]
        {
            let error = fixed.check_choice(name).expect_err("not allowed");
            assert!(error.contains(why) && !fixed.may_be(name), "{error}");
        }
        assert_eq!(fixed.fixed(), Some("plant"));
        assert_eq!(fixed.known().collect::<Vec<_>>(), ["plant", "audit"]);
        assert!(!fixed.names("alarm.1"));
        // What the template cannot become, a plugin can still choose.
        let template = KafkaTopic::parse("plant.{1}", &allowed(&["plant.*", "x"]), true);
        let template = template.expect("good");
        assert!(template.may_be("x") && template.check_choice("x").is_ok());
        assert_eq!(name(&template, "a/b").as_deref(), Ok("plant.b"));
        assert!(KafkaTopic::parse("plant", &allowed(&["a/b"]), true).is_err());
    }

    #[test]
    fn templates_that_cannot_work_are_refused_with_the_cure() {
        for (written, patterns, words) in [
            ("plant.{}", &["*"][..], "{} , which is no number"),
            ("plant.{x}", &["*"], "{x}, which is no number"),
            ("plant.{-1}", &["*"], "{-1}, which is no number"),
            ("plant.{+1}", &["*"], "{+1}, which is no number"),
            ("plant.{1", &["*"], "'{' without a '}'"),
            ("plant.1}", &["*"], "'}' without a '{'"),
            ("{{0}}", &["*"], "{{0}, which is no number"),
            ("plant/{1}", &["*"], "characters other than"),
            (&format!("{}{{0}}", "x".repeat(249)), &["*"], "249"),
            ("plant.{1}", &[], "list the Kafka topics"),
            ("plant.{1}", &["plant.ü"], "\"plant.ü\" has characters"),
            ("plant.{1}", &["plant/*"], "\"plant/*\" has characters"),
            ("plant.{1}", &[""], "is empty"),
            ("plant.{1}", &["plant.*", "machine.*"], "\"machine.*\" is allowed, but nothing"),
            ("plant", &["plant"], "no use"),
            ("", &[], "is empty"),
            ("a b", &[], "characters other than"),
        ] {
            let error =
                KafkaTopic::parse(written, &allowed(patterns), false).expect_err("a bad template");
            assert!(error.contains(&words.replace(" ,", ",")), "{written}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
