//! Writing TOML on one line.

use serde_json::Value as Json;

use crate::config::kind;

/// A text in quotes. What JSON escapes is escaped the same way in TOML, which wants DEL escaped too.
pub fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// Whether a key needs no quotes.
pub fn is_bare(key: &str) -> bool {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !key.is_empty() && key.bytes().all(bare)
}

/// JSON as an inline value, and the names of what is left out: secrets, and null, which TOML has not.
pub fn inline(value: &Json) -> (String, Vec<String>) {
    let mut left_out = Vec::new();
    (write(value, &mut left_out), left_out)
}

fn write(value: &Json, left_out: &mut Vec<String>) -> String {
    match value {
        Json::Object(members) => {
            let mut written = Vec::new();
            for (name, value) in members {
                if value.is_null() || kind::looks_secret(name) {
                    left_out.push(name.clone());
                } else {
                    let key = if is_bare(name) { name.clone() } else { quoted(name) };
                    written.push(format!("{key} = {}", write(value, left_out)));
                }
            }
            if written.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", written.join(", "))
            }
        }
        Json::Array(items) => {
            let items = items.iter().filter(|item| !item.is_null());
            let items: Vec<String> = items.map(|item| write(item, left_out)).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_toml_for_the_same() {
        let config = json!({
            "level": 2,
            "share": 1.5,
            "on": true,
            "names": ["a\"b", "c\n\u{7f}\\"],
            "a b": { "x": [], "y": {} },
        });
        let (text, left_out) = inline(&config);
        assert!(left_out.is_empty() && !text.contains('\n'), "{text}");
        let document = format!("config = {text}");
        let table = ::toml::de::DeTable::parse(&document).expect("valid TOML");
        let names = &table.get_ref()["config"].get_ref()["names"];
        assert_eq!(names.get_ref()[1].get_ref().as_str(), Some("c\n\u{7f}\\"));
        assert_eq!(
            text,
            "{ \"a b\" = { x = [], y = {} }, level = 2, names = [\"a\\\"b\", \"c\\n\\u007F\\\\\"], on = true, share = 1.5 }"
        );
    }

    #[test]
    fn secrets_and_null_are_left_out_by_name() {
        let (text, left_out) = inline(&json!({ "a": null, "b": { "api_token": "x" }, "c": 1 }));
        assert_eq!(
            (text.as_str(), left_out),
            ("{ b = {}, c = 1 }", vec!["a".into(), "api_token".into()])
        );
    }
}
