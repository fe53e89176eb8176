// SPDX-License-Identifier: Apache-2.0
//! Our settings under Knative's names.
//!
//! Depends on: logic::settings.

use logic::quantity::Quantity;
use logic::settings::certmanager::Issuer;
use logic::settings::defaults::Owner;
use logic::settings::deployment::AffinityType;
use logic::settings::network::{HttpProtocol, MeshCompatibility};
use logic::settings::observability::Metrics;
use logic::settings::selector::LabelSelector;
use logic::settings::{
    Autoscaler, CertManager, Data, Defaults, Deployment, Domain, Features, Gc, LeaderElection, Logging, Network,
    Observability, Problems, Span,
};
use serde_json::{Map, Value, json};

/// The settings of the map of this name; nothing if there is none.
pub(super) fn shown(map: &str, data: &Data) -> Option<Result<Value, Problems>> {
    Some(match map {
        "config-autoscaler" => Autoscaler::parse(data).map(autoscaler),
        "config-certmanager" => CertManager::parse(data).map(cert_manager),
        "config-defaults" => Defaults::parse(data).map(|settings| defaults(&settings)),
        "config-deployment" => Deployment::parse(data).map(|settings| deployment(&settings)),
        "config-domain" => Domain::parse(data).map(domain),
        "config-features" => Features::parse(data).map(|settings| features(&settings)),
        "config-gc" => Gc::parse(data).map(|settings| gc(&settings)),
        "config-leader-election" => LeaderElection::parse(data).map(|settings| leader_election(&settings)),
        "config-logging" => Logging::parse(data).map(|settings| logging(&settings)),
        "config-network" => Network::parse(data).map(|settings| network(&settings)),
        "config-observability" => Observability::parse(data).map(observability),
        _ => return None,
    })
}

fn span(value: Span) -> Value {
    json!({"duration_ns": value.as_nanos(), "text": value.to_string()})
}

fn quantity(value: Option<&Quantity>) -> Value {
    value.map_or(Value::Null, |value| json!({"quantity": value.to_string()}))
}

fn switch(is_on: bool) -> &'static str {
    if is_on { "enabled" } else { "disabled" }
}

fn autoscaler(settings: Autoscaler) -> Value {
    json!({
        "ActivatorCapacity": settings.activator_capacity,
        "AllowZeroInitialScale": settings.allow_zero_initial_scale,
        "ContainerConcurrencyTargetDefault": settings.concurrency_target,
        "ContainerConcurrencyTargetFraction": settings.target_fraction,
        "EnableScaleToZero": settings.enable_scale_to_zero,
        "InitialScale": settings.initial_scale,
        "MaxScale": settings.max_scale,
        "MaxScaleDownRate": settings.max_scale_down_rate,
        "MaxScaleLimit": settings.max_scale_limit,
        "MaxScaleUpRate": settings.max_scale_up_rate,
        "MinScale": settings.min_scale,
        "PanicThresholdPercentage": settings.panic_threshold_percentage,
        "PanicWindowPercentage": settings.panic_window_percentage,
        "PodAutoscalerClass": settings.class,
        "RPSTargetDefault": settings.rps_target,
        "ScaleDownDelay": span(settings.scale_down_delay),
        "ScaleToZeroGracePeriod": span(settings.scale_to_zero_grace_period),
        "ScaleToZeroPodRetentionPeriod": span(settings.scale_to_zero_pod_retention_period),
        "StableWindow": span(settings.stable_window),
        "TargetBurstCapacity": settings.target_burst_capacity,
        "TargetUtilization": settings.target_utilization,
    })
}

fn cert_manager(settings: CertManager) -> Value {
    let issuer = |issuer: Issuer| json!({"Group": issuer.group, "Kind": issuer.kind, "Name": issuer.name});
    json!({
        "IssuerRef": issuer(settings.issuer),
        "ClusterLocalIssuerRef": issuer(settings.cluster_local_issuer),
        "SystemInternalIssuerRef": issuer(settings.system_internal_issuer),
    })
}

fn defaults(settings: &Defaults) -> Value {
    let owner = Owner {
        name: "sample-name",
        namespace: "sample-ns",
        ..Owner::default()
    };
    let rendered = |name: String| json!({"rendered_for_sample_name_sample_ns": name});
    json!({
        "AllowContainerConcurrencyZero": settings.allow_container_concurrency_zero,
        "ContainerConcurrency": settings.container_concurrency,
        "ContainerConcurrencyMaxLimit": settings.container_concurrency_max_limit,
        "EnableServiceLinks": settings.enable_service_links,
        "InitContainerNameTemplate": rendered(settings.init_container_name(&owner)),
        "MaxRevisionTimeoutSeconds": settings.max_revision_timeout_seconds,
        "RevisionCPULimit": quantity(settings.revision_cpu_limit.as_ref()),
        "RevisionCPURequest": quantity(settings.revision_cpu_request.as_ref()),
        "RevisionEphemeralStorageLimit": quantity(settings.revision_ephemeral_storage_limit.as_ref()),
        "RevisionEphemeralStorageRequest": quantity(settings.revision_ephemeral_storage_request.as_ref()),
        "RevisionIdleTimeoutSeconds": settings.revision_idle_timeout_seconds,
        "RevisionMemoryLimit": quantity(settings.revision_memory_limit.as_ref()),
        "RevisionMemoryRequest": quantity(settings.revision_memory_request.as_ref()),
        "RevisionResponseStartTimeoutSeconds": settings.revision_response_start_timeout_seconds,
        "RevisionTimeoutSeconds": settings.revision_timeout_seconds,
        "UserContainerNameTemplate": rendered(settings.container_name(&owner)),
    })
}

fn deployment(settings: &Deployment) -> Value {
    let sidecar = &settings.queue_sidecar;
    let affinity = match settings.default_affinity_type {
        AffinityType::None => "none",
        AffinityType::PreferSpreadRevisionOverNodes => "prefer-spread-revision-over-nodes",
    };
    let classes: Map<String, Value> = settings
        .runtime_class_names
        .iter()
        .map(|(class, selector)| (class.clone(), json!({"Selector": selector.0})))
        .collect();
    json!({
        "DefaultAffinityType": affinity,
        "DigestResolutionTimeout": span(settings.digest_resolution_timeout),
        "PodIsAlwaysSchedulable": settings.pod_is_always_schedulable,
        "ProgressDeadline": span(settings.progress_deadline),
        "QueueSidecarCPULimit": quantity(sidecar.cpu_limit.as_ref()),
        "QueueSidecarCPURequest": quantity(sidecar.cpu_request.as_ref()),
        "QueueSidecarEphemeralStorageLimit": quantity(sidecar.ephemeral_storage_limit.as_ref()),
        "QueueSidecarEphemeralStorageRequest": quantity(sidecar.ephemeral_storage_request.as_ref()),
        "QueueSidecarImage": sidecar.image,
        "QueueSidecarMemoryLimit": quantity(sidecar.memory_limit.as_ref()),
        "QueueSidecarMemoryRequest": quantity(sidecar.memory_request.as_ref()),
        "QueueSidecarRootCA": sidecar.root_ca,
        "QueueSidecarTLSCipherSuites": sidecar.tls_cipher_suites,
        "QueueSidecarTLSCurvePreferences": sidecar.tls_curve_preferences,
        "QueueSidecarTLSMaxVersion": sidecar.tls_max_version,
        "QueueSidecarTLSMinVersion": sidecar.tls_min_version,
        "QueueSidecarTokenAudiences": sidecar.token_audiences,
        "RegistriesSkippingTagResolving": settings.registries_skipping_tag_resolving,
        "RuntimeClassNames": classes,
    })
}

fn domain(settings: Domain) -> Value {
    let domains: Map<String, Value> = settings
        .domains
        .into_iter()
        .map(|(domain, config)| {
            let selector = json!({"Selector": config.selector.0});
            (domain, json!({"Selector": selector, "Type": config.kind}))
        })
        .collect();
    json!({"Domains": domains})
}

fn features(settings: &Features) -> Value {
    let mut shown: Map<String, Value> = settings
        .flags()
        .map(|(key, flag)| (feature_name(key), json!(flag.to_string())))
        .collect();
    shown.insert(
        "SecurePodDefaults".to_owned(),
        json!(settings.secure_pod_defaults.to_string()),
    );
    Value::Object(shown)
}

/// `kubernetes.podspec-hostipc` is `PodSpecHostIPC`: no rule, so a list of words.
fn feature_name(key: &str) -> String {
    let name = key.strip_prefix("kubernetes.").unwrap_or(key);
    let words = name.split(['-', '.']).map(|word| match word {
        "podspec" => "PodSpec",
        "containerspec" => "ContainerSpec",
        "addcapabilities" => "AddCapabilities",
        "autodetect" => "AutoDetect",
        "http2" => "HTTP2",
        "dnsconfig" => "DNSConfig",
        "dnspolicy" => "DNSPolicy",
        "fieldref" => "FieldRef",
        "hostaliases" => "HostAliases",
        "hostipc" => "HostIPC",
        "hostnetwork" => "HostNetwork",
        "hostpid" => "HostPID",
        "nodeselector" => "NodeSelector",
        "priorityclassname" => "PriorityClassName",
        "runtimeclassname" => "RuntimeClassName",
        "schedulername" => "SchedulerName",
        "securitycontext" => "SecurityContext",
        "shareprocessnamespace" => "ShareProcessNamespace",
        "topologyspreadconstraints" => "TopologySpreadConstraints",
        "csi" => "CSI",
        "emptydir" => "EmptyDir",
        "hostpath" => "HostPath",
        "queueproxy" => "QueueProxy",
        "podinfo" => "PodInfo",
        "multi" => "Multi",
        "container" => "Container",
        "probing" => "Probing",
        "mount" => "Mount",
        "resource" => "Resource",
        "defaults" => "Defaults",
        "tag" => "Tag",
        "header" => "Header",
        "based" => "Based",
        "routing" => "Routing",
        "affinity" => "Affinity",
        "init" => "Init",
        "containers" => "Containers",
        "persistent" => "Persistent",
        "volume" => "Volume",
        "volumes" => "Volumes",
        "claim" => "Claim",
        "write" => "Write",
        "tolerations" => "Tolerations",
        "ephemeral" => "Ephemeral",
        "image" => "Image",
        "propagation" => "Propagation",
        other => other,
    });
    words.collect()
}

fn gc(settings: &Gc) -> Value {
    let disabled = Span::from_nanos(-1);
    json!({
        "MaxNonActiveRevisions": settings.max_non_active_revisions.unwrap_or(-1),
        "MinNonActiveRevisions": settings.min_non_active_revisions,
        "RetainSinceCreateTime": span(settings.retain_since_create_time.unwrap_or(disabled)),
        "RetainSinceLastActiveTime": span(settings.retain_since_last_active_time.unwrap_or(disabled)),
    })
}

fn leader_election(settings: &LeaderElection) -> Value {
    json!({
        "Buckets": settings.buckets,
        "LeaseDuration": span(settings.lease_duration),
        "LeaseNamesPrefixMapping": settings.lease_prefixes,
        "RenewDeadline": span(settings.renew_deadline),
        "RetryPeriod": span(settings.retry_period),
    })
}

fn logging(settings: &Logging) -> Value {
    let levels: Map<String, Value> = settings
        .levels
        .iter()
        .map(|(component, level)| (component.clone(), json!(level.to_string())))
        .collect();
    json!({"LoggingConfig": settings.zap_config.clone().unwrap_or_default(), "LoggingLevel": levels})
}

fn network(settings: &Network) -> Value {
    let http_protocol = match settings.http_protocol {
        HttpProtocol::Enabled => "enabled",
        HttpProtocol::Disabled => "disabled",
        HttpProtocol::Redirected => "redirected",
    };
    let mesh = match settings.mesh_compatibility_mode {
        MeshCompatibility::Enabled => "enabled",
        MeshCompatibility::Disabled => "disabled",
        MeshCompatibility::Auto => "auto",
    };
    json!({
        "AutoTLS": settings.external_domain_tls,
        "AutocreateClusterDomainClaims": settings.autocreate_cluster_domain_claims,
        "ClusterLocalDomainTLS": switch(settings.cluster_local_domain_tls),
        "DefaultCertificateClass": settings.certificate_class,
        "DefaultExternalScheme": settings.default_external_scheme,
        "DefaultIngressClass": settings.ingress_class,
        "DomainTemplate": settings.domain_template.text(),
        "EnableMeshPodAddressability": settings.enable_mesh_pod_addressability,
        "ExternalDomainTLS": settings.external_domain_tls,
        "HTTPProtocol": http_protocol,
        "InternalEncryption": false,
        "MeshCompatibilityMode": mesh,
        "NamespaceWildcardCertSelector": settings.namespace_wildcard_cert_selector.as_ref().map(label_selector),
        "RolloutDurationSecs": settings.rollout_duration_secs,
        "SystemInternalTLS": "disabled",
        "TagTemplate": settings.tag_template.text(),
    })
}

fn label_selector(selector: &LabelSelector) -> Value {
    let mut shown = Map::new();
    if !selector.match_labels.is_empty() {
        shown.insert("matchLabels".to_owned(), json!(selector.match_labels));
    }
    let requirements = selector.match_expressions.iter().map(|requirement| {
        let mut shown = json!({"key": requirement.key, "operator": requirement.operator});
        if !requirement.values.is_empty() {
            shown["values"] = json!(requirement.values);
        }
        shown
    });
    if !selector.match_expressions.is_empty() {
        shown.insert("matchExpressions".to_owned(), requirements.collect());
    }
    Value::Object(shown)
}

fn observability(settings: Observability) -> Value {
    let metrics = |metrics: Metrics| {
        json!({
            "Endpoint": metrics.endpoint,
            "ExportInterval": span(metrics.export_interval),
            "Protocol": metrics.protocol,
        })
    };
    json!({
        "EnableProbeRequestLog": settings.enable_probe_request_log,
        "EnableRequestLog": settings.enable_request_log,
        "EnableVarLogCollection": settings.enable_var_log_collection,
        "LoggingURLTemplate": settings.logging_url_template,
        "Metrics": metrics(settings.metrics),
        "RequestLogTemplate": settings.request_log_template,
        "RequestMetrics": metrics(settings.request_metrics),
        "Runtime": {
            "ExportInterval": span(settings.runtime.export_interval),
            "Profiling": switch(settings.runtime.is_profiling),
        },
        "Tracing": {
            "Endpoint": settings.tracing.endpoint,
            "Protocol": settings.tracing.protocol,
            "SamplingRate": settings.tracing.sampling_rate,
        },
    })
}
