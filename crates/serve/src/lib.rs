//! The chassis of every server: limits, problem bodies, health, telemetry, shutdown
