//! The publisher: keeps the policy in force, and changes it only after the change is durable.
//!
//! Samplers and everyone else learn of policies through a watch: a reader always finds the newest one and
//! never a queue of old ones. Promotions are rare and strictly one after another, so the handler awaits the
//! work that it sends to the blocking pool, and its mailbox is the queue.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{CheckpointId, PolicyOrigin, PolicyRecord, PolicyVersion};
use still_roles::{PolicySnapshot, Weights};
use still_store::StoreError;
use tokio::sync::watch;

use crate::{
    context::Context,
    ground::error::Refusal,
    ground::ledger::{Ledger, effective_version},
    ground::name::ActorName,
    ground::protocol::{ConductorMessage, ProblemSupplyMessage, Promotion, PublisherMessage},
    system::Roles,
};

/// The publisher.
pub(crate) struct Publisher;

/// What it is given.
pub(crate) struct PublisherArguments {
    pub(crate) context: Context,
    pub(crate) policy: Arc<watch::Sender<Option<PolicySnapshot>>>,
}

impl Actor for Publisher {
    type Msg = PublisherMessage;
    type State = PublisherArguments;
    type Arguments = PublisherArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<PublisherMessage>,
        arguments: PublisherArguments,
    ) -> Result<PublisherArguments, ActorProcessingErr> {
        myself.cast(PublisherMessage::Load)?;
        Ok(arguments)
    }

    async fn handle(
        &self,
        _myself: ActorRef<PublisherMessage>,
        message: PublisherMessage,
        state: &mut PublisherArguments,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PublisherMessage::Load => state.load().await?,
            PublisherMessage::Publish(promotion) => state.publish(promotion).await?,
            PublisherMessage::Promote(version, answer) => {
                let result = state.promote(version).await?;
                let _nobody_waits = answer.send(result);
            }
            PublisherMessage::RollBack(answer) => {
                let result = state.roll_back().await?;
                let _nobody_waits = answer.send(result);
            }
        }
        state.context.observer.progressed(ActorName::Publisher, 0, 0);
        Ok(())
    }
}

impl PublisherArguments {
    /// Puts the newest durable policy in force, unless it still is.
    async fn load(&self) -> Result<(), ActorProcessingErr> {
        let newest = self.context.ledger.run(|ledger| ledger.store.current_policy()).await?;
        let in_force = self.policy.borrow().as_ref().map(|policy| policy.version);
        if let Some(record) = newest.filter(|record| Some(record.version) != in_force) {
            let weights = self.weights_of(record.checkpoint.clone()).await?;
            self.announce(record.version, record.origin, weights);
        }
        self.context.observer.state(ActorName::Publisher, ActorState::Running);
        Ok(())
    }

    async fn publish(&self, promotion: Promotion) -> Result<(), ActorProcessingErr> {
        let Promotion { round, checkpoint, weights } = promotion;
        let weights = match weights {
            Some(weights) => weights,
            None => self.weights_of(checkpoint.clone()).await?,
        };
        let now_ms = self.context.observer.now_ms();
        let record = self
            .context
            .ledger
            .run(move |ledger| {
                let origin =
                    round.as_ref().map_or(PolicyOrigin::Base, |round| PolicyOrigin::Round(round.round));
                let policies = ledger.store.policies()?;
                if let Some(known) = policies.iter().find(|known| known.origin == origin) {
                    return Ok::<_, StoreError>(known.clone());
                }
                let version = match (&origin, policies.last()) {
                    (_, Some(newest)) => newest.version.next(),
                    (PolicyOrigin::Base, None) => PolicyVersion(0),
                    (_, None) => PolicyVersion(1),
                };
                let evaluation = round.as_ref().and_then(|round| round.evaluation.as_ref());
                let record = PolicyRecord {
                    version,
                    origin,
                    checkpoint,
                    accuracy: evaluation.map(|evaluation| evaluation.accuracy),
                    published_at_ms: now_ms,
                };
                match round {
                    Some(mut round) => {
                        round.promoted_version = Some(version);
                        ledger.store.finish_round(&round, Some(&record))?;
                    }
                    None => ledger.store.publish(&record)?,
                }
                Ok(record)
            })
            .await?;
        self.announce(record.version, record.origin, weights);
        Ok(())
    }

    async fn promote(
        &self,
        version: PolicyVersion,
    ) -> Result<Result<PolicyVersion, Refusal>, ActorProcessingErr> {
        let policies = self.context.ledger.run(|ledger| ledger.store.policies()).await?;
        let Some(wanted) = policies.iter().find(|record| record.version == version) else {
            return Ok(Err(Refusal::Unknown(format!(
                "no policy has version {version}: the newest is {}",
                policies.last().map_or_else(|| "none".to_owned(), |record| record.version.to_string())
            ))));
        };
        let sought = wanted.clone();
        let check = move |ledger: &Ledger| conflict_refused(ledger.store.check_checkpoint(&sought));
        if let Err(refusal) = self.context.ledger.run(check).await? {
            return Ok(Err(refusal));
        }
        let weights = match self.weights_of(wanted.checkpoint.clone()).await {
            Ok(weights) => weights,
            Err(error) => return Ok(Err(Refusal::Failed(error.to_string()))),
        };
        let record = PolicyRecord {
            version: policies.last().map_or(version, |newest| newest.version).next(),
            origin: PolicyOrigin::Operator(version),
            published_at_ms: self.context.observer.now_ms(),
            ..wanted.clone()
        };
        let (next, origin) = (record.version, record.origin);
        let publish = move |ledger: &Ledger| conflict_refused(ledger.store.publish(&record));
        if let Err(refusal) = self.context.ledger.run(publish).await? {
            return Ok(Err(refusal));
        }
        self.announce(next, origin, weights);
        Ok(Ok(next))
    }

    async fn roll_back(&self) -> Result<Result<PolicyVersion, Refusal>, ActorProcessingErr> {
        let policies = self.context.ledger.run(|ledger| ledger.store.policies()).await?;
        let Some(present) = policies.last() else {
            return Ok(Err(Refusal::NotNow("no policy has been published yet".to_owned())));
        };
        let in_force = effective_version(&policies, present);
        let is_earlier = |record: &&PolicyRecord| {
            record.version < in_force && !matches!(record.origin, PolicyOrigin::Operator(_))
        };
        match policies.iter().rfind(is_earlier) {
            Some(earlier) => self.promote(earlier.version).await,
            None => Ok(Err(Refusal::NotNow(format!("no policy comes before version {in_force}")))),
        }
    }

    async fn weights_of(&self, checkpoint: Option<CheckpointId>) -> Result<Weights, ActorProcessingErr> {
        let roles = Arc::clone(&self.context.roles);
        self.context.ledger.run(move |ledger| load_weights(ledger, &roles, checkpoint.as_ref())).await
    }

    /// The change is durable: put it in force, then say so.
    fn announce(&self, version: PolicyVersion, origin: PolicyOrigin, weights: Weights) {
        self.policy.send_replace(Some(PolicySnapshot { version, weights }));
        self.context.observer.published(version, origin);
        let routes = &self.context.routes;
        // the conductor first: what the supply tells it of this policy must find it known
        routes.conductor.send(ConductorMessage::PolicyPublished(version, origin));
        routes.problem_supply.send(ProblemSupplyMessage::PolicyPublished(version));
    }
}

/// A conflict refuses what an operator asked for; any other error of the store is one.
fn conflict_refused(result: Result<(), StoreError>) -> Result<Result<(), Refusal>, StoreError> {
    match result {
        Err(StoreError::Conflict(reason)) => Ok(Err(Refusal::Failed(reason))),
        other => other.map(Ok),
    }
}

/// The parameters in a checkpoint, or of the base model. Blocks.
pub(crate) fn load_weights(
    ledger: &Ledger,
    roles: &Roles,
    checkpoint: Option<&CheckpointId>,
) -> Result<Weights, ActorProcessingErr> {
    match checkpoint {
        Some(id) => {
            let folder = ledger.checkpoints.folder(id);
            (roles.checkpoint_weights)(&folder).map_err(|reason| {
                format!("checkpoint `{}` cannot be loaded: {reason}", folder.display()).into()
            })
        }
        None => (roles.base_weights)()
            .map_err(|reason| format!("the base model cannot be loaded: {reason}").into()),
    }
}
