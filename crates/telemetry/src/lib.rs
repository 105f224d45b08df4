//! Every metric name and its description.
