//! The deployment, every role talking to every other
