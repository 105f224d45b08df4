//! A fleet of doubles behind the scorer's role: every sequence of a pass is scored once, under the policy that was asked for,
//! whatever becomes of the servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{fs, sync::mpsc::channel, thread};

use harness::{Pass, Two, World, asked, base, other, section, two_doubles, world, world_of};
use still_domain::PolicyRef;
use still_engine_double::{EngineDouble, Fault, Options};
use still_engines::EngineSection;
use still_roles::{Scorer, Withdrawal};

const GENERATE: &str = "/inference/v1/generate";

fn score(world: &World, policy: &PolicyRef, pass: &mut Pass<'_>) -> Result<(), String> {
    world.fleet.scorer().score(policy, pass, &Withdrawal::default())
}

/// One double with these options.
fn one(options: impl FnOnce(Options) -> Options) -> (World, Vec<EngineDouble>) {
    world(|two| {
        let doubles = vec![EngineDouble::start(options(Options::new(&two.folders[0])))];
        let section = section(&doubles);
        (doubles, section)
    })
}

#[test]
fn many_sequences_are_scored_at_once_each_of_them_once_and_under_the_policy_that_is_asked_for() {
    let kinds: [fn(&Two) -> Options; 3] = [
        |two| Options::new(&two.folders[0]),
        |two| Options { has_generate: false, ..Options::new(&two.folders[0]) },
        |two| Options::sglang(&two.folders[0]),
    ];
    for (number, options) in kinds.into_iter().enumerate() {
        let (world, doubles) = world(|two| {
            let doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(options(two))).collect();
            let kind = if number == 2 { still_engines::EngineKind::Sglang } else { section(&doubles).kind };
            let section = EngineSection { kind, ..section(&doubles) };
            (doubles, section)
        });
        for (number, policy) in [(0, base()), (1, other()), (0, base())] {
            let mut pass = Pass::of(0..60);
            score(&world, &policy, &mut pass).unwrap();
            pass.check(&world.two, number, 60);
            assert!(pass.most > 8, "{} at once", pass.most);
        }
        let scored: Vec<_> = doubles.iter().map(EngineDouble::scored).collect();
        assert!(scored.iter().all(|scored| *scored > 30), "{scored:?}");
        // a probe each time that one of them was given weights
        assert_eq!(scored.iter().sum::<usize>(), 3 * (60 + 2));
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_servers_fail_in_every_way_and_come_back_with_other_weights() {
    let (world, mut doubles) = world(two_doubles);
    let strange = world.two.folders[1].clone();
    let faults = [Fault::Status(503), Fault::Status(500), Fault::Drop, Fault::DropAfter];
    let mut pass = Pass::of(0..200).then(|count| match count {
        10 | 30 | 50 | 70 => {
            for double in &doubles {
                double.fail(GENERATE, faults[count / 20].clone(), 2);
            }
        }
        90 => doubles[0].kill(),
        // with the weights of another policy, and then with those of the base
        110 => doubles[0].restart(Some(&strange)),
        130 => doubles[1].restart(None),
        150 => {
            doubles.iter_mut().for_each(EngineDouble::kill);
            for double in &mut doubles {
                double.restart(None);
            }
        }
        _ => {}
    });
    score(&world, &other(), &mut pass).unwrap();
    pass.check(&world.two, 1, 200);
    drop(pass);
    // whoever scored the rest had been given the weights anew
    let given: usize = doubles.iter().map(|double| asked(double, "/collective_rpc")).sum();
    assert!(given > 2, "{given}");
}

#[test]
fn a_server_that_was_started_anew_with_other_weights_while_nobody_asked_it_anything_adds_nothing_false() {
    for has_generate in [true, false] {
        let (world, mut doubles) = one(|options| Options { has_generate, ..options });
        let strange = world.two.folders[1].clone();
        for start in [0, 40] {
            let mut pass = Pass::of(start..start + 40);
            score(&world, &base(), &mut pass).unwrap();
            pass.check(&world.two, 0, 40);
            doubles[0].restart(Some(&strange));
        }
        assert_eq!(asked(&doubles[0], "/collective_rpc"), 2);
    }
}

#[test]
fn a_server_that_hangs_is_left_out_and_what_it_holds_is_scored_elsewhere() {
    let (world, doubles) = world(|two| {
        let (doubles, section) = two_doubles(two);
        (doubles, EngineSection { max_silence_seconds: 2, ..section })
    });
    let mut pass = Pass::of(0..120).then(|count| {
        if count == 20 {
            doubles[0].fail(GENERATE, Fault::Hang, usize::MAX);
        }
    });
    score(&world, &base(), &mut pass).unwrap();
    pass.check(&world.two, 0, 120);
    let hung = doubles[0].heal();
    assert!(hung > 0, "it was asked and said nothing");
    // it is not looked at as a server of other weights
    assert_eq!(asked(&doubles[0], "/collective_rpc"), 1);
}

#[test]
fn a_pause_is_waited_for_whether_the_server_answers_503_or_nothing() {
    for refuses_while_paused in [true, false] {
        let (world, doubles) = one(|options| Options { refuses_while_paused, ..options });
        let double = &doubles[0];
        let (sender, paused) = channel();
        let mut pass = Pass::of(0..80).then(|count| {
            if count == 20 {
                double.pause(true);
                sender.send(double.log().len()).unwrap();
            }
        });
        thread::scope(|scope| {
            let scored = scope.spawn(|| score(&world, &base(), &mut pass));
            let before = paused.recv().unwrap();
            // two looks at it since
            double.wait_until_asked(|log| {
                log[before..].iter().filter(|asked| asked.contains("/is_paused")).count() > 2
            });
            assert!(!scored.is_finished());
            double.pause(false);
            scored.join().unwrap().unwrap();
        });
        pass.check(&world.two, 0, 80);
        assert_eq!(asked(double, "/collective_rpc"), 1, "a state, and nobody's fault");
    }
}

#[test]
fn an_adapter_is_scored_under_its_own_name_and_the_base_beneath_it_under_the_bases() {
    let (world, doubles) = world_of(Two::make_adapter, |two| {
        let options = |_| Options { max_lora_rank: Some(16), ..Options::new(&two.folders[0]) };
        let doubles: Vec<_> = (0..2).map(options).map(EngineDouble::start).collect();
        let section = section(&doubles);
        (doubles, section)
    });
    for (number, policy) in [(1, other()), (0, base()), (1, other())] {
        let mut pass = Pass::of(0..50);
        score(&world, &policy, &mut pass).unwrap();
        pass.check(&world.two, number, 50);
    }
    for double in &doubles {
        assert_eq!(asked(double, "/collective_rpc"), 1, "the base, once");
        assert!(asked(double, "/v1/load_lora_adapter") > 0);
    }
}

#[test]
fn a_pass_that_is_withdrawn_or_wants_no_more_or_loses_its_lane_leaves_nothing_under_way() {
    let (world, doubles) = one(|options| options);
    let double = &doubles[0];
    let mut pass = Pass::of(0..40).until(7);
    score(&world, &base(), &mut pass).unwrap();
    assert_eq!(pass.found.len(), 7);
    double.wait_until_open(0);
    double.fail(GENERATE, Fault::Hang, usize::MAX);
    let hung = |before: usize| {
        let is_asked = |asked: &&String| asked.contains(GENERATE);
        double.wait_until_asked(|log| log.iter().filter(is_asked).count() > before + 1);
    };
    thread::scope(|scope| {
        let (withdrawal, before) = (Withdrawal::default(), asked(double, GENERATE));
        let given = withdrawal.clone();
        let scored = scope.spawn(|| {
            let (mut pass, withdrawal) = (Pass::of(0..40), given);
            let ended = world.fleet.scorer().score(&base(), &mut pass, &withdrawal);
            (ended, pass.found.len())
        });
        hung(before);
        withdrawal.withdraw();
        assert_eq!(scored.join().unwrap(), (Ok(()), 0));
        double.wait_until_open(0);
        // withdrawn before it began
        let mut pass = Pass::of(0..40);
        world.fleet.scorer().score(&base(), &mut pass, &withdrawal).unwrap();
        assert!(pass.found.is_empty());
    });
    thread::scope(|scope| {
        let before = asked(double, GENERATE);
        let first = scope.spawn(|| score(&world, &base(), &mut Pass::of(0..40)));
        hung(before);
        double.heal();
        let mut second = Pass::of(40..80);
        score(&world, &base(), &mut second).unwrap();
        second.check(&world.two, 0, 40);
        let told = first.join().unwrap().unwrap_err();
        assert!(told.contains("another pass"), "{told}");
    });
    double.wait_until_open(0);
}

#[test]
fn a_policy_that_cannot_be_had_ends_the_pass_and_what_cannot_be_scored_is_refused_alone() {
    let (world, _doubles) = one(|options| Options { context: 24, ..options });
    let mut pass = Pass::of(0..58);
    score(&world, &base(), &mut pass).unwrap();
    assert_eq!(pass.found.len(), 58);
    for (number, found) in &pass.found {
        let is_too_long = 4 + number % 29 >= 24;
        assert_eq!(found.is_err(), is_too_long, "{number}: {found:?}");
        if let Err(reason) = found {
            assert!(reason.to_string().contains("--max-model-len"), "{reason}");
        }
    }
    fs::remove_dir_all(&world.two.folders[1]).unwrap();
    let mut pass = Pass::of(0..4);
    score(&world, &other(), &mut pass).unwrap_err();
    assert!(pass.found.is_empty());
}
