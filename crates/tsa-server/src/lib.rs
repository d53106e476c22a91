//! The timestamp authority: RFC 3161 over HTTP
