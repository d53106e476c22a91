//! Foreign clients against our servers and the other way round
