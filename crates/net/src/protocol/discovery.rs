//! The discovery protocol: nodes exchange signed adverts of the peers that they know; searches; and
//! the data given to Kademlia.
//!
//! The files in reading order: `wire` (messages), `talk` (one exchange), `errand`, `lead`, `known`
//! (look-ups without the event loop), `asking` (bounds of our own exchanges), `state` (the
//! [`Exchange`]), and its methods in `adverts` (sent adverts), `learning` (received adverts),
//! `exchanges`; `searches`; `dht`.

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
    state::{Exchange, ExchangeDone, RequestOn, Sources, status},
};
