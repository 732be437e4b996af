//! Certificate authorities of this run, and what they sign, made with the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scratch::{Folder, unique};

/// An authority. Its files are gone when it is.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    /// Its certificate in PEM.
    pub file: PathBuf,
    key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// # Panics
    /// If `openssl` is missing or refuses.
    pub fn new() -> Self {
        let folder = Folder::new("authority");
        let (file, key) = (folder.path().join("ca.pem"), folder.path().join("ca-key.pem"));
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tests \
             -addext basicConstraints=critical,CA:TRUE -keyout {} -out {}",
            key.display(),
            file.display()
        ));
        folder.write("index.txt", "");
        Self { folder, file, key }
    }

    /// Signs for a server with these names, as OpenSSL writes them.
    pub fn server(&self, names: &str) -> Signed {
        self.sign(&Wish { names, ..Wish::default() })
    }

    /// Signs for a client of this name.
    pub fn client(&self, name: &str) -> Signed {
        self.sign(&Wish { common_name: name, ..Wish::default() })
    }

    /// # Panics
    /// If `openssl` refuses.
    pub fn sign(&self, wish: &Wish<'_>) -> Signed {
        let number = unique();
        let file = |name: &str| self.folder.path().join(format!("{number}-{name}"));
        let (certificate, key, request) = (file("cert.pem"), file("key.pem"), file("request.pem"));
        openssl(&format!("{} -out {}", wish.key, key.display()));
        openssl(&format!(
            "req -new -key {} -subj /CN={} -out {}",
            key.display(),
            wish.common_name,
            request.display()
        ));
        let names = match wish.names {
            "" => String::new(),
            names => format!("subjectAltName={names}\n"),
        };
        let extensions = format!("basicConstraints={}\n{names}", wish.constraints);
        let extensions = self.folder.write(&format!("{number}-extensions"), extensions);
        let folder = self.folder.path().display();
        let settings = format!(
            "[ca]\ndefault_ca=this\n[this]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\n\
             unique_subject=no\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        );
        let settings = self.folder.write("ca.conf", settings);
        let (from, to) = wish.valid;
        openssl(&format!(
            "ca -batch -notext -config {} -cert {} -keyfile {} -extfile {} \
             -startdate {from} -enddate {to} -in {} -out {}",
            settings.display(),
            self.file.display(),
            self.key.display(),
            extensions.display(),
            request.display(),
            certificate.display()
        ));
        Signed { certificate, key }
    }
}

/// What a certificate shall be like.
#[derive(Debug)]
pub struct Wish<'a> {
    pub common_name: &'a str,
    /// As OpenSSL writes them.
    pub names: &'a str,
    /// The `openssl` command that makes its key.
    pub key: &'a str,
    pub constraints: &'a str,
    /// From and to, as ASN.1 writes times.
    pub valid: (&'a str, &'a str),
}

/// A key in PKCS#8.
pub const EC_KEY: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            common_name: "localhost",
            names: "",
            key: EC_KEY,
            constraints: "CA:FALSE",
            valid: ("20200101000000Z", "20990101000000Z"),
        }
    }
}

/// What an authority has signed, with its private key; both PEM files, gone with the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Signed {
    /// Puts another one into the files of this one.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn become_another(&self, other: &Self) {
        for (from, to) in [(&other.certificate, &self.certificate), (&other.key, &self.key)] {
            std::fs::copy(from, to).expect("the files of the harness can be written");
        }
    }

    /// The key again, encrypted with a password that has no spaces; gone with the authority, too.
    pub fn encrypted_key(&self, password: &str) -> PathBuf {
        let encrypted = self.key.with_extension(format!("{}.pem", unique()));
        openssl(&format!(
            "pkcs8 -topk8 -in {} -passout pass:{password} -out {}",
            self.key.display(),
            encrypted.display()
        ));
        encrypted
    }
}

/// A server's certificate with the authority that signed it.
#[derive(Debug)]
pub struct Certificates {
    pub authority: Authority,
    pub server: Signed,
}

impl Certificates {
    /// For a server at 127.0.0.1.
    pub fn make() -> Self {
        Self::made_for("IP:127.0.0.1,DNS:localhost")
    }

    /// For a server with these names, as OpenSSL writes them.
    pub fn made_for(names: &str) -> Self {
        let authority = Authority::new();
        let server = authority.server(names);
        Self { authority, server }
    }

    /// For a server at 127.0.0.1, but otherwise like that.
    pub fn wished(wish: &Wish<'_>) -> Self {
        let authority = Authority::new();
        let names = "IP:127.0.0.1";
        let server = authority.sign(&Wish { names, ..*wish });
        Self { authority, server }
    }

    /// The file of the authority's certificate.
    pub fn authority_file(&self) -> &Path {
        &self.authority.file
    }
}

/// Runs `openssl` with these arguments, which hold no spaces in themselves.
///
/// # Panics
/// If it is missing or refuses.
pub fn openssl(arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).stdin(Stdio::null());
    let output = command.output().expect("`openssl` starts (Debian: apt-get install openssl)");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`openssl {arguments}` failed:\n{errors}");
}
