//! What goes wrong beside the matter.

use std::io::Write;

/// Tells something on standard error that does not change the outcome.
pub fn warn(text: &str) {
    // Nothing is left to do where not even the warning can be written.
    let _ = try_warn(text);
}

/// The same for who knows somebody else to tell.
///
/// # Errors
/// Nobody reads standard error.
pub(crate) fn try_warn(text: &str) -> std::io::Result<()> {
    let line = format!("hostward: warning: {}\n", crate::sanitize::escape(text));
    std::io::stderr().lock().write_all(line.as_bytes())
}
