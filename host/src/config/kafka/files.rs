//! Properties that come from files: whole lists of them, and single values such as passwords.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Secret, check_property, properties};

type Properties = Vec<(String, Secret)>;

/// Puts together what was given as `-X NAME=VALUE`, as `--kafka-secret NAME=FILE`, and in files of
/// properties, whose lines give way to the other two. Messages never show a value.
///
/// # Errors
/// Which property is wrong, given twice, or not readable.
pub fn properties_with_files(
    given: &[Secret],
    secrets: &[String],
    files: &[PathBuf],
) -> Result<Properties, String> {
    let mut all = properties(given)?;
    for secret in secrets {
        let (name, value) = read_secret(secret)?;
        if all.iter().any(|(known, _)| *known == name) {
            return Err(format!("--kafka-secret {name} is given twice, or with -X too: keep one"));
        }
        all.push((name, value));
    }
    let mut from_files = Properties::new();
    for file in files {
        read_file(file, &mut from_files)?;
    }
    from_files.retain(|(name, _)| all.iter().all(|(known, _)| known != name));
    from_files.append(&mut all);
    Ok(from_files)
}

/// Reads `NAME=FILE`. The last newline of the file is not part of the value.
fn read_secret(written: &str) -> Result<(String, Secret), String> {
    let (name, path) = match written.split_once('=') {
        Some((name, path)) if !name.trim().is_empty() && !path.trim().is_empty() => {
            (name.trim(), Path::new(path.trim()))
        }
        _ => {
            return Err("--kafka-secret takes NAME=FILE, e.g. sasl.password=/run/secrets/kafka; \
                        for NAME=VALUE there is -X"
                .to_owned());
        }
    };
    let problem = |problem: &str| format!("--kafka-secret {name} ({}) {problem}", path.display());
    let text = read(path).map_err(|error| problem(&error))?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(problem("is empty"));
    }
    check_property(name, value).map_err(|error| problem(&error))?;
    Ok((name.to_owned(), Secret::new(value)))
}

/// Reads lines of `NAME=VALUE`; blank ones and those that begin with `#` say nothing.
fn read_file(path: &Path, properties: &mut Properties) -> Result<(), String> {
    let place = |line: usize| format!("--kafka-config-file {}:{line}:", path.display());
    let text =
        read(path).map_err(|error| format!("--kafka-config-file {} {error}", path.display()))?;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => (name.trim(), value.trim()),
            _ => return Err(format!("{} is not NAME=VALUE", place(number))),
        };
        if properties.iter().any(|(known, _)| known == name) {
            return Err(format!("{} {name} is given twice: keep one", place(number)));
        }
        check_property(name, value)
            .map_err(|problem| format!("{} {name} {problem}", place(number)))?;
        properties.push((name.to_owned(), Secret::new(value)));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is gone at the end of the test.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("host-{}-{name}", std::process::id()));
            fs::write(&path, content).expect("a temporary file can be written");
            Self(path)
        }

        fn secret(&self, name: &str) -> String {
            format!("{name}={}", self.0.display())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            drop(fs::remove_file(&self.0));
        }
    }

    fn value<'p>(properties: &'p Properties, name: &str) -> Option<&'p str> {
        properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.reveal())
    }

    #[test]
    fn a_file_of_properties_gives_way_to_the_command_line() {
        let file = File::new(
            "list",
            b"# Kafka\r\n\n security.protocol = sasl_ssl \r\nsasl.username=me\nsasl.password=a=b, #c\\\nlinger.ms=5\n",
        );
        let given = [Secret::new("linger.ms=7")];
        let properties =
            properties_with_files(&given, &[], std::slice::from_ref(&file.0)).expect("all right");
        for (name, expected) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.username", "me"),
            ("sasl.password", "a=b, #c\\"),
            ("linger.ms", "7"),
        ] {
            assert_eq!(value(&properties, name), Some(expected));
        }
        assert_eq!(properties.len(), 4);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_with_its_line_and_without_the_value() {
        for (content, problem) in [
            ("linger.ms=1\nhunter2", ":2: is not NAME=VALUE"),
            ("=hunter2", ":1: is not NAME=VALUE"),
            ("\n\nacks=hunter2", ":3: acks is not yours to set"),
            ("sasl.jaas.config=hunter2", "sasl.username and sasl.password"),
            ("sasl.password=hunter2\nsasl.password=hunter3", ":2: sasl.password is given twice"),
        ] {
            let file = File::new("wrong", content.as_bytes());
            let error =
                properties_with_files(&[], &[], std::slice::from_ref(&file.0)).expect_err("wrong");
            assert!(error.contains(problem) && !error.contains("hunter"), "{error}");
            assert!(error.contains("--kafka-config-file"), "{error}");
        }
        let missing = properties_with_files(&[], &[], &["/no/such/file".into()]);
        let error = missing.expect_err("no file");
        assert!(error.contains("/no/such/file cannot be read"), "{error}");
    }

    #[test]
    fn a_secret_is_the_whole_file_but_its_last_newline() {
        for (content, expected) in [
            (&b"hunter2"[..], "hunter2"),
            (b"hunter2\n", "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b" a,b=c \n\n", " a,b=c \n"),
        ] {
            let file = File::new("secret", content);
            let secrets = [file.secret("sasl.password")];
            let properties = properties_with_files(&[], &secrets, &[]).expect("all right");
            assert_eq!(value(&properties, "sasl.password"), Some(expected));
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_or_is_given_twice_is_refused() {
        let file = File::new("secrets", b"hunter2");
        let empty = File::new("empty", b"\n");
        let binary = File::new("binary", b"\xff");
        let (good, twice) = (file.secret("sasl.password"), [Secret::new("sasl.password=hunter2")]);
        for (given, secrets, problem) in [
            (
                &[][..],
                vec!["sasl.password=/no/such/file".to_owned()],
                "/no/such/file) cannot be read",
            ),
            (&[], vec![empty.secret("sasl.password")], "is empty"),
            (&[], vec![binary.secret("sasl.password")], "is not UTF-8"),
            (&[], vec!["sasl.password".to_owned()], "NAME=FILE"),
            (&[], vec!["=x".to_owned()], "NAME=FILE"),
            (&[], vec![file.secret("acks")], "not yours to set"),
            (&[], vec![good.clone(), good.clone()], "given twice"),
            (&twice, vec![good.clone()], "given twice"),
        ] {
            let error = properties_with_files(given, &secrets, &[]).expect_err("wrong");
            assert!(error.contains(problem) && !error.contains("hunter"), "{error}");
            assert!(error.contains("--kafka-secret"), "{error}");
        }
    }
}
