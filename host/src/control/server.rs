//! Listens on the control socket and answers, beside everything else. A client that says rubbish, or
//! nothing, or does not read its answer, costs no more than a place among a few for some seconds.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Answer, LONGEST, Request, line};
use crate::swap::Ask;

/// How long a client may take for a line, or to read its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many clients are attended to at a time; more wait for their turn.
const CLIENTS: usize = 8;

/// Pause after a client could not be taken, since that is likely to fail again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers on a socket. When it is dropped, nobody is answered any more, and the socket's file is gone.
pub struct Control {
    path: PathBuf,
    file: Option<FileId>,
    serving: JoinHandle<()>,
}

/// Which file, on which device.
type FileId = (u64, u64);

impl Control {
    /// Begins to listen.
    ///
    /// # Errors
    /// Why it cannot be listened there, in one line that names the cure.
    pub async fn open(path: &Path, ask: Ask) -> Result<Self, String> {
        let listener = match listen(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                free(path).await?;
                listen(path)
            }
            listener => listener,
        };
        let listener = listener.map_err(|error| unusable(path, &error))?;
        tracing::info!("listening for requests on {}", path.display());
        let serving = tokio::spawn(serve(listener, ask));
        Ok(Self { path: path.to_owned(), file: file_id(path), serving })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.serving.abort();
        // What somebody else has put there meanwhile is not ours to remove.
        if self.file.is_some() && file_id(&self.path) == self.file {
            // Whoever starts next copes with one that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Nobody can connect before it listens, so nobody else ever can.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(CLIENTS as u32)
}

/// Removes a socket on which nobody listens any more.
async fn free(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let problem = match UnixStream::connect(path).await.map_err(|error| error.kind()) {
        // One that is too busy to take a client listens all the same.
        Ok(_) | Err(ErrorKind::WouldBlock) => {
            "is in use: another program listens there; stop it, or give this host a path of its own"
        }
        Err(ErrorKind::PermissionDenied) => "is another user's; give this host a path of its own",
        Err(ErrorKind::ConnectionRefused) if is_socket(path) => {
            tracing::info!("{shown} was left behind by a program that has ended");
            return fs::remove_file(path).map_err(|error| unusable(path, &error));
        }
        Err(_) => "is no socket that was left behind; give it a path where nothing is",
    };
    Err(format!("--control-socket {shown} {problem}"))
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn unusable(path: &Path, error: &io::Error) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (shown, folder) = (path.display(), folder.unwrap_or(Path::new(".")).display());
    match error.kind() {
        ErrorKind::NotFound => format!(
            "--control-socket {shown} cannot be opened: there is no folder {folder}; create it"
        ),
        ErrorKind::PermissionDenied => format!(
            "--control-socket {shown} cannot be opened: this user may not write to {folder}; give it a \
             path in a folder that it may write to"
        ),
        _ => format!(
            "--control-socket {shown} cannot be opened: {error}; give it a path in a folder on this \
             machine that this user may write to"
        ),
    }
}

/// Attends to clients side by side.
async fn serve(listener: UnixListener, ask: Ask) {
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        if clients.len() == CLIENTS {
            clients.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((client, _)) => {
                clients.spawn(attend(client, ask.clone()));
            }
            Err(error) => {
                tracing::warn!("cannot take a client of the control socket: {error}; trying again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers one request after the other, up to the first that is none.
async fn attend(mut client: UnixStream, ask: Ask) {
    let (requests, mut answers) = client.split();
    let mut requests = BufReader::new(requests);
    while let Some(request) = next(&mut requests).await {
        let request = Request::read(&request);
        let answer = match &request {
            Ok(Request::Swap {}) => {
                ask.report().await.map_or(Answer::Error("host is ending".into()), Answer::Plugins)
            }
            Err(problem) => Answer::Error(problem.clone()),
        };
        let Ok(answer) = line(&answer) else { return };
        let written = timeout(PATIENCE, answers.write_all(&answer)).await;
        if request.is_err() || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// A line, or as much of it as shows that it is too long; `None` if none came in time.
async fn next(requests: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut bounded = requests.take(LONGEST as u64 + 1);
    let read = timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await;
    matches!(read, Ok(Ok(1..))).then_some(line)
}
