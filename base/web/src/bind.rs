//! Addresses of doors: from a setting to a listening socket, with one line about what stands in the way.

use mammoth_platform::settings::{Addr, HostPort, Key};
use mammoth_platform::{PlatformError, Settings};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};

/// Connections that may wait to be accepted: a short queue would make clients of a busy moment wait a second to try again.
const BACKLOG: i32 = 4096;

/// Why a door cannot be opened. One line each, naming the setting and the address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A host of a setting that has no address.
    #[error("{key}: cannot find an address of host {host}: {source}")]
    Host {
        /// The setting.
        key: &'static str,
        /// The host.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// An address that others could reach.
    #[error(
        "{key}: {addr} can be reached from other machines; without a cluster secret a daemon listens on 127.0.0.1 or [::1] only"
    )]
    NotLoopback {
        /// The setting.
        key: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// A port that somebody else has.
    #[error("cannot listen on {addr} for {door} ({key}): {source}")]
    Taken {
        /// What the port is for.
        door: &'static str,
        /// The setting.
        key: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// The address of a door; Hadoop's default of all interfaces becomes loopback, as nothing protects our doors yet.
///
/// # Errors
/// A value that is no address.
pub fn door_address(settings: &Settings, key: Key<Addr>) -> Result<HostPort, PlatformError> {
    let mut addr = settings.addr(key)?;
    if !settings.is_given(key.name()) && addr.host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()) {
        addr.host = Ipv4Addr::LOCALHOST.to_string();
    }
    Ok(addr)
}

/// The socket address of a host, which must be this machine's own.
///
/// # Errors
/// A host without address; one that others can reach.
pub fn resolve(key: &'static str, addr: &HostPort) -> Result<SocketAddr, BindError> {
    let fail = |source| BindError::Host { key, host: addr.host.clone(), source };
    let mut found = (addr.host.as_str(), addr.port).to_socket_addrs().map_err(fail)?;
    let none = || fail(std::io::Error::other("it has none"));
    let addr = found.next().ok_or_else(none)?;
    if addr.ip().is_loopback() { Ok(addr) } else { Err(BindError::NotLoopback { key, addr }) }
}

/// Binds the port of a door.
///
/// # Errors
/// Somebody else has it.
pub fn listen(door: &'static str, key: &'static str, addr: SocketAddr) -> Result<TcpListener, BindError> {
    bound(addr).map_err(|source| BindError::Taken { door, key, addr, source })
}

fn bound(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // A restart must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Names under which a door may be called: those given here and those of the setting `mammoth.http.allowed-hosts`.
///
/// # Errors
/// A setting that leads back to itself.
pub fn host_names(settings: &Settings, own: &[&str]) -> Result<Vec<String>, PlatformError> {
    let mut names: Vec<String> = own.iter().map(|name| (*name).to_owned()).collect();
    names.extend(settings.list(mammoth_platform::keys::MAMMOTH_HTTP_ALLOWED_HOSTS)?);
    names.retain(|name| !name.is_empty() && !name.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::keys;

    fn settings(pairs: &[&str]) -> Settings {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Settings::load(None, &pairs).expect("no files")
    }

    #[test]
    fn a_default_of_all_interfaces_becomes_loopback_and_a_given_one_is_refused() {
        let key = keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS;
        let addr = door_address(&settings(&[]), key).expect("the default");
        assert_eq!(addr.to_string(), "127.0.0.1:50030");
        let given = door_address(&settings(&["mapreduce.jobtracker.http.address=0.0.0.0:1"]), key).expect("an address");
        let error = resolve(key.name(), &given).expect_err("others can reach it").to_string();
        assert!(error.contains("mapreduce.jobtracker.http.address") && error.contains("0.0.0.0:1"), "{error}");
    }

    #[test]
    fn a_taken_port_is_named_with_its_setting() {
        let first = listen("pages", "a.key", SocketAddr::from(([127, 0, 0, 1], 0))).expect("any port");
        let addr = first.local_addr().expect("bound");
        let error = listen("pages", "a.key", addr).expect_err("taken").to_string();
        assert!(error.contains("pages") && error.contains("a.key") && error.contains(&addr.to_string()), "{error}");
    }

    #[test]
    fn names_are_gathered_and_empty_or_unspecified_ones_left_out() {
        let settings = settings(&["mammoth.http.allowed-hosts=a.example, b.example,"]);
        assert_eq!(host_names(&settings, &["h", "", "0.0.0.0"]).expect("names"), ["h", "a.example", "b.example"]);
    }
}
