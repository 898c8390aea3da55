//! Why a command, or its work on one path, failed; the texts are those of Hadoop's shell.

use mammoth_client::ClientError;
use mammoth_platform::PlatformError;
use mammoth_protocol::ErrorCode;
use std::fmt;
use std::io;

/// A failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The command line makes no sense: shown with the usage, status 255.
    #[error("{0}")]
    Usage(String),
    /// Something about one path.
    #[error("{0}")]
    Path(Box<PathFault>),
    /// The cluster refused or could not do it.
    #[error("{0}")]
    Client(ClientError),
    /// Settings that cannot be used.
    #[error("{0}")]
    Settings(#[from] PlatformError),
    /// Anything else that has a sentence of its own.
    #[error("{0}")]
    Other(String),
    /// Nobody said which cluster.
    #[error(
        "no file system given: use -fs hdfs://host:port, set MAMMOTH_FS, or set HADOOP_CONF_DIR to a folder whose \
         core-site.xml has fs.defaultFS"
    )]
    NoFileSystem,
    /// The reader of standard output went away.
    #[error("standard output was closed")]
    BrokenPipe,
    /// Standard output cannot be written to.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The user asked for the end.
    #[error("Interrupted")]
    Interrupted,
}

/// The end of an input because the user asked for the end.
#[derive(Debug, thiserror::Error)]
#[error("Interrupted")]
pub(crate) struct Stopped;

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathIssue {
    NotFound,
    Exists,
    IsDirectory,
    NotDirectory,
    NotEmpty,
    Io,
    Denied,
    TooManyMatches,
    NotZeroLength,
    Identical,
    IntoItself,
    OtherFileSystem,
    NotUtf8,
    Symlink,
}

impl PathIssue {
    const fn text(self) -> &'static str {
        match self {
            Self::NotFound => "No such file or directory",
            Self::Exists => "File exists",
            Self::IsDirectory => "Is a directory",
            Self::NotDirectory => "Is not a directory",
            Self::NotEmpty => "Directory is not empty",
            Self::Io => "Input/output error",
            Self::Denied => "Permission denied",
            Self::TooManyMatches => "Too many matches",
            Self::NotZeroLength => "Not a zero-length file",
            Self::Identical => "are identical",
            Self::IntoItself => "is a subdirectory of itself",
            Self::OtherFileSystem => "Does not match target filesystem",
            Self::NotUtf8 => "the name is not valid UTF-8",
            Self::Symlink => "Operation not supported",
        }
    }
}

/// A path and what is wrong with it.
#[derive(Debug)]
pub(crate) struct PathFault {
    operation: Option<&'static str>,
    path: String,
    target: Option<String>,
    issue: PathIssue,
    qualified: Option<String>,
}

impl PathFault {
    /// What is wrong.
    pub(crate) fn issue(&self) -> PathIssue {
        self.issue
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.operation {
            write!(f, "{operation} ")?;
        }
        write!(f, "`{}'", self.path)?;
        if let Some(target) = &self.target {
            write!(f, " to `{target}'")?;
        }
        write!(f, ": {}", self.issue.text())?;
        match &self.qualified {
            Some(qualified) if *qualified != self.path => write!(f, ": `{qualified}'"),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// `issue` about `path`, as the user typed it.
    pub(crate) fn path(path: impl Into<String>, issue: PathIssue) -> Self {
        Self::Path(Box::new(PathFault { operation: None, path: path.into(), target: None, issue, qualified: None }))
    }

    /// The same with what was to be done.
    pub(crate) fn operation(mut self, operation: &'static str) -> Self {
        if let Self::Path(fault) = &mut self {
            fault.operation = Some(operation);
        }
        self
    }

    /// The same with the other path involved.
    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        if let Self::Path(fault) = &mut self {
            fault.target = Some(target.into());
        }
        self
    }

    /// The same with the path in full, for a relative path that surprises.
    pub(crate) fn qualified(mut self, qualified: impl Into<String>) -> Self {
        if let Self::Path(fault) = &mut self {
            fault.qualified = Some(qualified.into());
        }
        self
    }

    /// A local system call on `path` failed.
    pub(crate) fn local(path: impl Into<String>, error: &io::Error) -> Self {
        let path = path.into();
        match error.kind() {
            io::ErrorKind::NotFound => Self::path(path, PathIssue::NotFound),
            io::ErrorKind::AlreadyExists => Self::path(path, PathIssue::Exists),
            io::ErrorKind::PermissionDenied => Self::path(path, PathIssue::Denied),
            io::ErrorKind::IsADirectory => Self::path(path, PathIssue::IsDirectory),
            io::ErrorKind::NotADirectory => Self::path(path, PathIssue::NotDirectory),
            io::ErrorKind::DirectoryNotEmpty => Self::path(path, PathIssue::NotEmpty),
            _ => Self::Other(format!("`{path}': {error}")),
        }
    }

    /// An error that came through [`io::Read`] or [`io::Write`] on a file: a fault of ours, one of the client, or the system's.
    pub(crate) fn stream(path: &str, error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
            return Self::Interrupted;
        }
        if error.get_ref().is_some_and(|inner| inner.is::<ClientError>()) {
            if let Some(Ok(inner)) = error.into_inner().map(|inner| inner.downcast::<ClientError>()) {
                return Self::Client(*inner);
            }
            return Self::path(path, PathIssue::Io);
        }
        Self::local(path, &error)
    }

    /// A write to standard output failed.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::Output(error) }
    }

    /// Whether nothing that follows can succeed either, so that the command ends.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Usage(_)
            | Self::Settings(_)
            | Self::NoFileSystem
            | Self::BrokenPipe
            | Self::Output(_)
            | Self::Interrupted => true,
            Self::Client(error) => matches!(error, ClientError::Unreachable { .. }),
            Self::Path(_) | Self::Other(_) => false,
        }
    }

    /// The server's kind of refusal, if it was one.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Client(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Whether listing failed because the path is missing or no folder.
    pub(crate) fn means_no_folder(&self) -> bool {
        match self {
            Self::Path(fault) => matches!(fault.issue, PathIssue::NotFound | PathIssue::NotDirectory),
            Self::Client(error) => matches!(
                error.code(),
                ErrorCode::FileNotFound | ErrorCode::ParentNotDirectory | ErrorCode::PathIsNotDirectory
            ),
            _ => false,
        }
    }

    /// The first line of the text: errors are one line each.
    pub(crate) fn line(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().to_owned()
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_faults_read_as_in_hadoop() {
        let fault = Fault::path("/x", PathIssue::NotFound);
        assert_eq!(fault.line(), "`/x': No such file or directory");
        assert_eq!(
            Fault::path(".", PathIssue::NotFound).qualified("hdfs://h:1/user/u").line(),
            "`.': No such file or directory: `hdfs://h:1/user/u'"
        );
        assert_eq!(
            Fault::path("/a", PathIssue::IntoItself).target("/a/b").line(),
            "`/a' to `/a/b': is a subdirectory of itself"
        );
        assert_eq!(
            Fault::path("/a", PathIssue::Io).operation("rename").target("/b").line(),
            "rename `/a' to `/b': Input/output error"
        );
    }

    #[test]
    fn errors_of_streams_keep_what_the_client_said() {
        let inner = ClientError::Invalid("first\nsecond".to_owned());
        let fault = Fault::stream("/x", io::Error::from(inner));
        assert_eq!(fault.line(), "first");
        let fault = Fault::stream("/x", io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(fault.line(), "`/x': Permission denied");
    }
}
