//! What the run works on, as it is listed: problems, demonstrations, and the sets made of them.

use serde::{Deserialize, Serialize};
use still_domain::{
    AnswerKind, Demonstration, DemonstrationId, ProblemId, RoundNumber, Split, TrainingSet, TrainingSetId,
};

/// Which problems to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemQuery {
    /// Only problems of this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Only problems for this use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// At most this many; `None` lists all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Which problem to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemShowQuery {
    /// Its name.
    pub id: ProblemId,
}

/// Problems with what has come of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProblemList {
    /// Problems that the query names, before its limit.
    pub total: u64,
    /// The problems.
    pub problems: Vec<ProblemLine>,
}

/// A problem with what has come of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProblemLine {
    /// Its name.
    pub id: ProblemId,
    /// How an answer is judged.
    #[serde(default)]
    pub kind: AnswerKind,
    /// Its level.
    pub level: Option<u8>,
    /// What it is for.
    pub split: Split,
    /// The file or task that it came from.
    #[serde(default)]
    pub source: String,
    /// The statement.
    pub text: String,
    /// The gold answer.
    pub gold: String,
    /// Attempts judged, those that the verifier failed on included.
    pub attempts: u64,
    /// Of these, correct.
    pub correct: u64,
    /// Of these, cut off without a right answer.
    #[serde(default)]
    pub truncated: u64,
    /// Where it stands: `fresh`, `open`, `retired`, `parked`, `exhausted`, or `unusable` of one that the run cannot ask or
    /// judge; `None` of one that is held out.
    #[serde(default)]
    pub state: Option<String>,
    /// How often the newest policy is expected to solve it, as a share: the mean of its posterior.
    #[serde(default)]
    pub pass_rate: Option<f64>,
    /// How far that is known: the standard deviation of the posterior.
    #[serde(default)]
    pub pass_rate_deviation: Option<f64>,
}

/// Which demonstrations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationQuery {
    /// At most this many; `None` lists all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Which demonstration to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationShowQuery {
    /// Its name.
    pub id: DemonstrationId,
}

/// Demonstrations, in their order of import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemonstrationList {
    /// Demonstrations there are, before the limit.
    pub total: u64,
    /// The demonstrations.
    pub demonstrations: Vec<DemonstrationLine>,
}

/// A demonstration as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemonstrationLine {
    /// Its name.
    pub id: DemonstrationId,
    /// Its level.
    pub level: Option<u8>,
    /// The file or task that it came from.
    pub source: String,
    /// The statement.
    pub problem: String,
    /// Length of the response, in characters.
    pub response_characters: u64,
}

/// A sealed training set as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLine {
    /// Its name, a hash of its content.
    pub id: TrainingSetId,
    /// The round that trained on it.
    pub round: RoundNumber,
    /// Demonstrations in it.
    pub demonstrations: u64,
    /// Trajectories in it.
    pub trajectories: u64,
    /// Preference pairs in it.
    pub pairs: u64,
    /// Whether the content is what its name says.
    pub is_intact: bool,
}

impl From<&Demonstration> for DemonstrationLine {
    fn from(demonstration: &Demonstration) -> Self {
        Self {
            id: demonstration.id.clone(),
            level: demonstration.level,
            source: demonstration.source.clone(),
            problem: demonstration.problem.clone(),
            response_characters: demonstration.response.chars().count() as u64,
        }
    }
}

impl From<&TrainingSet> for SetLine {
    fn from(set: &TrainingSet) -> Self {
        let content = &set.content;
        Self {
            id: set.id.clone(),
            round: content.round,
            demonstrations: content.demonstrations.len() as u64,
            trajectories: content.trajectories.len() as u64,
            pairs: content.pairs.len() as u64,
            is_intact: set.is_intact(),
        }
    }
}
