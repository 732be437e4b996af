//! A mosquitto of one's own: a real MQTT broker, with its own folder, port and settings.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Certificates;
use crate::process::{Process, Stream};
use crate::scratch::{Folder, free_port};
use crate::{SOON, eventually};

/// The file with its settings, in its folder.
const CONF: &str = "mosquitto.conf";

/// What a mosquitto shall be like. Without any of this it lets everybody in, keeps nothing on
/// disk, queues without limit and sends 1,000 messages before it wants an acknowledgement.
#[derive(Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
    password: Option<(String, String)>,
    acl: Option<String>,
    certificates: Option<Certificates>,
    /// Certificates that its clients need over TLS.
    clients_of: Option<PathBuf>,
    websockets: bool,
    address: Option<&'static str>,
}

impl Builder {
    /// A line of mosquitto.conf(5); it replaces an earlier one of that name.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(set, _)| set != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Keeps sessions and their messages on disk when it is stopped.
    #[must_use]
    pub fn persistent(self) -> Self {
        self.setting("persistence", true)
    }

    /// Lets in only who knows this.
    #[must_use]
    pub fn password(mut self, username: &str, password: &str) -> Self {
        self.password = Some((username.to_owned(), password.to_owned()));
        self.setting("allow_anonymous", false)
    }

    /// The lines of an ACL file.
    #[must_use]
    pub fn acl(mut self, lines: &str) -> Self {
        self.acl = Some(lines.to_owned());
        self
    }

    /// Speaks TLS as well, on a second port.
    #[must_use]
    pub fn tls(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Lets in over TLS only who has a certificate of this authority; the certificate's name is the
    /// user's.
    #[must_use]
    pub fn clients_of(mut self, authority: &Path) -> Self {
        self.clients_of = Some(authority.to_owned());
        self
    }

    /// Speaks websockets as well, on a port without TLS, and on one with it if it has certificates.
    #[must_use]
    pub fn websockets(mut self) -> Self {
        self.websockets = true;
        self
    }

    /// Listens at another address than 127.0.0.1.
    #[must_use]
    pub fn at(mut self, address: &'static str) -> Self {
        self.address = Some(address);
        self
    }

    pub fn start(self) -> Mosquitto {
        self.start_on(free_port())
    }

    /// # Panics
    /// If mosquitto is missing, refuses its settings or does not answer.
    pub fn start_on(self, port: u16) -> Mosquitto {
        let folder = Folder::new("mosquitto");
        let address = self.address.unwrap_or("127.0.0.1");
        // Root keeps being root, so that the folder can be written to.
        let mut lines = vec![
            "user root".to_owned(),
            format!("listener {port} {address}"),
            format!("persistence_location {}/", folder.path().display()),
            "log_dest stderr".to_owned(),
        ];
        lines
            .extend(["error", "warning", "notice", "information"].map(|t| format!("log_type {t}")));
        for (name, value) in &self.settings {
            lines.push(format!("{name} {value}"));
        }
        let mut listener = |more: &[String]| {
            let port = free_port();
            lines.push(format!("listener {port} {address}"));
            lines.extend_from_slice(more);
            port
        };
        let websockets = "protocol websockets".to_owned();
        let secure = self.certificates.as_ref().map(|it| tls_lines(it, self.clients_of.as_deref()));
        let ports = Ports {
            tls: secure.as_ref().map(|secure| listener(secure)),
            websocket: self.websockets.then(|| listener(std::slice::from_ref(&websockets))),
            secure_websocket: secure
                .filter(|_| self.websockets)
                .map(|secure| listener(&[secure, vec![websockets]].concat())),
        };
        if let Some((username, password)) = &self.password {
            let file = folder.path().join("passwords");
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args([username, password])
                .status()
                .expect("`mosquitto_passwd` starts (Debian: apt-get install mosquitto)");
            assert!(made.success(), "`mosquitto_passwd` makes a password file");
            lines.push(format!("password_file {}", file.display()));
        }
        if let Some(acl) = &self.acl {
            lines.push(format!("acl_file {}", folder.write("acl", acl).display()));
        }
        folder.write(CONF, lines.join("\n"));
        let process = launch(&folder, address, port);
        let certificates = self.certificates;
        Mosquitto { process, folder, address, port, ports, certificates }
    }
}

/// The lines of a listener that speaks TLS.
fn tls_lines(certificates: &Certificates, clients_of: Option<&Path>) -> Vec<String> {
    let mut lines = vec![
        format!("certfile {}", certificates.server.certificate.display()),
        format!("keyfile {}", certificates.server.key.display()),
    ];
    if let Some(authority) = clients_of {
        lines.push(format!("cafile {}", authority.display()));
        lines.push("require_certificate true".to_owned());
        lines.push("use_identity_as_username true".to_owned());
    }
    lines
}

/// Where else than on its first port it listens.
#[derive(Debug)]
struct Ports {
    tls: Option<u16>,
    websocket: Option<u16>,
    secure_websocket: Option<u16>,
}

/// A running mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    process: Process,
    folder: Folder,
    address: &'static str,
    port: u16,
    ports: Ports,
    certificates: Option<Certificates>,
}

impl Mosquitto {
    pub fn builder() -> Builder {
        Builder::default()
            .setting("allow_anonymous", true)
            .setting("max_inflight_messages", 1_000)
            .setting("max_queued_messages", 0)
    }

    pub fn start() -> Self {
        Self::builder().start()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port that speaks TLS, and its certificates.
    ///
    /// # Panics
    /// If it was built without.
    pub fn tls(&self) -> (u16, &Certificates) {
        let port = self.ports.tls.expect("a mosquitto that was built with `tls`");
        (port, self.certificates.as_ref().expect("what speaks TLS has certificates"))
    }

    /// The port that speaks websockets without TLS.
    ///
    /// # Panics
    /// If it was built without.
    pub fn websocket(&self) -> u16 {
        self.ports.websocket.expect("a mosquitto that was built with `websockets`")
    }

    /// The port that speaks websockets over TLS.
    ///
    /// # Panics
    /// If it was built without.
    pub fn secure_websocket(&self) -> u16 {
        self.ports.secure_websocket.expect("a mosquitto that was built with `websockets` and `tls`")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.text(Stream::Err)
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// SIGTERM; with `persistent` it writes its sessions to disk.
    pub fn stop(&mut self) {
        self.process.stop(SOON);
    }

    /// SIGKILL: what it has not yet written is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Deletes what it has kept on disk.
    pub fn forget(&mut self) {
        let file = self.kept();
        std::fs::remove_file(file).expect("a stopped mosquitto has written its sessions");
    }

    /// Has a running mosquitto write its sessions and their messages to disk (SIGUSR1), and gives
    /// what it has written.
    ///
    /// # Panics
    /// If it does not.
    pub fn snapshot(&self) -> Vec<u8> {
        let written = || std::fs::metadata(self.kept()).ok().map(|file| file.ino());
        let before = written();
        self.process.user_signal();
        // It writes a new file, which takes the place of the old one when it is whole.
        eventually("mosquitto writes its sessions", SOON, || {
            written().filter(|now| Some(*now) != before)
        });
        std::fs::read(self.kept()).expect("what mosquitto has written is readable")
    }

    /// Puts an earlier [`snapshot`](Self::snapshot) in the place of what it has kept.
    pub fn restore(&mut self, snapshot: &[u8]) {
        self.folder.replace("mosquitto.db", snapshot);
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("mosquitto.db")
    }

    /// Changes a line of its settings, from its next start on.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn configure(&self, name: &str, value: impl ToString) {
        let file = self.folder.path().join(CONF);
        let settings = std::fs::read_to_string(&file).expect("its settings are readable");
        let start = format!("{name} ");
        let (before, rest) = settings.split_once(&start).expect("a setting that it has");
        let (_, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let value = value.to_string();
        std::fs::write(&file, format!("{before}{start}{value}\n{after}"))
            .expect("its settings can be written to");
    }

    /// Starts it again after a stop: same port, same settings, same folder.
    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, self.address, self.port);
    }
}

fn launch(folder: &Folder, address: &str, port: u16) -> Process {
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(folder.path().join(CONF));
    let mut process = Process::start("mosquitto", &command);
    eventually("mosquitto answers (Debian: apt-get install mosquitto)", SOON, || {
        assert!(process.is_running(), "mosquitto does not start\n{}", process.tail());
        TcpStream::connect((address, port)).ok()
    });
    process
}
