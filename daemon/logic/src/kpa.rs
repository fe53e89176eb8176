// SPDX-License-Identifier: Apache-2.0
//! The Knative Pod Autoscaler (KPA): from samples to a desired number of pods.
