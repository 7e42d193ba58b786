//! Tests of dials of several addresses of a name.

use std::time::Duration;

use libp2p::core::{Endpoint, transport::PortUse};

use super::*;

/// Port 1 never answers, port 2 refuses, and port 3 answers after 50 ms.
#[derive(Debug)]
struct Machines;

impl Transport for Machines {
    type Output = u16;
    type Error = io::Error;
    type ListenerUpgrade = futures::future::Pending<io::Result<u16>>;
    type Dial = BoxFuture<'static, io::Result<u16>>;

    fn listen_on(&mut self, _: ListenerId, _: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Ok(())
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let port = address::parts(&addr).unwrap().port.unwrap();
        Ok(match port {
            1 => futures::future::pending().boxed(),
            2 => async { Err(io::ErrorKind::ConnectionRefused.into()) }.boxed(),
            3 => tokio::time::sleep(Duration::from_millis(50)).map(|()| Ok(3)).boxed(),
            _ => return Err(TransportError::MultiaddrNotSupported(addr)),
        })
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

const OPTS: DialOpts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };

/// Dials a name with these ports; the last is found after a second.
async fn dial(ports: &[u16], error: NameError) -> io::Result<u16> {
    let (found_in, found) = mpsc::channel(limits::NAME_ADDRESSES);
    let addresses: Vec<Multiaddr> =
        ports.iter().map(|port| format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()).collect();
    let lookup = async move {
        let (last, rest) = addresses.split_last().unwrap();
        for address in rest {
            found_in.try_send(address.clone()).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        found_in.try_send(last.clone()).unwrap();
        error
    };
    Names::new(Machines).dial_found(found, lookup.boxed(), OPTS).await
}

#[tokio::test(start_paused = true)]
async fn silent_addresses_do_not_hide_a_good_one() {
    let start = Instant::now();
    assert_eq!(dial(&[1, 1, 2, 1, 3, 1], NameError::NoAddress).await.unwrap(), 3);
    // After four steps, before the last address was found.
    assert!(start.elapsed() <= limits::NAME_STEP * 4 + Duration::from_millis(60));
}

#[tokio::test(start_paused = true)]
async fn late_address_is_dialled_at_once() {
    let start = Instant::now();
    assert_eq!(dial(&[1, 3], NameError::NoAddress).await.unwrap(), 3);
    assert!(start.elapsed() <= Duration::from_millis(1_060), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_address_is_named_with_its_cause() {
    let error = dial(&[2, 9], NameError::NoAddress).await.unwrap_err();
    assert_eq!(
        super::super::cause::root_cause(&error),
        "/ip4/10.0.0.1/tcp/2: no process listens there; /ip4/10.0.0.1/tcp/9: this node never \
         dials that address, even if a name server returns it"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_lookup_is_described() {
    let (found_in, found) = mpsc::channel(1);
    drop(found_in);
    let lookup = async { NameError::NoAnswer }.boxed();
    let error = Names::new(Machines).dial_found(found, lookup, OPTS).await.unwrap_err();
    assert!(super::super::cause::root_cause(&error).contains("does not answer"), "{error}");
}
