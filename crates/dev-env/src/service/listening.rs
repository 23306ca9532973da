//! The API's listening sockets. The supervisor owns them, so that they outlive each process of the API: while one process replaces another,
//! new connections wait in the backlog, and none is refused.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::net::TcpSocket;

use crate::project::configuration::Port;
use crate::project::kept_ports;
use crate::project::ports::PortError;
use crate::report::events::Events;
use crate::{Checkout, Error};

/// As many connections as may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listening sockets and their address.
#[derive(Clone)]
pub(crate) struct Listening {
    sockets: Vec<Arc<TcpListener>>,
    host: IpAddr,
    port: u16,
}

impl Listening {
    /// Opens the socket of the settings. For 127.0.0.1 it also opens a socket on `::1`, because a client may resolve `localhost` to it.
    ///
    /// # Errors
    /// The port is taken, or the address is none of this machine's.
    pub(crate) fn open(
        checkout: &Checkout,
        host: IpAddr,
        wanted: Port,
        events: &Events,
    ) -> Result<Self, Error> {
        let port = kept_ports::api(checkout, host, wanted, events)?;
        let mut sockets = vec![Arc::new(listen(SocketAddr::new(host, port))?)];
        if let Some(other) = process::ports::other_loopback(host) {
            sockets.push(Arc::new(listen(SocketAddr::new(other, port))?));
        }
        Ok(Self {
            sockets,
            host,
            port,
        })
    }

    /// This one where it is what the settings ask for, else a new one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn or_open(
        self,
        checkout: &Checkout,
        host: IpAddr,
        wanted: Port,
        events: &Events,
    ) -> Result<Self, Error> {
        let is_still = self.host == host && kept_ports::is_api_still(checkout, wanted, self.port);
        if is_still {
            Ok(self)
        } else {
            Self::open(checkout, host, wanted, events)
        }
    }

    /// The sockets.
    pub(crate) fn sockets(&self) -> Vec<Arc<TcpListener>> {
        self.sockets.clone()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A socket that listens there.
///
/// # Errors
/// The port is taken, or the address is none of this machine's.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, PortError> {
    open(address).map_err(|source| PortError::NotListening { address, source })
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // What an earlier listener's connections left behind does not stand in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
