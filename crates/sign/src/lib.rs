//! Key, certificate and artifact become a bundle that verify has accepted
