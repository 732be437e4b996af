//! The path of the control socket, for who listens there and for who asks.

use std::mem::{offset_of, size_of};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Log, Wording};

/// Bytes of the longest path that the system takes for a socket; the one behind it is zero.
const LONGEST: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;

/// A running host that is to look at its plugins' files.
#[derive(Debug)]
pub struct SwapRequest {
    /// Where it listens.
    pub socket: PathBuf,
    /// Write JSON, not text.
    pub json: bool,
    pub log: Log,
    pub wording: Wording,
}

pub(super) fn check(socket: &Path) -> Result<(), String> {
    let bytes = socket.as_os_str().as_bytes().len();
    if bytes > LONGEST {
        return Err(format!(
            "--control-socket {} has {bytes} bytes, and the path of a socket at most {LONGEST}: give it a \
             shorter one, e.g. /run/host/control.sock",
            socket.display()
        ));
    }
    Ok(())
}
