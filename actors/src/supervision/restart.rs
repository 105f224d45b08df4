//! What to do about a failure: a state machine over instants, without a clock and without actors.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    config::SupervisionSection,
    ground::{name::ActorName, restart::Failures},
};

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Stop the actors from this one on, wait, and start them again in order.
    Restart {
        /// The first actor to start again.
        from: ActorName,
        /// How long to wait.
        after: Duration,
    },
    /// The failed actor is stopped already, for a restart that is under way.
    Covered,
    /// Too many restarts within the window: end the program.
    MeltDown {
        /// Restarts within the window.
        restarts: u32,
    },
}

/// Failures so far, and the restart that is under way.
#[derive(Debug)]
pub struct Restarts {
    config: SupervisionSection,
    recent: BTreeMap<ActorName, Failures>,
    totals: BTreeMap<ActorName, u64>,
    under_way: Option<ActorName>,
}

impl Restarts {
    /// No failure so far.
    pub const fn new(config: SupervisionSection) -> Self {
        Self { config, recent: BTreeMap::new(), totals: BTreeMap::new(), under_way: None }
    }

    /// An actor failed at `now`. Instants must not run backwards.
    pub fn failed(&mut self, actor: ActorName, now: Instant) -> Reaction {
        if self.under_way.is_some_and(|from| actor >= from) {
            return Reaction::Covered;
        }
        let policy = self.config.policy(actor);
        let after = match self.recent.entry(actor).or_default().add(&policy, now) {
            Ok(after) => after,
            Err(restarts) => return Reaction::MeltDown { restarts },
        };
        *self.totals.entry(actor).or_default() += 1;
        self.under_way = Some(actor);
        Reaction::Restart { from: actor, after }
    }

    /// The actors that were stopped are up again.
    pub const fn started(&mut self) {
        self.under_way = None;
    }

    /// The first actor of the restart under way.
    pub const fn under_way(&self) -> Option<ActorName> {
        self.under_way
    }

    /// How often an actor's own failures led to a restart.
    pub fn total(&self, actor: ActorName) -> u64 {
        self.totals.get(&actor).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(max_restarts: u32) -> SupervisionSection {
        SupervisionSection {
            first_backoff_ms: 100,
            max_backoff_ms: 1_000,
            max_restarts,
            window_seconds: 60,
            ..SupervisionSection::default()
        }
    }

    #[test]
    fn waits_double_up_to_the_bound_and_then_the_program_melts_down() {
        let mut restarts = Restarts::new(config(5));
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..5 {
            match restarts.failed(ActorName::Curator, start) {
                Reaction::Restart { from, after } => {
                    assert_eq!(from, ActorName::Curator);
                    waits.push(after.as_millis());
                }
                other => panic!("{other:?}"),
            }
            restarts.started();
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_000]);
        assert_eq!(restarts.failed(ActorName::Curator, start), Reaction::MeltDown { restarts: 5 });
        assert_eq!(restarts.total(ActorName::Curator), 5);
    }

    #[test]
    fn old_failures_are_forgiven_after_the_window() {
        let mut restarts = Restarts::new(config(1));
        let start = Instant::now();
        assert!(matches!(restarts.failed(ActorName::Trainer, start), Reaction::Restart { .. }));
        restarts.started();
        let later = start + Duration::from_secs(61);
        assert!(matches!(restarts.failed(ActorName::Trainer, later), Reaction::Restart { .. }));
        restarts.started();
        assert!(matches!(restarts.failed(ActorName::Trainer, later), Reaction::MeltDown { .. }));
    }

    #[test]
    fn an_earlier_actor_that_fails_during_a_restart_widens_it() {
        let mut restarts = Restarts::new(config(3));
        let now = Instant::now();
        assert!(matches!(restarts.failed(ActorName::Curator, now), Reaction::Restart { .. }));
        assert_eq!(restarts.failed(ActorName::Evaluator, now), Reaction::Covered);
        let wider = restarts.failed(ActorName::Sampler, now);
        assert!(matches!(wider, Reaction::Restart { from: ActorName::Sampler, .. }), "{wider:?}");
        assert_eq!(restarts.under_way(), Some(ActorName::Sampler));
    }

    proptest! {
        /// Whatever fails when: never more restarts in a window than allowed, waits within their bounds,
        /// and a restart that is under way is only ever widened.
        #[test]
        fn the_limits_hold_for_any_history(
            max_restarts in 0_u32..5,
            history in prop::collection::vec((0_usize..8, 0_u64..40_000, any::<bool>()), 0..100),
        ) {
            let config = config(max_restarts);
            let mut restarts = Restarts::new(config.clone());
            let mut now = Instant::now();
            let mut begun: Vec<(ActorName, Instant)> = Vec::new();
            for (ordinal, pause_ms, comes_up) in history {
                now += Duration::from_millis(pause_ms);
                let actor = ActorName::ALL[ordinal];
                let before = restarts.under_way();
                let in_window = |begun: &[(ActorName, Instant)]| begun
                    .iter()
                    .filter(|(name, then)| *name == actor && now - *then <= Duration::from_mins(1))
                    .count() as u32;
                match restarts.failed(actor, now) {
                    Reaction::Restart { from, after } => {
                        prop_assert_eq!(from, actor);
                        prop_assert!(before.is_none_or(|before| actor < before));
                        begun.push((actor, now));
                        prop_assert!(in_window(&begun) <= max_restarts);
                        let policy = config.policy(actor);
                        prop_assert!(after >= policy.first_backoff && after <= policy.max_backoff);
                    }
                    Reaction::Covered => prop_assert!(before.is_some_and(|before| actor >= before)),
                    Reaction::MeltDown { restarts } => {
                        prop_assert_eq!(restarts, max_restarts);
                        prop_assert_eq!(in_window(&begun), max_restarts);
                        return Ok(());
                    }
                }
                if comes_up {
                    restarts.started();
                    prop_assert_eq!(restarts.under_way(), None);
                }
            }
        }
    }
}
