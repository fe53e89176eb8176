// SPDX-License-Identifier: Apache-2.0
//! The named transitions of every kind's status, by the names that Knative gives them.
//!
//! Depends on: api.

use super::Arguments;
use crate::report::Verdict;
use api::{certificate, configuration, domain_mapping, ingress, metric, pod_autoscaler};
use api::{revision, route, serverless_service, service};

pub(super) fn service(status: &mut service::ServiceStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkConfigurationNotOwned" => status.mark_configuration_not_owned(given.text(0), given.now),
        "MarkRouteNotOwned" => status.mark_route_not_owned(given.text(0), given.now),
        "MarkConfigurationNotReconciled" => status.mark_configuration_not_reconciled(given.now),
        "MarkRouteNotReconciled" => status.mark_route_not_reconciled(given.now),
        "MarkRouteNotYetReady" => status.mark_route_not_yet_ready(given.now),
        "MarkRevisionNameTaken" => status.mark_revision_name_taken(given.text(0), given.now),
        "PropagateConfigurationStatus" => status.propagate_configuration_status(&given.object(0)?, given.now),
        "PropagateRouteStatus" => status.propagate_route_status(&given.object(0)?, given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn configuration(status: &mut configuration::ConfigurationStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "SetLatestCreatedRevisionName" => status.set_latest_created_revision_name(given.text(0), given.now),
        "SetLatestReadyRevisionName" => status.set_latest_ready_revision_name(given.text(0), given.now),
        "MarkLatestCreatedFailed" => status.mark_latest_created_failed(given.text(0), given.text(1), given.now),
        "MarkRevisionCreationFailed" => status.mark_revision_creation_failed(given.text(0), given.now),
        "MarkLatestReadyDeleted" => status.mark_latest_ready_deleted(given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn revision(status: &mut revision::RevisionStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkActiveTrue" => status.mark_active_true(given.now),
        "MarkActiveFalse" => status.mark_active_false(given.text(0), given.text(1), given.now),
        "MarkActiveUnknown" => status.mark_active_unknown(given.text(0), given.text(1), given.now),
        "MarkContainerHealthyTrue" => status.mark_container_healthy_true(given.now),
        "MarkContainerHealthyFalse" => status.mark_container_healthy_false(given.text(0), given.text(1), given.now),
        "MarkContainerHealthyUnknown" => status.mark_container_healthy_unknown(given.text(0), given.text(1), given.now),
        "MarkResourcesAvailableTrue" => status.mark_resources_available_true(given.now),
        "MarkResourcesAvailableFalse" => status.mark_resources_available_false(given.text(0), given.text(1), given.now),
        "MarkResourcesAvailableUnknown" => {
            status.mark_resources_available_unknown(given.text(0), given.text(1), given.now)
        }
        "PropagateDeploymentStatus" => status.propagate_deployment_status(&given.object(0)?, given.now),
        "PropagateAutoscalerStatus" => status.propagate_autoscaler_status(&given.object(0)?, given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn route(status: &mut route::RouteStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkServiceNotOwned" => status.mark_service_not_owned(given.text(0), given.now),
        "MarkEndpointNotOwned" => status.mark_endpoint_not_owned(given.text(0), given.now),
        "MarkIngressRolloutInProgress" => status.mark_ingress_rollout_in_progress(given.now),
        "MarkIngressNotConfigured" => status.mark_ingress_not_configured(given.now),
        "MarkTrafficAssigned" => status.mark_traffic_assigned(given.now),
        "MarkUnknownTrafficError" => status.mark_unknown_traffic_error(given.text(0), given.now),
        "MarkRevisionTargetTrafficError" => {
            status.mark_revision_target_traffic_error(given.text(0), given.text(1), given.now)
        }
        "MarkConfigurationNotReady" => status.mark_configuration_not_ready(given.text(0), given.now),
        "MarkConfigurationFailed" => status.mark_configuration_failed(given.text(0), given.now),
        "MarkRevisionNotReady" => status.mark_revision_not_ready(given.text(0), given.now),
        "MarkRevisionFailed" => status.mark_revision_failed(given.text(0), given.now),
        "MarkRevisionNotOwned" => {
            status.mark_revision_not_owned(given.text(0), given.text(1), given.text(2), given.now)
        }
        "MarkMissingTrafficTarget" => status.mark_missing_traffic_target(given.text(0), given.text(1), given.now),
        "MarkCertificateProvisionFailed" => status.mark_certificate_provision_failed(&given.object(0)?, given.now),
        "MarkCertificateReady" => status.mark_certificate_ready(given.now),
        "MarkCertificateNotReady" => status.mark_certificate_not_ready(&given.object(0)?, given.now),
        "MarkCertificateNotOwned" => status.mark_certificate_not_owned(given.text(0), given.now),
        "MarkTLSNotEnabled" => status.mark_tls_not_enabled(given.text(0), given.now),
        "MarkHTTPDowngrade" => status.mark_http_downgrade(given.text(0), given.now),
        "PropagateIngressStatus" => status.propagate_ingress_status(&given.object(0)?, given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn domain_mapping(status: &mut domain_mapping::DomainMappingStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkTLSNotEnabled" => status.mark_tls_not_enabled(given.text(0), given.now),
        "MarkCertificateNotRequired" => status.mark_certificate_not_required(given.text(0), given.now),
        "MarkCertificateReady" => status.mark_certificate_ready(given.now),
        "MarkCertificateNotReady" => status.mark_certificate_not_ready(given.text(0), given.now),
        "MarkCertificateNotOwned" => status.mark_certificate_not_owned(given.text(0), given.now),
        "MarkCertificateProvisionFailed" => status.mark_certificate_provision_failed(given.text(0), given.now),
        "MarkHTTPDowngrade" => status.mark_http_downgrade(given.text(0), given.now),
        "MarkIngressNotConfigured" => status.mark_ingress_not_configured(given.now),
        "MarkDomainClaimed" => status.mark_domain_claimed(given.now),
        "MarkDomainClaimNotOwned" => status.mark_domain_claim_not_owned(given.now),
        "MarkDomainClaimFailed" => status.mark_domain_claim_failed(given.text(0), given.now),
        "MarkReferenceResolved" => status.mark_reference_resolved(given.now),
        "MarkReferenceNotResolved" => status.mark_reference_not_resolved(given.text(0), given.now),
        "PropagateIngressStatus" => status.propagate_ingress_status(&given.object(0)?, given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn pod_autoscaler(status: &mut pod_autoscaler::PodAutoscalerStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkActive" => status.mark_active(given.now),
        "MarkActivating" => status.mark_activating(given.text(0), given.text(1), given.now),
        "MarkInactive" => status.mark_inactive(given.text(0), given.text(1), given.now),
        "MarkResourceNotOwned" => status.mark_resource_not_owned(given.text(0), given.text(1), given.now),
        "MarkResourceFailedCreation" => status.mark_resource_failed_creation(given.text(0), given.text(1), given.now),
        "MarkSKSReady" => status.mark_sks_ready(given.now),
        "MarkSKSNotReady" => status.mark_sks_not_ready(given.text(0), given.now),
        "MarkScaleTargetInitialized" => status.mark_scale_target_initialized(given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn metric(status: &mut metric::MetricStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkMetricReady" => status.mark_metric_ready(given.now),
        "MarkMetricNotReady" => status.mark_metric_not_ready(given.text(0), given.text(1), given.now),
        "MarkMetricFailed" => status.mark_metric_failed(given.text(0), given.text(1), given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn serverless_service(
    status: &mut serverless_service::ServerlessServiceStatus,
    given: &Arguments<'_>,
) -> Verdict {
    match given.method {
        "MarkEndpointsReady" => status.mark_endpoints_ready(given.now),
        "MarkEndpointsNotReady" => status.mark_endpoints_not_ready(given.text(0), given.now),
        "MarkEndpointsNotOwned" => status.mark_endpoints_not_owned(given.text(0), given.text(1), given.now),
        "MarkActivatorEndpointsPopulated" => status.mark_activator_endpoints_populated(given.now),
        "MarkActivatorEndpointsRemoved" => status.mark_activator_endpoints_removed(given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn ingress(status: &mut ingress::IngressStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkNetworkConfigured" => status.mark_network_configured(given.now),
        "MarkResourceNotOwned" => status.mark_resource_not_owned(given.text(0), given.text(1), given.now),
        "MarkLoadBalancerReady" => status.mark_load_balancer_ready(given.object(0)?, given.object(1)?, given.now),
        "MarkLoadBalancerNotReady" => status.mark_load_balancer_not_ready(given.now),
        "MarkLoadBalancerFailed" => status.mark_load_balancer_failed(given.text(0), given.text(1), given.now),
        "MarkIngressNotReady" => status.mark_ingress_not_ready(given.text(0), given.text(1), given.now),
        _ => return given.unknown(),
    }
    Ok(())
}

pub(super) fn certificate(status: &mut certificate::CertificateStatus, given: &Arguments<'_>) -> Verdict {
    match given.method {
        "MarkReady" => status.mark_ready(given.now),
        "MarkNotReady" => status.mark_not_ready(given.text(0), given.text(1), given.now),
        "MarkFailed" => status.mark_failed(given.text(0), given.text(1), given.now),
        "MarkResourceNotOwned" => status.mark_resource_not_owned(given.text(0), given.text(1), given.now),
        _ => return given.unknown(),
    }
    Ok(())
}
