// SPDX-License-Identifier: Apache-2.0
//! The API: its state, its listener, the controllers of Kubernetes' own kinds.
//!
//! Depends on: standalone, life.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ::standalone::http::{Api, Limits, Local, serve};
use ::standalone::logs::Logs;
use ::standalone::native;
use ::standalone::refusal::Refusal;
use ::standalone::runner::Range;
use ::standalone::state::State;
use ::standalone::store;
use api::context::Settings;
use life::Tasks;
use tokio::sync::watch;

use super::ground::Listening;
use crate::cli;
use crate::failure::{Exit, Failure, chain};

/// The name of the one node.
pub(super) const NODE: &str = "standalone";

/// The objects, and who looks after Kubernetes' own.
pub(super) struct Cluster {
    pub(super) state: Arc<State>,
    pub(super) pods: Range,
    /// A state file that was not there: until somebody may have written to it, nobody wants to find it.
    fresh: Option<PathBuf>,
}

/// The API at work.
pub(super) struct Served {
    pub(super) local: Local,
    pub(super) address: SocketAddr,
}

impl Cluster {
    /// Opens the state and furnishes it; a file that cannot take even that is refused.
    pub(super) async fn open(arguments: &cli::Standalone, pods: Range, tasks: &Tasks) -> Result<Self, Failure> {
        let usage =
            |option: &str, error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("--{option}: {error}"), "");
        let service_range = arguments.service_cidr.parse::<store::Range>();
        let service_range = service_range.map_err(|error| usage("service-cidr", &error))?;
        if service_range.overlaps(pods.base, pods.prefix) {
            let help = "choose another --service-cidr, or another --pod-cidr";
            let message = format!("--service-cidr: {service_range} and the pods' range, --pod-cidr {pods}, overlap");
            return Err(Failure::new(Exit::Usage, message, help));
        }
        let fresh = arguments.state.clone().filter(|path| !path.exists());
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
        let cluster = Self { state, pods, fresh };
        let kept = native::run(&cluster.state, settings, tasks).map_err(refused)?;
        kept.wait().await.map_err(|refusal| {
            let help = "make room or name another file; nothing was started";
            Failure::new(Exit::Failed, format!("--state: {refusal}"), help)
        })?;
        tasks.spawn("state file", tell_of(cluster.state.trouble()));
        Ok(cluster)
    }

    /// The API on a copy of the objects, on which anything may be tried.
    pub(super) fn rehearsal(&self) -> Result<Local, Failure> {
        let copy = Arc::new(self.state.copy());
        let api = Api::new(copy, Settings::default(), Limits::default()).map_err(refused)?;
        Ok(Local::new(Arc::new(api)))
    }

    /// Serves it.
    pub(super) fn serve(
        &mut self,
        (listener, address): Listening,
        logs: Arc<dyn Logs>,
        tasks: &Tasks,
    ) -> Result<Served, Failure> {
        self.fresh = None;
        let api = Api::new(Arc::clone(&self.state), Settings::default(), Limits::default()).map_err(refused)?;
        let api = Arc::new(api.with_logs(logs));
        let served = Arc::clone(&api);
        tasks.spawn("api", async move {
            let Err(error) = serve(listener, served).await;
            eprintln!("error: the API no longer accepts connections: {error}");
        });
        let local = Local::new(api);
        Ok(Served { local, address })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(path) = &self.fresh {
            let _absent = fs::remove_file(path);
        }
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
