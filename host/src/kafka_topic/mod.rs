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
pub enum KafkaTopic {
    /// A valid name.
    Fixed(String),
    Template(Template),
}

/// A name with levels of the MQTT topic in it, and what it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
    allowed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Level(usize),
}

impl KafkaTopic {
    /// Reads a name or a template; `allowed` are the names and patterns that a template may lead to.
    ///
    /// # Errors
    /// What is wrong, in one line with the cure, without saying where it was written.
    pub fn parse(written: &str, allowed: &[String]) -> Result<Self, String> {
        if !written.contains(['{', '}']) {
            return match check_name(written) {
                Ok(()) if allowed.is_empty() => Ok(Self::Fixed(written.to_owned())),
                Ok(()) => Err(format!(
                    "{written:?} is always the same topic, so the list of allowed topics has no \
                     use: leave it out, or take levels of the MQTT topic as in plant.{{1}}"
                )),
                Err(problem) => {
                    Err(format!("{written:?} {problem}: give it the name of a Kafka topic"))
                }
            };
        }
        let parts = parts(written)?;
        if allowed.is_empty() {
            return Err(format!(
                "{written:?} takes its name from messages: list the Kafka topics that it may lead \
                 to, by name or by patterns as in plant.*"
            ));
        }
        for pattern in allowed {
            check_pattern(pattern)?;
        }
        let shape: Vec<Symbol> = parts.iter().flat_map(Part::shape).collect();
        for pattern in allowed {
            if !overlap(&shape, &symbols(pattern)) {
                return Err(format!(
                    "{pattern:?} is allowed, but nothing that {written:?} can become: mend one of them"
                ));
            }
        }
        Ok(Self::Template(Template { written: written.to_owned(), parts, allowed: allowed.into() }))
    }

    /// The topic for a message; a template writes its name into `buffer`.
    ///
    /// # Errors
    /// Why this MQTT topic leads to no Kafka topic, in one line.
    pub fn name<'a>(&'a self, mqtt_topic: &str, buffer: &'a mut String) -> Result<&'a str, String> {
        match self {
            Self::Fixed(name) => Ok(name),
            Self::Template(template) => template.render(mqtt_topic, buffer),
        }
    }

    /// As [`Self::name`], or what was written if there is none.
    #[must_use]
    pub fn name_or_written(&self, mqtt_topic: &str) -> Cow<'_, str> {
        match self {
            Self::Fixed(name) => Cow::Borrowed(name),
            Self::Template(template) => {
                let mut name = String::new();
                match template.render(mqtt_topic, &mut name).map(drop) {
                    Ok(()) => Cow::Owned(name),
                    Err(_) => Cow::Borrowed(&template.written),
                }
            }
        }
    }

    /// Whether some message can lead to this topic.
    #[must_use]
    pub fn may_be(&self, name: &str) -> bool {
        match self {
            Self::Fixed(fixed) => fixed == name,
            Self::Template(template) => template.allows(name) && template.can_become(name),
        }
    }

    /// The name, if it is always the same.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(name) => Some(name),
            Self::Template(_) => None,
        }
    }

    /// Whether the user has named this topic, so that it ought to be there; otherwise a message
    /// came upon it.
    #[must_use]
    pub fn names(&self, topic: &str) -> bool {
        self.known().any(|known| known == topic)
    }

    /// The topics that are known by name before any message.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let (fixed, allowed) = match self {
            Self::Fixed(name) => (Some(name), None),
            Self::Template(template) => (None, Some(&template.allowed)),
        };
        let allowed = allowed.into_iter().flatten().filter(|pattern| !pattern.contains('*'));
        fixed.into_iter().chain(allowed).map(String::as_str)
    }
}

/// As it was written.
impl std::fmt::Display for KafkaTopic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Fixed(name) => name,
            Self::Template(template) => &template.written,
        })
    }
}

impl Template {
    fn render<'a>(&self, mqtt_topic: &str, buffer: &'a mut String) -> Result<&'a str, String> {
        buffer.clear();
        for part in &self.parts {
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

    fn allows(&self, name: &str) -> bool {
        self.allowed.iter().any(|pattern| pattern::matches(pattern, name))
    }

    fn can_become(&self, name: &str) -> bool {
        let shape: Vec<Symbol> = self.parts.iter().flat_map(Part::shape).collect();
        overlap(&shape, &symbols(name))
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
        KafkaTopic::parse(written, &allowed(patterns)).expect("a good template")
    }

    fn name(topic: &KafkaTopic, mqtt_topic: &str) -> Result<String, String> {
        topic.name(mqtt_topic, &mut String::new()).map(str::to_owned)
    }

    #[test]
    fn a_name_without_braces_is_always_the_same_topic() {
        let topic = KafkaTopic::parse("plant", &[]).expect("a good name");
        assert_eq!(topic, KafkaTopic::Fixed("plant".to_owned()));
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
            let error = KafkaTopic::parse(written, &allowed(patterns)).expect_err("a bad template");
            assert!(error.contains(&words.replace(" ,", ",")), "{written}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
