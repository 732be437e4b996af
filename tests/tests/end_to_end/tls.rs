//! TLS towards the MQTT server: whom to trust, who to be, and every way in which it goes wrong.

use std::path::Path;
use std::process::Command;

use tests::certificates::{Authority, Certificates, EC_KEY, Signed, Wish, openssl};
use tests::host::{Builder, Ended, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages, noise};
use tests::mosquitto::Mosquitto;
use tests::process::Process;
use tests::publisher::Publisher;
use tests::raw::{pass_on, raw};
use tests::scratch::{Folder, free_port};
use tests::tls_front::{Asked, TlsFront};
use tests::wire::Publish;
use tests::{SOON, eventually};

/// To a port that speaks TLS.
fn to(port: u16) -> Builder {
    let kafka = Kafka::shared();
    Host::between_ports(port, "plant/#", kafka.address(), &kafka.topic("tls"))
        .without("tls-enabled")
}

/// To a mosquitto that speaks TLS, with its authority's file.
fn to_mosquitto(mosquitto: &Mosquitto) -> Builder {
    let (port, certificates) = mosquitto.tls();
    to(port).flag("ca-file", certificates.authority_file().display())
}

fn with_client(command: &Builder, client: &Signed) -> Builder {
    command
        .clone()
        .flag("cert-file", client.certificate.display())
        .flag("key-file", client.key.display())
}

/// # Panics
/// If it did not end with 1 and one line that says all of `words`, once.
#[track_caller]
fn gave_up(ended: &Ended, words: &[&str]) {
    ended.assert_failed(1, words);
    let last = ended.errors.lines().last().unwrap();
    assert!(words.iter().all(|word| last.contains(word)), "{words:?} not in {last:?}");
}

/// # Panics
/// If it cannot subscribe, or does not stop cleanly.
#[track_caller]
fn gets_in(command: &Builder) {
    command.start().stop().assert_clean();
}

#[test]
fn messages_come_over_tls_with_the_file_of_the_authority() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    for version in ["3.1.1", "5"] {
        let kafka = Kafka::shared();
        let topic = kafka.topic("over-tls");
        let host = to_mosquitto(&mosquitto)
            .without("kafka-topic")
            .flag("kafka-topic", &topic)
            .flag("mqtt-version", version)
            .start();
        let mut published = messages("plant", 3, 1_000, 1);
        published.push(Publish::new("plant/large", noise(500_000)));
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
        host.stop().assert_clean();
    }
}

#[test]
fn the_systems_authorities_are_trusted_without_a_file() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let (port, certificates) = mosquitto.tls();
    let file = certificates.authority_file().display().to_string();
    gets_in(&to(port).environment("SSL_CERT_FILE", &file));
    gave_up(&to(port).run(), &["certificate", "no authority that this system trusts", "--ca-file"]);
}

#[test]
fn a_certificate_of_another_authority_than_that_of_the_file_is_refused() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let (port, _) = mosquitto.tls();
    let other = Authority::new();
    let file = other.file.display().to_string();
    gave_up(&to(port).flag("ca-file", &file).run(), &["certificate", "--ca-file", &file]);
}

#[test]
fn a_certificate_that_is_no_good_is_refused_with_the_reason() {
    let (good, past, future) =
        (Wish::default().valid, ("20200101000000Z", "20200201000000Z"), "20980101000000Z");
    for (wish, words) in [
        (Wish { valid: past, ..Wish::default() }, ["expired", "days ago", "clock"]),
        (Wish { valid: (future, good.1), ..Wish::default() }, ["valid only in", "days", "clock"]),
        (Wish { constraints: "CA:TRUE", ..Wish::default() }, ["CA:TRUE", "CA:FALSE", "--ca-file"]),
    ] {
        let mosquitto = Mosquitto::builder().tls(Certificates::wished(&wish)).start();
        gave_up(&to_mosquitto(&mosquitto).run(), &words);
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_that_name_is_given() {
    let elsewhere = Certificates::made_for("DNS:elsewhere.example,IP:192.0.2.7");
    let mosquitto = Mosquitto::builder().tls(elsewhere).start();
    let command = to_mosquitto(&mosquitto);
    let words = ["127.0.0.1", "elsewhere.example, 192.0.2.7", "--tls-server-name"];
    gave_up(&command.run(), &words);
    gets_in(&command.clone().flag("tls-server-name", "elsewhere.example"));
    gets_in(&command.clone().flag("tls-server-name", "192.0.2.7"));
    let wrong = command.flag("tls-server-name", "nowhere.example");
    gave_up(&wrong.run(), &["nowhere.example", "elsewhere.example"]);
}

#[test]
fn a_certificate_that_signed_itself_is_trusted_when_it_is_named() {
    let folder = Folder::new("self-signed");
    let file = |name: &str| folder.path().join(name);
    let server = Signed { certificate: file("server.pem"), key: file("key.pem") };
    openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=self \
         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 \
         -keyout {} -out {}",
        server.key.display(),
        server.certificate.display()
    ));
    let named = server.certificate.display().to_string();
    let authority = Authority::new();
    let mosquitto = Mosquitto::builder().tls(Certificates { authority, server }).start();
    let (port, _) = mosquitto.tls();
    gets_in(&to(port).flag("ca-file", named));
    gave_up(&to(port).run(), &["certificate", "--ca-file"]);
    gave_up(&to_mosquitto(&mosquitto).run(), &["certificate", "--ca-file"]);
}

#[test]
fn the_server_is_asked_by_name() {
    let (mosquitto, certificates) = (Mosquitto::start(), Certificates::make());
    let front = TlsFront::builder().start(&certificates.server, mosquitto.port());
    let command = to(front.port()).flag("ca-file", certificates.authority_file().display());
    let asked = |name: Option<&str>| {
        let server_name = name.map(str::to_owned);
        Some(Asked { server_name, alpn: None })
    };
    gets_in(&command);
    assert_eq!(front.asked().pop(), asked(None), "an address is no name to ask for");
    gets_in(&command.clone().without("server").flag("server", "localhost"));
    assert_eq!(front.asked().pop(), asked(Some("localhost")));
    gets_in(&command.flag("tls-server-name", "localhost"));
    assert_eq!(front.asked().pop(), asked(Some("localhost")));
}

#[test]
fn the_first_application_protocol_that_the_server_knows_is_used() {
    let (mosquitto, certificates) = (Mosquitto::start(), Certificates::make());
    let front =
        TlsFront::builder().alpn("x-amzn-mqtt-ca").start(&certificates.server, mosquitto.port());
    let command = to(front.port()).flag("ca-file", certificates.authority_file().display());
    gets_in(&command.clone().flag("tls-alpn", "unknown").flag("tls-alpn", "x-amzn-mqtt-ca"));
    let asked = front.asked().pop().unwrap();
    assert_eq!(asked.alpn.as_deref(), Some("x-amzn-mqtt-ca"));
    gets_in(&command.clone().environment("HOST_TLS_ALPN", "unknown,x-amzn-mqtt-ca"));
    gets_in(&command);
    assert_eq!(front.asked().pop().unwrap().alpn, None, "by default none is offered");
    let wrong = command.flag("tls-alpn", "mqtt").run();
    gave_up(&wrong, &["application protocols", "offered: mqtt", "--tls-alpn"]);
}

/// A mosquitto that wants clients of an authority of their own.
fn mosquitto_for_clients() -> (Mosquitto, Authority) {
    let clients = Authority::new();
    let mosquitto =
        Mosquitto::builder().tls(Certificates::make()).clients_of(&clients.file).start();
    (mosquitto, clients)
}

#[test]
fn a_client_certificate_lets_in_with_any_kind_of_key() {
    let (mosquitto, clients) = mosquitto_for_clients();
    for (name, key, begins) in [
        ("pkcs8-ec", EC_KEY, "-----BEGIN PRIVATE KEY"),
        ("pkcs8-rsa", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-----BEGIN PRIV"),
        ("pkcs8-ed25519", "genpkey -algorithm ED25519", "-----BEGIN PRIVATE KEY"),
        ("sec1", "ecparam -genkey -name secp384r1", "-----BEGIN EC PARAMETERS"),
        ("pkcs1", "genrsa -traditional", "-----BEGIN RSA PRIVATE KEY"),
    ] {
        let client = clients.sign(&Wish { common_name: name, key, ..Wish::default() });
        let text = std::fs::read_to_string(&client.key).unwrap();
        assert!(text.starts_with(begins), "{name}: {text}");
        gets_in(&with_client(&to_mosquitto(&mosquitto), &client));
        let log = mosquitto.log();
        assert!(log.contains(&format!("u'{name}'")), "{name} is not the user's name in:\n{log}");
    }
}

#[test]
fn a_client_certificate_that_is_missing_is_asked_for() {
    let (mosquitto, clients) = mosquitto_for_clients();
    let words = ["client certificate", "--cert-file", "--key-file"];
    // With TLS 1.3 the server says so after the handshake, with 1.2 in it.
    gave_up(&to_mosquitto(&mosquitto).run(), &words);
    let certificates = Certificates::make();
    let front = TlsFront::builder()
        .only_tls_1_2()
        .clients_of(&clients.file)
        .start(&certificates.server, mosquitto.port());
    let command = to(front.port()).flag("ca-file", certificates.authority_file().display());
    gave_up(&command.run(), &words);
    gets_in(&with_client(&command, &clients.client("tls-1.2")));
}

#[test]
fn a_client_certificate_that_the_server_does_not_take_is_named() {
    let (mosquitto, clients) = mosquitto_for_clients();
    let command = to_mosquitto(&mosquitto);
    let stranger = Authority::new();
    let strange = stranger.client("stranger");
    let file = strange.certificate.display().to_string();
    let words = ["does not accept the client certificate", &file, "authority"];
    gave_up(&with_client(&command, &strange).run(), &words);
    let expired = Wish { valid: ("20200101000000Z", "20200201000000Z"), ..Wish::default() };
    let expired = clients.sign(&expired);
    let file = expired.certificate.display().to_string();
    let words = ["does not accept the client certificate", &file, "expired"];
    gave_up(&with_client(&command, &expired).run(), &words);
}

/// A command line whose TLS files are read; nobody listens where it points to.
fn right() -> Builder {
    Host::between_ports(1, "plant/#", "127.0.0.1:1", "plant").without("tls-enabled")
}

#[test]
fn files_that_are_of_no_use_are_found_before_the_first_connection() {
    let authority = Authority::new();
    let (one, other) = (authority.client("one"), authority.client("other"));
    let folder = Folder::new("tls-files");
    let refused = |certificate: &Path, key: &Path, words: &[&str]| {
        let files = Signed { certificate: certificate.to_owned(), key: key.to_owned() };
        let command = right().flag("ca-file", authority.file.display());
        with_client(&command, &files).run().assert_failed(2, words);
    };
    refused(&one.certificate, &other.key, &["--key-file", "--cert-file", "belong together"]);
    refused(&one.key, &one.key, &["--cert-file", "holds no certificate"]);
    refused(&one.certificate, &one.certificate, &["--key-file", "holds no private key"]);
    refused(Path::new("/no/such/c"), &one.key, &["--cert-file /no/such/c", "cannot be read"]);
    refused(&one.certificate, Path::new("/no/such/k"), &["--key-file /no/such/k", "read"]);
    for (name, how) in [("pkcs8", "pkcs8 -topk8"), ("sec1", "ec -aes128")] {
        let file = folder.path().join(name);
        let (from, to) = (one.key.display(), file.display());
        openssl(&format!("{how} -in {from} -passout pass:secret -out {to}"));
        let cure = format!("openssl pkey -in {to}");
        refused(&one.certificate, &file, &["--key-file", "is encrypted", &cure]);
    }
    let (der, key_der) = (folder.path().join("cert.der"), folder.path().join("key.der"));
    openssl(&format!("x509 -in {} -outform der -out {}", one.certificate.display(), der.display()));
    openssl(&format!("pkey -in {} -outform der -out {}", one.key.display(), key_der.display()));
    refused(&der, &one.key, &["--cert-file", "DER", "openssl x509 -inform der"]);
    refused(&one.certificate, &key_der, &["--key-file", "DER", "openssl pkey -inform der"]);
    let weak = folder.path().join("weak.pem");
    openssl(&format!(
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out {}",
        weak.display()
    ));
    refused(&one.certificate, &weak, &["--key-file", "P-256"]);
    let mangled = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let mangled = folder.write("mangled.pem", mangled);
    refused(&mangled, &one.key, &["--cert-file", "client's certificate"]);
    let file = mangled.display().to_string();
    right().flag("ca-file", &file).run().assert_failed(2, &["--ca-file", &file, "no usable"]);
    right().flag("ca-file", "/no/such/ca").run().assert_failed(2, &["--ca-file /no/such/ca"]);
    right()
        .environment("SSL_CERT_FILE", "/no/such/store")
        .environment("SSL_CERT_DIR", "")
        .run()
        .assert_failed(2, &["no CA certificates", "--ca-file"]);
}

#[test]
fn options_of_tls_that_contradict_each_other_are_refused() {
    let plain = right().flag("tls-enabled", false);
    for flag in ["ca-file", "cert-file", "key-file", "tls-server-name", "tls-alpn"] {
        let words = [&format!("--{flag}"), "--tls-enabled=false"];
        plain.clone().flag(flag, "x").run().assert_failed(2, &words);
    }
    right().flag("cert-file", "x").run().assert_failed(2, &["--cert-file", "--key-file"]);
    right().flag("key-file", "x").run().assert_failed(2, &["--key-file", "--cert-file"]);
    right().flag("tls-server-name", "a b").run().assert_failed(2, &["--tls-server-name", "a b"]);
}

#[test]
fn a_plain_text_server_spoken_to_with_tls_gets_a_line_that_names_the_cure() {
    let mosquitto = Mosquitto::start();
    gave_up(&to(mosquitto.port()).run(), &["--tls-enabled=false"]);
    let chatty = raw(|mut stream, _| {
        drop(std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n"));
    });
    gave_up(&to(chatty).run(), &["does not speak TLS", "--tls-enabled=false"]);
}

#[test]
fn a_server_with_tls_spoken_to_in_plain_text_gets_a_line_that_names_the_cure() {
    let (mosquitto, certificates) = (Mosquitto::start(), Certificates::make());
    let front = TlsFront::builder().start(&certificates.server, mosquitto.port());
    let command = to(front.port()).flag("tls-enabled", false);
    gave_up(&command.run(), &["speaks TLS", "--tls-enabled=false"]);
    // mosquitto hangs up without a word.
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let (port, _) = mosquitto.tls();
    let host = to(port).flag("tls-enabled", false).launch();
    host.wait_for_line("the cure", |line| {
        line.contains("speaks TLS") && line.contains("--tls-enabled=false")
    });
}

#[test]
fn a_server_that_speaks_only_old_versions_of_tls_is_refused() {
    let (certificates, port) = (Certificates::make(), free_port());
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    command.args(["-accept", &format!("127.0.0.1:{port}")]);
    command.arg("-cert").arg(&certificates.server.certificate);
    command.arg("-key").arg(&certificates.server.key);
    let _server = Process::start("openssl", &command);
    eventually("openssl listens", SOON, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    gave_up(&to(port).run(), &["neither TLS 1.2 nor 1.3"]);
}

#[test]
fn a_server_that_is_silent_in_the_handshake_is_tried_again() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let (behind, certificates) = mosquitto.tls();
    let mut silent = Vec::new();
    let port = raw(move |stream, number| match number {
        0 => silent.push(stream),
        _ => pass_on(stream, behind),
    });
    let host = to(port).flag("ca-file", certificates.authority_file().display()).launch();
    host.wait_for_line("what is wrong", |line| {
        line.contains("does not answer the TLS handshake") && line.contains("--tls-enabled=false")
    });
    host.wait_until_ready();
    host.stop().assert_clean();
}

#[test]
fn a_renewed_client_certificate_is_used_at_the_next_connection() {
    let (mut mosquitto, clients) = mosquitto_for_clients();
    let files = clients.client("before");
    let host = with_client(&to_mosquitto(&mosquitto), &files).start();
    assert!(mosquitto.log().contains("u'before'"));

    files.become_another(&clients.client("after"));
    mosquitto.kill();
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    assert!(mosquitto.log().contains("u'after'"), "{}", mosquitto.log());

    std::fs::write(&files.key, "not a key").unwrap();
    mosquitto.kill();
    mosquitto.start_again();
    host.wait_until_ready_again(3);
    assert!(mosquitto.log().contains("u'after'"), "{}", mosquitto.log());
    host.wait_for_line("a warning", |line| {
        line.contains("WARN") && line.contains("--key-file") && line.contains("read before")
    });
    host.stop().assert_clean();
}

#[test]
fn a_certificate_that_goes_bad_later_is_said_loudly_and_tried_again() {
    let mut mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let host = to_mosquitto(&mosquitto).start();
    let (_, certificates) = mosquitto.tls();
    let files = certificates.server.clone();
    let stranger = Authority::new();
    let (good, bad) =
        (certificates.authority.server("IP:127.0.0.1"), stranger.server("IP:127.0.0.1"));
    mosquitto.kill();
    files.become_another(&bad);
    mosquitto.start_again();
    host.wait_for_line("a warning", |line| {
        line.contains("WARN") && line.contains("--ca-file") && line.contains("trying again in")
    });
    mosquitto.kill();
    files.become_another(&good);
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    host.stop().assert_clean();
}
