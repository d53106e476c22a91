//! The machine that a bench runs on: figures mean little without it.

/// The load average of the last 1, 5 and 15 minutes; `?` where there is none.
pub fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "?".to_owned());
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
