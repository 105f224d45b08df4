//! How each child of the root is started, found and lost.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorRef, Message, SpawnErr};
use still_roles::PolicySnapshot;
use tokio::sync::watch;

use crate::{
    context::Context,
    exploration::curator::Curator,
    exploration::problem_supply::ProblemSupply,
    exploration::sampler::Sampler,
    exploration::verifier_pool::VerifierPool,
    ground::name::ActorName,
    ground::routes::Route,
    learning::trainer::Trainer,
    rounds::conductor::Conductor,
    rounds::evaluator::Evaluator,
    rounds::publisher::{Publisher, PublisherArguments},
};

/// Starts the actor of that name below `root` and opens the way to it.
pub(super) async fn start(
    name: ActorName,
    context: &Context,
    policy: &Arc<watch::Sender<Option<PolicySnapshot>>>,
    root: &ActorCell,
) -> Result<ActorCell, SpawnErr> {
    let routes = &context.routes;
    Ok(match name {
        ActorName::Publisher => {
            let arguments = PublisherArguments { context: context.clone(), policy: Arc::clone(policy) };
            open(&routes.publisher, root.spawn_linked(None, Publisher, arguments).await?.0)
        }
        ActorName::Trainer => open(&routes.trainer, spawn(Trainer, context, root).await?),
        ActorName::Sampler => open(&routes.sampler, spawn(Sampler, context, root).await?),
        ActorName::VerifierPool => open(&routes.verifier_pool, spawn(VerifierPool, context, root).await?),
        ActorName::Curator => open(&routes.curator, spawn(Curator, context, root).await?),
        ActorName::ProblemSupply => open(&routes.problem_supply, spawn(ProblemSupply, context, root).await?),
        ActorName::Conductor => open(&routes.conductor, spawn(Conductor, context, root).await?),
        ActorName::Evaluator => open(&routes.evaluator, spawn(Evaluator, context, root).await?),
    })
}

/// Closes the way to the actor of that name.
pub(super) fn close(name: ActorName, context: &Context) {
    let routes = &context.routes;
    match name {
        ActorName::Publisher => routes.publisher.close(),
        ActorName::Trainer => routes.trainer.close(),
        ActorName::Sampler => routes.sampler.close(),
        ActorName::VerifierPool => routes.verifier_pool.close(),
        ActorName::Curator => routes.curator.close(),
        ActorName::ProblemSupply => routes.problem_supply.close(),
        ActorName::Conductor => routes.conductor.close(),
        ActorName::Evaluator => routes.evaluator.close(),
    }
}

async fn spawn<A>(actor: A, context: &Context, root: &ActorCell) -> Result<ActorRef<A::Msg>, SpawnErr>
where
    A: Actor<Arguments = Context>,
{
    // Names of actors are global to the process; ours are found by their routes instead.
    Ok(root.spawn_linked(None, actor, context.clone()).await?.0)
}

fn open<M: Message>(route: &Route<M>, actor: ActorRef<M>) -> ActorCell {
    let cell = actor.get_cell();
    route.open(actor);
    cell
}
