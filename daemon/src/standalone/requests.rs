// SPDX-License-Identifier: Apache-2.0
//! The request log of config-observability: a line a request on standard output, by Knative's template.
//!
//! Mechanism: the gateway's listeners share one `Logging`, which follows the settings.
//! Invariants: a slow reader costs lines, which are counted and told of, never requests; the last lines are written before the
//! end, if somebody reads them.
//! Depends on: control (settings), proxy.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use control::settings::Settings;
use life::Tasks;
use logic::settings::observability::Observability;
use logic::settings::template::Template;
use proxy::{LogFormat, LogLines, Logging, RequestLog};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two looks at lines that were lost.
const LOOK: Duration = Duration::from_secs(1);

/// Writes the log.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) logging: Logging,
    /// It ends after the requests, whose last lines come with their end.
    writer: Tasks,
}

impl Requests {
    /// From now on requests are logged as the settings say.
    pub(super) fn follow(&self, settings: watch::Receiver<Arc<Settings>>, tasks: &Tasks) {
        let lines = LogLines::open(tokio::io::stdout(), &self.writer);
        tasks.spawn(
            "settings of the request log",
            follow(self.logging.clone(), settings, lines),
        );
    }

    /// When there are no requests any more: until the last line is written, or for so long.
    pub(super) async fn finish(&self, patience: Duration) {
        self.logging.replace(None);
        drop(timeout(patience, self.writer.gone()).await);
        self.writer.stop().await;
    }
}

async fn follow(logging: Logging, mut settings: watch::Receiver<Arc<Settings>>, lines: LogLines) {
    let mut before = None;
    let mut lost = 0;
    loop {
        let wanted = Wanted::of(&settings.borrow_and_update().observability);
        if before.as_ref() != Some(&wanted) {
            logging.replace(wanted.log(&lines));
            before = Some(wanted);
        }
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {}
        }
        let dropped = lines.counts().dropped.load(Relaxed);
        if dropped > lost {
            eprintln!(
                "note: {} lines of the request log were dropped: its reader is too slow, or gone",
                dropped - lost
            );
            lost = dropped;
        }
    }
}

/// What the settings ask for.
#[derive(Debug, PartialEq)]
struct Wanted {
    /// Empty: nothing is logged.
    template: String,
    probes: bool,
}

impl Wanted {
    fn of(settings: &Observability) -> Self {
        let template = match settings.enable_request_log {
            true => settings.request_log_template.clone(),
            false => String::new(),
        };
        let probes = settings.enable_probe_request_log;
        Self { template, probes }
    }

    fn log(&self, lines: &LogLines) -> Option<RequestLog> {
        if self.template.is_empty() {
            return None;
        }
        // Settings with a template that is none are refused before they come here.
        let template = Template::parse("requestLog", &self.template).ok()?;
        Some(RequestLog {
            format: LogFormat::Template(template),
            probes: self.probes,
            // As the activator's: it stands before many.
            pod: (String::new(), String::new()),
            traces: true,
            sink: lines.sink(),
        })
    }
}
