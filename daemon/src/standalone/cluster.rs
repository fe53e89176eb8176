// SPDX-License-Identifier: Apache-2.0
//! The API: its state, its listener, the controllers of Kubernetes' own kinds.
//!
//! Depends on: standalone, life.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::standalone::http::{Api, Limits, Local, serve};
use ::standalone::logs::Logs;
use ::standalone::native;
use ::standalone::refusal::Refusal;
use ::standalone::runner::{NoRange, Range};
use ::standalone::state::State;
use ::standalone::store;
use api::context::Settings;
use life::Tasks;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli;
use crate::failure::{Exit, Failure, chain, doing};

/// The name of the one node.
pub(super) const NODE: &str = "standalone";

/// The objects, and who looks after Kubernetes' own.
pub(super) struct Cluster {
    pub(super) state: Arc<State>,
    pub(super) pods: Range,
}

/// The API at work.
pub(super) struct Served {
    pub(super) local: Local,
    pub(super) address: SocketAddr,
}

impl Cluster {
    /// Opens the state and furnishes it.
    pub(super) fn open(arguments: &cli::Standalone, tasks: &Tasks) -> Result<Self, Failure> {
        let usage =
            |option: &str, error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("--{option}: {error}"), "");
        let pods: Range = arguments
            .pod_cidr
            .parse()
            .map_err(|error: NoRange| usage("pod-cidr", &error))?;
        let service_range = arguments.service_cidr.parse();
        let service_range = service_range.map_err(|error: store::NoRange| usage("service-cidr", &error))?;
        let state = Arc::new(match &arguments.state {
            Some(path) => State::open(path).map_err(|error| {
                let help = "name another file; this one was not changed";
                Failure::new(Exit::Failed, format!("--state: {}", chain(&error)), help)
            })?,
            None => State::in_memory(),
        });
        let settings = native::Settings {
            node: NODE.to_owned(),
            address: IpAddr::V4(pods.host()),
            service_range,
            ..native::Settings::default()
        };
        native::run(&state, settings, tasks).map_err(refused)?;
        tasks.spawn("state file", tell_of(state.trouble()));
        Ok(Self { state, pods })
    }

    /// Serves it.
    pub(super) async fn serve(
        &self,
        address: SocketAddr,
        logs: Arc<dyn Logs>,
        tasks: &Tasks,
    ) -> Result<Served, Failure> {
        let api = Api::new(Arc::clone(&self.state), Settings::default(), Limits::default()).map_err(refused)?;
        let api = Arc::new(api.with_logs(logs));
        let listening = || doing(format!("listening on {address}"), "choose another --api");
        let listener = TcpListener::bind(address).await.map_err(listening())?;
        let address = listener.local_addr().map_err(listening())?;
        let served = Arc::clone(&api);
        tasks.spawn("api", async move {
            let Err(error) = serve(listener, served).await;
            eprintln!("error: the API no longer accepts connections: {error}");
        });
        let local = Local::new(api);
        Ok(Served { local, address })
    }
}

/// Says when the state file cannot be written, and when it can again.
async fn tell_of(mut trouble: watch::Receiver<Option<String>>) {
    while trouble.changed().await.is_ok() {
        match &*trouble.borrow_and_update() {
            Some(why) => eprintln!("error: {why}; until it can, pods serve on and every change is refused"),
            None => eprintln!("note: the state file is written again"),
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::new(Exit::Failed, format!("the API cannot be furnished: {refusal}"), "")
}
