//! An instance in one process, with a mock clock, fixed keys and liars
