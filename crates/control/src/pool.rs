//! A trajectory of the pool, as it is listed.

use serde::{Deserialize, Serialize};
use still_domain::{
    AttemptId, AttemptNumber, JudgedTrajectory, Outcome, PolicyVersion, ProblemId, Provenance, ProvenanceId,
    Rejection, SealingDecision, verdict::number_or_unknown,
};

/// A trajectory of the pool, as it is listed: who, what, and how it was judged, without its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolEntry {
    /// The attempt, `problem#number`.
    pub id: AttemptId,
    /// The problem attempted.
    pub problem: ProblemId,
    /// Which attempt at it, from 0.
    pub attempt: AttemptNumber,
    /// The policy that drew its first token.
    pub policy_version: PolicyVersion,
    /// The verifier's finding.
    pub verdict: Outcome,
    /// The answer that was read.
    pub extracted: Option<String>,
    /// The rule that found the verdict.
    pub rule: Option<String>,
    /// The verifier and its version.
    pub verifier: String,
    /// Why hygiene keeps it out of training sets.
    pub rejection: Option<Rejection>,
    /// Tokens of the response.
    pub tokens: u64,
    /// Perplexity of the response; `null` where nothing is known of it.
    #[serde(deserialize_with = "number_or_unknown")]
    pub perplexity: f32,
    /// Seed of the draw.
    pub seed: u64,
    /// Names how it was drawn: `stilld inspect provenances` says what by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceId>,
    /// The response.
    pub text: String,
}

impl From<&JudgedTrajectory> for PoolEntry {
    fn from(judged: &JudgedTrajectory) -> Self {
        let (trajectory, verdict) = (&judged.trajectory, &judged.verdict);
        Self {
            id: trajectory.id.clone(),
            problem: trajectory.id.problem.clone(),
            attempt: trajectory.id.number,
            policy_version: trajectory.policy_version(),
            verdict: verdict.outcome,
            extracted: verdict.extracted.clone(),
            rule: verdict.rule.clone(),
            verifier: verdict.verifier.clone(),
            rejection: judged.rejection,
            tokens: trajectory.tokens.len() as u64,
            perplexity: judged.measures.perplexity,
            seed: trajectory.seed,
            provenance: trajectory.provenance.clone(),
            text: trajectory.text.clone(),
        }
    }
}

/// A trajectory of the pool, as it is shown: whole, and with what sealings decided of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The trajectory.
    #[serde(flatten)]
    pub judged: JudgedTrajectory,
    /// What sealings decided of it, oldest first; one that decided as the one before it is not named.
    #[serde(default)]
    pub decisions: Vec<SealingDecision>,
    /// How it was drawn; `None` where that was not recorded.
    #[serde(default, rename = "drawn_by", skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}
