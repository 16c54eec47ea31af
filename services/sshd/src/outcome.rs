//! How a connection's process ends, which is all that the listener learns of it.

use std::io;
use std::process::{ExitCode, ExitStatus};

/// Exit code without a login. Not 1, with which a program says that it failed.
const NO_LOGIN: u8 = 3;

/// What came of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Somebody logged in.
    Login,
    /// Nobody did; it counts against the address.
    NoLogin,
    /// The server could not serve it, for reasons of its own.
    Failed,
}

impl Outcome {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Login => ExitCode::SUCCESS,
            Self::NoLogin => ExitCode::from(NO_LOGIN),
            Self::Failed => ExitCode::FAILURE,
        }
    }

    /// The outcome that a process has ended with. An end that nobody foresaw, such as by a
    /// signal, may be the peer's doing, so it is no login.
    pub(crate) fn of(status: &io::Result<ExitStatus>) -> Self {
        match status.as_ref().map(ExitStatus::code) {
            Ok(Some(0)) => Self::Login,
            Ok(Some(1)) | Err(_) => Self::Failed,
            Ok(_) => Self::NoLogin,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn an_unforeseen_end_is_no_login() {
        let exited = |code: i32| Outcome::of(&Ok(ExitStatus::from_raw(code << 8)));
        assert_eq!(exited(0), Outcome::Login);
        assert_eq!(exited(1), Outcome::Failed);
        assert_eq!([exited(NO_LOGIN.into()), exited(101)], [Outcome::NoLogin; 2]);
        assert_eq!(Outcome::of(&Ok(ExitStatus::from_raw(11))), Outcome::NoLogin);
    }
}
