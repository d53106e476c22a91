//! README, config samples and CLI reference, compiled or compared
