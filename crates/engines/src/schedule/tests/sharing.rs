//! Lanes beside each other: their shares, their turns, and that none of them starves.

use super::*;

#[test]
fn evaluation_has_a_share_of_several_servers_and_the_only_one_first() {
    let mut world = World::new(8);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..4);
    world.adopt(Lane::Evaluation, NEXT);
    world.submit(Lane::Evaluation, 100..140);
    assert_eq!((world.schedule.serving(NEXT), world.schedule.serving(BASE)), (2, 6));
    world.finish_all();
    world.pass(10);
    assert_eq!(world.schedule.serving(BASE), 8, "what evaluation no longer needs goes back");
    assert_eq!(world.wrong, 0);

    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..2);
    world.adopt(Lane::Evaluation, NEXT);
    world.submit(Lane::Evaluation, 100..104);
    world.submit(Lane::Exploration, 2..4);
    assert_eq!(world.schedule.capacity(Lane::Exploration), 0);
    let mut order = Vec::new();
    while let Some(job) = world.sent.keys().min().copied() {
        order.push((job.0, world.serves[0]));
        world.end(job, Ok(10));
        if world.sent.is_empty() {
            world.pass(10);
        }
    }
    let of: Vec<_> = order.iter().map(|(job, _)| job / 100).collect();
    assert_eq!(of, [0, 0, 1, 1, 1, 1, 0, 0], "under way, then evaluation, then what waited");
    assert!(order.iter().all(|(job, serves)| *serves == Some(if *job >= 100 { NEXT } else { BASE })));
}

#[test]
fn scoring_has_a_share_of_its_own_beside_evaluation_and_exploration() {
    let mut world = World::new(8);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..4);
    world.adopt(Lane::Scoring, FIRST);
    world.submit(Lane::Scoring, 200..240);
    let serving = |world: &World| [BASE, NEXT, FIRST].map(|policy| world.schedule.serving(policy));
    assert_eq!(serving(&world), [6, 0, 2]);
    let swaps = world.swaps.len();
    world.adopt(Lane::Evaluation, NEXT);
    world.submit(Lane::Evaluation, 100..140);
    assert_eq!(
        (serving(&world), world.swaps.len()),
        ([4, 2, 2], swaps + 2),
        "the others stay where they are"
    );
    assert!(Lane::ALL.into_iter().all(|lane| world.of(lane) > 0 && world.schedule.capacity(lane) > 0));
    assert_eq!(world.finish_all(), 84);
    world.pass(10);
    assert_eq!((serving(&world), world.wrong), ([8, 0, 0], 0), "what is no longer needed goes back");
    // alone it has all of them
    world.submit(Lane::Scoring, 300..500);
    assert_eq!(serving(&world), [0, 0, 8]);
    assert_eq!(world.finish_all(), 200);
}

#[test]
fn lanes_of_one_policy_share_its_servers_by_requests_and_none_of_them_starves() {
    for (first, second) in [(Lane::Scoring, Lane::Exploration), (Lane::Exploration, Lane::Scoring)] {
        let mut world = World::new(1);
        let swaps = world.swaps.len();
        world.adopt(Lane::Exploration, BASE);
        world.adopt(Lane::Scoring, BASE);
        world.submit(first, 0..60);
        assert_eq!((world.of(first), world.of(second)), (8, 0), "whoever is alone has all");
        world.submit(second, 100..160);
        for _ in 0..40 {
            let job = *world.sent.keys().min_by_key(|job| world.sent[job].1).unwrap();
            assert_eq!(world.end(job, Ok(10)), Verdict::Settled);
        }
        let (scored, drawn) = (world.of(Lane::Scoring), world.of(Lane::Exploration));
        assert_eq!((scored, drawn), (4, 12), "a quarter of a window of 16");
        assert_eq!(world.finish_all(), 80);
        assert_eq!((world.swaps.len(), world.wrong), (swaps + 1, 0));
    }
}

#[test]
fn too_few_servers_take_turns_until_every_lane_has_had_its_own() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..2);
    world.adopt(Lane::Scoring, FIRST);
    world.adopt(Lane::Evaluation, NEXT);
    world.submit(Lane::Scoring, 100..103);
    world.submit(Lane::Evaluation, 200..203);
    world.submit(Lane::Exploration, 2..5);
    let capacities = |world: &World| Lane::ALL.map(|lane| world.schedule.capacity(lane) > 0);
    assert_eq!(capacities(&world), [true, false, false]);
    let mut order = Vec::new();
    while let Some(job) = world.sent.keys().min().copied() {
        order.push(job.0 / 100);
        world.end(job, Ok(10));
        if world.sent.is_empty() {
            world.pass(10);
        }
    }
    assert_eq!(order, [0, 0, 2, 2, 2, 1, 1, 1, 0, 0, 0], "under way, then by the lanes' order");
    assert_eq!((capacities(&world), world.wrong), ([true; 3], 0));
}

#[test]
fn the_policy_that_was_evaluated_is_published_without_a_swap() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.adopt(Lane::Evaluation, NEXT);
    world.submit(Lane::Evaluation, 0..2);
    world.finish_all();
    let swaps = world.swaps.len();
    world.adopt(Lane::Exploration, NEXT);
    world.pass(10);
    world.submit(Lane::Exploration, 2..4);
    assert_eq!((world.finish_all(), world.swaps.len()), (2, swaps));
}
