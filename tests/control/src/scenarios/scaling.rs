// SPDX-License-Identifier: Apache-2.0
//! From requests to pods, endpoints and gateways, with a data plane that says what it is told to.
//!
//! Depends on: place, load, machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::data_plane::{self, DataPlane, Started};
use control::gateway::Side;
use control::key::Key;
use control::live::LivePod;
use control::pod_autoscaler::Horizontal;
use life::metrics::Registry;
use logic::kpa::runner::TICK;
use serde_json::{Value, json};

use super::{hello, scenarios};
use crate::load::Traffic;
use crate::machines;
use crate::place::{Place, message, state, text, until};

scenarios!(
    a_revision_goes_to_zero_and_a_burst_brings_it_back,
    a_burst_is_answered_before_the_next_tick,
    initial_scale_zero_starts_no_pod,
    the_number_of_pods_stays_between_min_and_max,
    the_last_pod_stays_while_nobody_would_hold_requests,
    the_busy_pod_stays_when_others_go,
    a_burst_while_pods_are_named_to_go_is_not_taken_back,
    endpoints_lead_to_pods_or_gateways_as_the_autoscaler_wishes,
    an_ingress_is_ready_once_gateways_run_it,
    what_belongs_to_another_class_is_never_touched,
    kubernetes_scales_the_other_class,
    where_nobody_scales_the_other_class_it_is_refused_in_plain_words,
    the_programme_has_all_that_gateways_need,
);

const CLASS: &str = "sluice.ingress.networking.knative.dev";
const REVISION: &str = "hello-00001";

/// A place with a data plane.
struct Scaled {
    place: Place,
    traffic: Arc<Traffic>,
    started: Started,
    registry: Registry,
}

impl Scaled {
    /// As in a cluster.
    async fn new(place: Place, autoscaler: Value) -> Result<Self> {
        Self::with(place, autoscaler, Horizontal::Kubernetes).await
    }

    /// Short windows, so that a scenario is short.
    async fn with(place: Place, autoscaler: Value, horizontal: Horizontal) -> Result<Self> {
        for kind in ["PodAutoscaler", "Ingress"] {
            place.world().hold(kind, "");
        }
        place
            .configure("config-network", &json!({"ingress-class": CLASS}))
            .await?;
        let mut settings = json!({
            "stable-window": "6s", "scale-to-zero-grace-period": "6s", "container-concurrency-target-default": "10",
            "container-concurrency-target-percentage": "100", "allow-zero-initial-scale": "true",
        });
        if let (Some(settings), Some(more)) = (settings.as_object_mut(), autoscaler.as_object()) {
            settings.extend(more.clone());
        }
        place.configure("config-autoscaler", &settings).await?;
        let context = place.context().context("controllers are at work")?;
        let look = || async {
            let known = context.settings();
            let is_known = known.network.ingress_class == CLASS && known.autoscaler().allow_zero_initial_scale;
            Ok(is_known.then_some(()).ok_or("other settings"))
        };
        until("the settings are known", look).await?;
        machines::run(&context);
        let traffic = Traffic::new();
        let data_plane = DataPlane {
            live: traffic.clone(),
            gateways: place.gateways(),
            reached: control::ingress::Reached::default(),
            horizontal,
        };
        let started = data_plane::start(&context, data_plane);
        context
            .tasks
            .spawn("gateways", traffic.clone().follow(started.gateway.programmes()));
        let registry = Registry::new();
        registry.add(&started.scaler);
        Ok(Self {
            place,
            traffic,
            started,
            registry,
        })
    }

    /// A Service with these annotations on its Revision.
    async fn serve(&self, annotations: &Value) -> Result<()> {
        let mut service = hello("hello", "dev.local/hello");
        service["spec"]["template"]["metadata"] = json!({ "annotations": annotations });
        self.place.create("ksvc", &service).await.map(drop)
    }

    fn load(&self, in_flight: u64) {
        self.traffic.set(&self.key(), in_flight);
    }

    fn key(&self) -> Key {
        Key::new(self.place.namespace(), REVISION)
    }

    /// Waits until so many pods are asked for.
    async fn replicas(&self, wanted: i64) -> Result<()> {
        let is_so = |object: &Value| object["spec"]["replicas"] == wanted;
        let what = format!("has {wanted} replicas");
        self.place
            .eventually("deployment", "hello-00001-deployment", &what, is_so)
            .await
            .map(drop)
    }

    /// Waits until Active is so.
    async fn active(&self, wanted: (&str, &str)) -> Result<Value> {
        self.place.condition("pa", REVISION, "Active", wanted).await
    }

    /// Waits until the page of figures says that it lives through a burst.
    async fn panics(&self) -> Result<()> {
        let end = format!("kn_revision_name=\"{REVISION}\"}} 1");
        let is_panic = |line: &str| line.starts_with("kn_revision_panic_mode{") && line.ends_with(&end);
        let look = || async {
            let page = self.registry.page();
            let panics = page.lines().any(is_panic);
            Ok(panics.then_some(()).ok_or(page))
        };
        until("the revision lives through a burst", look).await
    }

    /// The addresses behind the public Service.
    async fn endpoints(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Result<()> {
        let addresses = |slice: &Value| {
            let endpoints = slice["endpoints"].as_array().cloned().unwrap_or_default();
            endpoints
                .iter()
                .map(|endpoint| text(endpoint, "/addresses/0").to_owned())
                .collect::<Vec<_>>()
        };
        self.place
            .eventually("slice", REVISION, what, |slice| is_so(&addresses(slice)))
            .await
            .map(drop)
    }
}

async fn a_revision_goes_to_zero_and_a_burst_brings_it_back(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    scaled.serve(&json!({})).await?;
    scaled.place.ready("ksvc", "hello").await?;
    let scaling = scaled.active(("True", "")).await?;
    ensure!(
        scaling["status"]["metricsServiceName"] == "hello-00001-private",
        "{scaling}"
    );
    scaled.place.ready("metric", REVISION).await?;

    let idle = scaled.active(("False", "NoTraffic")).await?;
    ensure!(
        message(&idle, "Active") == "The target is not receiving traffic.",
        "{idle}"
    );
    scaled.replicas(0).await?;
    let told = |object: &Value| object["status"]["desiredScale"] == 0 && object["status"]["actualScale"] == 0;
    scaled
        .place
        .eventually("pa", REVISION, "says that it has no pod", told)
        .await?;
    scaled
        .place
        .condition("sks", REVISION, "Ready", ("Unknown", "NoHealthyBackends"))
        .await?;
    scaled.place.ready("ksvc", "hello").await?;

    scaled.load(35);
    scaled.active(("True", "")).await?;
    let enough = |object: &Value| object["status"]["actualScale"].as_i64() >= Some(4);
    scaled
        .place
        .eventually("pa", REVISION, "has enough pods", enough)
        .await?;
    scaled.load(0);
    scaled.replicas(0).await
}

async fn a_burst_is_answered_before_the_next_tick(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({"initial-scale": "0"})).await?;
    scaled.serve(&json!({})).await?;
    scaled.active(("False", "NoTraffic")).await?;
    scaled.replicas(0).await?;
    let decided = |desired| {
        let decision = scaled.started.scaler.decision(&scaled.key());
        decision.is_some_and(|decision| decision.desired == desired)
    };
    let look = || async { Ok(decided(0).then_some(()).ok_or("not decided")) };
    until("zero is decided", look).await?;
    let mut each = Vec::new();
    for (in_flight, pods) in [(95, 10), (195, 20), (295, 30), (395, 40), (495, 50)] {
        let begun = Instant::now();
        scaled.load(in_flight);
        scaled.replicas(pods).await?;
        let took = begun.elapsed();
        println!("{pods} pods: {took:?} from the burst to the number that the API has");
        each.push(took);
    }
    each.sort_unstable();
    // A tick is a second away on average; one of them may meet a machine that stands still.
    let median = each.get(each.len() / 2).copied().unwrap_or_default();
    ensure!(median < TICK / 4, "bursts waited for ticks: {each:?}");
    Ok(())
}

async fn initial_scale_zero_starts_no_pod(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({"initial-scale": "0"})).await?;
    scaled.serve(&json!({})).await?;
    scaled.place.ready("ksvc", "hello").await?;
    let scaling = scaled.active(("False", "NoTraffic")).await?;
    ensure!(state(&scaling, "ScaleTargetInitialized") == ("True", ""), "{scaling}");
    ensure!(scaled.place.list("pod").await?.is_empty(), "a pod was started");
    Ok(())
}

async fn the_number_of_pods_stays_between_min_and_max(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    let annotations = json!({"autoscaling.knative.dev/min-scale": "2", "autoscaling.knative.dev/max-scale": "4"});
    scaled.serve(&annotations).await?;
    scaled.place.ready("ksvc", "hello").await?;
    scaled.replicas(2).await?;
    scaled.load(500);
    scaled.replicas(4).await?;
    let many = |object: &Value| object["status"]["actualScale"] == 4;
    scaled
        .place
        .eventually("pa", REVISION, "has its most pods", many)
        .await?;
    scaled.panics().await?;
    scaled.load(0);
    scaled.replicas(2).await?;
    let told = |object: &Value| object["status"]["desiredScale"] == 2;
    let scaling = scaled
        .place
        .eventually("pa", REVISION, "wants its fewest pods", told)
        .await?;
    ensure!(state(&scaling, "Active") == ("True", ""), "{scaling}");
    Ok(())
}

async fn the_last_pod_stays_while_nobody_would_hold_requests(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    scaled.traffic.refuse(true);
    scaled.serve(&json!({})).await?;
    scaled.active(("True", "")).await?;
    scaled.active(("False", "NoTraffic")).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scaled.replicas(1).await?;
    scaled.traffic.refuse(false);
    scaled.replicas(0).await
}

async fn the_busy_pod_stays_when_others_go(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    scaled
        .serve(&json!({"autoscaling.knative.dev/initial-scale": "3"}))
        .await?;
    let three = |object: &Value| object["status"]["actualScale"] == 3;
    scaled.place.eventually("pa", REVISION, "has three pods", three).await?;
    let pods = scaled.place.list("pod").await?;
    let uid = |pod: &Value| text(pod, "/metadata/uid").to_owned();
    let busy = pods.first().map(uid).context("there are pods")?;
    let live = |uid: String| LivePod {
        in_flight: u64::from(uid == busy) * 5,
        uid,
        is_ready: true,
    };
    scaled
        .traffic
        .set_pods(&scaled.key(), pods.iter().map(uid).map(live).collect());
    scaled.load(5);
    scaled.replicas(1).await?;
    let look = || async {
        let left: Vec<String> = scaled.place.list("pod").await?.iter().map(uid).collect();
        Ok((left.as_slice() == std::slice::from_ref(&busy))
            .then_some(())
            .ok_or(left))
    };
    until("the busy pod is left", look).await
}

async fn a_burst_while_pods_are_named_to_go_is_not_taken_back(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    scaled
        .serve(&json!({"autoscaling.knative.dev/initial-scale": "3"}))
        .await?;
    scaled.replicas(3).await?;
    let (asked, open) = scaled.traffic.stop_asking();
    scaled.load(5);
    asked.await.context("somebody names the idlest of three")?;
    scaled.load(195);
    scaled.replicas(20).await?;
    let generation = || async {
        let target = scaled.place.get("deployment", "hello-00001-deployment").await?;
        anyhow::Ok(target["metadata"]["generation"].clone())
    };
    let before = generation().await?;
    open.send(())?;
    // Longer than the older number takes to be written.
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(generation().await? == before, "the number fell on the way");
    scaled.replicas(20).await
}

async fn endpoints_lead_to_pods_or_gateways_as_the_autoscaler_wishes(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({"target-burst-capacity": "0"})).await?;
    scaled.serve(&json!({})).await?;
    let serves = |object: &Value| object["spec"]["mode"] == "Serve";
    scaled.load(1);
    scaled.place.eventually("sks", REVISION, "serves", serves).await?;
    scaled.place.ready("sks", REVISION).await?;
    scaled
        .endpoints(
            "leads to the pod",
            |all| matches!(all, [pod] if pod.starts_with("10.200.")),
        )
        .await?;
    let private = scaled.place.get("service", "hello-00001-private").await?;
    ensure!(
        private["spec"]["selector"]["serving.knative.dev/revisionUID"].is_string(),
        "{private}"
    );

    scaled.load(0);
    let proxies = |object: &Value| object["spec"]["mode"] == "Proxy";
    let proxied = scaled.place.eventually("sks", REVISION, "proxies", proxies).await?;
    ensure!(proxied["spec"]["numActivators"] == 2, "{proxied}");
    scaled
        .endpoints(
            "leads to the gateway",
            |all| matches!(all, [gateway] if gateway == "10.1.2.3"),
        )
        .await?;
    scaled
        .place
        .move_gateways(&["10.1.2.4:8080", "10.1.2.5:8080", "10.1.2.6:8080"]);
    scaled
        .endpoints("leads to two of three gateways", |all| {
            all.len() == 2 && all.iter().all(|gateway| gateway.starts_with("10.1.2."))
        })
        .await
}

async fn an_ingress_is_ready_once_gateways_run_it(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    scaled.traffic.stop(true);
    scaled.serve(&json!({})).await?;
    scaled
        .place
        .condition("ingress", "hello", "LoadBalancerReady", ("Unknown", "Uninitialized"))
        .await?;
    scaled.place.ready("revision", REVISION).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waits = scaled.place.get("ingress", "hello").await?;
    ensure!(state(&waits, "Ready").0 == "Unknown", "{waits}");
    scaled.traffic.stop(false);
    let ready = scaled.place.ready("ingress", "hello").await?;
    ensure!(
        ready["status"]["privateLoadBalancer"]["ingress"] == json!([{"meshOnly": true}]),
        "{ready}"
    );
    scaled.place.ready("ksvc", "hello").await.map(drop)
}

async fn what_belongs_to_another_class_is_never_touched(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    let foreign = json!({
        "apiVersion": "networking.internal.knative.dev/v1alpha1", "kind": "Ingress",
        "metadata": {"name": "foreign", "annotations": {"networking.knative.dev/ingress.class": "other.example.com"}},
        "spec": {"rules": [{"hosts": ["a.example.com"], "visibility": "ExternalIP", "http": {"paths": [{"splits": [
            {"serviceNamespace": scaled.place.namespace(), "serviceName": "a", "servicePort": 80, "percent": 100}]}]}}]},
    });
    let before = scaled.place.create("ingress", &foreign).await?;
    scaled.serve(&json!({})).await?;
    scaled.place.ready("ksvc", "hello").await?;
    let after = scaled.place.get("ingress", "foreign").await?;
    ensure!(before == after, "before {before}\nafter {after}");
    Ok(())
}

async fn kubernetes_scales_the_other_class(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({})).await?;
    let annotations = json!({
        "autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev", "autoscaling.knative.dev/metric": "cpu",
        "autoscaling.knative.dev/target": "70", "autoscaling.knative.dev/max-scale": "5",
    });
    scaled.serve(&annotations).await?;
    let made = |object: &Value| object["spec"]["maxReplicas"] == 5;
    let autoscaler = scaled.place.eventually("hpa", REVISION, "has its bounds", made).await?;
    let cpu = json!({"type": "Utilization", "averageUtilization": 70});
    ensure!(
        autoscaler["spec"]["metrics"][0]["resource"]["target"] == cpu,
        "{autoscaler}"
    );
    ensure!(
        autoscaler["spec"]["scaleTargetRef"]["name"] == "hello-00001-deployment",
        "{autoscaler}"
    );
    let serves = |object: &Value| object["spec"]["mode"] == "Serve";
    scaled.place.eventually("sks", REVISION, "serves", serves).await?;
    scaled.active(("True", "")).await?;
    let status = json!({"currentReplicas": 1, "desiredReplicas": 1, "conditions": []});
    scaled.place.patch_status("hpa", REVISION, &status).await?;
    scaled.place.ready("pa", REVISION).await?;
    let version = |object: &Value| text(object, "/metadata/resourceVersion").to_owned();
    let before = version(&scaled.place.get("hpa", REVISION).await?);
    tokio::time::sleep(Duration::from_millis(300)).await;
    ensure!(
        version(&scaled.place.get("hpa", REVISION).await?) == before,
        "it is written again and again"
    );
    Ok(())
}

async fn where_nobody_scales_the_other_class_it_is_refused_in_plain_words(place: Place) -> Result<()> {
    let scaled = Scaled::with(place, json!({}), Horizontal::Nobody).await?;
    scaled
        .serve(&json!({"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev", "autoscaling.knative.dev/metric": "cpu"}))
        .await?;
    let reason = "NoHorizontalPodAutoscaling";
    scaled.active(("False", reason)).await?;
    let revision = scaled
        .place
        .condition("revision", REVISION, "Ready", ("False", reason))
        .await?;
    let service = scaled
        .place
        .condition("ksvc", "hello", "ConfigurationsReady", ("False", "RevisionFailed"))
        .await?;
    ensure!(state(&service, "Ready").0 == "False", "{service}");
    for (object, condition) in [(&revision, "Ready"), (&service, "ConfigurationsReady")] {
        let told = message(object, condition);
        let names_the_way_out =
            told.contains("HorizontalPodAutoscalers") && told.contains("kpa.autoscaling.knative.dev");
        ensure!(names_the_way_out, "{told}");
    }
    Ok(())
}

async fn the_programme_has_all_that_gateways_need(place: Place) -> Result<()> {
    let scaled = Scaled::new(place, json!({"target-burst-capacity": "0"})).await?;
    scaled.serve(&json!({})).await?;
    scaled.load(1);
    scaled.place.ready("ksvc", "hello").await?;
    let programmes = scaled.started.gateway.programmes();
    if scaled.place.get("service", "hello").await?["spec"]["clusterIP"].is_null() {
        // Where nobody gives addresses.
        let address = json!({"spec": {"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"]}});
        scaled.place.patch("service", "hello", &address).await?;
    }
    let look = || async {
        let programme = Arc::clone(&programmes.borrow());
        let route = Key::new(scaled.place.namespace(), "hello");
        let target = programme.targets.get(&route).cloned();
        let is_direct = target.as_ref().is_some_and(|target| target.path.is_direct());
        Ok(is_direct.then_some(programme).ok_or(target))
    };
    let programme = until("the route's address leads straight to the pods", look).await?;
    let backend = programme
        .backends
        .get(&scaled.key())
        .context("the revision is a backend")?;
    ensure!(backend.pods.len() == 1 && backend.ready() == 1, "{backend:?}");
    ensure!(
        &*backend.service == "hello" && backend.timeouts.request == Duration::from_secs(300),
        "{backend:?}"
    );
    let hosts = |side| {
        programme
            .rules(side)
            .into_iter()
            .flat_map(|rule| rule.hosts)
            .collect::<Vec<_>>()
    };
    let inside = format!("hello.{}.svc.cluster.local", scaled.place.namespace());
    ensure!(hosts(Side::Private).contains(&inside), "{:?}", hosts(Side::Private));
    ensure!(!hosts(Side::Public).contains(&inside), "{:?}", hosts(Side::Public));
    scaled.place.delete("ksvc", "hello").await?;
    for kind in [
        "configuration",
        "route",
        "revision",
        "ingress",
        "pa",
        "sks",
        "deployment",
    ] {
        let name = if matches!(kind, "configuration" | "route" | "ingress") {
            "hello"
        } else {
            REVISION
        };
        let name = if kind == "deployment" {
            "hello-00001-deployment"
        } else {
            name
        };
        // Where nobody collects.
        if scaled.place.find(kind, name).await?.is_some() {
            let _ = scaled.place.delete(kind, name).await;
        }
    }
    let look = || async {
        let programme = Arc::clone(&programmes.borrow());
        let left = (programme.routes.len(), programme.backends.get(&scaled.key()).is_some());
        Ok((left == (0, false)).then_some(()).ok_or(left))
    };
    until("nothing is left of it", look).await
}
