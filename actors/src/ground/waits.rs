//! Who waits for whom, and for how long: read off what every actor and device shows, without asking any of them.

use still_control::{ActorStatus, DeviceState, DeviceStatus, Wait};
use still_domain::RoundPhase;

use crate::ground::{
    name::ActorName,
    status_board::{EvaluationProgress, Measuring, RoundProgress, TrainingProgress},
};

/// What waits are read off.
#[expect(clippy::struct_excessive_bools, reason = "four facts that hold independently of one another")]
pub(crate) struct Standing<'a> {
    pub(crate) has_policy: bool,
    pub(crate) exploration_paused: bool,
    pub(crate) training_paused: bool,
    pub(crate) draining: bool,
    pub(crate) round: &'a RoundProgress,
    pub(crate) training: &'a TrainingProgress,
    pub(crate) evaluation: EvaluationProgress,
    pub(crate) actors: &'a [ActorStatus],
    pub(crate) devices: &'a [DeviceStatus],
}

/// What an operator is called who must give a word.
const OPERATOR: &str = "the operator";

/// Every wait, in start order of those who wait. One who has nothing to do waits for nobody.
pub(crate) fn waits(standing: &Standing<'_>) -> Vec<Wait> {
    let mut waits = Vec::new();
    standing.training(&mut waits);
    standing.sampling(&mut waits);
    standing.judging(&mut waits);
    standing.committing(&mut waits);
    standing.supplying(&mut waits);
    standing.conducting(&mut waits);
    standing.evaluating(&mut waits);
    waits
}

impl Standing<'_> {
    fn training(&self, waits: &mut Vec<Wait>) {
        if self.actor(ActorName::Trainer).is_none_or(|trainer| trainer.in_flight == 0) {
            return;
        }
        if self.training_paused {
            return waits.push(wait(ActorName::Trainer, OPERATOR, "training is paused".to_owned(), None));
        }
        let TrainingProgress { step, total_steps, step_share, .. } = self.training;
        let mut what = format!("step {} of {total_steps}", step + 1);
        if let Some(share) = step_share {
            what.push_str(&format!(", {:.0} % of it done", 100.0 * share));
        }
        self.devices_of(ActorName::Trainer, &what, waits);
    }

    fn sampling(&self, waits: &mut Vec<Wait>) {
        let Some(sampler) = self.actor(ActorName::Sampler) else { return };
        if sampler.queued + sampler.in_flight == 0 {
            return;
        }
        if !self.has_policy {
            let reason = format!("a policy, for {} attempts", sampler.queued);
            return waits.push(self.for_actor(ActorName::Sampler, ActorName::Publisher, reason));
        }
        self.devices_of(ActorName::Sampler, "rollouts", waits);
    }

    fn judging(&self, waits: &mut Vec<Wait>) {
        let Some(verifiers) = self.actor(ActorName::Verifiers).filter(|actor| actor.in_flight > 0) else {
            return;
        };
        let reason = format!("{} judgements at work, {} behind them", verifiers.in_flight, verifiers.queued);
        waits.push(wait(ActorName::Verifiers, "its workers", reason, Some(verifiers.idle_seconds)));
    }

    fn committing(&self, waits: &mut Vec<Wait>) {
        let Some(curator) = self.actor(ActorName::Curator).filter(|curator| curator.in_flight > 0) else {
            return;
        };
        let reason = format!("a flush of {} trajectories", curator.in_flight);
        waits.push(wait(ActorName::Curator, "the store", reason, Some(curator.idle_seconds)));
    }

    fn supplying(&self, waits: &mut Vec<Wait>) {
        let Some(supply) = self.actor(ActorName::ProblemSupply) else { return };
        if self.exploration_paused && supply.queued > 0 {
            return waits.push(wait(
                ActorName::ProblemSupply,
                OPERATOR,
                "exploration is paused".to_owned(),
                None,
            ));
        }
        if supply.in_flight == 0 {
            return;
        }
        let held = |name| self.actor(name).map_or(0, |actor| actor.queued + actor.in_flight);
        let on_the_way = [ActorName::Sampler, ActorName::Verifiers, ActorName::Curator];
        if let Some(busiest) = on_the_way.into_iter().max_by_key(|name| held(*name)) {
            let end = if self.draining { "before the drain is done" } else { "to come back" };
            let reason = format!("{} attempts {end}", supply.in_flight);
            waits.push(self.for_actor(ActorName::ProblemSupply, busiest, reason));
        }
    }

    fn conducting(&self, waits: &mut Vec<Wait>) {
        let (Some(number), Some(phase)) = (self.round.round, self.round.phase) else { return };
        let measured = match self.round.measuring {
            Some(Measuring::Gap) => Some(("the learner's arithmetic", "how far engines are from it")),
            Some(Measuring::Perplexities) => {
                Some(("the scorer", "perplexities of the pool under one policy"))
            }
            None => None,
        };
        if let Some((whom, what)) = measured {
            let reason = format!("{what}, before round {number} is sealed");
            return waits.push(wait(ActorName::Conductor, whom, reason, None));
        }
        let (whom, reason) = match phase {
            RoundPhase::Exploring => {
                let RoundProgress { judged, quota, .. } = *self.round;
                let reason = if quota > 0 && judged >= quota {
                    format!("the last attempts given out for round {number}")
                } else {
                    format!("judgement {} of {quota} of round {number}", judged + 1)
                };
                (ActorName::Curator, reason)
            }
            RoundPhase::Training => (ActorName::Trainer, format!("the training of round {number}")),
            RoundPhase::Evaluating => (ActorName::Evaluator, format!("the score of round {number}")),
            RoundPhase::Promoted | RoundPhase::Rejected => return,
        };
        waits.push(self.for_actor(ActorName::Conductor, whom, reason));
    }

    fn evaluating(&self, waits: &mut Vec<Wait>) {
        let Some(evaluator) = self.actor(ActorName::Evaluator).filter(|one| one.in_flight + one.queued > 0)
        else {
            return;
        };
        let EvaluationProgress { judged, total } = self.evaluation;
        let held: u64 =
            self.devices.iter().filter(|one| one.actor == evaluator.name).map(|one| one.in_flight).sum();
        // before the first is judged their number is not known
        let reason =
            if total == 0 { "answers".to_owned() } else { format!("answers, {judged} of {total} judged") };
        if held == 0 {
            return waits.push(self.for_actor(ActorName::Evaluator, ActorName::Verifiers, reason));
        }
        self.devices_of(ActorName::Evaluator, &reason, waits);
    }

    /// A wait for every device of an actor that is at something, or would be if it were up.
    fn devices_of(&self, actor: ActorName, what: &str, waits: &mut Vec<Wait>) {
        for device in self.devices.iter().filter(|device| device.actor == actor.as_str()) {
            let DeviceStatus { name, state, in_flight, silent_seconds, last_failure, .. } = device;
            let failure = last_failure.as_deref().unwrap_or("no reason is known");
            let reason = match state {
                DeviceState::Up if *in_flight == 0 => continue,
                DeviceState::Up if *in_flight == 1 => what.to_owned(),
                DeviceState::Up => format!("{in_flight} {what}"),
                DeviceState::Starting => "it is being opened".to_owned(),
                DeviceState::BackingOff => format!("it failed and is opened again: {failure}"),
                DeviceState::LeftOut => format!("it failed too often and is left out: {failure}"),
            };
            waits.push(wait(actor, name, reason, Some(*silent_seconds)));
        }
    }

    fn for_actor(&self, who: ActorName, whom: ActorName, reason: String) -> Wait {
        wait(who, whom.as_str(), reason, self.actor(whom).map(|actor| actor.idle_seconds))
    }

    fn actor(&self, name: ActorName) -> Option<&ActorStatus> {
        self.actors.iter().find(|actor| actor.name == name.as_str())
    }
}

fn wait(who: ActorName, waits_for: &str, reason: String, silent_seconds: Option<f64>) -> Wait {
    Wait { who: who.to_string(), waits_for: waits_for.to_owned(), reason, silent_seconds }
}

#[cfg(test)]
mod tests {
    use still_control::ActorState;
    use still_domain::RoundNumber;

    use super::*;

    fn actor(name: ActorName, queued: u64, in_flight: u64) -> ActorStatus {
        let state = ActorState::Running;
        ActorStatus { name: name.to_string(), state, queued, in_flight, idle_seconds: 1.0, restarts: 0 }
    }

    fn device(name: &str, state: DeviceState, in_flight: u64) -> DeviceStatus {
        DeviceStatus {
            name: name.to_owned(),
            actor: ActorName::Sampler.to_string(),
            state,
            in_flight,
            capacity: 8,
            silent_seconds: 0.5,
            restarts: 0,
            last_failure: (state != DeviceState::Up).then(|| "unplugged".to_owned()),
        }
    }

    #[test]
    fn every_wait_names_who_waits_for_whom_and_how_long_that_one_has_been_silent() {
        let round = RoundProgress {
            round: Some(RoundNumber(2)),
            phase: Some(RoundPhase::Exploring),
            judged: 3,
            quota: 10,
            ..RoundProgress::default()
        };
        let actors = [
            actor(ActorName::Sampler, 5, 2),
            actor(ActorName::ProblemSupply, 9, 7),
            actor(ActorName::Curator, 0, 0),
        ];
        let devices = [
            device("sampler-0", DeviceState::Up, 2),
            device("sampler-1", DeviceState::LeftOut, 0),
            device("sampler-2", DeviceState::Up, 0),
        ];
        let mut standing = Standing {
            has_policy: true,
            exploration_paused: false,
            training_paused: false,
            draining: false,
            round: &round,
            training: &TrainingProgress::default(),
            evaluation: EvaluationProgress::default(),
            actors: &actors,
            devices: &devices,
        };
        let sentences = |standing: &Standing<'_>| {
            let sentence = |wait: &Wait| {
                format!("{} > {}: {} ({:?})", wait.who, wait.waits_for, wait.reason, wait.silent_seconds)
            };
            waits(standing).iter().map(sentence).collect::<Vec<_>>()
        };
        assert_eq!(
            sentences(&standing),
            [
                "sampler > sampler-0: 2 rollouts (Some(0.5))",
                "sampler > sampler-1: it failed too often and is left out: unplugged (Some(0.5))",
                "problem_supply > sampler: 7 attempts to come back (Some(1.0))",
                "conductor > curator: judgement 4 of 10 of round 2 (Some(1.0))",
            ]
        );
        standing.exploration_paused = true;
        assert!(sentences(&standing).iter().any(|wait| wait.starts_with("problem_supply > the operator")));
        let measured = RoundProgress { measuring: Some(Measuring::Perplexities), ..round.clone() };
        standing.round = &measured;
        let told = sentences(&standing).pop().unwrap();
        let expected = "conductor > the scorer: perplexities of the pool under one policy, before round 2 is sealed (None)";
        assert_eq!(told, expected);
    }
}
