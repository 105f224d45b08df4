//! What happens to judgements at the verifiers, those of evaluation included.

use metrics::{counter, gauge};

use crate::names::{
    VERIFIER_ERROR_ALARM, VERIFIER_FAILURES, VERIFIER_JUDGEMENTS, VERIFIER_RECENT_ERROR_RATIO,
    VERIFIER_RETRIES,
};

/// A judgement failed and is tried once more.
#[derive(Debug, Clone, Copy)]
pub struct JudgementRetried;

impl JudgementRetried {
    /// Logs and counts it.
    pub fn emit(self) {
        tracing::debug!("judgement failed and is tried once more");
        counter!(VERIFIER_RETRIES).increment(1);
    }
}

/// A judgement came to its end.
#[derive(Debug, Clone, Copy)]
pub struct JudgementEnded {
    /// It failed, and says nothing of the answer.
    pub is_error: bool,
    /// Share of errors among the newest judgements.
    pub error_ratio: f64,
    /// Whether too many of them are errors.
    pub is_alarm_raised: bool,
}

impl JudgementEnded {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { is_error, error_ratio, is_alarm_raised } = self;
        tracing::trace!(is_error, error_ratio, is_alarm_raised, "judgement ended");
        counter!(VERIFIER_JUDGEMENTS).increment(1);
        counter!(VERIFIER_FAILURES).increment(u64::from(is_error));
        gauge!(VERIFIER_RECENT_ERROR_RATIO).set(error_ratio);
        gauge!(VERIFIER_ERROR_ALARM).set(if is_alarm_raised { 1.0 } else { 0.0 });
    }
}

pub(super) fn start_at_zero() {
    for name in [VERIFIER_RETRIES, VERIFIER_JUDGEMENTS, VERIFIER_FAILURES] {
        counter!(name).increment(0);
    }
    for name in [VERIFIER_RECENT_ERROR_RATIO, VERIFIER_ERROR_ALARM] {
        gauge!(name).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exporter;

    #[test]
    fn judgements_failures_retries_and_the_alarm_are_on_the_page() {
        let page = Exporter::within(|exporter| {
            let ended = JudgementEnded { is_error: false, error_ratio: 0.0, is_alarm_raised: false };
            ended.emit();
            JudgementRetried.emit();
            let before = exporter.render();
            assert!(before.contains("\nstill_verifier_error_alarm 0\n"), "{before}");
            JudgementEnded { is_error: true, error_ratio: 0.5, is_alarm_raised: true }.emit();
            exporter.render()
        })
        .unwrap();
        for line in [
            "still_verifier_judgements_total 2",
            "still_verifier_failures_total 1",
            "still_verifier_retries_total 1",
            "still_verifier_recent_error_ratio 0.5",
            "still_verifier_error_alarm 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "`{line}` is not in\n{page}");
        }
    }
}
