//! Connections within one machine.

use rustix::net::{SocketAddrAny, getpeername, getsockname, sockopt};
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// The algorithm that does the least, and that every kernel has.
const PLAIN: &str = "reno";

/// Spares a connection within one machine the machine's congestion control: no network is there to be congested, and an
/// algorithm that paces what is sent, as BBR does, takes time for it all the same. Any other connection keeps what the operator
/// has chosen. What the system refuses is left as it is.
pub(crate) fn spare_congestion_control(stream: &impl AsFd) {
    let ip = |name: SocketAddrAny| SocketAddr::try_from(name).ok().map(|addr| addr.ip());
    let own = getsockname(stream).ok().and_then(ip);
    let peer = getpeername(stream).ok().flatten().and_then(ip);
    if own.is_some() && own == peer {
        let _kept = sockopt::set_tcp_congestion(stream, PLAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ends_on_one_machine_are_spared_and_the_listener_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let default = sockopt::tcp_congestion(&listener).unwrap();
        spare_congestion_control(&near);
        spare_congestion_control(&listener);
        assert_eq!(sockopt::tcp_congestion(&near).unwrap(), PLAIN);
        assert_eq!(
            [&sockopt::tcp_congestion(&far).unwrap(), &sockopt::tcp_congestion(&listener).unwrap()],
            [&default; 2]
        );
    }
}
