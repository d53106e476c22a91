//! Service selection from a signing config
