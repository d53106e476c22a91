//! An error for the log, with what is behind it.

use std::error::Error;

/// An error and its causes on one line, for a log: what does not print is escaped, so that no text of
/// others forges a record.
///
/// ```
/// let error = std::io::Error::other("a name\nwith a line break");
/// assert_eq!(waxseal_serve::causes(&error), "a name\\nwith a line break");
/// ```
pub fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line.escape_debug().to_string()
}
