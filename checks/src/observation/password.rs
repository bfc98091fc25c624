//! What the password audit found: never a password, only that there is one.

use crate::fact::Why;

/// The audit of every account that has a password hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordAudit {
    /// One entry an account, in the order of the passwd file.
    pub accounts: Vec<AccountAudit>,
    /// Whether it ended because its budget was spent.
    pub out_of_budget: bool,
    /// Candidates that were skipped because a line of the word list was too long.
    pub skipped_words: u64,
}

/// The audit of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAudit {
    /// The account.
    pub user: String,
    /// Candidates tried.
    pub tried: u64,
    /// Candidates there were to try.
    pub of: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of trying one account's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A candidate matched. Which one is not kept.
    Weak,
    /// No candidate that was tried matched.
    NotFound,
    /// The hash could not be tried: its method is not known, or it would cost too much.
    NotTried(Why),
    /// There is no password to try: locked, `*`, or empty.
    NoPassword,
}
