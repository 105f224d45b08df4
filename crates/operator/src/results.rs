//! What a run has brought: every policy that was scored, beside the base model and the imitated one.

use comfy_table::{Table, presets};
use serde::Serialize;
use still_control::duration;
use still_curation::{PairedDifference, Rival};
use still_domain::{Estimate, Evaluation, Outcome, Round, RoundNumber, Split};

use crate::round_table::interval;

/// A policy's score on the held-out problems of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PolicyResult {
    /// `base`, `imitation`, or the round that trained it.
    policy: String,
    /// `promoted`, `rejected`, or how far its round has come; none of the base model.
    phase: Option<&'static str>,
    /// Which held-out problems.
    split: Split,
    /// Share of right answers.
    accuracy: Estimate,
    /// What it has gained on the base model.
    over_base: Option<Gain>,
    /// What it has gained on the imitated policy.
    over_imitation: Option<Gain>,
    /// Attempts of its round that were judged; none of the base model.
    judged: Option<u64>,
    /// Those that were right.
    correct: Option<u64>,
    /// Duration of its round, once it is over.
    seconds: Option<f64>,
}

/// The mean over problems of a policy's share of right answers less another's, on the same problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Gain {
    value: f64,
    /// Lower end of the exact 95 % interval.
    low: f64,
    /// Upper end of it.
    high: f64,
    /// Probability of such a gain or a larger one, were there none: one-sided, exact.
    p_value: f64,
}

impl Gain {
    fn of(own: &Evaluation, other: Option<&Evaluation>, rival: Rival) -> Option<Self> {
        let PairedDifference { value, low, high, p_value, .. } = PairedDifference::of(own, other?, rival)?;
        Some(Self { value, low, high, p_value })
    }

    /// In points, with its interval.
    fn in_points(self) -> String {
        let [value, low, high] = [self.value, self.low, self.high].map(|share| 100.0 * share);
        format!("{value:+.1} ({low:+.1} to {high:+.1}), p = {:.2}", self.p_value)
    }
}

/// The results of `rounds`, oldest first and the base model before them: of each policy those on `dev`, then those on
/// `test`.
pub(crate) fn results(rounds: &[Round]) -> Vec<PolicyResult> {
    let base = rounds.iter().find_map(|round| round.base.as_ref());
    let imitation = rounds.iter().find(|round| round.round == RoundNumber::IMITATION);
    let of_base = |split| {
        base.and_then(|scores| if split == Split::Test { scores.test.as_ref() } else { Some(&scores.dev) })
    };
    let mut found: Vec<PolicyResult> = Vec::new();
    for split in SPLITS {
        found.extend(of_base(split).map(|scores| PolicyResult::new("base".to_owned(), split, scores)));
    }
    for round in rounds {
        for split in SPLITS {
            let Some(scores) = of_round(round, split) else { continue };
            let is_imitation = round.round == RoundNumber::IMITATION;
            let imitated = imitation.filter(|_| !is_imitation).and_then(|round| of_round(round, split));
            let outcomes = &round.tally.outcomes;
            let name = if is_imitation { "imitation".to_owned() } else { format!("round {}", round.round) };
            found.push(PolicyResult {
                phase: Some(round.phase.name()),
                over_base: Gain::of(scores, of_base(split), Rival::Base),
                over_imitation: Gain::of(scores, imitated, Rival::Imitated),
                judged: Some(outcomes.values().sum()),
                correct: Some(outcomes.get(&Outcome::Correct).copied().unwrap_or_default()),
                seconds: round.ended_at_ms.map(|end| end.saturating_sub(round.started_at_ms) as f64 / 1e3),
                ..PolicyResult::new(name, split, scores)
            });
        }
    }
    found
}

const SPLITS: [Split; 2] = [Split::Dev, Split::Test];

fn of_round(round: &Round, split: Split) -> Option<&Evaluation> {
    if split == Split::Test { round.test.as_ref() } else { round.evaluation.as_ref() }
}

impl PolicyResult {
    fn new(policy: String, split: Split, scores: &Evaluation) -> Self {
        Self {
            policy,
            phase: None,
            split,
            accuracy: scores.accuracy,
            over_base: None,
            over_imitation: None,
            judged: None,
            correct: None,
            seconds: None,
        }
    }
}

/// Results as a table for people; shares in percent, gains in points, with 95 % intervals.
pub(crate) fn table(results: &[PolicyResult]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "policy",
        "result",
        "split",
        "n",
        "right",
        "over base",
        "over imitation",
        "attempts, right",
        "wall",
    ]);
    let gain = |gain: Option<Gain>| gain.map(Gain::in_points).unwrap_or_default();
    for result in results {
        let attempts = result.judged.zip(result.correct).filter(|(judged, _)| *judged > 0);
        table.add_row([
            result.policy.clone(),
            result.phase.unwrap_or_default().to_owned(),
            if result.split == Split::Test { "test" } else { "dev" }.to_owned(),
            result.accuracy.total.to_string(),
            interval(&result.accuracy),
            gain(result.over_base),
            gain(result.over_imitation),
            attempts.map(|(judged, correct)| format!("{judged}, {correct}")).unwrap_or_default(),
            result.seconds.map(duration).unwrap_or_default(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use still_curation::statistics;
    use still_domain::{PolicyScores, PolicyVersion, ProblemId, ProblemScore, RoundPhase};

    use super::*;

    /// Scores on 20 problems, of which the first `correct` are right.
    fn scores(correct: u32) -> Evaluation {
        let score = |place: u32| ProblemScore {
            problem: ProblemId::new(place.to_string()),
            level: None,
            correct: u32::from(place < correct),
            total: 1,
        };
        statistics::evaluation((0..20).map(score).collect(), &[], 0.0)
    }

    fn round(number: u32, dev: u32, test: Option<u32>) -> Round {
        let mut round = Round::begin(RoundNumber(number), PolicyVersion(0), RoundPhase::Promoted, 1_000);
        round.evaluation = Some(scores(dev));
        round.test = test.map(scores);
        round.ended_at_ms = Some(91_000);
        round
    }

    #[test]
    fn each_policy_is_compared_with_the_base_and_with_imitation_on_each_split() {
        let mut imitation = round(0, 4, Some(3));
        imitation.base = Some(PolicyScores { dev: scores(4), test: Some(scores(12)) });
        let mut second = round(1, 12, Some(8));
        second.tally.outcomes = [(Outcome::Correct, 7), (Outcome::Wrong, 3)].into();
        let found = results(&[imitation, second]);
        let told: Vec<_> = found.iter().map(|result| (result.policy.as_str(), result.split)).collect();
        let (dev, test) = (Split::Dev, Split::Test);
        let expected = [
            ("base", dev),
            ("base", test),
            ("imitation", dev),
            ("imitation", test),
            ("round 1", dev),
            ("round 1", test),
        ];
        assert_eq!(told, expected);
        assert_eq!((found[2].over_imitation, found[0].over_base), (None, None));
        // nine problems lost and none won
        let lost = found[3].over_base.unwrap();
        assert!(
            (lost.value + 0.45).abs() < 1e-12 && lost.high < 0.0 && (lost.p_value - 1.0).abs() < 1e-12,
            "{lost:?}"
        );
        // eight problems won and none lost: 2^-8
        let won = found[4].over_imitation.unwrap();
        assert!((won.p_value - 0.5_f64.powi(8)).abs() < 1e-12 && won.low > 0.0, "{won:?}");
        assert_eq!(found[4].over_base, Some(won));
        assert_eq!((found[5].judged, found[5].correct, found[5].seconds), (Some(10), Some(7), Some(90.0)));
        let table = table(&found);
        for told in ["imitation", "+40.0 (", "10, 7", "1 min 30 s", "-45.0 ("] {
            assert!(table.contains(told), "{told}: {table}");
        }
    }

    #[test]
    fn without_imitation_and_base_scores_nothing_is_compared() {
        let found = results(&[round(1, 3, None)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].over_base, found[0].over_imitation), (None, None));
    }
}
