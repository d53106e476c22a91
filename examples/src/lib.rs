//! One file per embeddable layer
