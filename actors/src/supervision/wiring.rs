//! What the actors are made of, and what each of them is given: its section of the configuration, its role, and the
//! ways to those whom it may tell. Nobody else has it all.

use std::sync::Arc;

use still_domain::PolicyRef;
use tokio::sync::watch;

use crate::{
    config::SystemConfig,
    exploration::{
        curator::{CuratorArguments, CuratorPorts},
        problem_supply::{ProblemSupplyArguments, ProblemSupplyPorts},
        sampler::{SamplerArguments, SamplerPorts},
        verifiers::{VerifiersArguments, VerifiersPorts},
    },
    ground::{observe::Observer, routes::Routes, store_access::StoreAccess, switches::Switches},
    learning::trainer::{TrainerArguments, TrainerPorts},
    rounds::{
        conductor::{ConductorArguments, ConductorPorts},
        evaluator::{EvaluatorArguments, EvaluatorPorts},
        publisher::{PublisherArguments, PublisherPorts},
        round_config::MachineConfig,
        sealing::SealingConfig,
    },
    supervision::Roles,
};

/// All that there is. Only the supervisor has it.
pub(crate) struct Wiring {
    pub(crate) config: SystemConfig,
    pub(crate) access: StoreAccess,
    pub(crate) roles: Roles,
    pub(crate) routes: Routes,
    pub(crate) switches: Arc<Switches>,
    pub(crate) observer: Observer,
    /// The policy in force, which the publisher alone changes.
    pub(crate) policy: Arc<watch::Sender<Option<PolicyRef>>>,
}

impl Wiring {
    pub(super) fn publisher(&self) -> PublisherArguments {
        PublisherArguments {
            policy: Arc::clone(&self.policy),
            access: self.access.clone(),
            observer: self.observer.clone(),
            ports: PublisherPorts {
                conductor: self.routes.conductor.clone(),
                problem_supply: self.routes.problem_supply.clone(),
            },
        }
    }

    pub(super) fn trainer(&self) -> TrainerArguments {
        TrainerArguments {
            training: self.roles.training.clone(),
            config: self.config.checkpoints,
            supervision: self.config.supervision.clone(),
            run_seed: self.config.seed,
            access: self.access.clone(),
            switches: Arc::clone(&self.switches),
            observer: self.observer.clone(),
            ports: TrainerPorts { conductor: self.routes.conductor.clone(), root: self.routes.root.clone() },
        }
    }

    pub(super) fn sampler(&self) -> SamplerArguments {
        SamplerArguments {
            generators: self.roles.generators.clone(),
            sampling: self.config.exploration.sampling.settings(),
            on_publish: self.config.exploration.on_publish,
            supervision: self.config.supervision.clone(),
            policy: self.policy.subscribe(),
            observer: self.observer.clone(),
            ports: SamplerPorts {
                verifiers: self.routes.verifiers.clone(),
                problem_supply: self.routes.problem_supply.clone(),
            },
        }
    }

    pub(super) fn verifiers(&self) -> VerifiersArguments {
        VerifiersArguments {
            verifier: Arc::clone(&self.roles.verifier),
            config: self.config.verifiers.clone(),
            switches: Arc::clone(&self.switches),
            observer: self.observer.clone(),
            ports: VerifiersPorts {
                curator: self.routes.curator.clone(),
                evaluator: self.routes.evaluator.clone(),
            },
        }
    }

    pub(super) fn curator(&self) -> CuratorArguments {
        CuratorArguments {
            access: self.access.clone(),
            hygiene: self.config.hygiene.clone(),
            policy: self.policy.subscribe(),
            observer: self.observer.clone(),
            ports: CuratorPorts {
                conductor: self.routes.conductor.clone(),
                problem_supply: self.routes.problem_supply.clone(),
            },
        }
    }

    pub(super) fn problem_supply(&self) -> ProblemSupplyArguments {
        ProblemSupplyArguments {
            config: self.config.exploration.clone(),
            check: Arc::clone(&self.roles.check),
            run_seed: self.config.seed,
            lockstep: self.config.lockstep,
            access: self.access.clone(),
            switches: Arc::clone(&self.switches),
            observer: self.observer.clone(),
            ports: ProblemSupplyPorts {
                sampler: self.routes.sampler.clone(),
                verifiers: self.routes.verifiers.clone(),
                conductor: self.routes.conductor.clone(),
                root: self.routes.root.clone(),
            },
        }
    }

    pub(super) fn conductor(&self) -> ConductorArguments {
        let config = &self.config;
        ConductorArguments {
            machine: MachineConfig {
                round: config.round.clone(),
                quota_attempts: config.round.quota_attempts(config.exploration.attempts_per_visit),
                gate: config.gate.clone(),
                samples_per_problem: config.evaluation.samples_per_problem,
                scores_base: config.evaluation.score_base,
                explores: config.exploration.enabled,
                lockstep: config.lockstep,
                rounds_wanted: config.rounds,
            },
            sealing: SealingConfig {
                objective: config.round.algorithm,
                selection: config.selection.clone(),
                pairs: config.pairs.clone(),
                max_sequence_tokens: Some(config.max_sequence_tokens).filter(|limit| *limit > 0),
            },
            scorer: Arc::clone(&self.roles.scorer),
            learner_scorer: Arc::clone(&self.roles.learner_scorer),
            access: self.access.clone(),
            observer: self.observer.clone(),
            ports: ConductorPorts {
                publisher: self.routes.publisher.clone(),
                trainer: self.routes.trainer.clone(),
                problem_supply: self.routes.problem_supply.clone(),
                evaluator: self.routes.evaluator.clone(),
                root: self.routes.root.clone(),
            },
        }
    }

    pub(super) fn evaluator(&self) -> EvaluatorArguments {
        EvaluatorArguments {
            generator: self.roles.evaluation_generator.clone(),
            config: self.config.evaluation.clone(),
            supervision: self.config.supervision.clone(),
            run_seed: self.config.seed,
            access: self.access.clone(),
            observer: self.observer.clone(),
            ports: EvaluatorPorts {
                verifiers: self.routes.verifiers.clone(),
                conductor: self.routes.conductor.clone(),
            },
        }
    }
}
