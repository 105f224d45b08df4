//! Every metric of the program, and the events that it is made of.
//!
//! An event is a struct whose `emit` writes the log line and the metrics together, so that the two never
//! disagree. Whoever emits one names facts; which metrics follow is decided here and nowhere else. Without an
//! installed [`Exporter`] emitting costs next to nothing.
//!
//! | module | what it holds |
//! |---|---|
//! | [`names`] | every metric: its name, kind, unit, buckets and description |
//! | [`event`] | actors, exploration, learning, rounds, the store: what happened |
//! | [`Exporter`] | collects the metrics and renders them as Prometheus' text |
//!
//! Names follow `still_<part>_<noun>_<unit>[_total]`. Units are base units: seconds and bytes; shares are
//! ratios from 0 to 1; `_total` ends the counters and nothing else.
//!
//! ```
//! use still_telemetry::{Exporter, event::ActorRestarted};
//! let exporter = Exporter::install()?;
//! ActorRestarted { actor: "trainer", restarts: 1, reason: "the device was lost" }.emit();
//! assert!(exporter.render().contains("still_actor_restarts_total{actor=\"trainer\"} 1"));
//! # Ok::<(), still_telemetry::ExporterError>(())
//! ```

pub mod event;
mod exporter;
pub mod names;

pub use exporter::{Exporter, ExporterError};
pub use names::{Metric, MetricKind};
