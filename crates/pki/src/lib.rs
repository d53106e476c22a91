//! Reads X.509, CSR, SCT; reads and writes RFC 3161
