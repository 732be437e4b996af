//! `host plugin swap`: which socket it means, and how little else it needs to know.

use super::*;

fn swap(arguments: &[&str], environment: &[(&str, &str)]) -> Result<SwapRequest, String> {
    match read_with(&[&["plugin", "swap"], arguments].concat(), environment)? {
        Command::Swap(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn socket(arguments: &[&str], environment: &[(&str, &str)]) -> PathBuf {
    swap(arguments, environment).expect("a socket").socket
}

#[test]
fn the_socket_is_given_as_to_the_bridge_and_nothing_else_is_needed() {
    let file = TemporaryFile::unique(
        b"control_socket = \"host.sock\"\npassword_file = \"/no/such\"\nbroker_address = \"x\"\n",
    );
    let beside = std::env::temp_dir().join("host.sock");
    assert_eq!(socket(&["--control-socket", "a"], &[]), PathBuf::from("a"));
    assert_eq!(socket(&["--config", file.path()], &[]), beside);
    assert_eq!(socket(&[], &[("HOST_CONFIG", file.path())]), beside);
    let environment = [("HOST_CONTROL_SOCKET", "b"), ("HOST_PASSWORD", "x"), ("HOST_PORT", "x")];
    assert_eq!(socket(&["--config", file.path()], &environment), PathBuf::from("b"));
    assert_eq!(socket(&["--control-socket=a"], &environment), PathBuf::from("a"));
    let request = swap(&["--control-socket=a", "--json", "--log=debug"], &[]).expect("a socket");
    assert!(request.json && request.log.filter.as_deref() == Some("debug"));
}

#[test]
fn a_socket_that_is_missing_or_has_too_long_a_path_is_refused() {
    assert_says(&swap(&[], &[]).expect_err("no socket"), &["--control-socket is missing"]);
    let file = TemporaryFile::unique(b"port = 1\n");
    let missing = swap(&["--config", file.path()], &[]).expect_err("no socket");
    assert_says(&missing, &[file.path(), "control_socket is missing"]);

    let long = format!("/tmp/{}", "x".repeat(200));
    for problem in [
        swap(&["--control-socket", &long], &[]).expect_err("too long"),
        problem(&["--control-socket", &long]),
    ] {
        assert_says(&problem, &["--control-socket", "205 bytes", "at most 107", "shorter"]);
    }
    let right = format!("/tmp/{}", "x".repeat(102));
    assert_eq!(config(&["--control-socket", &right]).control_socket, Some(right.into()));
}

#[test]
fn a_file_with_mistakes_is_refused() {
    let file = TemporaryFile::unique(b"control_sockets = \"a\"\n");
    let problem = swap(&["--config", file.path()], &[]).expect_err("a mistake");
    assert_says(&problem, &["unknown key control_sockets", "control_socket?"]);
}
