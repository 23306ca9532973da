//! Which ports the environment listens on, and who has a port that is taken.

use std::net::{IpAddr, SocketAddr};

use process::ports::{Holder, bind, free_port_at, holder_at, is_free_at, name_holder};

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

/// Returns a free port on 127.0.0.1.
pub fn free_port() -> Result<u16, PortError> {
    process::ports::free_port().map_err(PortError::NoneFree)
}

impl PortError {
    pub fn no_free_port(host: IpAddr, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::AddrNotAvailable {
            Self::NoAddress { host }
        } else {
            Self::NoneFree(source)
        }
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
        port: free_port_at(host).map_err(|error| PortError::no_free_port(host, error))?,
        instead_of: Some((wanted, holder_at(host, wanted))),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    use process::ports::{holder, is_free, other_loopback};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            test_needs::skip("the address ::1", "enable IPv6 on the loopback interface");
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
