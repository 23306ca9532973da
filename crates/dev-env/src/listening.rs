//! The API's listening sockets. They are the supervisor's own, so that they outlive each process which answers on them: while one
//! follows on another, new connections wait in their queues, and none is refused.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::net::TcpSocket;

use crate::configuration::Port;
use crate::events::Events;
use crate::ports::PortError;
use crate::{Checkout, Error, kept_ports, ports};

/// As many connections as may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Sockets, and where they listen.
#[derive(Clone)]
pub(crate) struct Listening {
    sockets: Vec<Arc<TcpListener>>,
    host: IpAddr,
    port: u16,
}

impl Listening {
    /// Opens the socket that the settings ask for. Where that is one of 127.0.0.1, `localhost` may mean `::1` to a client, and there is a
    /// socket of that, too.
    ///
    /// # Errors
    /// The port is taken, or the address is none of this machine's.
    pub(crate) fn open(checkout: &Checkout, host: IpAddr, wanted: Port, events: &Events) -> Result<Self, Error> {
        let port = kept_ports::api(checkout, host, wanted, events)?;
        let mut sockets = vec![Arc::new(listen(SocketAddr::new(host, port))?)];
        if let Some(other) = ports::other_loopback(host) {
            sockets.push(Arc::new(listen(SocketAddr::new(other, port))?));
        }
        Ok(Self { sockets, host, port })
    }

    /// This one where it is what the settings ask for, else a new one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn or_open(self, checkout: &Checkout, host: IpAddr, wanted: Port, events: &Events) -> Result<Self, Error> {
        let is_still = self.host == host && kept_ports::is_api_still(checkout, wanted, self.port);
        if is_still { Ok(self) } else { Self::open(checkout, host, wanted, events) }
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
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What an earlier listener's connections left behind does not stand in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
