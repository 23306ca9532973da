//! Which process listens on a port, and which ports are free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use listeners::SocketState;
use rand::RngExt;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Formats a holder for a sentence such as "port 8000 is taken by …".
pub fn name_holder(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, name }) => format!("{name} (pid {pid})"),
        None => {
            "a process that this user may not see (another user's, or a container's)".to_owned()
        }
    }
}

/// Returns the process that prevents listening on `port` of 127.0.0.1, if this user may see it. Slow, because it reads the files of all
/// processes: for messages, not for polling.
pub fn holder(port: u16) -> Option<Holder> {
    holder_at(LOCALHOST, port)
}

/// Does the same for another address of this machine.
pub fn holder_at(host: IpAddr, port: u16) -> Option<Holder> {
    let listeners = listeners::get_all().ok()?;
    let other = other_loopback(host);
    let mut found: Vec<_> = listeners
        .into_iter()
        .filter(|listener| listener.socket.port() == port && listener.state == SocketState::Listen)
        // Listeners on this address come first.
        .map(|listener| {
            let ip = listener.socket.ip();
            let in_the_way =
                ip == host || Some(ip) == other || ip.is_unspecified() || host.is_unspecified();
            (!in_the_way, listener.process.pid, listener.process.name)
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .next()
        .map(|(_, pid, name)| Holder { pid, name })
}

/// Returns whether a process could listen on `port` of 127.0.0.1. Does not check `::1`.
pub fn is_free(port: u16) -> bool {
    port != 0 && bind_one(LOCALHOST, port).is_ok()
}

/// Returns whether nothing listens on `port` of `host`.
pub fn is_free_at(host: IpAddr, port: u16) -> bool {
    port != 0 && bind(host, port).is_ok()
}

/// Returns a port of 127.0.0.1 on which no process listens. It is not reserved: use it soon.
///
/// # Errors
/// No port is free.
pub fn free_port() -> std::io::Result<u16> {
    free_port_at(LOCALHOST)
}

/// Does the same for another address of this machine.
///
/// # Errors
/// No port is free, or the machine does not have the address.
pub fn free_port_at(host: IpAddr) -> std::io::Result<u16> {
    // Below the ports of outgoing connections (ip_local_port_range in ip(7)), one of which could take the port later.
    let mut random = rand::rng();
    let quiet = (0..100)
        .map(|_| random.random_range(20_000..32_000))
        .find(|port| is_free_at(host, *port));
    match quiet {
        Some(port) => Ok(port),
        None => bind(host, 0)?.local_addr().map(|address| address.port()),
    }
}

/// Returns `::1` for a listener on 127.0.0.1 if this machine has IPv6. `localhost` may resolve to either address, and a client could reach
/// another program on the other one.
pub fn other_loopback(host: IpAddr) -> Option<IpAddr> {
    let wanted = host == LOCALHOST || host == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let other = IpAddr::V6(Ipv6Addr::LOCALHOST);
    (wanted && TcpListener::bind((other, 0)).is_ok()).then_some(other)
}

/// Listens on `port` of `host`; port 0 means a free one. For 127.0.0.1 and 0.0.0.0 the port must also be free on `::1`.
///
/// # Errors
/// The port is in use, or the machine does not have the address.
pub fn bind(host: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let listener = bind_one(host, port)?;
    if let Some(other) = other_loopback(host) {
        bind_one(other, listener.local_addr()?.port())?;
    }
    Ok(listener)
}

fn bind_one(host: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let address = SocketAddr::from((host, port));
    // On macOS a listener on one address can share a port with a listener on all addresses.
    if cfg!(target_os = "macos")
        && port != 0
        && std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200))
            .is_ok()
    {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    TcpListener::bind(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_this_process_while_it_listens() {
        let port = free_port().unwrap();
        assert!(is_free(port));
        let listener = bind(LOCALHOST, port).unwrap();
        assert!(!is_free(port) && !is_free_at(LOCALHOST, port));
        assert_eq!(
            bind(LOCALHOST, port).unwrap_err().kind(),
            std::io::ErrorKind::AddrInUse
        );
        let holder = holder(port).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(name_holder(Some(&holder)).contains(&format!("(pid {})", holder.pid)));
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn a_port_of_localhost_must_be_free_on_both_loopback_addresses() {
        let Some(other) = other_loopback(LOCALHOST) else {
            return;
        };
        let port = free_port().unwrap();
        let _listener = TcpListener::bind((other, port)).unwrap();
        assert!(is_free(port));
        assert!(!is_free_at(LOCALHOST, port));
    }
}
