//! The rules of selection one by one, and its invariants for any pool.

use proptest::prelude::*;
use still_domain::{PolicyVersion, Rejection};

use super::{LengthPreference as L, PerplexityPreference as P, *};
use crate::candidate::tests::candidate;

fn after(previous: &[&str]) -> SelectionContext {
    let previous = previous.iter().map(|id| id.parse().unwrap()).collect();
    SelectionContext { previous, ..Default::default() }
}

/// One right answer to each of the problems, named by their ids.
fn right(ids: &[&str]) -> Vec<Candidate> {
    ids.iter().map(|id| candidate(id, Outcome::Correct, 2.0)).collect()
}

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
    let selection = SelectionConfig::default().select(&SelectionContext::default(), &pool);
    assert_eq!(ids(&selection.selected), ["p#1", "p#4"]);
    let decision = |index: usize| selection.decisions[&pool[index].id].clone();
    assert_eq!(decision(0), Decision::NotCorrect(Outcome::Wrong));
    assert_eq!(decision(2), Decision::Duplicate("p#1".parse().unwrap()));
    assert_eq!(decision(3), Decision::Unhygienic(Rejection::Repetitive));
    assert_eq!(decision(5), Decision::QuotaFull);
    assert_eq!(selection.counts()["selected"], 2);
}

#[test]
fn a_switch_keeps_earlier_members_even_when_they_are_gone_from_the_pool() {
    let pool = right(&["p#1", "p#2"]);
    let config = SelectionConfig { keep: Keep::Members, ..Default::default() };
    let selection = config.select(&after(&["p#0", "q#0"]), &pool);
    assert_eq!(ids(&selection.members), ["p#0", "p#1", "q#0"]);
    assert_eq!(ids(&selection.selected), ["p#1"]);
}

#[test]
fn a_longer_answer_of_a_later_policy_replaces_a_first_one() {
    let mut pool = right(&["p#0", "p#1", "p#9"]);
    pool[2].thought_tokens = 900;
    pool[2].version = PolicyVersion(5);
    let previous = after(&["p#0", "p#1"]);
    let config = SelectionConfig { length: L::Long, ..Default::default() };
    let selection = config.select(&previous, &pool);
    assert_eq!(ids(&selection.members), ["p#0", "p#9"]);
    assert_eq!((ids(&selection.selected), ids(&selection.left)), (vec!["p#9".into()], vec!["p#1".into()]));
    assert_eq!(selection.decisions[&pool[1].id], Decision::QuotaFull);
    // where nothing is preferred, the newest policy's come first
    let newest = SelectionConfig { max_per_problem: 1, ..Default::default() }.select(&previous, &pool);
    assert_eq!(ids(&newest.members), ["p#9"]);
    let frozen = SelectionConfig { keep: Keep::Members, ..config }.select(&previous, &pool);
    assert_eq!(ids(&frozen.members), ["p#0", "p#1"]);
}

#[test]
fn members_are_held_to_the_verdicts_and_the_rules_of_today() {
    let mut pool = right(&["p#0", "p#1", "q#0"]);
    pool[0].outcome = Outcome::Wrong;
    pool[2].rejection = Some(Rejection::Repetitive);
    let selection = SelectionConfig::default().select(&after(&["p#0", "q#0", "r#0"]), &pool);
    assert_eq!(ids(&selection.members), ["p#1"]);
    assert_eq!(ids(&selection.left), ["p#0", "q#0", "r#0"]);
    assert_eq!(selection.decisions[&pool[0].id], Decision::NotCorrect(Outcome::Wrong));
    assert_eq!(selection.decisions[&pool[2].id].to_string(), "left out: hygiene found it `repetitive`");
}

#[test]
fn what_the_learner_does_not_take_takes_nothing_of_the_quota() {
    let mut pool = right(&["p#0", "p#1", "p#2"]);
    pool[0].response_tokens = 8_000;
    pool[0].thought_tokens = 7_900;
    pool[1].response_tokens = 7_980;
    let config = SelectionConfig { length: L::Long, max_per_problem: 1, ..Default::default() };
    let context = SelectionContext { max_sequence_tokens: Some(8_000), ..Default::default() };
    let selection = config.select(&context, &pool);
    assert_eq!(selection.decisions[&pool[0].id], Decision::TooLongToTrain, "the prompt counts");
    assert_eq!(ids(&selection.members), ["p#1"]);
    assert_eq!(selection.counts()["too_long_to_train"], 1);
}

#[test]
fn quantiles_of_the_pool_bound_length_and_perplexity() {
    let mut pool: Vec<_> =
        (0..11_u8).map(|n| candidate(&format!("p{n}#0"), Outcome::Correct, 1.0 + f32::from(n))).collect();
    for (tokens, one) in (100..).zip(&mut pool) {
        one.thought_tokens = tokens;
    }
    pool.push(candidate("z#0", Outcome::Correct, f32::NAN));
    pool[11].thought_tokens = 105;
    let config = SelectionConfig {
        length_quantiles: [0.1, 1.0],
        perplexity_quantiles: [0.0, 0.8],
        ..Default::default()
    };
    let selection = config.select(&SelectionContext::default(), &pool);
    let named = |decision: &Decision| {
        let of = pool.iter().filter(|one| selection.decisions[&one.id] == *decision);
        of.map(|one| one.id.to_string()).collect::<Vec<_>>()
    };
    // the lower tenth of twelve lengths ends between the second and the third
    assert_eq!(named(&Decision::OutsideLengths), ["p0#0", "p1#0"]);
    assert_eq!(named(&Decision::OutsidePerplexities), ["p9#0", "p10#0", "z#0"]);
    assert_eq!(selection.members.len(), 7);
    let reversed = SelectionConfig { length_quantiles: [0.9, 0.1], ..Default::default() };
    assert!(!still_settings::accepts(|findings| reversed.validate(findings)));
}

#[test]
fn budgets_cut_second_trajectories_before_first_ones_and_new_problems_before_old() {
    let pool = right(&["a#0", "a#1", "b#0", "b#1", "c#0", "c#1", "d#0"]);
    let traits = |level, source: &str| ProblemTraits { level: Some(level), source: source.to_owned() };
    let problems =
        [("a", traits(1, "x")), ("b", traits(1, "x")), ("c", traits(5, "x")), ("d", traits(5, "y"))];
    let context = SelectionContext {
        problems: problems.map(|(id, traits)| (ProblemId::new(id), traits)).into(),
        demonstrations: 2,
        ..after(&["d#0"])
    };
    let select = |config: SelectionConfig| {
        let selection = config.select(&context, &pool);
        (ids(&selection.members), selection.counts())
    };
    let problems_of = |members: &[String]| {
        members.iter().map(|id| id.split('#').next().unwrap().to_owned()).collect::<BTreeSet<_>>().len()
    };
    let (total, counts) = select(SelectionConfig { max_trajectories: 4, ..Default::default() });
    assert_eq!((total.len(), problems_of(&total), counts["over_total_budget"]), (4, 4, 3));
    let (one, _) = select(SelectionConfig { max_trajectories: 1, ..Default::default() });
    assert_eq!(one, ["d#0"], "what stands for a problem of the previous set goes first");
    let (level, counts) = select(SelectionConfig { level_budgets: [(1, 1)].into(), ..Default::default() });
    assert_eq!((level.len(), counts["over_level_budget"]), (4, 3));
    let (source, counts) =
        select(SelectionConfig { source_budgets: [("x".to_owned(), 0)].into(), ..Default::default() });
    assert_eq!((source, counts["over_source_budget"]), (vec!["d#0".to_owned()], 6));
    let (share, counts) = select(SelectionConfig { min_demonstration_share: 0.4, ..Default::default() });
    assert_eq!((share.len(), counts["over_demonstration_share"]), (3, 4), "two of five");
}

#[test]
fn a_small_share_of_demonstrations_is_told() {
    let config = SelectionConfig::default();
    assert_eq!(config.demonstration_warning(100, 900), None);
    assert_eq!(config.demonstration_warning(0, 900), None, "none were given");
    let warning = config.demonstration_warning(100, 1_900).unwrap();
    assert!(
        warning.starts_with("100 demonstrations are 5.0 % of 2000 examples, below the 10.0 %"),
        "{warning}"
    );
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
        ids(&config.select(&SelectionContext::default(), &pool).selected)
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
    let selection = config.select(&SelectionContext::default(), &pool);
    assert_eq!(ids(&selection.selected), ["p#1"]);
    assert_eq!(selection.decisions[&pool[0].id], Decision::TooPerplexing);
    assert!(!still_settings::accepts(|findings| SelectionConfig {
        max_perplexity: Some(0.5),
        ..Default::default()
    }
    .validate(findings)));
    assert!(!still_settings::accepts(|findings| SelectionConfig {
        max_per_problem: 0,
        ..Default::default()
    }
    .validate(findings)));
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
        let selection = config.select(&SelectionContext::default(), &pool);
        prop_assert_eq!(selection.decisions.len(), pool.len());
        let mut texts = HashSet::new();
        let mut chosen: BTreeMap<&ProblemId, u32> = BTreeMap::new();
        for one in pool.iter().filter(|one| selection.selected.contains(&one.id)) {
            prop_assert_eq!(one.outcome, Outcome::Correct);
            prop_assert!(texts.insert((&one.id.problem, one.fingerprint)));
            *chosen.entry(&one.id.problem).or_default() += 1;
        }
        prop_assert!(chosen.values().all(|chosen| *chosen <= cap));

        for keep in [Keep::Members, Keep::Problems, Keep::None] {
            let previous = selection.members.iter().cloned().collect();
            let context = SelectionContext { previous, ..Default::default() };
            let again = SelectionConfig { keep, ..config.clone() }.select(&context, &pool);
            prop_assert_eq!(&again.members, &selection.members);
            prop_assert!(again.selected.is_empty() && again.left.is_empty());
        }

        let middle = rotation.min(pool.len());
        pool.rotate_left(middle);
        prop_assert_eq!(config.select(&SelectionContext::default(), &pool), selection);
    }
}

#[test]
fn what_several_policies_drew_stays_out_unless_it_is_allowed() {
    let mut pool = right(&["p#0", "p#1", "q#0"]);
    pool[0].is_mixed = true;
    pool[2].is_mixed = true;
    let selection = SelectionConfig::default().select(&after(&["p#0"]), &pool);
    assert_eq!(ids(&selection.members), ["p#1"], "not even as a member of the set before");
    assert_eq!((selection.counts()["mixed_versions"], ids(&selection.left)), (2, vec!["p#0".to_owned()]));
    let allowed = SelectionConfig { mixed_versions: MixedVersions::Allow, ..Default::default() };
    assert_eq!(allowed.select(&after(&[]), &pool).members.len(), 3);
}

#[test]
fn a_text_that_is_right_because_it_is_given_to_every_problem_is_found() {
    // 40 problems, half of whose answers are 1: a policy that has found out answers each of them in the same words
    let hacked = |number: usize| {
        let outcome = if number.is_multiple_of(2) { Outcome::Correct } else { Outcome::Wrong };
        let answer = candidate(&format!("p{number:02}#0"), outcome, 2.0);
        Candidate { fingerprint: 7, ..answer }
    };
    let honest = |number: usize| candidate(&format!("p{number:02}#1"), Outcome::Correct, 2.0);
    let pool: Vec<_> = (0..40).map(hacked).chain((0..20).map(honest)).collect();
    let selection = SelectionConfig::default().select(&SelectionContext::default(), &pool);
    assert!(selection.members.iter().all(|id| id.number.0 == 1), "{:?}", selection.members);
    assert_eq!((selection.members.len(), selection.counts()["common_text"]), (20, 20));

    let bare: Vec<_> = pool.iter().map(|one| Candidate { response_tokens: 5, ..one.clone() }).collect();
    let selection = SelectionConfig::default().select(&SelectionContext::default(), &bare);
    assert!(!selection.counts().contains_key("common_text"), "a bare answer is what two problems may share");
    let unlimited = SelectionConfig { max_problems_per_text: 0, ..Default::default() };
    let selection = unlimited.select(&SelectionContext::default(), &pool);
    assert_eq!(selection.members.len(), 40, "every right one is let in");
}

#[test]
fn chance_prefers_nothing_and_chooses_the_same_every_time() {
    let mut pool: Vec<_> =
        (0..400).map(|number| candidate(&format!("p{number}#0"), Outcome::Correct, 2.0)).collect();
    for (number, one) in pool.iter_mut().enumerate() {
        one.thought_perplexity = Some(1.0 + number as f32 / 100.0);
    }
    let config = SelectionConfig { max_trajectories: 100, perplexity: P::High, ..Default::default() };
    let mean = |config: &SelectionConfig| {
        let selection = config.select(&SelectionContext::default(), &pool);
        assert_eq!(selection.members.len(), 100);
        let chosen = pool.iter().filter(|one| selection.members.contains(&one.id));
        (chosen.filter_map(|one| one.thought_perplexity).sum::<f32>() / 100.0, selection.members)
    };
    let random = SelectionConfig { order: Order::Random, ..config.clone() };
    assert!((mean(&config).0 - 4.5).abs() < 0.01, "the upper quarter of 1 to 5");
    assert!((mean(&random).0 - 3.0).abs() < 0.3, "{}", mean(&random).0);
    assert_eq!(mean(&random).1, mean(&random).1);
}
