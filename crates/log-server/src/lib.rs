//! The transparency log
