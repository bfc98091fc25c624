//! What goes wrong beside the matter.

use std::io::Write;

/// Tells something on standard error that does not change the outcome.
pub fn warn(text: &str) {
    let line = format!("hostward: warning: {}\n", crate::sanitize::escape(text));
    // Nothing is left to do where not even the warning can be written.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
