//! How each child of the root is started, found and lost.

use ractor::{Actor, ActorCell, Message, SpawnErr};

use crate::{
    exploration::{curator::Curator, problem_supply::ProblemSupply, sampler::Sampler, verifiers::Verifiers},
    ground::{name::ActorName, routes::Route},
    learning::trainer::Trainer,
    rounds::{conductor::Conductor, evaluator::Evaluator, publisher::Publisher},
    supervision::wiring::Wiring,
};

/// Starts the actor of that name below `root` and opens the way to it.
pub(super) async fn start(name: ActorName, wiring: &Wiring, root: &ActorCell) -> Result<ActorCell, SpawnErr> {
    let routes = &wiring.routes;
    match name {
        ActorName::Publisher => spawn(Publisher, wiring.publisher(), root, &routes.publisher).await,
        ActorName::Trainer => spawn(Trainer, wiring.trainer(), root, &routes.trainer).await,
        ActorName::Sampler => spawn(Sampler, wiring.sampler(), root, &routes.sampler).await,
        ActorName::Verifiers => spawn(Verifiers, wiring.verifiers(), root, &routes.verifiers).await,
        ActorName::Curator => spawn(Curator, wiring.curator(), root, &routes.curator).await,
        ActorName::ProblemSupply => {
            spawn(ProblemSupply, wiring.problem_supply(), root, &routes.problem_supply).await
        }
        ActorName::Conductor => spawn(Conductor, wiring.conductor(), root, &routes.conductor).await,
        ActorName::Evaluator => spawn(Evaluator, wiring.evaluator(), root, &routes.evaluator).await,
    }
}

/// Closes the way to the actor of that name.
pub(super) fn close(name: ActorName, wiring: &Wiring) {
    let routes = &wiring.routes;
    match name {
        ActorName::Publisher => routes.publisher.close(),
        ActorName::Trainer => routes.trainer.close(),
        ActorName::Sampler => routes.sampler.close(),
        ActorName::Verifiers => routes.verifiers.close(),
        ActorName::Curator => routes.curator.close(),
        ActorName::ProblemSupply => routes.problem_supply.close(),
        ActorName::Conductor => routes.conductor.close(),
        ActorName::Evaluator => routes.evaluator.close(),
    }
}

/// Names of actors are global to the process; ours are found by their routes instead.
async fn spawn<A: Actor>(
    actor: A,
    arguments: A::Arguments,
    root: &ActorCell,
    route: &Route<A::Msg>,
) -> Result<ActorCell, SpawnErr>
where
    A::Msg: Message,
{
    let (started, _handle) = root.spawn_linked(None, actor, arguments).await?;
    let cell = started.get_cell();
    route.open(started);
    Ok(cell)
}
