//! Nothing waits for who reads standard output or standard error, unless it is asked to.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::messages;
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::wire::Publish;
use tests::{A_WHILE, SOON, eventually};

/// More, printed, than a pipe and all queues hold.
const LARGE: usize = 3_000;

fn large_messages() -> Vec<Publish> {
    let message = |index| {
        let payload = format!(r#"{{"number":{index},"padding":"{}"}}"#, "x".repeat(4_000));
        Publish::new(format!("plant/{}", index % 3), payload)
    };
    (0..LARGE).map(message).collect()
}

/// Publishes more than there is room for when it is printed, and then what has to wait for that.
fn fill(mosquitto: &Mosquitto) {
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&large_messages());
    publisher.publish(&large_messages());
}

/// Its standard output is a pipe that nobody reads, until somebody opens the file `pipe`.
fn unread(host: Builder, folder: &Folder) -> Builder {
    let pipe = folder.path().join("pipe");
    host.by_script(format!("mkfifo '{0}'; exec 1<>'{0}'; exec \"$@\"", pipe.display()))
}

#[test]
fn deliveries_go_on_while_nobody_reads_what_is_printed() {
    let (kafka, mosquitto, folder) = (Kafka::shared(), Mosquitto::start(), Folder::new("unread"));
    let topic = kafka.topic("unread");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).argument("--print");
    let host = unread(host, &folder).start();
    Publisher::connect(mosquitto.port(), "publisher").publish(&large_messages());
    kafka.wait_for(&topic, LARGE, A_WHILE);
    host.wait_for_line("that records are left out", |line| line.contains("leaves out records"));
    let ended = host.stop();
    assert_eq!(ended.assert_clean().delivered, LARGE as u64);
    let left_out = ended.errors.lines().find_map(|line| {
        let (_, rest) = line.split_once("--print has left out ")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    });
    assert!(left_out.is_some_and(|count| (1..LARGE).contains(&count)), "{}", ended.errors);
}

#[test]
fn messages_wait_for_the_reader_where_that_is_asked_for_and_the_connection_stays() {
    let (kafka, mosquitto, folder) = (Kafka::shared(), Mosquitto::start(), Folder::new("wait"));
    let topic = kafka.topic("unread-wait");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .argument("--print=wait")
        .flag("keep-alive", 5);
    let host = unread(host, &folder).start();
    fill(&mosquitto);
    // Said after ten seconds, in which the server would have given up a silent client.
    host.wait_for_line("that it waits", |line| line.contains("(--print=wait)"));
    assert!(!mosquitto.log().contains("exceeded timeout"), "{}", mosquitto.log());

    let lines = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&lines);
    let pipe = File::open(folder.path().join("pipe")).expect("the pipe is there");
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            assert!(line.starts_with('{') && line.ends_with('}'), "a whole line: {line}");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    eventually("every record is printed", A_WHILE, || {
        (lines.load(Ordering::Relaxed) == 2 * LARGE).then_some(())
    });
    let ended = host.stop();
    assert_eq!(ended.assert_clean().delivered, 2 * LARGE as u64);
    assert!(!ended.errors.contains("left out"), "{}", ended.errors);
}

#[test]
fn a_stop_does_not_wait_for_the_reader() {
    let (kafka, mosquitto, folder) = (Kafka::shared(), Mosquitto::start(), Folder::new("stop"));
    let topic = kafka.topic("unread-stop");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .argument("--print=wait")
        .flag("shutdown-timeout", 1);
    let host = unread(host, &folder).start();
    fill(&mosquitto);
    host.wait_for_line("that it waits", |line| line.contains("(--print=wait)"));
    host.terminate();
    let ended = host.wait(SOON);
    ended.assert_clean();
    let said = ended.errors.contains("the last records of --print are missing");
    assert!(said, "{}", ended.errors);
}

/// A mosquitto whose log tells who subscribes, since that of the host cannot be read.
fn mosquitto() -> Mosquitto {
    Mosquitto::builder().setting("log_type", "subscribe").start()
}

/// Carries messages although its standard error is of no use, and ends with 0.
fn assert_carries(name: &str, script: &str) {
    let (kafka, mosquitto, folder) = (Kafka::shared(), mosquitto(), Folder::new(name));
    let topic = kafka.topic(name);
    let pipe = folder.path().join("pipe").display().to_string();
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        // More than its queue holds.
        .flag("log", "trace")
        .by_script(script.replace("PIPE", &pipe))
        .launch();
    eventually("it has subscribed", SOON, || mosquitto.log().contains("plant/#").then_some(()));
    let published = messages("plant", 3, 20_000, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_eq!(kafka.wait_for(&topic, published.len(), A_WHILE).len(), published.len());
    host.terminate();
    assert_eq!(host.wait(SOON).code, Some(0), "the exit code");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    assert_carries(
        "stuck-log",
        "mkfifo 'PIPE'; exec 2<>'PIPE'; head -c 65536 /dev/zero >&2; exec \"$@\"",
    );
}

#[test]
fn a_log_that_nobody_can_read_any_more_stops_nothing() {
    // The only reader closes its end.
    assert_carries("closed-log", "mkfifo 'PIPE'; exec 3<>'PIPE' 2>'PIPE' 3<&-; exec \"$@\"");
}
