//! `emotionviz healthcheck`: for containers that have no curl.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use emotionviz_settings::{Http, Values};

/// How long it waits for the answer.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Asks `GET /health` of the service that has the same settings.
pub(crate) fn run(values: &Values) -> anyhow::Result<ExitCode> {
    let settings = Http::from_values(values)?;
    let host = match settings.host {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let address = SocketAddr::new(host, settings.port);
    let status =
        ask(address).with_context(|| format!("http://{address}/health does not answer"))?;
    if !status.starts_with("HTTP/1.1 200 ") {
        bail!("http://{address}/health answers {status}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The status line of the answer.
fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let deadline = Instant::now() + TIME_LIMIT;
    let mut connection = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
    connection.set_write_timeout(Some(TIME_LIMIT))?;
    write!(
        connection,
        "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') {
        let left = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
            .context("the time was up")?;
        connection.set_read_timeout(Some(left))?;
        let mut part = [0; 256];
        match connection.read(&mut part)? {
            0 => break,
            n => answer.extend_from_slice(&part[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}
