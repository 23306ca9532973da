//! The API's listening socket. It is the supervisor's own, so that it outlives each process which answers on it: while one
//! follows on another, new connections wait in its queue, and none is refused.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::net::TcpSocket;

use crate::configuration::Port;
use crate::events::Events;
use crate::ports::PortError;
use crate::{Checkout, Error, kept_ports};

/// As many connections as may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A socket, and where it listens.
#[derive(Clone)]
pub(crate) struct Listening {
    socket: Arc<TcpListener>,
    host: IpAddr,
    port: u16,
}

impl Listening {
    /// Opens the socket that the settings ask for.
    ///
    /// # Errors
    /// The port is taken, or the address is none of this machine's.
    pub(crate) fn open(checkout: &Checkout, host: IpAddr, wanted: Port, events: &Events) -> Result<Self, Error> {
        let port = kept_ports::api(checkout, host, wanted, events)?;
        let address = SocketAddr::new(host, port);
        Ok(Self { socket: Arc::new(listen(address)?), host, port })
    }

    /// This one where it is what the settings ask for, else a new one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn or_open(self, checkout: &Checkout, host: IpAddr, wanted: Port, events: &Events) -> Result<Self, Error> {
        let is_still = self.host == host && kept_ports::is_api_still(checkout, wanted, self.port);
        if is_still { Ok(self) } else { Self::open(checkout, host, wanted, events) }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> Arc<TcpListener> {
        Arc::clone(&self.socket)
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
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What an earlier listener's connections left behind does not stand in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
