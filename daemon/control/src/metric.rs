// SPDX-License-Identifier: Apache-2.0
//! Metrics: whether a revision is measured. Control-plane spec 4.11.
//!
//! Problem: in Knative a Metric says whom to scrape; here the data plane counts without being asked, but tools and tests
//! read from the Metric whether a revision is measured.
//! Mechanism: the status follows from whether the data plane has a count; while it has none it is asked again.
//! Invariants: reasons and messages are Knative's; the look never fails.
//! Depends on: context, controller, scaler (whom it follows).

use std::sync::Arc;
use std::time::Duration;

use api::conditions::{Conditioned as _, pass};
use api::metric::{Metric, MetricStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::key::Key;
use crate::pod_autoscaler::scaler::Scaler;
use crate::queue::Queue;

/// When to look again at a revision that is not measured.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

struct Metrics {
    context: Context,
    scaler: Arc<Scaler>,
}

/// Starts to tell whether revisions are measured.
pub fn start(context: &Context, scaler: &Arc<Scaler>) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Metric>(context, &queue);
    let controller = Metrics {
        context: context.clone(),
        scaler: Arc::clone(scaler),
    };
    controller::start(context, &queue, controller);
}

impl Controller for Metrics {
    type Object = Metric;

    const NAME: &'static str = "metric-controller";

    async fn reconcile(&self, metric: Arc<Metric>) -> Result<Again, Failure> {
        let now = self.context.now();
        let is_measured = self.scaler.is_measured(&Key::of(&metric.metadata));
        let mut status = metric.status.clone();
        pass::begin(&mut status, metric.generation(), &now);
        tell(&mut status, is_measured, &now);
        pass::end(
            &mut status,
            &metric.status.observed().conditions,
            metric.generation(),
            &now,
        );
        self.context.write_status(&metric, status).await?;
        Ok((!is_measured).then_some(LOOK_AGAIN))
    }
}

/// Samples of silence count: a revision without pods is measured too.
fn tell(status: &mut MetricStatus, is_measured: bool, now: &Time) {
    match is_measured {
        true => status.mark_metric_ready(now),
        false => status.mark_metric_failed(
            "DidNotReceiveStat",
            "Failed to reconcile metric collection: did not receive stat from an unscraped pod",
            now,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_it_is_measured_is_all_it_says() {
        let now = Time(k8s_openapi::jiff::Timestamp::from_second(1).unwrap());
        let mut status = MetricStatus::default();
        tell(&mut status, false, &now);
        assert!(!status.is_happy());
        assert_eq!(status.condition("Ready").unwrap().reason, "DidNotReceiveStat");
        tell(&mut status, true, &now);
        assert!(status.is_happy());
    }
}
