//! A certificate authority of this run and a server's certificate for 127.0.0.1, made with the
//! `openssl` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Folder;

/// Files in PEM format.
#[derive(Debug)]
pub struct Certificates {
    pub authority: PathBuf,
    pub server: PathBuf,
    pub server_key: PathBuf,
    _folder: Folder,
}

impl Certificates {
    /// For a server at 127.0.0.1.
    ///
    /// # Panics
    /// If `openssl` is missing or refuses.
    pub fn make() -> Self {
        Self::made_for("IP:127.0.0.1,DNS:localhost")
    }

    /// For a server with these names, as OpenSSL writes them.
    ///
    /// # Panics
    /// If `openssl` is missing or refuses.
    pub fn made_for(names: &str) -> Self {
        let folder = Folder::new("certificates");
        let file = |name: &str| folder.path().join(name);
        let (authority, server, server_key) = (file("ca.pem"), file("server.pem"), file("key.pem"));
        let extensions = folder
            .write("extensions", format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n"));

        let path = |path: &Path| path.display().to_string();
        let (ca, ca_key) = (path(&authority), path(&file("ca-key.pem")));
        let request = path(&file("request.pem"));
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN=tests -addext basicConstraints=critical,CA:TRUE -keyout {ca_key} -out {ca}"
        ));
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
             -keyout {} -out {request}",
            path(&server_key)
        ));
        openssl(&format!(
            "x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -days 2 \
             -extfile {} -out {}",
            path(&extensions),
            path(&server)
        ));
        Self { authority, server, server_key, _folder: folder }
    }
}

fn openssl(arguments: &str) {
    let output = Command::new("openssl").args(arguments.split_whitespace()).output();
    let output = output.expect("`openssl` starts (Debian: apt-get install openssl)");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`openssl {arguments}` failed:\n{errors}");
}
