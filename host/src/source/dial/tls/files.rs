//! Certificates and keys as they lie on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ClientFiles;

/// What the files, or the system, hold at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub authorities: Vec<CertificateDer<'static>>,
    pub client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Content {
    /// # Errors
    /// Which file cannot be used, and the cure.
    pub fn read(ca_file: Option<&PathBuf>, client: Option<&ClientFiles>) -> Result<Self, String> {
        let client = match client {
            Some(ClientFiles { certificate, key }) => {
                Some((certificates("--cert-file", certificate)?, private_key(key)?))
            }
            None => None,
        };
        let authorities = match ca_file {
            Some(path) => certificates("--ca-file", path)?,
            None => systems_authorities()?,
        };
        Ok(Self { authorities, client })
    }
}

fn systems_authorities() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!(
            "this system has no CA certificates{why}; install ca-certificates, or name a file with --ca-file"
        ));
    }
    Ok(found.certs)
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let problem = |problem: &str| Err(format!("{flag} {}: {problem}", path.display()));
    let bytes = read(flag, path)?;
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) if is_der(&bytes) => problem(
            "is in DER form, and PEM is needed; `openssl x509 -inform der -in FILE -out FILE.pem` makes it",
        ),
        Ok(_) => problem(
            "holds no certificate; it takes PEM, which begins with -----BEGIN CERTIFICATE-----",
        ),
        Err(error) => problem(&format!("{error}; give a PEM file of certificates")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let problem = |problem: &str| Err(format!("--key-file {}: {problem}", path.display()));
    let bytes = read("--key-file", path)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        // RFC 1421's way is a header between the lines, which is no Base64.
        _ if is_encrypted(&bytes) => problem(&format!(
            "is encrypted; decrypt it with `openssl pkey -in {} -out key.pem`, and let nobody else read that",
            path.display()
        )),
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_der(&bytes) => problem(
            "is in DER form, and PEM is needed; `openssl pkey -inform der -in FILE -out FILE.pem` makes it",
        ),
        Err(pem::Error::NoItemsFound) => problem(
            "holds no private key; it takes PEM, which begins with -----BEGIN PRIVATE KEY-----, RSA or EC PRIVATE KEY",
        ),
        Err(error) => problem(&format!("{error}; give a PEM file with a private key")),
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{flag} {} cannot be read: {error}", path.display()))
}

fn is_encrypted(pem: &[u8]) -> bool {
    [&b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == *mark))
}

/// Whether it may be DER: a certificate or a key is a SEQUENCE, and no text.
fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) && std::str::from_utf8(bytes).is_err()
}
