// SPDX-License-Identifier: Apache-2.0
//! What a PodAutoscaler says of itself, from what was planned: data-plane spec 1.12.
//!
//! Invariants: texts are Knative's.
//! Depends on: api, logic::kpa.

use api::condition::ConditionStatus;
use api::conditions::Conditioned as _;
use api::pod_autoscaler::PodAutoscalerStatus;
use api::pod_autoscaler::status::ACTIVE;
use api::serverless_service::ServerlessService;
use api::serverless_service::status::ACTIVATOR_ENDPOINTS_POPULATED;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use logic::kpa::zero::Path;
use logic::kpa::{Active, ActiveSince, Activity, Mode, Moment, Plan};
use std::time::Duration;

/// The message while the private Service has no name yet.
pub const NO_PRIVATE_SERVICE: &str = "No Private Service Name";

/// The condition Active as it stands.
#[must_use]
pub fn active(status: &PodAutoscalerStatus, now: Moment) -> ActiveSince {
    let condition = status.condition(ACTIVE);
    let since = condition.and_then(|condition| condition.last_transition_time.as_ref());
    ActiveSince {
        active: match condition.map_or(ConditionStatus::Unknown, |condition| condition.status) {
            ConditionStatus::True => Active::Yes,
            ConditionStatus::False => Active::No,
            ConditionStatus::Unknown => Active::Activating,
        },
        since: since.map_or(now, moment),
    }
}

/// Where the endpoints lead.
#[must_use]
pub fn path(services: &ServerlessService) -> Path {
    let condition = services.status.condition(ACTIVATOR_ENDPOINTS_POPULATED);
    let proxied = condition.filter(|condition| condition.status == ConditionStatus::True);
    Path {
        mode: match services.spec.mode.as_str() {
            "Serve" => Mode::Serve,
            _ => Mode::Proxy,
        },
        proxied_since: proxied
            .and_then(|condition| condition.last_transition_time.as_ref())
            .map(moment),
    }
}

/// As the API writes a mode.
#[must_use]
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Serve => "Serve",
        Mode::Proxy => "Proxy",
    }
}

/// The moment of a time of the API; times before 1970 are 1970.
#[must_use]
pub fn moment(time: &Time) -> Moment {
    let nanoseconds = u64::try_from(time.0.as_nanosecond()).unwrap_or(0);
    Moment::from_unix(Duration::from_nanos(nanoseconds))
}

/// Writes what was planned. The service names are those of the ServerlessService, if there is one.
pub fn write(status: &mut PodAutoscalerStatus, plan: &Plan, services: Option<&ServerlessService>, now: &Time) {
    status.desired_scale = plan.desired_scale;
    status.actual_scale = Some(plan.actual_scale);
    match services {
        Some(services) => names(status, services, now),
        None => status.mark_sks_not_ready(NO_PRIVATE_SERVICE, now),
    }
    if plan.is_initialised {
        status.mark_scale_target_initialized(now);
    }
    match plan.activity {
        Activity::Unchanged => {}
        Activity::Active => status.mark_active(now),
        Activity::Queued => status.mark_activating(plan.activity.reason(), plan.activity.message(), now),
        Activity::NoTraffic | Activity::TimedOut => {
            status.mark_inactive(plan.activity.reason(), plan.activity.message(), now);
        }
    }
}

fn names(status: &mut PodAutoscalerStatus, services: &ServerlessService, now: &Time) {
    status
        .metrics_service_name
        .clone_from(&services.status.private_service_name);
    status.service_name.clone_from(&services.status.service_name);
    match services.is_ready() {
        true => status.mark_sks_ready(now),
        false => status.mark_sks_not_ready(ready_message(services), now),
    }
}

/// What the ServerlessService says why it is not ready.
#[must_use]
pub fn ready_message(services: &ServerlessService) -> &str {
    let ready = services.status.condition(api::conditions::READY);
    ready.map_or("", |ready| ready.message.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::conditions::pass;

    fn plan(activity: Activity, desired: i32, ready: i32) -> Plan {
        Plan {
            want: desired,
            scale_to: None,
            mode: Mode::Proxy,
            activators: 2,
            activity,
            is_initialised: ready > 0,
            desired_scale: Some(desired),
            actual_scale: ready,
            again_after: None,
            keep_probing: false,
        }
    }

    fn time(seconds: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap())
    }

    fn services(ready_pods: bool) -> ServerlessService {
        let mut services = ServerlessService::default();
        pass::begin(&mut services.status, 0, &time(1));
        "hello".clone_into(&mut services.status.service_name);
        "hello-private".clone_into(&mut services.status.private_service_name);
        match ready_pods {
            true => services.status.mark_endpoints_ready(&time(1)),
            false => services.status.mark_endpoints_not_ready("NoHealthyBackends", &time(1)),
        }
        services
    }

    #[test]
    fn ready_pods_behind_ready_services_make_it_ready() {
        let mut status = PodAutoscalerStatus::default();
        pass::begin(&mut status, 0, &time(1));
        write(
            &mut status,
            &plan(Activity::Active, 1, 1),
            Some(&services(true)),
            &time(2),
        );
        assert!(status.is_happy());
        assert_eq!(status.metrics_service_name, "hello-private");
        assert_eq!((status.desired_scale, status.actual_scale), (Some(1), Some(1)));
    }

    #[test]
    fn a_revision_at_zero_says_so_in_knatives_words() {
        let mut status = PodAutoscalerStatus::default();
        pass::begin(&mut status, 0, &time(1));
        write(
            &mut status,
            &plan(Activity::NoTraffic, 0, 0),
            Some(&services(false)),
            &time(2),
        );
        let said = |kind: &str| {
            let condition = status.condition(kind).unwrap();
            (condition.reason.as_str(), condition.message.as_str())
        };
        assert_eq!(said("Active"), ("NoTraffic", "The target is not receiving traffic."));
        assert_eq!(said("SKSReady"), ("NotReady", "K8s Service is not ready"));
        assert_eq!(active(&status, Moment::default()).active, Active::No);
    }

    #[test]
    fn without_a_private_service_that_is_what_it_waits_for() {
        let mut status = PodAutoscalerStatus::default();
        write(&mut status, &plan(Activity::Queued, -1, 0), None, &time(2));
        assert_eq!(status.condition("SKSReady").unwrap().message, NO_PRIVATE_SERVICE);
    }

    #[test]
    fn proxied_since_is_the_time_of_the_condition() {
        let mut services = services(true);
        assert_eq!(path(&services).proxied_since, None);
        services.status.mark_activator_endpoints_populated(&time(7));
        assert_eq!(path(&services).proxied_since, Some(Moment::from_unix_seconds(7)));
        services.status.mark_activator_endpoints_removed(&time(9));
        assert_eq!(path(&services).proxied_since, None);
    }
}
