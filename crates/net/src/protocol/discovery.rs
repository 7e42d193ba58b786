//! The discovery protocol: nodes tell each other which peers they know, in adverts that their subjects
//! have signed; searches; and what Kademlia is told.
//!
//! The files in their order: `wire` (messages), `talk` (one exchange), `errand`, `lead`, `known` (what
//! is published), `asking` (bounds of our own exchanges), `state` (the [`Exchange`]), and its methods in
//! `adverts` (what is told), `learning` (what is heard), `exchanges`; `searches`; `dht`.

mod adverts;
mod asking;
pub(crate) mod dht;
pub(crate) mod errand;
mod exchanges;
pub(crate) mod known;
pub(crate) mod lead;
mod learning;
pub(crate) mod searches;
mod state;
pub(crate) mod talk;
pub(crate) mod wire;

pub(crate) use self::{
    exchanges::on_failed,
    state::{Exchange, ExchangeDone, HeardOn, Sources, status},
};
