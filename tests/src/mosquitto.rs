//! A mosquitto of one's own: a real MQTT broker, with its own folder, port and settings.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use crate::certificates::Certificates;
use crate::process::{Process, Stream};
use crate::scratch::{Folder, free_port};
use crate::{SOON, eventually};

/// What a mosquitto shall be like. Without any of this it lets everybody in, keeps nothing on
/// disk, queues without limit and sends 1,000 messages before it wants an acknowledgement.
#[derive(Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
    password: Option<(String, String)>,
    acl: Option<String>,
    certificates: Option<Certificates>,
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

    pub fn start(self) -> Mosquitto {
        self.start_on(free_port())
    }

    /// # Panics
    /// If mosquitto is missing, refuses its settings or does not answer.
    pub fn start_on(self, port: u16) -> Mosquitto {
        let folder = Folder::new("mosquitto");
        // Root keeps being root, so that the folder can be written to.
        let mut lines = vec![
            "user root".to_owned(),
            format!("listener {port} 127.0.0.1"),
            format!("persistence_location {}/", folder.path().display()),
            "log_dest stderr".to_owned(),
        ];
        lines
            .extend(["error", "warning", "notice", "information"].map(|t| format!("log_type {t}")));
        for (name, value) in &self.settings {
            lines.push(format!("{name} {value}"));
        }
        let tls = self.certificates.map(|certificates| (free_port(), certificates));
        if let Some((port, certificates)) = &tls {
            lines.push(format!("listener {port} 127.0.0.1"));
            lines.push(format!("certfile {}", certificates.server.display()));
            lines.push(format!("keyfile {}", certificates.server_key.display()));
        }
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
        folder.write("mosquitto.conf", lines.join("\n"));
        let process = launch(&folder, port);
        Mosquitto { process, folder, port, tls }
    }
}

/// A running mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    process: Process,
    folder: Folder,
    port: u16,
    tls: Option<(u16, Certificates)>,
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
        let (port, certificates) =
            self.tls.as_ref().expect("a mosquitto that was built with `tls`");
        (*port, certificates)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.text(Stream::Err)
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
        let file = self.folder.path().join("mosquitto.db");
        std::fs::remove_file(file).expect("a stopped mosquitto has written its sessions");
    }

    /// Starts it again after a stop: same port, same settings, same folder.
    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, self.port);
    }
}

fn launch(folder: &Folder, port: u16) -> Process {
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(folder.path().join("mosquitto.conf"));
    let mut process = Process::start("mosquitto", &command);
    eventually("mosquitto answers (Debian: apt-get install mosquitto)", SOON, || {
        assert!(process.is_running(), "mosquitto does not start\n{}", process.tail());
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
    });
    process
}
