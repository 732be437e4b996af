//! A Kafka that lets nobody in without a password or a certificate, and lets nobody write what was
//! not granted.
//!
//! One broker with a listener for each way in. Its plain-text listener is the administrator's.

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Kafka, Listener, SETTINGS, java, launch, run};
use crate::certificates::{Authority, Certificates, Signed, Wish};
use crate::scratch::free_port;

/// Who may come in with a password, whatever the mechanism.
pub const USER: &str = "carrier";

/// The password for PLAIN, with everything in it that a careless reader would take for its end.
pub const PASSWORD: &str = "xyzzy, with=signs#1";

/// The password for SCRAM; Kafka's tool takes no signs in it.
const SCRAM_PASSWORD: &str = "xyzzy-scram";

/// The password for a mechanism.
pub fn password(mechanism: &str) -> &'static str {
    if mechanism == "PLAIN" { PASSWORD } else { SCRAM_PASSWORD }
}

/// Topics whose names begin so may be written by anybody who is let in.
const OPEN: &str = "open-";

/// What it takes to write a topic.
const WRITE: [&str; 2] = ["Write", "Describe"];

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A password, without TLS.
    Password,
    /// TLS, with a certificate of the broker alone.
    Tls,
    /// TLS, with a certificate of the client too.
    MutualTls,
    /// TLS and a password.
    TlsAndPassword,
    /// TLS, with a certificate for another name.
    Elsewhere,
    /// TLS, with a certificate that has expired.
    Expired,
}

const DOORS: [(Door, &str, &str); 6] = [
    (Door::Password, "PASSWORD", "SASL_PLAINTEXT"),
    (Door::Tls, "TLS", "SSL"),
    (Door::MutualTls, "MUTUAL", "SSL"),
    (Door::TlsAndPassword, "BOTH", "SASL_SSL"),
    (Door::Elsewhere, "ELSEWHERE", "SSL"),
    (Door::Expired, "EXPIRED", "SSL"),
];

/// What the broker shows at its doors.
#[derive(Debug)]
struct Papers {
    ours: Certificates,
    elsewhere: Certificates,
    /// Of our authority.
    expired: Signed,
}

impl Papers {
    fn make() -> Self {
        let ours = Certificates::make();
        let expired = ours.authority.sign(&Wish {
            names: "IP:127.0.0.1",
            valid: ("20200101000000Z", "20200201000000Z"),
            ..Wish::default()
        });
        Self { ours, elsewhere: Certificates::made_for("DNS:elsewhere.example"), expired }
    }

    /// Certificate and authority for a door with TLS.
    fn at(&self, door: Door) -> (&Signed, &Authority) {
        match door {
            Door::Elsewhere => (&self.elsewhere.server, &self.elsewhere.authority),
            Door::Expired => (&self.expired, &self.ours.authority),
            _ => (&self.ours.server, &self.ours.authority),
        }
    }
}

/// The running broker, for all tests that need it.
#[derive(Debug)]
pub struct Secured {
    kafka: Kafka,
    ports: Vec<u16>,
    papers: Papers,
    /// As it was started first.
    settings: String,
}

impl Secured {
    /// The one of this run.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Secured> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of one's own.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        let papers = Papers::make();
        let ports: Vec<_> = DOORS.iter().map(|_| free_port()).collect();
        let listeners: Vec<_> = DOORS
            .iter()
            .zip(&ports)
            .map(|((_, name, protocol), port)| Listener::new(name, protocol, *port))
            .collect();
        let scram =
            |mechanism: &str| format!("{mechanism}=[name={USER},password={}]", password(mechanism));
        let (scram_256, scram_512) = (scram("SCRAM-SHA-256"), scram("SCRAM-SHA-512"));
        let kafka = Kafka::start_listening(
            free_port(),
            &listeners,
            &settings(&papers),
            &["--add-scram", &scram_256, "--add-scram", &scram_512],
        );
        let settings = std::fs::read_to_string(kafka.folder.path().join(SETTINGS));
        let settings = settings.expect("the settings are readable");
        let secured = Self { kafka, ports, papers, settings };
        let prefixed = ["--add", "--resource-pattern-type", "prefixed"];
        secured.change_rights(&prefixed, "*", OPEN, &WRITE);
        secured
    }

    /// What goes into `--broker-address`.
    pub fn address(&self, door: Door) -> String {
        let index = DOORS.iter().position(|(known, ..)| *known == door);
        format!("127.0.0.1:{}", self.ports[index.expect("every door is in the list")])
    }

    /// Those that the brokers' certificates are signed with, and a client's may be.
    pub fn certificates(&self) -> &Certificates {
        &self.papers.ours
    }

    /// Those of [`Door::Elsewhere`].
    pub fn elsewhere(&self) -> &Certificates {
        &self.papers.elsewhere
    }

    /// A new topic that anybody who is let in may write, with its dead-letter topic.
    pub fn open_topic(&self, name: &str) -> String {
        self.kafka.topic(&format!("{OPEN}{name}"))
    }

    /// Lets [`USER`] write a topic, and see it.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn grant(&self, topic: &str) {
        self.change_rights(&["--add"], USER, topic, &WRITE);
    }

    /// Takes back what [`grant`](Self::grant) gave.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn revoke(&self, topic: &str) {
        self.change_rights(&["--remove", "--force"], USER, topic, &WRITE);
    }

    /// Lets [`USER`] see a topic, and no more.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn grant_sight(&self, topic: &str) {
        self.change_rights(&["--add"], USER, topic, &WRITE[1..]);
    }

    fn change_rights(&self, change: &[&str], user: &str, topic: &str, rights: &[&str]) {
        let principal = format!("User:{user}");
        let mut tool = java(&["kafka.admin.AclCommand", "--bootstrap-server"]);
        tool.arg(self.kafka.address()).args(change);
        tool.args(["--allow-principal", &principal, "--topic", topic]);
        tool.args(rights.iter().flat_map(|right| ["--operation", right]));
        run(&mut tool, "Kafka does not change the rights");
    }

    /// Kills it, and starts it again with another password than [`PASSWORD`] for the mechanism PLAIN.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn start_again_with_password(&self, password: &str) {
        let file = self.kafka.folder.path().join(SETTINGS);
        let settings = self.settings.replace(&plain_user(PASSWORD), &plain_user(password));
        std::fs::write(&file, settings).expect("the settings can be written to");
        self.kafka.kill();
        *self.kafka.process() = launch(&file);
        self.kafka.wait_until_it_answers();
    }
}

impl Deref for Secured {
    type Target = Kafka;

    fn deref(&self) -> &Kafka {
        &self.kafka
    }
}

fn plain_user(password: &str) -> String {
    format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{password}\";"
    )
}

/// Key and certificate in one file, as Kafka wants them.
fn in_one_file(signed: &Signed) -> PathBuf {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a certificate is readable");
    let both = signed.certificate.with_extension("both.pem");
    std::fs::write(&both, read(&signed.key) + &read(&signed.certificate))
        .expect("it can be written");
    both
}

fn settings(papers: &Papers) -> String {
    const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut settings = String::from(
        "auto.create.topics.enable=false\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\nssl.keystore.type=PEM\nssl.truststore.type=PEM\n",
    );
    let mut line = |text: String| writeln!(settings, "{text}").expect("text takes text");
    for (door, name, _) in DOORS {
        let prefix = format!("listener.name.{}", name.to_lowercase());
        if matches!(door, Door::Password | Door::TlsAndPassword) {
            line(format!("{prefix}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"));
            line(format!("{prefix}.plain.sasl.jaas.config={}", plain_user(PASSWORD)));
            line(format!("{prefix}.scram-sha-256.sasl.jaas.config={SCRAM}"));
            line(format!("{prefix}.scram-sha-512.sasl.jaas.config={SCRAM}"));
        }
        if door != Door::Password {
            let (signed, authority) = papers.at(door);
            line(format!("{prefix}.ssl.keystore.location={}", in_one_file(signed).display()));
            line(format!("{prefix}.ssl.truststore.location={}", authority.file.display()));
        }
    }
    line("listener.name.mutual.ssl.client.auth=required".to_owned());
    settings
}
