//! The address of this machine in the local network, for people and for phones.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// What a service listens on that the local network may reach.
pub(crate) const ALL_ADDRESSES: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address from which this machine would go out; nothing is sent to find it.
pub(crate) fn address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address of documentation (RFC 5737): the route to it is the one to everywhere.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback())
}

/// Describes the origins that `--lan` allows: pages of live-reload servers (Ionic, Angular, Vite) on that address.
pub(crate) fn pages_may_call(address: IpAddr) -> String {
    format!("web pages on http://{address} (any port) may also call the API")
}

/// A URL as a QR code in characters, two modules in each, black where a character is drawn on white.
pub(crate) fn code(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    Some(
        code.render::<Dense1x2>()
            .dark_color(Dense1x2::Dark)
            .light_color(Dense1x2::Light)
            .build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_a_square_with_a_margin() {
        let code = code("http://192.168.1.20:8000").unwrap();
        let lines: Vec<&str> = code.lines().collect();
        // Version 2 has 25 modules a side, and four of margin on each.
        assert_eq!((lines.len(), lines[0].chars().count()), (17, 33));
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == 33 && line.chars().all(|c| " █▀▄".contains(c))),
            "{code}"
        );
    }
}
