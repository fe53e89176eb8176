// SPDX-License-Identifier: Apache-2.0
//! `sluice sample`: a small server to try the rest on.
//!
//! Invariants: at most [`CONNECTIONS`] at a time; SIGINT and SIGTERM end it after the requests at hand, within
//! [`GRACE`].
//! Depends on: `cgroup`, hyper, tokio.

mod answers;
mod body;
mod echo;
mod health;
mod work;

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use nix::sys::{prctl, signal::Signal};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use answers::Site;

use crate::{
    cgroup, cli,
    failure::{Exit, Failure, doing},
    signals::Signals,
};

/// Connections at a time; more wait in the listener's queue.
const CONNECTIONS: usize = 8192;
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) fn run(arguments: &cli::Sample) -> Result<Exit, Failure> {
    prepare(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(doing("starting", ""))?;
    let address = arguments.address();
    let listener = runtime.block_on(TcpListener::bind(address));
    let listener = listener.map_err(doing(
        format!("listening on {address}"),
        "choose another --port or --listen; --port 0 takes any that is free",
    ))?;
    let site = Arc::new(Site::new(cli::Sample::target()));
    let served = runtime.block_on(serve(listener, Arc::clone(&site)));
    served.map_err(doing("serving", ""))?;
    Ok(if site.has_crashed() { Exit::Failed } else { Exit::Done })
}

/// Before any socket or thread is made: both belong where the process is then.
fn prepare(arguments: &cli::Sample) -> Result<(), Failure> {
    if arguments.with_parent {
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| doing("tying it to its parent", "")(error.into()))?;
    }
    let Some(cgroup) = &arguments.cgroup else { return Ok(()) };
    let folder = cgroup::folder(&cgroup::root(None, Path::new("/proc"))?, cgroup)?;
    let help = "run as root, or as the owner of that folder and of those between it and your own cgroup";
    fs::write(folder.join("cgroup.procs"), "0").map_err(doing(format!("joining cgroup {}", folder.display()), help))
}

async fn serve(listener: TcpListener, site: Arc<Site>) -> io::Result<()> {
    let mut signals = Signals::watch()?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            Some(_) = connections.join_next() => continue,
            () = site.crashed() => return Ok(()),
            () = signals.came() => break,
        };
        let (stream, peer, permit) = accepted;
        let own = Arc::clone(&site);
        let answer = service_fn(move |request| answers::answer(Arc::clone(&own), peer, request));
        let connection = builder()
            .serve_connection_with_upgrades(TokioIo::new(stream), answer)
            .into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A client that goes away in the middle is no news.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    site.drain();
    let ended = async {
        graceful.shutdown().await;
        site.gone().await;
    };
    if timeout(GRACE, ended).await.is_err() {
        eprintln!("note: some connections were still busy after {} s", GRACE.as_secs());
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<tokio::sync::OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers at once; without it they only come later.
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            // Out of descriptors, or the client has gone already: neither gets better by hurrying.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    builder
}
