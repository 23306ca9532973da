//! `emotionviz healthcheck`: for containers that have no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use emotionviz_settings::{Http, Values};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Requests `GET /health` of the service that has the same settings.
pub async fn run(values: &Values) -> anyhow::Result<ExitCode> {
    let settings = Http::from_values(values)?;
    let host = match settings.host {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let address = SocketAddr::new(host, settings.port);
    let status = tokio::time::timeout(TIME_LIMIT, health(address))
        .await
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("http://{address}/health does not answer"))?;
    if status != StatusCode::OK {
        bail!("http://{address}/health answers {status}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn health(address: SocketAddr) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/health")
        .header(header::HOST, address.to_string())
        .body(Body::empty())?;
    Ok(sender.send_request(request).await?.status())
}
