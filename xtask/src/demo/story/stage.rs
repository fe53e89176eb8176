// SPDX-License-Identifier: Apache-2.0
//! What every chapter has: the API, the gateway, clients, and waits that end.
//!
//! Depends on: api, crowd, http, interrupt, tell.

use super::api::{self, Api};
use super::crowd::{Crowd, Orders, Tally};
use super::http;
use super::tell;
use crate::demo::interrupt::{Interrupt, MOMENT};
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// A change takes effect within this time, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the story is played.
pub(super) struct Stage<'a> {
    pub(super) api: Api,
    pub(super) gateway: SocketAddr,
    pub(super) interrupt: &'a Interrupt,
}

/// The host of a service of the story.
pub(super) fn host(service: &str) -> String {
    format!("{service}.default.localhost")
}

/// A Service as YAML: what differs between those of the story.
pub(super) struct Manifest<'a> {
    pub(super) name: &'a str,
    /// Of the Service itself.
    pub(super) annotations: &'a str,
    /// Of its revisions.
    pub(super) scaling: &'a str,
    pub(super) image: &'a str,
    pub(super) target: &'a str,
}

impl Manifest<'_> {
    /// The YAML.
    pub(super) fn text(&self) -> String {
        let own = match self.annotations {
            "" => String::new(),
            some => format!("  annotations: {{{some}}}\n"),
        };
        format!(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: {}\n{own}spec:\n  template:\n    \
             metadata:\n      annotations: {{{}}}\n    spec:\n      containers:\n      - image: {}\n        \
             env: [{{name: TARGET, value: {}}}]\n",
            self.name, self.scaling, self.image, self.target
        )
    }
}

impl Stage<'_> {
    /// Waits for something, at most as long as patience lasts; answers how long it took.
    pub(super) fn wait(&self, what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<Duration> {
        let begun = Instant::now();
        while !is_so()? {
            ensure!(begun.elapsed() < PATIENCE, "{what}: not after {} s", PATIENCE.as_secs());
            self.interrupt.sleep(MOMENT)?;
        }
        Ok(begun.elapsed())
    }

    /// Waits until a Service is as asked.
    pub(super) fn settle(&self, service: &str) -> Result<Duration> {
        let what = format!("service {service} is ready");
        let settled = self.wait(&what, || Ok(api::is_settled(&self.api.service(service)?)));
        settled.with_context(|| match self.api.service(service) {
            Ok(object) => format!("its conditions: {}", object["status"]["conditions"]),
            Err(error) => format!("{error:#}"),
        })
    }

    /// Applies a Service of the story and waits until it is as asked.
    pub(super) fn apply(&self, manifest: &Manifest<'_>) -> Result<()> {
        self.api.apply(manifest.name, &manifest.text())?;
        self.settle(manifest.name).map(drop)
    }

    /// One request on a connection of its own: what was said, and how long it took.
    pub(super) fn ask(&self, host: &str) -> Result<(String, Duration)> {
        tell::command(&format!("curl http://{host}:{}", self.gateway.port()));
        let begun = Instant::now();
        let answer = http::ask(self.gateway, &http::get(host, "/")).with_context(|| format!("asking {host}"))?;
        let took = begun.elapsed();
        let said = answer.body.trim().to_owned();
        if answer.status != 200 {
            bail!("{host} answers {} {said}", answer.status);
        }
        tell::line(&format!("{said:<30} after {}", tell::time(took)));
        Ok((said, took))
    }

    /// Clients of a service, from now on.
    pub(super) fn crowd(&self, service: &str, path: &str, clients: usize) -> Crowd {
        Crowd::start(Orders::new(self.gateway, &host(service), path), clients)
    }

    /// Calls `each` once a second with what came in that second, until it has seen enough.
    pub(super) fn each_second(
        &self,
        crowd: &Crowd,
        seconds: u32,
        mut each: impl FnMut(u32, &Tally) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let begun = Instant::now();
        let mut before = crowd.so_far();
        for second in 1..=seconds {
            let next = begun + Duration::from_secs(second.into());
            self.interrupt.sleep(next.saturating_duration_since(Instant::now()))?;
            let now = crowd.so_far();
            if each(second, &now.since(&before))?.is_break() {
                break;
            }
            before = now;
        }
        Ok(())
    }
}
