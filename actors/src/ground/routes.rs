//! Where each actor is at the moment.
//!
//! Actors are restarted one after another, so none can hold on to another's address. A route is looked up
//! for every message; while the addressee is down the message is dropped, and with it the credit it carries.

use std::sync::{Arc, PoisonError, RwLock};

use ractor::{ActorRef, Message};

use crate::ground::protocol::{
    ConductorMessage, CuratorMessage, EvaluatorMessage, ProblemSupplyMessage, PublisherMessage, RootMessage,
    SamplerMessage, TrainerMessage, VerifiersMessage,
};

/// The way to one actor; shared by clones.
#[derive(Debug)]
pub(crate) struct Route<M>(Arc<RwLock<Option<ActorRef<M>>>>);

impl<M> Default for Route<M> {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(None)))
    }
}

impl<M> Clone for Route<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message> Route<M> {
    /// Hands a message over; false when the actor is down.
    pub(crate) fn send(&self, message: M) -> bool {
        let slot = self.0.read().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().is_some_and(|actor| actor.cast(message).is_ok())
    }

    /// The actor is up.
    pub(crate) fn open(&self, actor: ActorRef<M>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    /// The actor is down.
    pub(crate) fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The ways to all actors; shared by clones. Whoever wires the actors has them all; an actor has those it may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    pub(crate) root: Route<RootMessage>,
    pub(crate) publisher: Route<PublisherMessage>,
    pub(crate) trainer: Route<TrainerMessage>,
    pub(crate) sampler: Route<SamplerMessage>,
    pub(crate) verifiers: Route<VerifiersMessage>,
    pub(crate) curator: Route<CuratorMessage>,
    pub(crate) problem_supply: Route<ProblemSupplyMessage>,
    pub(crate) conductor: Route<ConductorMessage>,
    pub(crate) evaluator: Route<EvaluatorMessage>,
}
