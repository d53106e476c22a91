//! What the ambient sources see of the machine: variables, files, and one program.

use std::io;
use std::path::Path;
use std::time::Duration;

use waxseal_transport::BoxFuture;

use crate::program::Running;

/// The machine around us, as a value: tests give one of their own.
pub trait Environment: Send + Sync {
    /// An environment variable; `None` if it is unset, empty or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// A small text file.
    ///
    /// # Errors
    /// Whatever the file system says, or `InvalidData` if it is longer than `limit` bytes.
    fn read_file(&self, path: &Path, limit: u64) -> io::Result<String>;

    /// Runs a program to its end, and gives its standard output. Nobody is blocked by it; it is
    /// ended when the deadline is over or the future is dropped. The only program is the CircleCI
    /// agent's, in CircleCI.
    ///
    /// # Errors
    /// `NotFound` if it is not there, `TimedOut`, or another kind if it does not succeed.
    fn run<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [&'a str],
        deadline: Duration,
    ) -> BoxFuture<'a, io::Result<String>>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place where a library reads the environment"
        )]
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn read_file(&self, path: &Path, limit: u64) -> io::Result<String> {
        use io::Read as _;
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(limit.saturating_add(1))
            .read_to_string(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|length| length <= limit) {
            Ok(text)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "file too long"))
        }
    }

    fn run<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [&'a str],
        deadline: Duration,
    ) -> BoxFuture<'a, io::Result<String>> {
        Box::pin(async move { Running::start(program, arguments, deadline)?.await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(SystemEnvironment.read_file(&path, 5).unwrap(), "12345");
        let error = SystemEnvironment.read_file(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            SystemEnvironment
                .read_file(&folder.path().join("no"), 4)
                .is_err()
        );
    }
}
