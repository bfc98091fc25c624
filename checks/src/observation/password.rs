//! What the password audit found: never a password, only that there is one.

use crate::crypt::{Method, Refusal};
use crate::fact::Why;
use crate::parse::passwd::Name;

/// The audit of every account that has a password hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordAudit {
    /// One entry an account, in the order of the passwd file.
    pub accounts: Vec<AccountAudit>,
    /// Guesses that were made now: what an earlier audit tried in vain is not tried again.
    pub guesses: u64,
    /// Whether it ended because its budget was spent, or because it was cancelled.
    pub out_of_budget: bool,
    /// Lines of the word list that no password can be: too long, or with a zero byte.
    pub skipped_words: u64,
    /// Why the word list that was asked for could not be read.
    pub word_list: Option<Why>,
}

/// The audit of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAudit {
    /// The account.
    pub user: Name,
    /// The method of its hash, where there is one that is known.
    pub method: Option<Method>,
    /// Candidates tried, by this audit or an earlier one.
    pub tried: u64,
    /// Candidates there were to try; where not all were tried, a few of those counted may be repetitions.
    pub of: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of trying one account's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A candidate matched. Which one is not kept.
    Weak(Rank),
    /// No candidate that was tried matched; see [`AccountAudit::tried`] for how much that says.
    NotFound,
    /// The hash could not be tried.
    NotTried(NotTried),
    /// The field is empty: no password is asked for.
    Empty,
    /// `!…` or `*…`: no password fits.
    Locked,
    /// Text that crypt(3) never answers with: no password fits.
    Unusable,
}

/// How easily the password is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Among the first thousand candidates: hours for an attacker who is slowed down, seconds for one who is not.
    First1000,
    /// Further down our own candidates.
    Guessable,
    /// On the word list that was given.
    WordList,
}

/// Why a hash was not tried: the verdict is unknown, never passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTried {
    /// The password field could not be read.
    Unreadable(Why),
    /// Its method is not known.
    Unrecognised,
    /// One guess costs too much.
    TooCostly(Refusal),
    /// The memory for one guess was not to be had.
    OutOfMemory,
    /// The budget was spent before its turn came.
    OutOfBudget,
}
