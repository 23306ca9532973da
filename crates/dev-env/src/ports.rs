//! Which ports the environment listens on, and who has a port that is taken.

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

/// A port for a service of this checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The port.
    pub port: u16,
    /// The default that was taken, and by whom where that is known: to be said plainly, and the choice kept.
    pub instead_of: Option<(u16, Option<Holder>)>,
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody asked for this port, and it is taken.
    #[error(
        "port {port} ({setting}) is taken by {}. Stop that process, or choose another port: {setting}=<port> in .env, or no {setting} at all for a free one",
        name_holder(holder.as_ref())
    )]
    Taken {
        /// The setting that names the port.
        setting: String,
        /// The port.
        port: u16,
        /// Who has it, where this user may see that.
        holder: Option<Holder>,
    },
    /// Ports below 1024 belong to root on most systems.
    #[error(
        "port {port} ({setting}) may not be used by this user; choose one from 1024 up: {setting}=<port> in .env"
    )]
    NotPermitted {
        /// The setting that names the port.
        setting: String,
        /// The port.
        port: u16,
    },
    /// The machine has no such address.
    #[error(
        "{host} (API_HOST) is no address of this machine; set API_HOST to one of its own, or leave it out for 127.0.0.1"
    )]
    NoAddress {
        /// The address.
        host: IpAddr,
    },
    /// It was taken, or went away, this moment.
    #[error("cannot listen on {address} (API_HOST, API_PORT): {source}")]
    NotListening {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system has no port to give.
    #[error("no free port: {0}")]
    NoneFree(#[source] std::io::Error),
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

fn holder_at(host: IpAddr, port: u16) -> Option<Holder> {
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

fn is_free_at(host: IpAddr, port: u16) -> bool {
    port != 0 && bind(host, port).is_ok()
}

/// A port of 127.0.0.1 that nobody listens on. Nothing reserves it: use it soon.
pub fn free_port() -> Result<u16, PortError> {
    free_port_at(HERE)
}

/// The same for another address of this machine.
pub fn free_port_at(host: IpAddr) -> Result<u16, PortError> {
    // Below the ports that systems give to outgoing connections, which would take a kept one away now and then.
    let mut random = rand::rng();
    let quiet = (0..100)
        .map(|_| random.random_range(20_000..32_000))
        .find(|port| is_free_at(host, *port));
    match quiet {
        Some(port) => Ok(port),
        None => bind(host, 0)
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .map_err(|error| {
                if error.kind() == std::io::ErrorKind::AddrNotAvailable {
                    PortError::NoAddress { host }
                } else {
                    PortError::NoneFree(error)
                }
            }),
    }
}

/// The port for a service that listens at `host`: the one that somebody set (`explicitly_set`), or an error that says who has it; else the one
/// `kept` for this checkout; else the default, `wanted`; else a free one.
pub fn choose(
    setting: &str,
    host: IpAddr,
    wanted: u16,
    explicitly_set: bool,
    kept: Option<u16>,
) -> Result<Choice, PortError> {
    let plain = |port| Choice {
        port,
        instead_of: None,
    };
    if explicitly_set {
        return match bind(host, wanted) {
            Ok(_) => Ok(plain(wanted)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(PortError::NotPermitted {
                    setting: setting.to_owned(),
                    port: wanted,
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
                Err(PortError::NoAddress { host })
            }
            Err(_) => Err(PortError::Taken {
                setting: setting.to_owned(),
                port: wanted,
                holder: holder_at(host, wanted),
            }),
        };
    }
    if let Some(kept) = kept.filter(|port| is_free_at(host, *port)) {
        return Ok(plain(kept));
    }
    if is_free_at(host, wanted) {
        return Ok(plain(wanted));
    }
    Ok(Choice {
        port: free_port_at(host)?,
        instead_of: Some((wanted, holder_at(host, wanted))),
    })
}

/// Returns `::1` for a listener on 127.0.0.1 if this machine has IPv6. `localhost` may resolve to either address, and a client could reach
/// another program on the other one.
pub(crate) fn other_loopback(host: IpAddr) -> Option<IpAddr> {
    let wanted = host == HERE || host == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let other = IpAddr::V6(Ipv6Addr::LOCALHOST);
    (wanted && TcpListener::bind((other, 0)).is_ok()).then_some(other)
}

/// Binds a second listener on `::1` if that port is free.
fn bind(host: IpAddr, port: u16) -> std::io::Result<TcpListener> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_port_somebody_set_is_used_or_its_holder_named() {
        let (_listener, port) = taken();
        let error = choose("API_PORT", HERE, port, true, None).unwrap_err();
        let PortError::Taken {
            holder: Some(holder),
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(holder.pid, std::process::id());
        let message = error.to_string();
        assert!(
            message.contains("API_PORT") && message.contains(&format!("pid {}", holder.pid)),
            "{message}"
        );

        let free = free_port().unwrap();
        assert_eq!(
            choose("API_PORT", HERE, free, true, Some(port)).unwrap(),
            Choice {
                port: free,
                instead_of: None
            }
        );
    }

    #[test]
    fn a_default_that_is_taken_gives_way_to_a_free_one() {
        let (_listener, port) = taken();
        let choice = choose("API_PORT", HERE, port, false, None).unwrap();
        assert_ne!(choice.port, port);
        assert!(is_free(choice.port));
        assert_eq!(choice.instead_of.unwrap().0, port);
    }

    #[test]
    fn the_port_kept_for_this_checkout_stays() {
        let (kept, wanted) = (free_port().unwrap(), free_port().unwrap());
        assert_eq!(
            choose("API_PORT", HERE, wanted, false, Some(kept))
                .unwrap()
                .port,
            kept
        );
        let (_listener, port) = taken();
        assert_eq!(
            choose("API_PORT", HERE, wanted, false, Some(port)).unwrap(),
            Choice {
                port: wanted,
                instead_of: None
            }
        );
    }

    #[test]
    fn a_listener_on_the_other_loopback_address_is_reported() {
        // A machine without IPv6 has no `::1`.
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            return;
        };
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free_at(HERE, port));
        let PortError::Taken { holder, .. } =
            choose("API_PORT", HERE, port, true, None).unwrap_err()
        else {
            panic!()
        };
        assert_eq!(holder.unwrap().pid, std::process::id());
        assert_eq!(
            choose("API_PORT", HERE, port, false, None)
                .unwrap()
                .instead_of
                .unwrap()
                .0,
            port
        );
        assert_eq!(other_loopback("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn a_listener_on_all_addresses_stands_in_the_way() {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        assert_eq!(holder(port).unwrap().pid, std::process::id());
        assert_eq!(holder(free_port().unwrap()), None);
    }
}
