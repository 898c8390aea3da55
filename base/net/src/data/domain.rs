//! Unix sockets by which a datanode gives clients on its own machine the open files of a replica.
//!
//! A socket's name may hold `_PORT`, which stands for the port of the datanode's data-transfer door, so that several
//! datanodes of one machine share a setting. Whoever may write to the socket's folder can put a socket of his own in its
//! place and give clients what he likes: such folders are refused.
//!
//! This module sends and takes descriptors; what they are is the caller's.

use super::{DataError, SocketOptions};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What stands for the port in a socket's name.
const PORT: &str = "_PORT";
/// Longest name of a Unix socket, bytes: Linux has room for 108 with the zero at the end.
pub const PATH_MAX: usize = 107;
/// Anybody on the machine may connect, as to the datanode's TCP port.
const SOCKET_MODE: u32 = 0o666;
/// Bits of a folder in which others than its owner may change names.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In such a folder names belong to those who made them.
const STICKY: u32 = 0o1000;
/// How long one waits for a socket that may be a dead one.
const PROBE: Duration = Duration::from_secs(1);

/// Files of a replica: its data, and its checksums.
pub const FILES: usize = 2;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// No name for a socket.
    #[error("Unix socket {}: {reason}", path.display())]
    BadPath {
        /// The name.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The system refused.
    #[error("Unix socket {}: cannot {action}: {source}", path.display())]
    Io {
        /// The name.
        path: PathBuf,
        /// A verb.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The socket of the datanode whose data-transfer door has this port.
#[must_use]
pub fn effective_path(pattern: &str, port: u16) -> PathBuf {
    PathBuf::from(pattern.replace(PORT, &port.to_string()))
}

/// Checks that a socket of this name can be made and that nobody else can put another in its place: an absolute name of at
/// most [`PATH_MAX`] bytes, in a folder that is there, with folders above it that only their owners or root may change.
///
/// # Errors
/// [`DomainError::BadPath`], which says what is wrong.
pub fn check_path(path: &Path) -> Result<(), DomainError> {
    let bad = |reason: String| Err(DomainError::BadPath { path: path.to_owned(), reason });
    let len = path.as_os_str().len();
    if len > PATH_MAX {
        return bad(format!("the name has {len} bytes, a Unix socket's has {PATH_MAX} at most"));
    }
    let (true, Some(folder)) = (path.is_absolute(), path.parent()) else {
        return bad("expected an absolute path".to_owned());
    };
    let own = rustix::process::geteuid().as_raw();
    for (depth, above) in folder.ancestors().enumerate() {
        match std::fs::metadata(above) {
            Ok(metadata) => {
                if let Some(reason) = unsafe_folder(&metadata, own, depth == 0) {
                    return bad(format!("the folder {} {reason}", above.display()));
                }
            }
            Err(error) => return bad(format!("the folder {} cannot be looked at: {error}", above.display())),
        }
    }
    Ok(())
}

/// Why a folder protects no socket in it or below it. Root may do what it likes anyway.
fn unsafe_folder(folder: &Metadata, own: u32, holds_socket: bool) -> Option<String> {
    let mode = folder.permissions().mode() & 0o7777;
    if !folder.is_dir() {
        return Some("is none".to_owned());
    }
    if folder.uid() != 0 && folder.uid() != own {
        return Some(format!("belongs to another user ({})", folder.uid()));
    }
    let protects_names = mode & STICKY != 0 && !holds_socket;
    (mode & WRITABLE_BY_OTHERS != 0 && !protects_names)
        .then(|| format!("can be written by others (mode {mode:04o}); `chmod go-w` it or choose another"))
}

/// Whom a client may believe that it talks to a datanode through a socket of this name: root, the client's own user, and who
/// was given a folder on the way to it by one of these.
///
/// A folder that belongs to a trusted user, and that nobody else can write to, holds only what that user put or let there: so
/// its owner may hand a folder in it to somebody else (`/var/lib/hadoop-hdfs` belongs to the datanode's user). In a folder such
/// as `/tmp` anybody makes names, and only root's and the client's own are believed.
///
/// # Errors
/// [`DomainError::BadPath`]: somebody else could have put the socket there.
fn trusted_users(folder: &Path) -> Result<BTreeSet<u32>, DomainError> {
    let bad = |reason: String| DomainError::BadPath { path: folder.to_owned(), reason };
    let always = [0, rustix::process::geteuid().as_raw()];
    let mut trusted = BTreeSet::from(always);
    let mut only_always = true;
    let mut chain: Vec<&Path> = folder.ancestors().collect();
    chain.reverse();
    for (depth, above) in chain.iter().enumerate() {
        let metadata = std::fs::metadata(above)
            .map_err(|error| bad(format!("{} cannot be looked at: {error}", above.display())))?;
        let (owner, mode) = (metadata.uid(), metadata.permissions().mode() & 0o7777);
        if !metadata.is_dir() {
            return Err(bad(format!("{} is no folder", above.display())));
        }
        if only_always && !always.contains(&owner) {
            let text = format!("the folder {} belongs to user {owner}, who made it where anybody may", above.display());
            return Err(bad(text));
        }
        trusted.insert(owner);
        let writable = mode & WRITABLE_BY_OTHERS != 0;
        let holds_socket = depth + 1 == chain.len();
        if writable && (holds_socket || mode & STICKY == 0) {
            return Err(bad(format!("the folder {} can be written by others (mode {mode:04o})", above.display())));
        }
        // Below the first folder everything depends on who may write there.
        only_always = writable;
    }
    Ok(trusted)
}

/// Connects to a datanode's socket, if nobody but its owner, the client or root could have put it there, and one of these
/// listens on it.
///
/// # Errors
/// [`DomainError::BadPath`] if somebody else could answer; [`DomainError::Io`].
pub fn connect_trusted(path: &Path, options: &SocketOptions) -> Result<UnixStream, DomainError> {
    let fail = |source| DomainError::Io { path: path.to_owned(), action: "find", source };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(DomainError::BadPath { path: path.to_owned(), reason: "expected an absolute path".to_owned() });
    };
    // Without links: the checks are about the folders that are really on the way.
    let folder = std::fs::canonicalize(folder).map_err(fail)?;
    let trusted = trusted_users(&folder)?;
    let stream = connect(&folder.join(name), options)?;
    check_peer(path, &stream, &trusted)?;
    Ok(stream)
}

/// Checks that one of these users listens at the other end.
fn check_peer(path: &Path, stream: &UnixStream, trusted: &BTreeSet<u32>) -> Result<(), DomainError> {
    let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|errno| DomainError::Io {
        path: path.to_owned(),
        action: "learn who listens",
        source: errno.into(),
    })?;
    let user = peer.uid.as_raw();
    if trusted.contains(&user) {
        return Ok(());
    }
    let reason = format!("user {user} listens there, to whom none of the folders on the way belongs");
    Err(DomainError::BadPath { path: path.to_owned(), reason })
}

/// Listens on a socket of this name; one that a dead process left is replaced.
///
/// # Errors
/// A name that [`check_path`] refuses; a socket on which somebody listens; something else of that name.
pub fn listen(path: &Path) -> Result<UnixListener, DomainError> {
    check_path(path)?;
    let fail = |action| move |source| DomainError::Io { path: path.to_owned(), action, source };
    let bad = |reason: &str| Err(DomainError::BadPath { path: path.to_owned(), reason: reason.to_owned() });
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return bad("there is something else of that name"),
        Ok(_) => {
            let options = SocketOptions { connect_timeout: PROBE, ..SocketOptions::default() };
            match connect(path, &options) {
                Ok(_) => {
                    return bad("another process listens there; datanodes of one machine need `_PORT` in the name");
                }
                // Nobody listens: a dead process left it.
                Err(DomainError::Io { source, .. }) if source.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(fail("replace it"))?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(fail("listen"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE)).map_err(fail("open it to clients"))?;
    Ok(listener)
}

/// Connects to a datanode's socket.
///
/// # Errors
/// [`DomainError::Io`].
pub fn connect(path: &Path, options: &SocketOptions) -> Result<UnixStream, DomainError> {
    let some = |timeout: Duration| (!timeout.is_zero()).then_some(timeout);
    let open = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Connecting waits for a full queue as long as a write does.
        socket.set_write_timeout(some(options.connect_timeout))?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_write_timeout(some(options.write_timeout))?;
        socket.set_read_timeout(some(options.read_timeout))?;
        Ok(UnixStream::from(OwnedFd::from(socket)))
    };
    open().map_err(|source| DomainError::Io { path: path.to_owned(), action: "connect", source })
}

/// Sends open files with one byte of data.
///
/// # Errors
/// A socket that fails.
pub fn send_files(stream: &UnixStream, byte: u8, files: [&File; FILES]) -> Result<(), DataError> {
    let descriptors: [BorrowedFd<'_>; FILES] = files.map(AsFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(DataError::Io(io::Error::other("no room for two descriptors in a control message")));
    }
    let data = [byte];
    let mut send = || sendmsg(stream, &[IoSlice::new(&data)], &mut control, SendFlags::NOSIGNAL);
    match rustix::io::retry_on_intr(&mut send).map_err(io::Error::from)? {
        0 => Err(DataError::Closed),
        _ => Ok(()),
    }
}

/// Takes one byte of data and the open files that come with it. Nothing may have been read ahead: descriptors come with the
/// read that meets them.
///
/// # Errors
/// A socket that fails; another number of descriptors, which are closed.
pub fn receive_files(stream: &UnixStream) -> Result<(u8, [File; FILES]), DataError> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut receive = || {
        recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).map(|got| got.bytes)
    };
    let read = rustix::io::retry_on_intr(&mut receive).map_err(io::Error::from)?;
    let mut files: Vec<File> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            files.extend(descriptors.map(File::from));
        }
    }
    if read == 0 {
        return Err(DataError::Closed);
    }
    let files = <[File; FILES]>::try_from(files).map_err(|found| {
        let text = format!("{} descriptors came instead of {FILES}", found.len());
        DataError::Io(io::Error::new(io::ErrorKind::InvalidData, text))
    })?;
    let [byte] = byte;
    Ok((byte, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(folder: &Path, name: &str, text: &str) -> File {
        std::fs::write(folder.join(name), text).unwrap();
        File::open(folder.join(name)).unwrap()
    }

    #[test]
    fn the_port_has_its_place_in_the_name() {
        assert_eq!(effective_path("/run/dn._PORT", 9866), Path::new("/run/dn.9866"));
        assert_eq!(effective_path("/run/dn", 9866), Path::new("/run/dn"));
    }

    #[test]
    fn files_go_from_process_to_process_with_a_byte() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        let listener = listen(&path).unwrap();
        let near = connect(&path, &SocketOptions::default()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let (data, sums) = (file(temp.path(), "data", "the data"), file(temp.path(), "sums", "its sums"));
        far.write_all(b"answer").unwrap();
        send_files(&far, 7, [&data, &sums]).unwrap();
        far.write_all(b"!").unwrap();
        // Gone from the folder, and readable all the same.
        std::fs::remove_file(temp.path().join("data")).unwrap();
        let mut answer = [0; 6];
        (&near).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        let (byte, files) = receive_files(&near).unwrap();
        let texts = files.map(|file| io::read_to_string(file).unwrap());
        assert_eq!((byte, texts), (7, ["the data".to_owned(), "its sums".to_owned()]));
        // A byte without descriptors, and then the end.
        assert!(matches!(receive_files(&near), Err(DataError::Io(_))));
        drop(far);
        assert!(matches!(receive_files(&near), Err(DataError::Closed)));
    }

    #[test]
    fn a_socket_of_a_dead_process_is_replaced_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        drop(listen(&path).unwrap());
        let listener = listen(&path).expect("the old one is dead");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        let error = listen(&path).expect_err("somebody listens").to_string();
        assert!(error.contains("another process listens") && error.contains("_PORT"), "{error}");
        drop(listener);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        assert!(listen(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    }

    #[test]
    fn names_that_are_too_long_or_unprotected_are_refused_with_the_reason() {
        let temp = tempfile::tempdir().unwrap();
        let inner = temp.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let refused = |path: &Path| check_path(path).expect_err("refused").to_string();
        for (path, part) in [
            (temp.path().join("x".repeat(PATH_MAX)), "107 at most"),
            (PathBuf::from("here/s"), "absolute"),
            (temp.path().join("none/s"), "cannot be looked at"),
        ] {
            assert!(refused(&path).contains(part), "{}", refused(&path));
        }
        let path = inner.join("s");
        check_path(&path).unwrap();
        // Names in the socket's own folder must be nobody else's; above it the sticky bit protects them.
        for mode in [0o777, 0o775, 0o1777] {
            chmod(&inner, mode);
            assert!(refused(&path).contains("written by others"), "{mode:o}");
        }
        chmod(&inner, 0o755);
        for (mode, allowed) in [(0o777, false), (0o770, false), (0o1777, true), (0o700, true)] {
            chmod(temp.path(), mode);
            assert_eq!(check_path(&path).is_ok(), allowed, "{mode:o}");
        }
    }

    fn user_of(path: &Path, uid: u32) -> bool {
        // Only root may give a folder away.
        std::os::unix::fs::chown(path, Some(uid), None).is_ok()
    }

    #[test]
    fn a_client_believes_a_socket_that_only_trusted_users_could_put_there() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("dn");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("s");
        let _listener = listen(&path).unwrap();
        connect_trusted(&path, &SocketOptions::default()).unwrap();
        let refused = |part: &str| {
            let error = connect_trusted(&path, &SocketOptions::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        for mode in [0o777, 0o1777, 0o775] {
            chmod(&folder, mode);
            refused("can be written by others");
        }
        chmod(&folder, 0o755);
        // Above it others may write, if names there belong to those who made them.
        chmod(temp.path(), 0o1777);
        connect_trusted(&path, &SocketOptions::default()).unwrap();
        chmod(temp.path(), 0o777);
        refused("can be written by others");
        chmod(temp.path(), 0o1777);
        if !user_of(&folder, 12_345) {
            eprintln!("skipped: only root can give folders to others");
            return;
        }
        refused("who made it where anybody may");
        // Where only root writes, root gave it to them.
        chmod(temp.path(), 0o755);
        connect_trusted(&path, &SocketOptions::default()).unwrap();
        assert!(trusted_users(&folder).unwrap().contains(&12_345));
    }

    #[test]
    fn a_link_is_judged_by_where_it_leads() {
        let temp = tempfile::tempdir().unwrap();
        let (open, real) = (temp.path().join("open"), temp.path().join("real"));
        std::fs::create_dir(&open).unwrap();
        std::fs::create_dir(&real).unwrap();
        chmod(&open, 0o777);
        let elsewhere = open.join("real");
        std::os::unix::fs::symlink(&real, &elsewhere).unwrap();
        let _listener = listen(&real.join("s")).unwrap();
        connect_trusted(&elsewhere.join("s"), &SocketOptions::default()).unwrap();
        let bad = real.join("link");
        std::os::unix::fs::symlink(&open, &bad).unwrap();
        let error = connect_trusted(&bad.join("s"), &SocketOptions::default()).unwrap_err().to_string();
        assert!(error.contains("can be written by others"), "{error}");
    }

    #[test]
    fn who_listens_must_be_trusted() {
        let (near, _far) = UnixStream::pair().unwrap();
        let own = rustix::process::geteuid().as_raw();
        let path = Path::new("/run/s");
        check_peer(path, &near, &BTreeSet::from([own])).unwrap();
        let error = check_peer(path, &near, &BTreeSet::from([own + 1])).unwrap_err().to_string();
        assert!(error.contains(&format!("user {own} listens there")), "{error}");
    }
}
