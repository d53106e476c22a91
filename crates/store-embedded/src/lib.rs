//! The servers' stores on redb and a directory
