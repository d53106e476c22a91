//! Writes X.509 with rcgen
