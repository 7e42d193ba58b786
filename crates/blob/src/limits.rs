//! Bounds of this crate, with their reasons (I4).
