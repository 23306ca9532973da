use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use emotionviz_settings::Proxies;

/// Returns the client's address: the connection's, or if the connection is a trusted proxy's, the one in `X-Forwarded-For`.
///
/// In that list the right-most address that is not a trusted proxy's counts. The client may have made up all addresses left of it.
pub(crate) fn address(parts: &Parts, proxies: &Proxies) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |info| info.0.ip());
    let trusted = |address: IpAddr| {
        proxies
            .0
            .iter()
            .any(|net| net.contains(&address.to_canonical()))
    };
    let forwarded = parts.headers.get_all("x-forwarded-for");
    let hops: Vec<&str> = forwarded
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    let mut client = peer;
    for hop in hops.iter().rev() {
        if !trusted(client) {
            break;
        }
        match parse(hop.trim()) {
            Some(address) => client = address,
            None => break,
        }
    }
    client.to_canonical()
}

/// Parses an address with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use emotionviz_settings::Kind;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str], proxies: &str) -> String {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts
            .extensions
            .insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        address(&parts, &Proxies::read(proxies).unwrap()).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        assert_eq!(seen("1.1.1.1", &["9.9.9.9"], ""), "1.1.1.1");
        assert_eq!(seen("10.0.0.1", &["9.9.9.9"], "10.0.0.0/8"), "9.9.9.9");
        assert_eq!(
            seen("::ffff:10.0.0.1", &["9.9.9.9"], "10.0.0.0/8"),
            "9.9.9.9"
        );
    }

    #[test]
    fn the_right_most_untrusted_address_counts() {
        assert_eq!(
            seen("10.0.0.1", &["8.8.8.8, 9.9.9.9, 10.0.0.2"], "10.0.0.0/8"),
            "9.9.9.9"
        );
        assert_eq!(
            seen("10.0.0.1", &["8.8.8.8", "9.9.9.9:1234"], "10.0.0.0/8"),
            "9.9.9.9"
        );
        assert_eq!(
            seen("10.0.0.1", &["[2001:db8::1]:80"], "10.0.0.1"),
            "2001:db8::1"
        );
        assert_eq!(
            seen("10.0.0.1", &["8.8.8.8, unknown"], "10.0.0.1"),
            "10.0.0.1"
        );
        assert_eq!(seen("10.0.0.1", &["10.0.0.3"], "10.0.0.0/8"), "10.0.0.3");
    }
}
