// SPDX-License-Identifier: Apache-2.0
//! config-observability: request log, metrics, tracing, profiling (data-plane spec 6).
//!
//! Invariants: problems come group by group, as Knative looks: tracing, metrics, runtime, request metrics, logging.
//! Depends on: go, table, template.

use super::problem::Problems;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key};
use super::template::Template;
use crate::go::print::{fixed, quoted};
use crate::go::span::Span;

/// The settings of config-observability.
#[derive(Clone, Debug, PartialEq)]
pub struct Observability {
    /// Where spans go.
    pub tracing: Tracing,
    /// Where the metrics of the components go.
    pub metrics: Metrics,
    /// What the runtime shows of itself.
    pub runtime: Runtime,
    /// Where the metrics of requests go.
    pub request_metrics: Metrics,
    /// Whether `/var/log` of containers is collected.
    pub enable_var_log_collection: bool,
    /// Where the logs of a revision are; `${REVISION_UID}` stands for its UID.
    pub logging_url_template: String,
    /// Whether requests are logged.
    pub enable_request_log: bool,
    /// A line of the request log, as a Go template; empty if there is none.
    pub request_log_template: String,
    /// Whether probes are logged too.
    pub enable_probe_request_log: bool,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// `none`, `grpc`, `http/protobuf` or `stdout`.
    pub protocol: String,
    /// Who takes them.
    pub endpoint: String,
    /// The share of requests that is traced, from 0 to 1.
    pub sampling_rate: f64,
}

/// Where metrics go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// `none`, `prometheus`, `grpc` or `http/protobuf`.
    pub protocol: String,
    /// Who takes them, or where they are served.
    pub endpoint: String,
    /// How often they are sent; 0 leaves it to OpenTelemetry.
    pub export_interval: Span,
}

/// What the runtime shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Whether profiles are served.
    pub is_profiling: bool,
    /// How often the runtime is measured.
    pub export_interval: Span,
}

/// The line Knative logs for a request.
const REQUEST_LOG: &str = concat!(
    r#"{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", "#,
    r#""requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "#,
    r#""responseSize": "{{.Response.Size}}", "userAgent": "{{js .Request.UserAgent}}", "#,
    r#""remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", "#,
    r#""referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", "#,
    r#""protocol": "{{.Request.Proto}}"}, "traceId": "{{.TraceID}}"}"#
);

const NONE: &str = "none";

impl Default for Observability {
    fn default() -> Self {
        let metrics = Metrics {
            protocol: NONE.to_owned(),
            endpoint: String::new(),
            export_interval: Span::ZERO,
        };
        Self {
            tracing: Tracing {
                protocol: NONE.to_owned(),
                endpoint: String::new(),
                sampling_rate: 0.0,
            },
            metrics: metrics.clone(),
            runtime: Runtime {
                is_profiling: false,
                export_interval: Span::from_secs(15),
            },
            request_metrics: metrics,
            enable_var_log_collection: false,
            logging_url_template: String::new(),
            enable_request_log: false,
            request_log_template: REQUEST_LOG.to_owned(),
            enable_probe_request_log: false,
        }
    }
}

impl Observability {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::of(data);
        for (keys, checks) in GROUPS {
            reading.read(keys, &mut settings);
            reading.check(checks, &settings);
        }
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        GROUPS.iter().flat_map(|(keys, _)| table::names(keys)).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        GROUPS.iter().any(|(keys, _)| table::knows(keys, key))
    }

    /// Where the logs of the revision with this UID are; empty if nowhere.
    #[must_use]
    pub fn log_url(&self, revision_uid: &str) -> String {
        self.logging_url_template.replace("${REVISION_UID}", revision_uid)
    }
}

type Group = (&'static [Key<Observability>], &'static [Check<Observability>]);

const GROUPS: &[Group] = &[
    (TRACING, TRACING_CHECKS),
    (METRICS, METRICS_CHECKS),
    (RUNTIME, RUNTIME_CHECKS),
    (REQUEST_METRICS, REQUEST_METRICS_CHECKS),
    (LOGGING, LOGGING_CHECKS),
];

const TRACING: &[Key<Observability>] = &[
    key("tracing-protocol", Reader::Text(|s| &mut s.tracing.protocol)),
    key("tracing-endpoint", Reader::Text(|s| &mut s.tracing.endpoint)),
    key("tracing-sampling-rate", Reader::Float(|s| &mut s.tracing.sampling_rate)),
];

const TRACING_CHECKS: &[Check<Observability>] = &[
    check(&["tracing-protocol", "tracing-endpoint"], |s| {
        let (protocol, has_endpoint) = (s.tracing.protocol.as_str(), !s.tracing.endpoint.is_empty());
        match protocol {
            "grpc" | "http/protobuf" => {
                (!has_endpoint).then(|| format!("endpoint should be set for protocol {}", quoted(protocol)))
            }
            NONE | "stdout" => has_endpoint.then(|| "endpoint should not be set when protocol is 'none'".to_owned()),
            _ => Some(format!("unsupported protocol {}", quoted(protocol))),
        }
    }),
    check(&["tracing-sampling-rate"], |s| {
        let value = s.tracing.sampling_rate;
        if value < 0.0 {
            return Some(format!(
                "sampling rate {} should be greater or equal to zero",
                fixed(value)
            ));
        }
        (value > 1.0).then(|| format!("sampling rate {} should be less than or equal to one", fixed(value)))
    }),
];

const METRICS: &[Key<Observability>] = &[
    key("metrics-protocol", Reader::Text(|s| &mut s.metrics.protocol)),
    key("metrics-endpoint", Reader::Text(|s| &mut s.metrics.endpoint)),
    key(
        "metrics-export-interval",
        Reader::Span(|s| &mut s.metrics.export_interval),
    ),
];

const METRICS_CHECKS: &[Check<Observability>] = &[
    check(&["metrics-protocol", "metrics-endpoint"], |s| {
        wrong_exporter(&s.metrics)
    }),
    check(&["metrics-export-interval"], |s| {
        wrong_interval(s.metrics.export_interval)
    }),
];

const RUNTIME: &[Key<Observability>] = &[
    key(
        "runtime-export-interval",
        Reader::Span(|s| &mut s.runtime.export_interval),
    ),
    // Knative judges this value after it read the interval.
    key("runtime-profiling", Reader::Own(profiling)),
];

const RUNTIME_CHECKS: &[Check<Observability>] = &[check(&["runtime-export-interval"], |s| {
    wrong_interval(s.runtime.export_interval)
})];

const REQUEST_METRICS: &[Key<Observability>] = &[
    key(
        "request-metrics-protocol",
        Reader::Text(|s| &mut s.request_metrics.protocol),
    ),
    key(
        "request-metrics-endpoint",
        Reader::Text(|s| &mut s.request_metrics.endpoint),
    ),
    key(
        "request-metrics-export-interval",
        Reader::Span(|s| &mut s.request_metrics.export_interval),
    ),
];

const REQUEST_METRICS_CHECKS: &[Check<Observability>] = &[
    check(&["request-metrics-protocol", "request-metrics-endpoint"], |s| {
        wrong_exporter(&s.request_metrics)
    }),
    check(&["request-metrics-export-interval"], |s| {
        wrong_interval(s.request_metrics.export_interval)
    }),
];

const LOGGING: &[Key<Observability>] = &[
    key(
        "logging.enable-var-log-collection",
        Reader::Bool(|s| &mut s.enable_var_log_collection),
    ),
    key(
        "logging.revision-url-template",
        Reader::Text(|s| &mut s.logging_url_template),
    ),
    key(
        "logging.request-log-template",
        Reader::Text(|s| &mut s.request_log_template),
    ),
    key(
        "logging.enable-request-log",
        Reader::Bool(|s| &mut s.enable_request_log),
    ),
    key(
        "logging.enable-probe-request-log",
        Reader::Bool(|s| &mut s.enable_probe_request_log),
    ),
];

const LOGGING_CHECKS: &[Check<Observability>] = &[
    check(&["logging.enable-request-log", "logging.request-log-template"], |s| {
        (s.enable_request_log && s.request_log_template.is_empty()).then(|| {
            "\"logging.enable-request-log\" was set to true, but no \"logging.request-log-template\" was specified"
                .to_owned()
        })
    }),
    check(&["logging.request-log-template"], |s| {
        Template::parse("requestLog", &s.request_log_template)
            .err()
            .map(|error| error.to_string())
    }),
];

fn wrong_exporter(metrics: &Metrics) -> Option<String> {
    let (protocol, has_endpoint) = (metrics.protocol.as_str(), !metrics.endpoint.is_empty());
    let shown = quoted(protocol);
    match protocol {
        "grpc" | "http/protobuf" => (!has_endpoint).then(|| format!("endpoint should be set when protocol is {shown}")),
        NONE => has_endpoint.then(|| format!("endpoint should not be set when protocol is {shown}")),
        "prometheus" => None,
        _ => Some(format!("unsupported protocol {shown}")),
    }
}

fn wrong_interval(value: Span) -> Option<String> {
    let shown = quoted(&value.to_string());
    (value < Span::ZERO).then(|| format!("export interval {shown} should be greater than zero"))
}

fn profiling(settings: &mut Observability, text: &str) -> Result<(), String> {
    settings.runtime.is_profiling = match text {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(format!("unsupported profile setting {}", quoted(text))),
    };
    Ok(())
}
