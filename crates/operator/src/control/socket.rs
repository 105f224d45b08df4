//! The socket's file: private, replaced when a crash left it behind, never taken from a living daemon.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use still_control::Exit;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

/// Who may connect: the owner alone.
const MODE: u32 = 0o600;
/// Longest path of a socket that Linux takes, in bytes.
const MAX_PATH_BYTES: usize = 107;

/// Why the control socket cannot be opened.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A daemon listens on it.
    #[error("a daemon{} listens on `{path}`: stop it first, or choose another data directory", of_process(*.pid))]
    InUse {
        /// The socket.
        path: PathBuf,
        /// The daemon's process id, where the system tells it.
        pid: Option<i32>,
    },
    /// A file of another kind stands in its place.
    #[error("`{path}` is no socket: move it away, or choose another data directory")]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// The path is longer than the system takes.
    #[error(
        "`{path}` is longer than the {MAX_PATH_BYTES} bytes of a socket's path: choose a shorter data directory"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("control socket `{path}` cannot be opened: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl SocketError {
    /// How the program ends.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::InUse { .. } => Exit::AddressInUse,
            Self::NoSocket { .. } | Self::TooLong { .. } | Self::Io { .. } => Exit::Store,
        }
    }
}

/// A listening socket whose file goes when it does.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Opens the socket at `path`.
    pub(super) async fn open(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        if path.as_os_str().len() > MAX_PATH_BYTES {
            return Err(SocketError::TooLong { path: path.to_owned() });
        }
        make_way(path).await?;
        // bound beside its place and moved there, so that nobody else can ever connect
        let fresh = path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&fresh).map_err(io)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(MODE)).map_err(io)?;
        fs::rename(&fresh, path).map_err(io)?;
        let inode = fs::metadata(path).map_err(io)?.ino();
        Ok((listener, Self { path: path.to_owned(), inode }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // another daemon's socket may stand there by now
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes sure that nobody listens at `path`; what a crash left there is replaced later.
async fn make_way(path: &Path) -> Result<(), SocketError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SocketError::Io { path: path.to_owned(), source }),
        Ok(metadata) => metadata,
    };
    if !std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) {
        return Err(SocketError::NoSocket { path: path.to_owned() });
    }
    match UnixStream::connect(path).await {
        Ok(stream) => {
            let pid = stream.peer_cred().ok().and_then(|credentials| credentials.pid());
            Err(SocketError::InUse { path: path.to_owned(), pid })
        }
        Err(_) => Ok(()),
    }
}

fn of_process(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stilld.sock");
        let opened = SocketFile::open(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        drop(opened);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_crash_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stilld.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener that is dropped leaves its file");
        let (listener, _file) = SocketFile::open(&path).await.unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), UnixStream::connect(&path));
        assert!(accepted.is_ok() && connected.is_ok());
    }

    #[tokio::test]
    async fn a_living_daemon_is_named_by_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stilld.sock");
        let _first = SocketFile::open(&path).await.unwrap();
        let message = SocketFile::open(&path).await.unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        assert!(path.exists(), "the living daemon keeps its socket");
    }

    #[tokio::test]
    async fn a_file_in_its_place_and_a_path_too_long_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stilld.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(SocketFile::open(&path).await, Err(SocketError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = folder.path().join("x".repeat(120));
        assert!(matches!(SocketFile::open(&long).await, Err(SocketError::TooLong { .. })));
    }
}
