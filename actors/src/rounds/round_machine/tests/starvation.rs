//! What an endless run does when nothing is left to attempt, and a limited one.

use super::*;

#[test]
fn an_endless_run_waits_when_dry_and_a_limited_one_goes_on() {
    let mut endless = exploring(config(0, false));
    endless.next(0);
    endless.ran_dry(dry(1, 5));
    assert_eq!(endless.next(0), Next::Wait);
    assert!(endless.is_starved());
    endless.imported(IMPORTS);
    assert!(endless.is_starved(), "no problem came");
    endless.imported(Imports { problems: 6, ..IMPORTS });
    assert!(!endless.is_starved());
    endless.ran_dry(dry(1, 5));
    assert!(!endless.is_starved(), "said before the supply learned of the import");
    endless.ran_dry(dry(1, 6));
    assert!(endless.is_starved());

    let mut limited = exploring(config(3, false));
    limited.next(0);
    limited.ran_dry(dry(1, 5));
    assert!(matches!(limited.next(0), Next::Seal(_)));
}

#[test]
fn an_endless_run_in_lockstep_that_has_no_plan_is_revived_by_an_import_or_ended_by_sealing() {
    for seals in [false, true] {
        let mut starved = exploring(config(0, true));
        assert!(matches!(starved.next(0), Next::Explore(_)));
        starved.planned(RoundNumber(1), 0);
        assert_eq!(starved.next(0), Next::Wait);
        assert!(starved.is_starved());
        if seals {
            assert_eq!(starved.seal_wanted(), Some(RoundNumber(1)));
            assert!(matches!(starved.next(0), Next::Seal(_)));
        } else {
            starved.imported(Imports { problems: 6, ..IMPORTS });
            let Next::Save(round) = starved.next(0) else { panic!() };
            assert_eq!((round.round, round.problems), (RoundNumber(1), Some(6)));
            starved.saved(*round);
            assert!(matches!(starved.next(0), Next::Explore(order) if order.problems == Some(6)));
            starved.planned(RoundNumber(1), 2);
            assert!(!starved.is_starved());
        }
    }
}

#[test]
fn without_exploration_an_endless_run_that_comes_to_nothing_waits_for_records() {
    let barren = |rounds_wanted| {
        let mut config = config(rounds_wanted, false);
        config.explores = false;
        let mut machine = exploring(config);
        let Next::Seal(round) = machine.next(0) else { panic!() };
        machine.saved(Round { phase: RoundPhase::Rejected, ..*round });
        machine
    };
    let mut endless = barren(0);
    assert_eq!(endless.next(0), Next::Wait);
    assert!(endless.starvation().unwrap().contains("import records"));
    endless.imported(IMPORTS);
    assert_eq!(endless.starvation(), None);
    assert!(matches!(endless.next(0), Next::Save(next) if next.round == RoundNumber(2)));
    assert!(matches!(barren(2).next(0), Next::Save(_)), "a limited run ends by itself");
}
