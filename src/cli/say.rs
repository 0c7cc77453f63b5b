//! The only place that prints: answers of commands on standard output, failures on standard error.

use std::io::Write;

/// Prints a line. A reader that went away (`lyceum … | head`) is no failure.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a failure.
pub(super) fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "lyceum: {}", text.trim_end());
}
