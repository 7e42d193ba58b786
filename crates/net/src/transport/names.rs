//! Dials of names: resolves them with the present configuration of the machine, and tries their
//! addresses concurrently.
//!
//! The configuration (`/etc/resolv.conf`, `/etc/hosts`) is read for each dial, because it changes:
//! a booting machine gets it late, a laptop moves. The dials of a name's addresses start a short
//! interval after each other, so that a silent address does not hide a good one. libp2p's resolver
//! resolves the names, above a transport that only records the addresses. Absent on purpose:
//! listening, which uses no names.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Either},
    stream::FuturesUnordered,
};
use libp2p::{
    Multiaddr,
    core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent},
    dns,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    address::{self, Host, Parts},
    limits,
};

/// Why a name could not be dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    /// The machine has no name service.
    #[error("no name service is configured on this machine: check /etc/resolv.conf")]
    NoService,
    /// The name service did not answer.
    #[error("the name service does not answer: check /etc/resolv.conf")]
    NoAnswer,
    /// The name does not exist, or has no address of the requested kind.
    #[error("the name service knows no address of this name")]
    NoAddress,
    /// No address could be reached; each with its cause.
    #[error("{}", each(.0))]
    Unreachable(Vec<(Multiaddr, String)>),
}

fn each(errors: &[(Multiaddr, String)]) -> String {
    let each = errors.iter().map(|(address, why)| format!("{address}: {why}"));
    each.collect::<Vec<_>>().join("; ")
}

/// A transport that dials names as well as the addresses of the inner transport.
#[derive(Debug)]
pub(super) struct Names<T>(Arc<Mutex<T>>);

impl<T> Names<T> {
    pub(super) fn new(inner: T) -> Self {
        Self(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, T> {
        // A transport is consistent between calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Transport for Names<T>
where
    T: Transport<Error = io::Error> + Send + Unpin + 'static,
    T::Dial: Send + Unpin,
    T::Output: Send,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = Either<T::Dial, BoxFuture<'static, io::Result<T::Output>>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner().listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner().remove_listener(id)
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        if matches!(address::parts(&addr), Ok(Parts { host: Host::Name, .. })) {
            let names = Self(Arc::clone(&self.0));
            let (found_in, found) = mpsc::channel(limits::NAME_ADDRESSES);
            let lookup = look_up(addr, opts, Found(found_in)).boxed();
            return Ok(Either::Right(names.dial_found(found, lookup, opts).boxed()));
        }
        self.inner().dial(addr, opts).map(Either::Left)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut *self.inner()).poll(cx)
    }
}

impl<T> Names<T>
where
    T: Transport<Error = io::Error> + Send + Unpin + 'static,
    T::Dial: Send + Unpin,
    T::Output: Send,
{
    /// Dials the addresses that `lookup` finds, while it runs. Returns the first success.
    async fn dial_found(
        self,
        mut found: mpsc::Receiver<Multiaddr>,
        mut lookup: BoxFuture<'static, NameError>,
        opts: DialOpts,
    ) -> io::Result<T::Output> {
        let mut failed_lookup = None;
        let mut all_begun = false;
        let mut dials = FuturesUnordered::new();
        let mut errors = Vec::new();
        let mut next = Instant::now();
        loop {
            let is_due = dials.is_empty() || next <= Instant::now();
            tokio::select! {
                Some((address, dialled)) = dials.next(), if !dials.is_empty() => match dialled {
                    Ok(output) => return Ok(output),
                    Err(error) => errors.push((address, super::cause::root_cause(&error))),
                },
                error = &mut lookup, if failed_lookup.is_none() => failed_lookup = Some(error),
                address = found.recv(), if is_due && !all_begun => match address {
                    Some(address) => {
                        next = Instant::now() + limits::NAME_STEP;
                        match self.begin(&address, opts) {
                            Ok(dial) => dials.push(dial.map(|dialled| (address, dialled))),
                            Err(why) => errors.push((address, why)),
                        }
                    }
                    None => all_begun = true,
                },
                () = sleep_until(next), if !is_due => {}
                else => break,
            }
        }
        let error = match failed_lookup {
            Some(error) if errors.is_empty() => error,
            _ => NameError::Unreachable(errors),
        };
        Err(io::Error::other(error))
    }

    fn begin(&self, address: &Multiaddr, opts: DialOpts) -> Result<T::Dial, String> {
        self.inner().dial(address.clone(), opts).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(_) => {
                "this node never dials that address, even if a name server returns it".to_owned()
            }
            TransportError::Other(error) => super::cause::root_cause(&error),
        })
    }
}

/// Sends the addresses of `name` to `found`. Returns the error for the case that there were none.
async fn look_up(name: Multiaddr, opts: DialOpts, found: Found) -> NameError {
    let Ok(mut resolver) = dns::tokio::Transport::system(found) else {
        return NameError::NoService;
    };
    match resolver.dial(name, opts) {
        Ok(lookup) => match lookup.await {
            Ok(never) => match never {},
            Err(error) => name_error(&error),
        },
        Err(_) => NameError::NoAddress,
    }
}

fn name_error(error: &dns::Error<io::Error>) -> NameError {
    match error {
        dns::Error::ResolveError(error) if is_no_address(error) => NameError::NoAddress,
        dns::Error::ResolveError(_) => NameError::NoAnswer,
        dns::Error::Dial(several) => {
            let mut several = several.iter().map(name_error);
            let is_answered = |error: &NameError| !matches!(error, NameError::NoAnswer);
            if several.all(|error| is_answered(&error)) {
                NameError::NoAddress
            } else {
                NameError::NoAnswer
            }
        }
        dns::Error::Transport(_)
        | dns::Error::MultiaddrNotSupported(_)
        | dns::Error::TooManyLookups => NameError::NoAddress,
    }
}

fn is_no_address(error: &dns::ResolveError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}

/// A transport that dials nothing and passes on the addresses; at most [`limits::NAME_ADDRESSES`]
/// wait.
#[derive(Debug)]
struct Found(mpsc::Sender<Multiaddr>);

impl Transport for Found {
    type Output = std::convert::Infallible;
    type Error = io::Error;
    type ListenerUpgrade = futures::future::Pending<io::Result<Self::Output>>;
    type Dial = futures::future::Pending<io::Result<Self::Output>>;

    fn listen_on(
        &mut self,
        _: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        Err(TransportError::MultiaddrNotSupported(addr))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        // Further addresses of the name are not tried.
        self.0.try_send(addr).ok();
        // An error makes the resolver continue with the next address.
        Err(TransportError::Other(io::ErrorKind::WouldBlock.into()))
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
