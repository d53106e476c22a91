//! The certificate authority
