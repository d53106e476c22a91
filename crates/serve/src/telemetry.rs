//! The log: structured lines on stderr.

use tracing_subscriber::EnvFilter;

use crate::BoxError;

/// Libraries that print header fields and bodies at their finer levels: they are kept at `info`,
/// whatever the filter says, so that no token gets into a log.
const TALKATIVE: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "tower",
    "tower_http",
    "axum",
    "lettre",
];

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the log was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not of the form `level` or `target=level,…`.
    #[error("the log filter is malformed")]
    BadFilter {
        /// The cause.
        source: BoxError,
    },
    /// The process has a log already.
    #[error("the log was set up twice")]
    Twice {
        /// The cause.
        source: BoxError,
    },
}

/// Sends the process's log to stderr. `filter` is `info`, or `target=level,…`.
///
/// # Errors
/// [`TelemetryError`]
pub fn telemetry(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = quiet_filter(filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|source| TelemetryError::Twice { source })
}

fn quiet_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let mut text = filter.to_owned();
    for target in TALKATIVE {
        // A later directive for the same target replaces an earlier one.
        text.push_str(&format!(",{target}=info"));
    }
    EnvFilter::builder()
        .parse(text.trim_start_matches(','))
        .map_err(|source| TelemetryError::BadFilter {
            source: source.into(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_56_libraries_that_print_headers_stay_quiet() {
        for asked in ["trace", "trace,h2=trace,hyper=debug", "", "h2=trace"] {
            let filter = quiet_filter(asked).unwrap().to_string();
            assert!(
                !filter.contains("h2=trace") && !filter.contains("hyper=debug"),
                "{filter}"
            );
            for target in TALKATIVE {
                assert!(
                    filter.contains(&format!("{target}=info")),
                    "{target} in {filter}"
                );
            }
        }
    }

    #[test]
    fn bad_filter() {
        let refused = telemetry(LogFormat::Text, "h2=loud");
        assert!(matches!(refused, Err(TelemetryError::BadFilter { .. })));
    }

    #[test]
    fn twice() {
        telemetry(LogFormat::Json, "off").unwrap();
        for format in [LogFormat::Json, LogFormat::Text] {
            let refused = telemetry(format, "info");
            assert!(matches!(refused, Err(TelemetryError::Twice { .. })));
        }
    }
}
