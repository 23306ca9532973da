//! `http-bench`: puts load on a server, or is the server that others are compared with.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Parser, Subcommand};
use http_bench::{Load, Request, Sockets, argon2, bare};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Puts load on a server, or is the server that others are compared with.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  http-bench bare --port 9000 &\n  http-bench load http://127.0.0.1:9000/"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Asks the same thing over and over and reports on it as JSON, when the time is over or on SIGTERM
    Load(LoadArgs),
    /// Keeps a WebSocket open until SIGTERM, opens it again whenever it is closed, and reports on it as JSON
    Websocket {
        /// Where to, ws://host:port/path
        url: String,
    },
    /// Serves one constant JSON route, GET /, on 127.0.0.1, with a thread per core
    Bare {
        /// The port
        #[arg(long)]
        port: u16,
    },
    /// Prints how many hashes of Argon2id this machine makes in a second
    Argon2 {
        /// How many threads make them
        #[arg(short, long, default_value = "1")]
        threads: NonZeroUsize,
        /// How long they do
        #[arg(short, long, default_value_t = 2.0, value_parser = seconds)]
        seconds: f64,
    },
}

#[derive(clap::Args)]
struct LoadArgs {
    /// Where to, http://host:port/path
    url: String,
    /// How many connections ask at once
    #[arg(short, long, default_value_t = 32)]
    connections: u16,
    /// How long each connection waits between an answer and its next request, in milliseconds
    #[arg(short, long, default_value_t = 0)]
    pause: u16,
    /// How many seconds it counts
    #[arg(short, long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// How many seconds it asks before it counts
    #[arg(short, long, default_value_t = 0.5, value_parser = seconds)]
    warm_up: f64,
    /// The method
    #[arg(short, long, default_value = "GET")]
    method: String,
    /// A header, "Name: value"; may be repeated
    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,
    /// A JSON body
    #[arg(short, long)]
    body: Option<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    const MOST: f64 = 3600.0;
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=MOST).contains(seconds))
        .ok_or_else(|| format!("must be a number of seconds up to {MOST}"))
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Load(args) => load(&args),
        Command::Websocket { url } => websocket(&url),
        Command::Bare { port } => {
            Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(async {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
                    Ok(bare::serve(listener).await?)
                })
        }
        Command::Argon2 { threads, seconds } => {
            println!(
                "{:.2}",
                argon2::per_second(threads, Duration::from_secs_f64(seconds))
            );
            Ok(())
        }
    }
}

fn load(args: &LoadArgs) -> anyhow::Result<()> {
    let load = Load {
        request: Request::new(&args.method, &args.url, &args.headers, args.body.as_deref())?,
        connections: args.connections.into(),
        pause: Duration::from_millis(args.pause.into()),
        warm_up: Duration::from_secs_f64(args.warm_up),
        counted: Duration::from_secs_f64(args.seconds),
    };
    // One thread: what it takes from the server's cores is bounded and the same in every run.
    let report = Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async { anyhow::Ok(load.run(terminated()?).await?) })?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn websocket(url: &str) -> anyhow::Result<()> {
    let mut sockets = Sockets::default();
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            tokio::select! {
                () = sockets.keep_open(url) => {}
                () = terminated()? => {}
            }
            anyhow::Ok(())
        })?;
    println!("{}", serde_json::to_string(&sockets)?);
    Ok(())
}

/// Ends on SIGTERM, which is caught from now on.
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        terminate.recv().await;
    })
}
