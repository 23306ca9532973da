//! Which process listens on a port, and which ports are free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use listeners::SocketState;
use rand::RngExt;

/// Where everything listens that no setting has listen elsewhere.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// A holder in words, for a sentence such as "port 8000 is taken by …".
pub fn name_holder(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, name }) => format!("{name} (pid {pid})"),
        None => {
            "a process that this user may not see (another user's, or a container's)".to_owned()
        }
    }
}

/// Who stands in the way of 127.0.0.1 and `port`, where this user may see that. Reads every process's files: for messages, not for waiting.
pub fn holder(port: u16) -> Option<Holder> {
    holder_at(HERE, port)
}

/// Returns the process that listens in the way of `host` and `port`, where this user may see it.
pub fn holder_at(host: IpAddr, port: u16) -> Option<Holder> {
    let listeners = listeners::get_all().ok()?;
    let other = other_loopback(host);
    let mut found: Vec<_> = listeners
        .into_iter()
        .filter(|listener| listener.socket.port() == port && listener.state == SocketState::Listen)
        // The one that stands in the way of this address, before those of others.
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

/// Returns whether a service could listen on `port` of 127.0.0.1. Does not check `::1`.
pub fn is_free(port: u16) -> bool {
    port != 0 && bind_one(HERE, port).is_ok()
}

/// Returns whether nothing listens on `port` of `host`.
pub fn is_free_at(host: IpAddr, port: u16) -> bool {
    port != 0 && bind(host, port).is_ok()
}

/// A port of 127.0.0.1 that nobody listens on. Nothing reserves it: use it soon.
pub fn free_port() -> std::io::Result<u16> {
    free_port_at(HERE)
}

/// The same for another address of this machine.
pub fn free_port_at(host: IpAddr) -> std::io::Result<u16> {
    // Below the ports that systems give to outgoing connections, which would take a kept one away now and then.
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
    let wanted = host == HERE || host == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let other = IpAddr::V6(Ipv6Addr::LOCALHOST);
    (wanted && TcpListener::bind((other, 0)).is_ok()).then_some(other)
}

/// Binds a second listener on `::1` if that port is free.
pub fn bind(host: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let listener = bind_one(host, port)?;
    if let Some(other) = other_loopback(host) {
        bind_one(other, listener.local_addr()?.port())?;
    }
    Ok(listener)
}

fn bind_one(host: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let address = SocketAddr::from((host, port));
    // Where several listeners may share a port (macOS, one of them on all addresses), binding alone proves nothing.
    if cfg!(target_os = "macos")
        && port != 0
        && std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200))
            .is_ok()
    {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    TcpListener::bind(address)
}
