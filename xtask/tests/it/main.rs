//! Tests of `cargo xtask tidy` and `cargo xtask gen` as commands: every rule is broken in a small
//! workspace of its own, and the command must name the place; and this workspace must be clean.

mod plant;
mod tidy;
