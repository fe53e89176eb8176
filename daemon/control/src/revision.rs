// SPDX-License-Identifier: Apache-2.0
//! Revision: keeps a Deployment, a PodAutoscaler and Images, and tells how they are; control-plane spec 4.4.
//!
//! Depends on: controller, pass, images, data_path, api (revision).

pub mod images;

use std::sync::Arc;

use api::condition::ConditionStatus;
use api::conditions::{Conditioned, READY, is};
use api::image::Image;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::desired::deployment::deployment;
use api::revision::desired::operator::Operator;
use api::revision::desired::{self, deployment_name, update};
use api::revision::status::{self, CONTAINER_MISSING, DEPLOYING, NOT_OWNED, not_owned_message, pods};
use api::revision::{ContainerStatus, Revision, RevisionSpec, RevisionStatus};
use api::serverless_service::ServerlessService;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;

use self::images::Images;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::data_path;
use crate::failure::Failure;
use crate::kept::controls;
use crate::key::Key;
use crate::pass::{Pass, set_defaults};
use crate::queue::Queue;
use crate::settings::Settings;

/// Starts it.
pub fn start(context: &Context, images: Arc<dyn Images>) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Revision>(context, &queue);
    controller::watch_made::<Revision, Deployment>(context, &queue);
    controller::watch_made::<Revision, PodAutoscaler>(context, &queue);
    // Named as the Revision; its mode decides the data path.
    controller::watch(context, &queue, |sks: &ServerlessService| vec![Key::of(&sks.metadata)]);
    controller::watch_settings::<Revision, _>(context, &queue, Revisions::NAME, |settings| {
        let Settings {
            admission,
            deployment,
            network,
            observability,
            ..
        } = settings;
        let defaults = admission.defaults.clone();
        (defaults, deployment.clone(), network.clone(), observability.clone())
    });
    let revisions = Revisions {
        context: context.speaking_as(Revisions::NAME),
        images,
    };
    controller::start(context, &queue, revisions);
}

struct Revisions {
    context: Context,
    images: Arc<dyn Images>,
}

type Look = Pass<RevisionSpec, RevisionStatus>;

impl Controller for Revisions {
    type Object = Revision;

    const NAME: &'static str = "revision-controller";

    async fn reconcile(&self, revision: Arc<Revision>) -> Result<Again, Failure> {
        let was_ready = revision.is_ready();
        let mut look = Look::begin(&self.context, revision);
        let result = self.work(&mut look).await;
        data_path::mark_revision(&self.context, &mut look.object, &look.settings, &look.now);
        if !was_ready && is_ready_now(&look.object) {
            let message = "Revision becomes ready upon all resources being ready";
            self.context.events.tell(look.before(), "RevisionReady", message);
        }
        look.end(&self.context, result.map(|()| None)).await
    }
}

fn is_ready_now(revision: &Revision) -> bool {
    is(revision.status.condition(READY), ConditionStatus::True)
}

impl Revisions {
    async fn work(&self, look: &mut Look) -> Result<(), Failure> {
        let uid = look.object.metadata.uid.as_deref().unwrap_or_default();
        look.object.status.log_url = look.settings.observability.log_url(uid);
        self.resolve_images(look).await?;
        let deployment = self.deployment(look).await?;
        self.image_caches(&look.object).await?;
        self.pod_autoscaler(look, &deployment).await
    }

    async fn resolve_images(&self, look: &mut Look) -> Result<(), Failure> {
        let pod = &look.object.spec.pod;
        let init_containers = pod.init_containers.as_deref().unwrap_or_default();
        let status = &look.object.status;
        let known = status
            .container_statuses
            .len()
            .saturating_add(status.init_container_statuses.len());
        if known == pod.containers.len().saturating_add(init_containers.len()) {
            return Ok(());
        }
        let resolved = match self.digests(&pod.containers, &look.object).await {
            Ok(containers) => self
                .digests(init_containers, &look.object)
                .await
                .map(|init_containers| (containers, init_containers)),
            Err(failed) => Err(failed),
        };
        match resolved {
            Ok((containers, init_containers)) => {
                look.object.status.container_statuses = containers;
                look.object.status.init_container_statuses = init_containers;
                Ok(())
            }
            Err((image, cause)) => {
                let cause = format!("failed to resolve image to digest: {cause}");
                let message = status::container_missing_message(&image, &cause);
                look.object
                    .status
                    .mark_container_healthy_false(CONTAINER_MISSING, &message, &look.now);
                Err(Failure::Decided(cause))
            }
        }
    }

    /// In the order of the containers; or the image that fails, and why.
    async fn digests(
        &self,
        containers: &[Container],
        revision: &Revision,
    ) -> Result<Vec<ContainerStatus>, (String, String)> {
        let mut found = Vec::with_capacity(containers.len());
        for container in containers {
            let image = container.image.clone().unwrap_or_default();
            let digest = self.images.resolve(&image, revision).await;
            found.push(ContainerStatus {
                name: container.name.clone(),
                image_digest: digest.map_err(|cause| (image, cause))?,
            });
        }
        Ok(found)
    }

    async fn deployment(&self, look: &mut Look) -> Result<Arc<Deployment>, Failure> {
        let (settings, revision) = (&look.settings, &mut look.object);
        let operator = Operator {
            autoscaler: settings.autoscaler(),
            defaults: settings.defaults(),
            deployment: &settings.deployment,
            features: settings.features(),
            observability: &settings.observability,
        };
        let wanted = deployment(revision, &operator);
        let name = deployment_name(revision);
        let Some(existing) = self.context.get::<Deployment>(&Key::new(revision.namespace(), &name)) else {
            revision
                .status
                .mark_resources_available_unknown(DEPLOYING, "", &look.now);
            revision.status.mark_container_healthy_unknown(DEPLOYING, "", &look.now);
            let made = self.context.create(wanted).await;
            return made.map_err(|failure| failure.while_trying_to(format!("create deployment {name:?}")));
        };
        if !controls(&revision.metadata, &existing.metadata) {
            return Err(not_owned(look, "Deployment", &name));
        }
        let present = match update::deployment(&existing, &wanted) {
            None => existing,
            Some(updated) => self.context.update(updated).await?,
        };
        let uid = revision.metadata.uid.as_deref().unwrap_or_default();
        let pods = self.context.caches.pods.labelled(revision.namespace(), uid);
        let waits_for_nodes = settings.deployment.pod_is_always_schedulable;
        let pod = pods.first().map(Arc::as_ref);
        pods::observe(&mut revision.status, &present, pod, waits_for_nodes, &look.now);
        Ok(present)
    }

    async fn image_caches(&self, revision: &Revision) -> Result<(), Failure> {
        for image in desired::image_caches(revision) {
            if self.context.get::<Image>(&Key::of(&image.metadata)).is_some() {
                continue;
            }
            let name = image.name().to_owned();
            let made = self.context.create(image).await;
            made.map_err(|failure| failure.while_trying_to(format!("create image cache {name:?}")))?;
        }
        Ok(())
    }

    async fn pod_autoscaler(&self, look: &mut Look, deployment: &Deployment) -> Result<(), Failure> {
        let mut wanted = desired::pod_autoscaler(&look.object, Some(deployment));
        set_defaults(&mut wanted, &look.settings);
        let name = look.object.name().to_owned();
        let existing = self.context.get::<PodAutoscaler>(&Key::of(&look.object.metadata));
        let present = match existing {
            None => {
                let made = self.context.create(wanted).await;
                made.map_err(|failure| failure.while_trying_to(format!("create PA {name:?}")))?
            }
            Some(existing) if !controls(&look.object.metadata, &existing.metadata) => {
                return Err(not_owned(look, "PodAutoscaler", &name));
            }
            Some(existing) => match update::pod_autoscaler(&existing, &wanted) {
                None => existing,
                Some(updated) => {
                    let written = self.context.update(updated).await;
                    written.map_err(|failure| failure.while_trying_to(format!("update PA {name:?}")))?
                }
            },
        };
        look.object
            .status
            .propagate_autoscaler_status(&present.status, &look.now);
        Ok(())
    }
}

/// A child of a wanted name belongs to somebody else.
fn not_owned(look: &mut Look, kind: &str, name: &str) -> Failure {
    let message = not_owned_message(kind, name);
    look.object
        .status
        .mark_resources_available_false(NOT_OWNED, &message, &look.now);
    let revision = look.object.name();
    Failure::Decided(format!("revision: {revision:?} does not own {kind}: {name:?}"))
}
