//! Every metric: its name, kind, unit, buckets and description.
//!
//! The table at the end of this file is the only place where a metric is named. Label names stand in the
//! description. A name once scraped is somebody's dashboard: change none, add new ones.

use metrics::Unit;

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, given by their upper bounds.
    Histogram(&'static [f64]),
}

/// A metric as it is described to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: MetricKind,
    /// What it counts in.
    pub unit: Unit,
    /// What it says, and its labels.
    pub help: &'static str,
}

/// A millisecond to an hour, for optimizer steps, rollouts and checkpoints on any device.
const DURATION_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];
/// Versions that a rollout lies behind the newest.
const LAG_VERSIONS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0];
/// Tokens of a response.
const LENGTH_TOKENS: &[f64] =
    &[16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0, 32_768.0, 65_536.0];

impl Metric {
    /// Tells the recorder in force what the metric is.
    pub(crate) fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.unit, self.help),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.unit, self.help),
            MetricKind::Histogram(_) => metrics::describe_histogram!(self.name, self.unit, self.help),
        }
    }
}

/// Makes a constant of every name, and the table of all of them.
macro_rules! table {
    ($($kind:ident $(($buckets:ident))? $constant:ident = $name:literal, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// Every metric of the program.
        pub const METRICS: &[Metric] = &[
            $(Metric {
                name: $constant,
                kind: MetricKind::$kind $(($buckets))?,
                unit: Unit::$unit,
                help: $help,
            },)*
        ];
    };
}

table! {
    // the program
    Gauge BUILD_INFO = "still_build_info", Count,
        "Always 1; the version of the program by label version.";

    // actors
    Gauge ACTOR_QUEUE_ITEMS = "still_actor_queue_items", Count,
        "Work items that wait for an actor, by actor.";
    Gauge ACTOR_IN_FLIGHT_ITEMS = "still_actor_in_flight_items", Count,
        "Work items that an actor is at, by actor.";
    Gauge ACTOR_LAST_PROGRESS = "still_actor_last_progress_timestamp_seconds", Seconds,
        "When an actor last got something done, seconds since the Unix epoch, by actor.";
    Counter ACTOR_RESTARTS = "still_actor_restarts_total", Count,
        "Restarts after an actor's own failure, by actor.";
    Counter DEVICE_FAILURES = "still_device_failures_total", Count,
        "Times that a device or server failed, or hung and was given up, by device.";

    // rollouts
    Counter ROLLOUTS = "still_rollout_finished_total", Count,
        "Rollouts that ended for the pool.";
    Counter LOST_ATTEMPTS = "still_rollout_lost_attempts_total", Count,
        "Attempts that came to nothing and are given out again, by reason.";
    Histogram(LENGTH_TOKENS) ROLLOUT_LENGTH = "still_rollout_length_tokens", Count,
        "Length of the responses that were committed to the pool, in tokens.";
    Counter ROLLOUT_TOKENS = "still_rollout_tokens_total", Count,
        "Tokens drawn, by purpose: pool or evaluation.";
    Gauge ROLLOUT_TOKENS_PER_SECOND = "still_rollout_tokens_per_second", Count,
        "Tokens drawn a second for the pool, over the last seconds.";
    Histogram(LAG_VERSIONS) POLICY_LAG = "still_rollout_policy_lag_versions", Count,
        "Versions by which a rollout's oldest token lay behind the newest policy when it was committed.";

    // servers that draw
    Gauge SERVER_HEALTHY = "still_server_healthy", Count,
        "1 while a server is there and takes requests or will before long, 0 while it is left out or gone, by server.";
    Gauge SERVER_RUNNING = "still_server_running_requests", Count,
        "Requests that a server says it draws, by server.";
    Gauge SERVER_WAITING = "still_server_waiting_requests", Count,
        "Requests that a server says wait there, by server.";
    Gauge SERVER_CACHE = "still_server_cache_use_ratio", Count,
        "Share of a server's key-value cache in use, by server.";
    Gauge SERVER_IN_FLIGHT = "still_server_in_flight_requests", Count,
        "Requests of this run that a server holds, by server.";
    Gauge SERVER_WINDOW = "still_server_window_requests", Count,
        "Requests that a server may hold at present, by server.";
    Gauge SERVER_TOKENS_PER_SECOND = "still_server_tokens_per_second", Count,
        "Tokens that a server says it reads and draws a second, by server.";

    // verdicts and the pool
    Counter VERDICTS = "still_verifier_verdicts_total", Count,
        "Judged rollouts that were committed, by outcome.";
    Gauge VERIFIER_ERROR_RATIO = "still_verifier_error_ratio", Count,
        "Share of verdicts since the start that say nothing of the answer because the verifier failed.";
    Counter VERIFIER_JUDGEMENTS = "still_verifier_judgements_total", Count,
        "Judgements that ended, those of evaluation included.";
    Counter VERIFIER_RETRIES = "still_verifier_retries_total", Count,
        "Judgements that failed and were tried once more.";
    Counter VERIFIER_FAILURES = "still_verifier_failures_total", Count,
        "Judgements that failed at every try, recorded as errors.";
    Gauge VERIFIER_RECENT_ERROR_RATIO = "still_verifier_recent_error_ratio", Count,
        "Share of errors among the newest judgements, as many as `verifier.alarm_window`.";
    Gauge VERIFIER_ERROR_ALARM = "still_verifier_error_alarm", Count,
        "1 while more judgements fail than `verifier.alarm_error_share` allows, else 0.";
    Counter REJECTIONS = "still_curator_rejections_total", Count,
        "Rollouts that hygiene keeps out of every training set, by reason.";
    Gauge KEEP_RATIO = "still_curator_keep_ratio", Count,
        "Share of the rollouts committed since the start that are right and that hygiene lets pass.";
    Gauge POOL_TRAJECTORIES = "still_pool_trajectories", Count,
        "Trajectories in the pool, by outcome.";

    // the learner
    Counter LEARNER_STEPS = "still_learner_steps_total", Count,
        "Optimizer steps taken, skipped ones included.";
    Counter LEARNER_SKIPPED_STEPS = "still_learner_skipped_steps_total", Count,
        "Optimizer steps left out because loss or gradient was not finite.";
    Histogram(DURATION_SECONDS) LEARNER_STEP_DURATION = "still_learner_step_duration_seconds", Seconds,
        "Time from one optimizer step to the next.";
    Counter LEARNER_TOKENS = "still_learner_tokens_total", Count,
        "Tokens trained on, prompts included.";
    Gauge LEARNER_TOKENS_PER_SECOND = "still_learner_tokens_per_second", Count,
        "Tokens trained on a second, over the last seconds.";
    Gauge LEARNER_LOSS = "still_learner_loss", Count,
        "Loss of the last step: nats a token for SFT, mean over pairs for preference optimisation.";
    Gauge LEARNER_GRADIENT_NORM = "still_learner_gradient_norm", Count,
        "Global norm of the last step's gradients before clipping.";
    Gauge LEARNER_LEARNING_RATE = "still_learner_learning_rate", Count,
        "Learning rate of the last step.";
    Gauge LEARNER_STEP = "still_learner_step", Count,
        "Optimizer steps taken in the present job.";
    Gauge LEARNER_JOB_STEPS = "still_learner_job_steps", Count,
        "Optimizer steps of the whole present job.";
    Counter LEARNER_ROLLBACKS = "still_learner_rollbacks_total", Count,
        "Times that training diverged and went back to an earlier state with a lower learning rate.";
    Counter LEARNER_MEMORY_SHORTAGES = "still_learner_memory_shortages_total", Count,
        "Times that the parts of a step were halved because the device ran out of memory.";
    Gauge LEARNER_PREFERENCE_MARGIN = "still_learner_preference_margin", Count,
        "DPO: reward margin, beta times the gain of the chosen over that of the rejected responses, mean over the last step's pairs.";
    Gauge LEARNER_CHOSEN_DRIFT = "still_learner_chosen_drift_nats", Count,
        "DPO: log-probability of the chosen responses less that under the reference policy, nats a token, mean over the last step's pairs.";
    Gauge LEARNER_PREFERENCE_ALARM = "still_learner_preference_alarm", Count,
        "DPO: 1 while reward margin or drift of the chosen responses is at half of its bound or beyond (`training.dpo.max_margin`, `max_chosen_drop`), else 0.";
    Gauge LEARNER_PREFERENCE_ACCURACY = "still_learner_preference_accuracy_ratio", Count,
        "DPO: share of the last step's pairs whose margin is above 0.";
    Gauge LEARNER_KL = "still_learner_kl_nats", Count,
        "DPO: estimated distance from the reference policy on the last step's pairs, which neither drew, nats a token.";
    Gauge LEARNER_CHOSEN_LOG_PROBABILITY = "still_learner_chosen_log_probability_nats", Count,
        "DPO: log-probability of the chosen responses' compared tokens, mean over the last step's pairs.";
    Gauge LEARNER_REJECTED_LOG_PROBABILITY = "still_learner_rejected_log_probability_nats", Count,
        "DPO: log-probability of the rejected responses' compared tokens, mean over the last step's pairs.";

    // checkpoints
    Counter CHECKPOINTS = "still_checkpoint_commits_total", Count,
        "Checkpoints made durable.";
    Gauge CHECKPOINT_SIZE = "still_checkpoint_size_bytes", Bytes,
        "Size of the newest checkpoint.";
    Gauge CHECKPOINT_CREATED = "still_checkpoint_created_timestamp_seconds", Seconds,
        "When the newest checkpoint was committed, seconds since the Unix epoch.";
    Gauge CHECKPOINT_AGE = "still_checkpoint_age_seconds", Seconds,
        "Age of the newest checkpoint.";
    Histogram(DURATION_SECONDS) CHECKPOINT_DURATION = "still_checkpoint_duration_seconds", Seconds,
        "Time that writing, syncing and recording a checkpoint took, beside training.";
    Histogram(DURATION_SECONDS) CHECKPOINT_STALL = "still_checkpoint_stall_seconds", Seconds,
        "Time that training waited for a checkpoint: for its snapshot, and for the one before to be written.";

    // the store
    Counter STORE_COMMITS = "still_store_commits_total", Count,
        "Batches made durable since the store was opened.";
    Counter STORE_WRITTEN_BYTES = "still_store_written_bytes_total", Bytes,
        "Bytes of keys and values made durable since the store was opened.";
    Gauge STORE_DISK_BYTES = "still_store_disk_bytes", Bytes,
        "Bytes that the store takes on the disk, checkpoints not counted.";

    // rounds and policies
    Gauge ROUND_NUMBER = "still_round_number", Count,
        "The round at work; 0 is imitation.";
    Gauge ROUND_PHASE = "still_round_phase", Count,
        "1 for the phase that the round is in, 0 for the others, by phase.";
    Gauge ROUND_EXAMPLES = "still_round_examples", Count,
        "Examples in the newest sealed training set.";
    Gauge GAP = "still_log_probability_gap_nats", Count,
        "Distance of the engines' log-probabilities from the learner's on the newest round's sample, nats a token.";
    Gauge GAP_BIAS = "still_log_probability_bias_nats", Count,
        "The engines' log-probabilities less the learner's on the same sample, nats a token.";
    Gauge GAP_ALARM = "still_log_probability_gap_alarm", Count,
        "1 while that distance is above `round.max_gap_nats`, else 0.";
    Gauge ROUND_SELECTED = "still_round_selected_trajectories", Count,
        "Trajectories newly selected into the newest sealed training set.";
    Counter ROUNDS_ENDED = "still_round_ended_total", Count,
        "Rounds that ended, by result: promoted or rejected.";
    Gauge EVALUATED_ROUND = "still_evaluation_round_number", Count,
        "The round whose candidate was scored last: the one that the scores are of.";
    Gauge ACCURACY = "still_evaluation_accuracy_ratio", Count,
        "Share of held-out answers that are right, by split and level (a number or all).";
    Gauge ACCURACY_LOW = "still_evaluation_accuracy_low_ratio", Count,
        "Lower end of the accuracy's 95 % interval, by split and level.";
    Gauge ACCURACY_HIGH = "still_evaluation_accuracy_high_ratio", Count,
        "Upper end of the accuracy's 95 % interval, by split and level.";
    Gauge HARD_ACCURACY = "still_evaluation_hard_accuracy_ratio", Count,
        "Share of held-out answers of the hard levels that are right, by split.";
    Gauge TRUNCATED = "still_evaluation_truncated_ratio", Count,
        "Share of held-out responses that hit the token limit, by split.";
    Gauge POLICY_VERSION = "still_policy_version", Count,
        "Version of the policy in force.";
    Counter POLICIES_PUBLISHED = "still_policy_published_total", Count,
        "Policies put in force, by origin: base, round or operator.";
}
