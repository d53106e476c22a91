//! Bundle, trusted root and policy make Verified, or the one reason why not
