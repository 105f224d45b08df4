//! Who may say what to whom: every message of the program.
//!
//! Facts go up in the past tense (`AttemptsJudged`), imperatives go down (`Generate`). A message names its
//! senders in its first line; *itself* marks what an actor tells itself when background work is done.
//!
//! ```text
//! an attempt
//!   ProblemSupply ─Generate─► Sampler ─Judge─► Verifiers ─Commit─► Curator
//!   Sampler, ProblemSupply ─Unanswered─► Verifiers        (what can never be served)
//!   Sampler ─AttemptLost─► ProblemSupply                     (it is asked for again)
//!   Sampler ─AttemptRefused─► ProblemSupply                  (its problem is set aside)
//!   Curator ─AttemptsJudged─► Conductor, ProblemSupply
//!
//! a round
//!   Conductor ─OpenRound, CutPlan, CloseRound─► ProblemSupply
//!   ProblemSupply ─RoundPlanned, RoundDelivered, SupplyRanDry─► Conductor
//!   Conductor ─Train─► Trainer ─TrainingBegun, PolicyTrained, TrainingRefused─► Conductor
//!   Conductor ─Evaluate─► Evaluator ─PolicyScored, EvaluatorReady─► Conductor
//!   Evaluator ─Judge─► Verifiers ─AnswerJudged─► Evaluator
//!   Conductor ─Publish─► Publisher ─PolicyPublished─► Conductor, ProblemSupply
//!   Publisher ─(a watch)─► Sampler, Curator
//!
//! the end
//!   Conductor ─Finish─► Root
//!   Root ─Drain─► ProblemSupply, Trainer ─Drained─► Root
//!
//! what the daemon and its clients want
//!   System ─Promote, RollBack─► Publisher
//!   System ─Checkpoint, SwitchesChanged─► Trainer
//!   System ─ProblemsImported, SwitchesChanged─► ProblemSupply
//!   System ─RecordsImported, Seal─► Conductor
//!   System ─Drain, Finish, Kill─► Root
//! ```
//!
//! Policies travel by name ([`PolicyRef`](still_domain::PolicyRef)) and never as parameters.
//!
//! Queues of attempts and answers are bounded by the [`Credit`](crate::ground::credit::Credit) that each of them carries.
//!
//! A message to an actor that is down is dropped, with its credit. That is safe by the order of restarts alone:
//! whoever started after the actor that failed is started again with it. A sender that started later thus comes
//! up again itself and asks anew; one that started earlier reported a fact that is in the store, which the
//! addressee reads when it comes up, or had its work asked for by an actor that is started again.

mod work;

use std::sync::Arc;

use ractor::{ActorProcessingErr, RpcReplyPort};
use still_curation::Candidate;
use still_domain::{
    AttemptId, CheckpointId, PolicyName, PolicyOrigin, PolicyScores, PolicyVersion, RoundNumber,
};
use still_roles::{GeneratorEvent, TrainingEvent};

pub use self::work::{
    Attempt, CommittedGroup, Delivery, Dryness, EvaluationOrder, ExplorationOrder, ExploredRound,
    GapMeasured, Judged, Lost, Promotion, Purpose, Rescored, TrainedPolicy, TrainingOrder, Unanswered,
    Unjudged,
};
use crate::ground::{error::Refusal, finish::FinishReason, name::ActorName};

/// What an operator's imperative brought.
pub type Answer<T> = RpcReplyPort<Result<T, Refusal>>;

/// To the publisher.
#[derive(Debug)]
pub enum PublisherMessage {
    /// Itself: put the newest durable policy in force.
    Load,
    /// Conductor: make this promotion durable, then put it in force. The same round twice is one promotion.
    Publish(Promotion),
    /// System: put an earlier policy in force again, under a new version.
    Promote(PolicyVersion, Answer<PolicyVersion>),
    /// System: put the policy before the present one in force again, under a new version.
    RollBack(Answer<PolicyVersion>),
}

/// To the trainer.
#[derive(Debug)]
pub enum TrainerMessage {
    /// Conductor: train, going on from the round's last checkpoint. The same order twice is one job.
    Train(TrainingOrder),
    /// System: write a checkpoint after this step.
    Checkpoint(Answer<CheckpointId>),
    /// System: the switches changed.
    SwitchesChanged,
    /// Root: write a checkpoint and take no further step.
    Drain,
    /// Itself: the training run reported something.
    Told {
        /// Which opening of the run.
        incarnation: u64,
        /// What it reported.
        event: TrainingEvent,
    },
    /// Itself, after a back-off: open the run again.
    Reopen,
    /// Itself, now and then: see whether the run is alive.
    TakePulse,
}

/// To the sampler.
#[derive(Debug)]
pub enum SamplerMessage {
    /// Problem supply: make this attempt.
    Generate(Attempt),
    /// Itself: the watch holds a newer policy.
    PolicyPublished,
    /// Itself: a generator reported something.
    Told {
        /// Its device, from 0.
        device: usize,
        /// Which opening of it.
        incarnation: u64,
        /// What it reported.
        event: GeneratorEvent,
    },
    /// Itself, after a back-off: open this device again.
    Reopen {
        /// The device, from 0.
        device: usize,
    },
    /// Itself, now and then: see whether every device at work is alive.
    TakePulses,
}

/// To the verifiers.
#[derive(Debug)]
pub enum VerifiersMessage {
    /// Sampler and evaluator: judge this rollout.
    Judge(Box<Unjudged>),
    /// Sampler and problem supply: nobody can answer this attempt.
    Unanswered(Box<Unanswered>),
    /// Itself: a worker came to a verdict, or gave up on one.
    Judged(Box<Judged>),
}

/// To the curator.
#[derive(Debug)]
pub enum CuratorMessage {
    /// Verifiers: make this rollout durable.
    Commit(Box<Judged>),
    /// Itself: a group is durable, or is not.
    GroupCommitted(Result<CommittedGroup, ActorProcessingErr>),
}

/// To the problem supply.
#[derive(Debug)]
pub enum ProblemSupplyMessage {
    /// Itself: read problems and attempts.
    Load,
    /// Conductor: give out attempts for this round. The same round twice changes nothing.
    OpenRound(ExplorationOrder),
    /// Conductor: give out no more for the open round; in lockstep, say what was.
    CutPlan,
    /// Conductor: the round's set is sealed; give out what the policy lag allows.
    CloseRound {
        /// The round.
        round: RoundNumber,
        /// Attempts durable beyond those that the round counted.
        ahead: u64,
    },
    /// Curator: these attempts are durable.
    AttemptsJudged(Arc<[Candidate]>),
    /// Sampler: this attempt came to nothing, and its credit is given back.
    AttemptLost {
        /// The attempt.
        id: AttemptId,
        /// What stood in the way.
        reason: String,
    },
    /// Sampler: this attempt can never be served.
    AttemptRefused(AttemptId),
    /// Publisher: a policy is in force.
    PolicyPublished(PolicyVersion),
    /// System: the store holds new or revived problems.
    ProblemsImported,
    /// System: the switches changed.
    SwitchesChanged,
    /// Root: give out nothing more, and say when nothing is under way.
    Drain,
}

/// To the conductor.
#[derive(Debug)]
pub enum ConductorMessage {
    /// Itself: read rounds and pool.
    Load,
    /// Problem supply: in lockstep, this many attempts make up the round.
    RoundPlanned {
        /// The round.
        round: RoundNumber,
        /// Attempts planned.
        attempts: u64,
    },
    /// Problem supply: nothing is under way and no problem may be attempted now.
    SupplyRanDry(Dryness),
    /// Problem supply, but not in lockstep: what the round wanted is durable, the longest thoughts included.
    RoundDelivered(Delivery),
    /// Curator: these attempts are durable.
    AttemptsJudged(Arc<[Candidate]>),
    /// A round's training has begun, or goes on.
    TrainingBegun {
        /// The round.
        round: RoundNumber,
        /// Examples of its set that are longer than the learner takes.
        left_out: u64,
    },
    /// Trainer: a job is done.
    PolicyTrained(TrainedPolicy),
    /// Trainer: the round's set can never be trained on.
    TrainingRefused {
        /// The round.
        round: RoundNumber,
        /// Why.
        reason: String,
    },
    /// Evaluator: it is up and knows of nothing to score.
    EvaluatorReady,
    /// Evaluator: a policy is scored.
    PolicyScored {
        /// The round that asked for it.
        round: RoundNumber,
        /// The policy.
        policy: PolicyName,
        /// Its scores.
        scores: Box<PolicyScores>,
    },
    /// Publisher: a policy is durable and in force.
    PolicyPublished(PolicyVersion, PolicyOrigin),
    /// System: close the round's exploration now.
    Seal(Answer<RoundNumber>),
    /// System: the store holds new demonstrations or problems.
    RecordsImported,
    /// Itself: what a round's set could be chosen from is scored, or cannot be.
    PoolRescored(RoundNumber, Result<Rescored, ActorProcessingErr>),
    /// Itself: how far the engines are from the learner is measured, or cannot be.
    GapMeasured(RoundNumber, Result<GapMeasured, ActorProcessingErr>),
    /// Itself: a round is over for which there was nothing to train on; the next one may begin.
    RoundOver,
    /// Itself: the longest time of exploration has passed.
    ExplorationTimedOut(RoundNumber),
}

/// To the evaluator.
#[derive(Debug)]
pub enum EvaluatorMessage {
    /// Conductor: score this policy. The same one twice is one evaluation.
    Evaluate(EvaluationOrder),
    /// Itself: its generator reported something.
    Told {
        /// Which opening of it.
        incarnation: u64,
        /// What it reported.
        event: GeneratorEvent,
    },
    /// Itself, after a back-off: open the generator again.
    Reopen,
    /// Itself, now and then: see whether the generator is alive.
    TakePulse,
    /// Verifiers: an answer is judged.
    AnswerJudged(Box<Judged>),
}

/// To the root supervisor.
#[derive(Debug)]
pub enum RootMessage {
    /// Itself, after a back-off: start the stopped actors again.
    StartAgain {
        /// The restart that this timer belongs to.
        restart: u64,
    },
    /// Conductor: every round that was wanted is over. System: stop at once.
    Finish(FinishReason),
    /// System: finish what is in flight, then end.
    Drain,
    /// Problem supply and trainer: nothing of theirs is under way any more.
    Drained(ActorName),
    /// Itself: the longest time of a drain has passed.
    DrainTimedOut,
    /// System, in builds with fault injection: kill an actor.
    #[cfg(feature = "fault-injection")]
    Kill(ActorName),
}
