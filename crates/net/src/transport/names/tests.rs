//! Addresses of a name, tried side by side.

use std::time::Duration;

use libp2p::core::{Endpoint, transport::PortUse};

use super::*;

/// Who answers where: nobody on port 1, with an error on port 2, and after 50 ms on port 3.
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

/// Dials a name that leads to these ports, the last of them found after a second.
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
async fn an_address_that_is_found_late_is_tried_at_once() {
    let start = Instant::now();
    assert_eq!(dial(&[1, 3], NameError::NoAddress).await.unwrap(), 3);
    assert!(start.elapsed() <= Duration::from_millis(1_060), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_address_is_named_with_its_cause() {
    let error = dial(&[2, 9], NameError::NoAddress).await.unwrap_err();
    assert_eq!(
        super::super::cause::root_cause(&error),
        "/ip4/10.0.0.1/tcp/2: nobody listens there; /ip4/10.0.0.1/tcp/9: nothing may be dialled \
         there, whatever a name server says"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_nowhere_says_why() {
    let (found_in, found) = mpsc::channel(1);
    drop(found_in);
    let lookup = async { NameError::NoAnswer }.boxed();
    let error = Names::new(Machines).dial_found(found, lookup, OPTS).await.unwrap_err();
    assert!(super::super::cause::root_cause(&error).contains("does not answer"), "{error}");
}
