//! Identity token and key become a leaf certificate
