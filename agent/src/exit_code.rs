//! The exit codes, all of them: small, distinct, and none that Cloud Assistant gives a meaning of its own.

/// How the program ends. `scan` uses the first three; `fix` its own meaning of 0, 1 and 3; the others are common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Nothing at or above `--fail-on`; or the command did what it was asked.
    Clean = 0,
    /// Findings; or sshd would refuse the configuration; or a file is not valid.
    Findings = 1,
    /// No findings, but something could not be decided.
    Undecided = 2,
    /// A fix was refused or rolled back.
    Refused = 3,
    /// An error inside hostward, or the machine refused something that should work.
    Internal = 4,
    /// The command line is wrong (`EX_USAGE` of `sysexits.h`).
    Usage = 64,
    /// Another run holds the lock (`EX_TEMPFAIL`).
    Busy = 75,
    /// Configuration or policy is wrong (`EX_CONFIG`).
    Config = 78,
}

impl ExitCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::Clean,
        Self::Findings,
        Self::Undecided,
        Self::Refused,
        Self::Internal,
        Self::Usage,
        Self::Busy,
        Self::Config,
    ];
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// An error that ends the program with a code other than [`ExitCode::Internal`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Ends {
    /// The code.
    pub code: ExitCode,
    /// What to tell the user, and the way out.
    pub message: String,
}

impl Ends {
    /// An error with its code.
    pub fn with(code: ExitCode, message: impl Into<String>) -> anyhow::Error {
        Self { code, message: message.into() }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cloud Assistant: 193 powers the instance off, 194 reboots it, 232–247 are its plugin manager's; a shell owns 126 and up.
    #[test]
    fn no_code_means_something_to_cloud_assistant() {
        for code in ExitCode::ALL {
            assert!((code as u8) < 126, "{code:?}");
        }
    }
}
