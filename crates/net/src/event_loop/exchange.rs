//! Peer exchange: nodes tell each other which peers they know, in adverts that their subjects have
//! signed.
//!
//! The files in their order: `asking` (bounds of our own exchanges), `state` (the [`Exchange`]), and
//! its methods in `adverts` (what is told), `learning` (what is heard), `streams`.

mod adverts;
mod asking;
mod learning;
mod state;
mod streams;

pub(crate) use self::{
    state::{Exchange, ExchangeDone, HeardOn, Sources, status},
    streams::on_failed,
};
