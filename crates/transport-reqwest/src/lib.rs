//! A Transport on reqwest
