//! A fleet of doubles behind the generator role: every rollout ends once, drawn by the policy that it was asked of,
//! whatever becomes of the servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use harness::{FIXTURE, PATIENCE, Pass, Two, World, base, other, section, two_doubles, world, world_of};
use still_control::ServerState;
use still_decoder::hugging_face::{Precision, load_folder, save_folder};
use still_domain::{
    AttemptId, AttemptNumber, FinishReason, ProblemId, Provenance, SamplingSettings, Trajectory,
};
use still_engine_double::{EngineDouble, Fault, Options};
use still_engines::{EngineSection, Fleet, FleetRefusal, schedule::Lane};
use still_roles::{EventSink, Generator, GeneratorEvent, Rollout, Scorer, Withdrawal};

/// A lane of a fleet, with what it has told.
struct Holder {
    generator: Box<dyn Generator>,
    events: Receiver<GeneratorEvent>,
    ended: BTreeMap<u32, Trajectory>,
    warnings: Vec<String>,
    others: Vec<GeneratorEvent>,
    capacity: usize,
}

impl Holder {
    fn open(fleet: &Fleet, lane: Lane) -> Self {
        let (sender, events) = channel();
        let sink = EventSink::new(move |event| {
            let _ = sender.send(event);
        });
        let generator = fleet.generators("servers", lane).open(sink).unwrap();
        Self {
            generator,
            events,
            ended: BTreeMap::new(),
            warnings: Vec::new(),
            others: Vec::new(),
            capacity: 0,
        }
    }

    fn submit(&mut self, numbers: std::ops::Range<u32>, max_new_tokens: u32) {
        for number in numbers {
            self.generator.submit(rollout(number, max_new_tokens));
        }
    }

    fn hear(&mut self) {
        match self.events.recv_timeout(PATIENCE).expect("something is told") {
            GeneratorEvent::Finished(finished) => {
                for one in finished {
                    let twice = self.ended.insert(one.trajectory.id.number.0, one.trajectory);
                    assert!(twice.is_none(), "an attempt ended twice: {twice:?}");
                }
            }
            GeneratorEvent::Warning(warning) => {
                eprintln!("{warning}");
                self.warnings.push(warning);
            }
            GeneratorEvent::Capacity(capacity) => self.capacity = capacity,
            GeneratorEvent::Drawn(_) => {}
            other => self.others.push(other),
        }
    }

    fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "{} ended; {:?}; {:?}",
                self.ended.len(),
                self.warnings,
                self.others
            );
            self.hear();
        }
    }

    fn until_ended(&mut self, count: usize) {
        self.until(|holder| holder.ended.len() >= count);
    }
}

fn rollout(number: u32, max_new_tokens: u32) -> Rollout {
    Rollout {
        id: AttemptId { problem: ProblemId::new(format!("{}", number % 10)), number: AttemptNumber(number) },
        problem: (number % 10).to_string().into(),
        sampling: SamplingSettings { max_new_tokens, ..SamplingSettings::default() },
        seed: u64::from(number),
    }
}

/// Makes sure that all that has ended was drawn by the policy that it names.
fn check(world: &World, holder: &Holder) {
    for (number, trajectory) in &holder.ended {
        world.two.check(&(number % 10).to_string(), trajectory);
    }
}

#[test]
fn rollouts_come_back_with_the_policy_that_drew_them_across_a_publication() {
    let (world, _doubles) = world(two_doubles);
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.submit(0..10, 20);
    holder.generator.adopt(&base());
    holder.until_ended(10);
    holder.submit(10..40, 20);
    holder.generator.adopt(&other());
    holder.submit(40..60, 20);
    holder.until_ended(60);
    check(&world, &holder);
    let by_other = |number: u32| holder.ended[&number].versions[0].policy == other().name;
    assert!((40..60).all(by_other), "what is submitted after a policy is drawn by it");
    assert!((0..10).all(|number| !by_other(number)));
    assert!(holder.warnings.is_empty() && holder.capacity > 0, "{:?}", holder.warnings);
    assert!(
        holder.others.iter().all(|event| matches!(event, GeneratorEvent::Adopted(_))),
        "{:?}",
        holder.others
    );
    let reasons: HashMap<_, usize> = holder.ended.values().fold(HashMap::new(), |mut counts, one| {
        *counts.entry(one.finish).or_default() += 1;
        counts
    });
    assert!(
        reasons.keys().all(|reason| matches!(reason, FinishReason::Length | FinishReason::Stop)),
        "{reasons:?}"
    );
}

#[test]
fn an_adapter_is_published_while_servers_draw_and_loaded_again_by_one_that_was_started_anew() {
    let (world, mut doubles) = world_of(Two::make_adapter, |two| {
        let options = |_| Options { max_lora_rank: Some(16), ..Options::new(&two.folders[0]) };
        let doubles: Vec<_> = (0..2).map(options).map(EngineDouble::start).collect();
        let section = section(&doubles);
        (doubles, section)
    });
    let asked =
        |double: &EngineDouble, what: &str| double.log().iter().filter(|asked| asked.contains(what)).count();
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&base());
    // what is drawn by the base is still on its way when the adapter comes
    holder.submit(0..16, 300);
    holder.until_ended(1);
    holder.generator.adopt(&other());
    holder.submit(16..40, 20);
    holder.until_ended(40);
    check(&world, &holder);
    assert!((16..40).all(|number| holder.ended[&number].versions[0].policy == other().name));
    for double in &doubles {
        assert_eq!(asked(double, "/pause?"), 1, "{:?}", double.log());
        assert_eq!(asked(double, "/collective_rpc"), 1, "the base, once");
        assert_eq!(asked(double, "/v1/load_lora_adapter"), 1);
    }
    doubles[0].restart(None);
    holder.submit(40..80, 20);
    holder.until_ended(80);
    check(&world, &holder);
    assert!((40..80).all(|number| holder.ended[&number].versions[0].policy == other().name));
    assert!(asked(&doubles[0], "/v1/load_lora_adapter") <= 2);
}

#[test]
fn evaluation_and_exploration_share_one_server_in_turns() {
    let (world, _doubles) = world(|two| {
        let doubles = vec![EngineDouble::start(Options::new(&two.folders[0]))];
        let section = section(&doubles);
        (doubles, section)
    });
    let mut exploring = Holder::open(&world.fleet, Lane::Exploration);
    let mut evaluating = Holder::open(&world.fleet, Lane::Evaluation);
    exploring.generator.adopt(&base());
    exploring.submit(0..8, 10);
    exploring.until_ended(4);
    evaluating.generator.adopt(&other());
    evaluating.submit(100..110, 10);
    exploring.submit(8..16, 10);
    evaluating.until_ended(10);
    exploring.until_ended(16);
    check(&world, &exploring);
    check(&world, &evaluating);
    assert!(evaluating.ended.values().all(|one| one.versions[0].policy == other().name));
    assert!(exploring.ended.values().all(|one| one.versions[0].policy == base().name));
}

#[test]
fn rollouts_are_drawn_while_sequences_are_scored_under_the_same_policy_and_under_another() {
    let (world, _doubles) = world(two_doubles);
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&base());
    holder.submit(0..8, 20);
    holder.until_ended(4);
    for (round, (number, policy)) in [(1, other()), (0, base())].into_iter().enumerate() {
        let mut pass = Pass::of(0..60);
        thread::scope(|scope| {
            let scored =
                scope.spawn(|| world.fleet.scorer().score(&policy, &mut pass, &Withdrawal::default()));
            let start = 8 + 40 * round as u32;
            holder.submit(start..start + 40, 20);
            holder.until_ended(start as usize + 40);
            scored.join().unwrap().unwrap();
        });
        pass.check(&world.two, number, 60);
    }
    check(&world, &holder);
    assert!(holder.ended.values().all(|one| one.versions[0].policy == base().name));
}

#[test]
fn nothing_is_lost_or_doubled_when_servers_fail_in_every_way_and_come_back_as_others() {
    let (world, mut doubles) = world(two_doubles);
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&other());
    holder.submit(0..20, 20);
    holder.until_ended(10);
    let generate = "/inference/v1/generate";
    for (fault, times) in
        [(Fault::Status(503), 3), (Fault::Status(500), 2), (Fault::Drop, 2), (Fault::DropAfter, 2)]
    {
        doubles[0].fail(generate, fault.clone(), times);
        doubles[1].fail(generate, fault, times);
    }
    holder.submit(20..60, 20);
    holder.until_ended(60);
    // killed and started anew in the middle of its work, with the weights of its command line
    for round in 0..3 {
        let start = 60 + round * 40;
        holder.submit(start..start + 40, 30);
        holder.until_ended(start as usize + 5);
        let one = &mut doubles[(round % 2) as usize];
        one.kill();
        holder.until_ended(start as usize + 15);
        one.restart(None);
        holder.until_ended(start as usize + 40);
    }
    assert_eq!(holder.ended.len(), 180);
    check(&world, &holder);
    assert!(holder.ended.values().all(|one| one.versions[0].policy == other().name));
    assert!(
        holder.others.iter().all(|event| matches!(event, GeneratorEvent::Adopted(_))),
        "{:?}",
        holder.others
    );
    // what it serves after that is what it was given, not what it was started with
    let given = doubles[0].log().iter().filter(|asked| asked.contains("/collective_rpc")).count();
    assert!(given >= 2, "{given}");
}

#[test]
fn a_server_that_stops_is_left_out_and_what_it_holds_goes_elsewhere() {
    let (world, doubles) = world(|two| {
        let (doubles, section) = two_doubles(two);
        (doubles, EngineSection { max_silence_seconds: 2, ..section })
    });
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&base());
    // one that stops while it takes weights over has much longer to do so: the first answer of a server is of the probe
    let mut submitted = 0;
    while asked_to_draw(&doubles[0]) < 2 {
        holder.submit(submitted..submitted + 4, 10);
        submitted += 4;
        holder.until_ended(submitted as usize);
    }
    doubles[0].freeze(true);
    holder.submit(submitted..submitted + 36, 10);
    holder.until_ended(submitted as usize + 36);
    holder.until(|holder| holder.warnings.iter().any(|warning| warning.contains("left out")));
    let is_of_first = |warning: &String| warning.contains(&doubles[0].address());
    assert!(holder.warnings.iter().all(is_of_first), "{:?}", holder.warnings);
    doubles[0].freeze(false);
    let asked = doubles[0].log().len();
    holder.submit(submitted + 36..submitted + 56, 10);
    holder.until_ended(submitted as usize + 56);
    doubles[0].wait_until_asked(|log| log.iter().skip(asked).any(|one| one.contains("/is_paused")));
    check(&world, &holder);
}

#[test]
fn a_server_that_serves_something_else_under_the_name_is_not_used_and_named() {
    let (world, doubles) = world(|two| {
        let doubles = vec![EngineDouble::start(Options::new(&two.folders[0]))];
        let section = section(&doubles);
        (doubles, section)
    });
    // what is published is not what the daemon takes it for
    let (config, mut weights) = load_folder(Path::new(FIXTURE)).unwrap();
    weights.final_norm.iter_mut().for_each(|value| *value *= 3.0);
    save_folder(&world.folder.path().join("other"), &config, &weights, Precision::F32, u64::MAX).unwrap();
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&other());
    holder.submit(0..4, 10);
    holder.until(|holder| !holder.warnings.is_empty());
    assert!(
        holder.warnings[0].contains("round-1-step-9") && holder.warnings[0].contains("max_gap_nats"),
        "{:?}",
        holder.warnings
    );
    assert!(holder.warnings[0].contains(&doubles[0].address()));
    assert!(holder.ended.is_empty());
    // another policy is another matter
    holder.generator.adopt(&base());
    holder.until_ended(4);
    check(&world, &holder);
}

#[test]
fn what_is_withdrawn_ends_as_such_and_what_cannot_be_served_is_refused_with_its_reason() {
    let (world, doubles) = world(two_doubles);
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    for double in &doubles {
        double.fail("/inference/v1/generate", Fault::Hang, 0);
    }
    holder.generator.adopt(&base());
    holder.submit(0..1, 10);
    holder.until_ended(1);
    for double in &doubles {
        double.fail("/inference/v1/generate", Fault::Hang, 1_000);
    }
    let before: usize = doubles.iter().map(asked_to_draw).sum();
    holder.submit(1..3, 10);
    let mut asked = 0;
    while asked < before + 2 {
        holder.hear();
        asked = doubles.iter().map(asked_to_draw).sum();
    }
    for number in 1..3 {
        holder.generator.cancel(&rollout(number, 10).id);
    }
    holder.until_ended(3);
    assert!((1..3).all(|number| holder.ended[&number].finish == FinishReason::Cancelled));
    for double in &doubles {
        double.heal();
    }
    let unreadable = Rollout { problem: "no number".into(), ..rollout(9, 10) };
    holder.generator.submit(unreadable);
    holder.until(|holder| holder.others.iter().any(|event| matches!(event, GeneratorEvent::Refused { .. })));
    let refused = holder.others.iter().find_map(|event| match event {
        GeneratorEvent::Refused { id, reason } => Some((id.number.0, reason.clone())),
        _ => None,
    });
    assert_eq!(refused, Some((9, "`no number` is no number".to_owned())));
    holder.submit(20..24, 10);
    holder.until_ended(7);
    holder.generator.end();
}

#[test]
fn servers_are_added_and_removed_while_rollouts_are_drawn_and_each_trajectory_names_its_own() {
    let (world, doubles) = world(|two| {
        let doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(Options::new(&two.folders[0]))).collect();
        let section = section(&doubles[..1]);
        (doubles, section)
    });
    let [first, second] = [doubles[0].address(), doubles[1].address()];
    let mut holder = Holder::open(&world.fleet, Lane::Exploration);
    holder.generator.adopt(&other());
    holder.submit(0..10, 20);
    holder.until_ended(10);
    assert_eq!(asked_to_draw(&doubles[1]), 0);
    let fleet = world.fleet.clone();
    let added = |address: &str, kind| world.runtime.block_on(fleet.add(address, kind));
    added(&second, None).unwrap();
    assert_eq!(added(&second, None), Err(FleetRefusal::Known(second.clone())));
    assert!(matches!(added("nowhere", None), Err(FleetRefusal::Bad(reason)) if reason.contains("http://")));
    let of_no_section = added("http://127.0.0.1:9", Some("sglang"));
    assert!(matches!(of_no_section, Err(FleetRefusal::Bad(reason)) if reason.contains("sglang")));
    // until the new one has drawn
    let mut submitted = 10;
    while asked_to_draw(&doubles[1]) < 2 {
        holder.submit(submitted..submitted + 10, 20);
        submitted += 10;
        holder.until_ended(submitted as usize);
    }
    let left = world.runtime.block_on(fleet.remove(&first, true)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(
        world.runtime.block_on(fleet.remove(&first, true)),
        Err(FleetRefusal::NotThere(first.clone()))
    );
    let asked = asked_to_draw(&doubles[0]);
    holder.submit(submitted..submitted + 20, 20);
    holder.until_ended(submitted as usize + 20);
    assert_eq!(asked_to_draw(&doubles[0]), asked, "it is sent nothing more");
    let states: Vec<_> = fleet.servers().iter().map(|one| (one.address.clone(), one.state)).collect();
    assert_eq!(states, [(first.clone(), ServerState::Gone), (second.clone(), ServerState::Serving)]);
    check(&world, &holder);
    let names: HashMap<_, _> = [&first, &second]
        .map(|address| {
            let manner = Provenance {
                engine: "vllm".to_owned(),
                name: address.clone(),
                version: Some("0.32.0".to_owned()),
                precision: Some("f32".to_owned()),
                prompt: "numbers".to_owned(),
                is_retokenized: false,
            };
            (manner.id(), address.clone())
        })
        .into();
    let by = |number: u32| &names[holder.ended[&number].provenance.as_ref().unwrap()];
    assert!((0..10).all(|number| *by(number) == first));
    assert!((submitted..submitted + 20).all(|number| *by(number) == second));
}

fn asked_to_draw(double: &EngineDouble) -> usize {
    double.log().iter().filter(|asked| asked.contains("/inference/v1/generate")).count()
}
