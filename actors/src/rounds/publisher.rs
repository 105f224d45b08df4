//! The publisher: keeps the policy in force, and changes it only after the change is durable.
//!
//! Samplers and everyone else learn of policies through a watch: a reader always finds the newest one and
//! never a queue of old ones. Promotions are rare and strictly one after another, so the handler awaits the
//! work that it sends to a blocking thread, and its mailbox is the queue.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use still_control::ActorState;
use still_domain::{PolicyOrigin, PolicyRecord, PolicyRef, PolicyVersion};
use still_store::StoreError;
use tokio::sync::watch;

use crate::ground::{
    error::Refusal,
    name::ActorName,
    observe::Observer,
    protocol::{ConductorMessage, ProblemSupplyMessage, Promotion, PublisherMessage},
    routes::Route,
    store_access::{StoreAccess, effective_version},
};

/// The publisher.
pub(crate) struct Publisher;

/// What it is given, and all that it knows.
pub(crate) struct PublisherArguments {
    pub(crate) policy: Arc<watch::Sender<Option<PolicyRef>>>,
    pub(crate) access: StoreAccess,
    pub(crate) observer: Observer,
    pub(crate) ports: PublisherPorts,
}

/// Whom it may tell.
pub(crate) struct PublisherPorts {
    pub(crate) conductor: Route<ConductorMessage>,
    pub(crate) problem_supply: Route<ProblemSupplyMessage>,
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
        state.observer.progressed(ActorName::Publisher, 0, 0);
        Ok(())
    }
}

impl PublisherArguments {
    /// Puts the newest durable policy in force, unless it still is.
    async fn load(&self) -> Result<(), ActorProcessingErr> {
        let newest = self.access.run(|access| access.store.current_policy()).await?;
        if let Some(record) = newest.filter(|record| *self.policy.borrow() != Some(PolicyRef::from(record))) {
            self.announce(&record);
        }
        self.observer.state(ActorName::Publisher, ActorState::Running);
        Ok(())
    }

    async fn publish(&self, promotion: Promotion) -> Result<(), ActorProcessingErr> {
        let Promotion { round, checkpoint } = promotion;
        let now_ms = self.observer.now_ms();
        let record = self
            .access
            .run(move |access| {
                let origin =
                    round.as_ref().map_or(PolicyOrigin::Base, |round| PolicyOrigin::Round(round.round));
                let policies = access.store.policies()?;
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
                        access.store.finish_round(&round, Some(&record))?;
                    }
                    None => access.store.publish(&record)?,
                }
                Ok(record)
            })
            .await?;
        self.announce(&record);
        Ok(())
    }

    async fn promote(
        &self,
        version: PolicyVersion,
    ) -> Result<Result<PolicyVersion, Refusal>, ActorProcessingErr> {
        let policies = self.access.run(|access| access.store.policies()).await?;
        let Some(wanted) = policies.iter().find(|record| record.version == version) else {
            return Ok(Err(Refusal::Unknown(format!(
                "no policy has version {version}: the newest is {}",
                policies.last().map_or_else(|| "none".to_owned(), |record| record.version.to_string())
            ))));
        };
        let sought = wanted.clone();
        let check = move |access: &StoreAccess| conflict_refused(access.store.check_checkpoint(&sought));
        if let Err(refusal) = self.access.run(check).await? {
            return Ok(Err(refusal));
        }
        if let Some(checkpoint) = wanted.checkpoint.clone() {
            let named = checkpoint.clone();
            if !self.access.run(move |access| access.checkpoints.is_intact(&checkpoint)).await? {
                let reason = format!("checkpoint {named} of policy {version} is missing or damaged");
                return Ok(Err(Refusal::Failed(reason)));
            }
        }
        let record = PolicyRecord {
            version: policies.last().map_or(version, |newest| newest.version).next(),
            origin: PolicyOrigin::Operator(version),
            published_at_ms: self.observer.now_ms(),
            ..wanted.clone()
        };
        let (next, published) = (record.version, record.clone());
        let publish = move |access: &StoreAccess| conflict_refused(access.store.publish(&published));
        if let Err(refusal) = self.access.run(publish).await? {
            return Ok(Err(refusal));
        }
        self.announce(&record);
        Ok(Ok(next))
    }

    async fn roll_back(&self) -> Result<Result<PolicyVersion, Refusal>, ActorProcessingErr> {
        let policies = self.access.run(|access| access.store.policies()).await?;
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

    /// The change is durable: put it in force, then say so.
    fn announce(&self, record: &PolicyRecord) {
        self.policy.send_replace(Some(PolicyRef::from(record)));
        let (version, origin) = (record.version, record.origin);
        self.observer.published(version, origin);
        // the conductor first: what the supply tells it of this policy must find it known
        self.ports.conductor.send(ConductorMessage::PolicyPublished(version, origin));
        self.ports.problem_supply.send(ProblemSupplyMessage::PolicyPublished(version));
    }
}

/// A conflict refuses what an operator asked for; any other error of the store is one.
fn conflict_refused(result: Result<(), StoreError>) -> Result<Result<(), Refusal>, StoreError> {
    match result {
        Err(StoreError::Conflict(reason)) => Ok(Err(Refusal::Failed(reason))),
        other => other.map(Ok),
    }
}
