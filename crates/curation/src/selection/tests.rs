use proptest::prelude::*;

use super::{LengthPreference as L, PerplexityPreference as P, *};
use crate::candidate::tests::candidate;

fn ids(ids: &[AttemptId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn the_first_right_and_different_ones_are_taken_up_to_the_cap() {
    let mut pool = vec![
        candidate("p#0", Outcome::Wrong, 2.0),
        candidate("p#1", Outcome::Correct, 2.0),
        candidate("p#2", Outcome::Correct, 2.0),
        candidate("p#3", Outcome::Correct, 2.0),
        candidate("p#4", Outcome::Correct, 2.0),
        candidate("p#5", Outcome::Correct, 2.0),
    ];
    pool[2].fingerprint = pool[1].fingerprint;
    pool[3].rejection = Some(Rejection::Repetitive);
    let selection = SelectionConfig::default().select(&BTreeSet::new(), &pool);
    assert_eq!(ids(&selection.selected), ["p#1", "p#4"]);
    let decision = |index: usize| selection.decisions[&pool[index].id].clone();
    assert_eq!(decision(0), Decision::NotCorrect(Outcome::Wrong));
    assert_eq!(decision(2), Decision::Duplicate("p#1".parse().unwrap()));
    assert_eq!(decision(3), Decision::Unhygienic(Rejection::Repetitive));
    assert_eq!(decision(5), Decision::NoPlace);
    assert_eq!(selection.counts()["selected"], 2);
}

#[test]
fn earlier_members_stay_and_use_up_places_even_when_they_are_gone_from_the_pool() {
    let pool = [candidate("p#1", Outcome::Correct, 2.0), candidate("p#2", Outcome::Correct, 2.0)];
    let previous = BTreeSet::from(["p#0".parse().unwrap(), "q#0".parse().unwrap()]);
    let selection = SelectionConfig::default().select(&previous, &pool);
    assert_eq!(ids(&selection.members), ["p#0", "p#1", "q#0"]);
    assert_eq!(ids(&selection.selected), ["p#1"]);
}

#[test]
fn preferences_order_by_perplexity_by_length_or_by_both() {
    let mut pool = vec![
        candidate("p#0", Outcome::Correct, 1.5),
        candidate("p#1", Outcome::Correct, 4.0),
        candidate("p#2", Outcome::Correct, 3.0),
        candidate("p#3", Outcome::Correct, f32::NAN),
    ];
    for (candidate, tokens) in pool.iter_mut().zip([90, 10, 80, 85]) {
        candidate.thought_tokens = tokens;
    }
    let first = |perplexity, length| {
        let config = SelectionConfig { perplexity, length, max_per_problem: 1, ..Default::default() };
        ids(&config.select(&BTreeSet::new(), &pool).selected)
    };
    assert_eq!(first(P::High, L::None), ["p#1"]);
    assert_eq!(first(P::Low, L::None), ["p#0"]);
    assert_eq!(first(P::None, L::Long), ["p#0"]);
    assert_eq!(first(P::None, L::Short), ["p#1"]);
    assert_eq!(first(P::Low, L::Long), ["p#0"]);
    assert_eq!(first(P::High, L::Long), ["p#0"], "ranks 2+0, 0+3, 1+2, 3+1");
    assert_eq!(first(P::None, L::None), ["p#0"]);
}

#[test]
fn a_perplexity_bound_and_the_unverified_ablation_do_what_they_say() {
    let pool = [candidate("p#0", Outcome::Correct, 9.0), candidate("p#1", Outcome::Wrong, 2.0)];
    let config = SelectionConfig { max_perplexity: Some(5.0), verified_only: false, ..Default::default() };
    let selection = config.select(&BTreeSet::new(), &pool);
    assert_eq!(ids(&selection.selected), ["p#1"]);
    assert_eq!(selection.decisions[&pool[0].id], Decision::TooPerplexing);
    assert!(SelectionConfig { max_perplexity: Some(0.5), ..Default::default() }.validate().is_err());
    assert!(SelectionConfig { max_per_problem: 0, ..Default::default() }.validate().is_err());
}

prop_compose! {
    fn pools()(drawn in prop::collection::vec(
        (0_u8..4, 0_u8..10, 0_usize..6, 0_u8..3, 1.0_f32..9.0, 1_u32..50), 0..40
    )) -> Vec<Candidate> {
        let one = |(problem, number, outcome, text, perplexity, tokens): (u8, u8, usize, u8, f32, u32)| {
            let mut one = candidate(&format!("p{problem}#{number}"), Outcome::ALL[outcome], perplexity);
            one.fingerprint = u128::from(text);
            one.thought_tokens = tokens;
            one
        };
        let by_id: BTreeMap<_, _> = drawn.into_iter().map(one).map(|one| (one.id.clone(), one)).collect();
        by_id.into_values().collect()
    }
}

proptest! {
    /// Only right, clean, different ones within the cap; every candidate decided; order irrelevant;
    /// a second selection on top of the first adds nothing.
    #[test]
    fn the_invariants_hold_for_any_pool(mut pool in pools(), cap in 1_u32..4, rotation in 0_usize..40) {
        let config = SelectionConfig {
            perplexity: PerplexityPreference::High,
            length: LengthPreference::Short,
            max_per_problem: cap,
            ..Default::default()
        };
        let selection = config.select(&BTreeSet::new(), &pool);
        prop_assert_eq!(selection.decisions.len(), pool.len());
        let mut texts = HashSet::new();
        let mut places: BTreeMap<&ProblemId, u32> = BTreeMap::new();
        for one in pool.iter().filter(|one| selection.selected.contains(&one.id)) {
            prop_assert_eq!(one.outcome, Outcome::Correct);
            prop_assert!(texts.insert((&one.id.problem, one.fingerprint)));
            *places.entry(&one.id.problem).or_default() += 1;
        }
        prop_assert!(places.values().all(|places| *places <= cap));

        let members: BTreeSet<_> = selection.members.iter().cloned().collect();
        let again = config.select(&members, &pool);
        prop_assert_eq!(&again.members, &selection.members);
        prop_assert!(again.selected.is_empty());

        let middle = rotation.min(pool.len());
        pool.rotate_left(middle);
        prop_assert_eq!(config.select(&BTreeSet::new(), &pool), selection);
    }
}
