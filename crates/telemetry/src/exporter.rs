//! Collects the metrics and renders them as Prometheus' text format.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;

use crate::{
    event,
    names::{METRICS, MetricKind},
};

/// How often observations are moved into their buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process's metrics. Rendering is cheap and never waits for whoever emits.
#[derive(Debug)]
pub struct Exporter {
    handle: PrometheusHandle,
    /// Ends the upkeep with the exporter; `None` for one thread's metrics, which are kept up by rendering.
    _upkeep: Option<mpsc::Sender<()>>,
}

/// Why the metrics cannot be collected.
#[derive(Debug, Error)]
pub enum ExporterError {
    /// The recorder cannot be made or put in force.
    #[error("the metrics cannot be collected: {0}")]
    Recorder(#[from] BuildError),
    /// The thread that keeps the buckets up to date cannot be started.
    #[error("the thread for the upkeep of metrics cannot be started: {0}")]
    Thread(#[from] io::Error),
}

impl Exporter {
    /// Collects whatever this process emits from now on. Once in a process.
    ///
    /// # Errors
    /// When metrics are collected already, or the upkeep's thread cannot be started.
    pub fn install() -> Result<Self, ExporterError> {
        let handle = builder()?.install_recorder()?;
        announce();
        let (alive, ended) = mpsc::channel();
        let upkept = handle.clone();
        thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(move || {
            while ended.recv_timeout(UPKEEP) == Err(RecvTimeoutError::Timeout) {
                upkept.run_upkeep();
            }
        })?;
        Ok(Self { handle, _upkeep: Some(alive) })
    }

    /// Collects what this thread emits while `act` runs, and nothing of other threads. Works whether or not a
    /// recorder is in force already, so that tests in one process do not see each other's metrics.
    ///
    /// The keep ratio and the share of verifier errors are of the whole process all the same.
    ///
    /// # Errors
    /// When the recorder cannot be made.
    pub fn within<T>(act: impl FnOnce(&Self) -> T) -> Result<T, ExporterError> {
        let recorder = builder()?.build_recorder();
        let exporter = Self { handle: recorder.handle(), _upkeep: None };
        Ok(metrics::with_local_recorder(&recorder, || {
            announce();
            act(&exporter)
        }))
    }

    /// The metrics as Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        event::age_checkpoint(now);
        self.handle.render()
    }
}

/// A recorder with every histogram's buckets.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    METRICS.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        MetricKind::Histogram(buckets) => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
        }
        MetricKind::Counter | MetricKind::Gauge => Ok(builder),
    })
}

/// Describes every metric, and shows those counters at zero whose labels are known.
fn announce() {
    for metric in METRICS {
        metric.describe();
    }
    event::start_at_zero();
    metrics::gauge!(crate::names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests;
