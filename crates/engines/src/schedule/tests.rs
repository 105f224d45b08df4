mod sharing;

use std::collections::HashSet;

use still_control::ServerState;

use super::*;

const BASE: PolicyId = PolicyId(0);
const NEXT: PolicyId = PolicyId(1);
const FIRST: PolicyId = PolicyId(9);

fn limits() -> Limits {
    Limits { max_in_flight: 16, poll_every: Duration::from_secs(1), max_silence: Duration::from_secs(100) }
}

/// A schedule with servers that do at once what they are told to, but for requests.
struct World {
    schedule: Schedule,
    now: Duration,
    /// What each server serves.
    serves: Vec<Option<PolicyId>>,
    /// Servers that do not answer.
    dead: HashSet<ServerId>,
    /// Requests under way: server and ticket.
    sent: HashMap<JobId, (ServerId, u64)>,
    swaps: Vec<(ServerId, PolicyId)>,
    warnings: Vec<String>,
    lost: Vec<(JobId, String)>,
    load: Load,
    /// Requests that were sent for a policy that their server did not serve.
    wrong: usize,
    lane_policy: HashMap<Lane, PolicyId>,
    lanes: HashMap<JobId, Lane>,
}

impl World {
    fn new(servers: usize) -> Self {
        let mut schedule = Schedule::new(Shares::default());
        for _ in 0..servers {
            schedule.add_server(Duration::ZERO, limits());
        }
        let mut world = Self {
            schedule,
            now: Duration::ZERO,
            serves: vec![None; servers],
            dead: HashSet::new(),
            sent: HashMap::new(),
            swaps: Vec::new(),
            warnings: Vec::new(),
            lost: Vec::new(),
            load: Load::default(),
            wrong: 0,
            lane_policy: HashMap::new(),
            lanes: HashMap::new(),
        };
        world.obey();
        world
    }

    fn obey(&mut self) {
        loop {
            let orders = self.schedule.orders();
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Attach { server, epoch, .. } => {
                        let serves = self.serves[server.0];
                        let found = if self.dead.contains(&server) {
                            Err("connection refused".to_owned())
                        } else {
                            Ok(serves)
                        };
                        self.schedule.attached(self.now, server, epoch, found);
                    }
                    Order::Swap { server, epoch, policy } => {
                        assert!(!self.sent.values().any(|(on, _)| *on == server), "{server:?} is not empty");
                        self.swaps.push((server, policy));
                        let result = if self.dead.contains(&server) {
                            Err("no answer".to_owned())
                        } else {
                            self.serves[server.0] = Some(policy);
                            Ok(())
                        };
                        self.schedule.swapped(self.now, server, epoch, result);
                    }
                    Order::Poll { server, epoch } => {
                        let load = if self.dead.contains(&server) {
                            Err("refused".to_owned())
                        } else {
                            Ok(self.load)
                        };
                        self.schedule.polled(self.now, server, epoch, load);
                    }
                    Order::Send { server, job, ticket } => {
                        let wanted = self.lane_policy.get(&self.lanes[&job]);
                        self.wrong += usize::from(self.serves[server.0].as_ref() != wanted);
                        let twice = self.sent.insert(job, (server, ticket));
                        assert_eq!(twice, None, "{job:?} is on two servers");
                    }
                    Order::Withdraw(job) => {
                        self.sent.remove(&job);
                    }
                    Order::Lose { job, reason } => self.lost.push((job, reason)),
                    Order::Warn { text, .. } => self.warnings.push(text),
                }
            }
        }
    }

    fn adopt(&mut self, lane: Lane, policy: PolicyId) {
        self.lane_policy.insert(lane, policy);
        self.schedule.adopt(self.now, lane, Some(policy));
        self.obey();
    }

    fn submit(&mut self, lane: Lane, jobs: std::ops::Range<u64>) {
        for job in jobs {
            self.lanes.insert(JobId(job), lane);
            let group = (lane != Lane::Scoring).then_some(job / 4);
            self.schedule.submit(self.now, lane, JobId(job), group, 100);
            self.obey();
        }
    }

    fn end(&mut self, job: JobId, end: Result<u32, &Fault>) -> Verdict {
        let (_, ticket) = self.sent.remove(&job).unwrap();
        let verdict = self.schedule.ended(self.now, job, ticket, end);
        self.obey();
        verdict
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.now += Duration::from_millis(500);
            self.schedule.tick(self.now);
            self.obey();
        }
    }

    /// Ends everything that is under way or comes under way.
    fn finish_all(&mut self) -> usize {
        let mut finished = 0;
        while let Some(job) = self.sent.keys().next().copied() {
            finished += usize::from(self.end(job, Ok(10)) == Verdict::Settled);
        }
        finished
    }

    /// Requests of a lane that are under way.
    fn of(&self, lane: Lane) -> usize {
        self.sent.keys().filter(|job| self.lanes[job] == lane).count()
    }

    fn on(&self, server: usize) -> usize {
        self.sent.values().filter(|(on, _)| on.0 == server).count()
    }
}

#[test]
fn nothing_is_sent_before_a_server_serves_what_is_asked_for() {
    let mut world = World::new(2);
    world.submit(Lane::Exploration, 0..4);
    assert!(world.sent.is_empty() && world.swaps.is_empty());
    world.adopt(Lane::Exploration, BASE);
    assert_eq!(world.swaps.len(), 2);
    assert_eq!(world.sent.len(), 4);
    assert_eq!(world.finish_all(), 4);
    assert_eq!(world.wrong, 0);
}

#[test]
fn what_a_server_serves_already_is_not_given_to_it_again() {
    let mut world = World::new(0);
    world.serves = vec![Some(BASE)];
    world.schedule.add_server(Duration::ZERO, limits());
    world.obey();
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..1);
    assert!(world.swaps.is_empty() && world.sent.len() == 1);
}

#[test]
fn the_least_loaded_comes_first_and_a_prefix_draws_its_like() {
    let mut world = World::new(4);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..16);
    let loads: Vec<usize> = (0..4).map(|server| world.on(server)).collect();
    assert!(loads.iter().all(|load| (2..=6).contains(load)), "{loads:?}");
    let together = (0..4).filter(|group| {
        let servers: HashSet<_> = (0..4).map(|one| world.sent[&JobId(group * 4 + one)].0).collect();
        servers.len() <= 2
    });
    assert_eq!(together.count(), 4, "the requests of one prompt are spread no wider than they need to be");
}

#[test]
fn a_publication_waits_for_nobody_and_mixes_nothing() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..6);
    world.swaps.clear();
    world.lane_policy.insert(Lane::Exploration, NEXT);
    world.schedule.adopt(world.now, Lane::Exploration, Some(NEXT));
    world.obey();
    world.submit(Lane::Exploration, 6..8);
    assert!(world.swaps.is_empty(), "both hold requests of the policy before");
    let of_first: Vec<JobId> =
        world.sent.iter().filter(|(_, (on, _))| on.0 == 0).map(|(job, _)| *job).collect();
    for job in of_first {
        assert_eq!(world.end(job, Ok(5)), Verdict::Settled);
    }
    assert_eq!(world.swaps, [(ServerId(0), NEXT)]);
    assert_eq!(world.on(0), 2, "it goes on while the other still ends what it holds");
    world.finish_all();
    assert_eq!((world.wrong, world.swaps.len()), (0, 2));
}

#[test]
fn a_failed_server_loses_nothing_and_is_taken_back() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..12);
    world.dead.insert(ServerId(0));
    let broken = Fault::Broken("connection reset".to_owned());
    let of_first: Vec<JobId> =
        world.sent.iter().filter(|(_, (on, _))| on.0 == 0).map(|(job, _)| *job).collect();
    assert!(of_first.len() >= 3);
    for job in of_first {
        if world.sent.get(&job).is_some_and(|(on, _)| on.0 == 0) {
            assert_eq!(world.end(job, Err(&broken)), Verdict::NotYet);
        }
    }
    assert_eq!(world.on(0), 0);
    assert!(world.warnings.iter().any(|text| text.contains("left out")), "{:?}", world.warnings);
    // it was started anew, with other weights
    world.serves[0] = None;
    world.dead.clear();
    let swaps = world.swaps.len();
    world.pass(120);
    assert_eq!(world.swaps.len(), swaps + 1, "what it serves is not taken for granted");
    world.submit(Lane::Exploration, 12..40);
    assert!(world.on(0) > 0);
    let mut finished = 0;
    while !world.sent.is_empty() {
        finished += world.finish_all();
    }
    assert_eq!((finished, world.wrong, world.lost.len()), (40, 0, 0));
}

#[test]
fn waits_before_a_failed_server_is_looked_at_double_up_to_a_minute() {
    let mut world = World::new(1);
    world.dead.insert(ServerId(0));
    world.adopt(Lane::Exploration, BASE);
    world.pass(1);
    world.schedule.orders();
    let start = world.warnings.len();
    world.pass(600);
    let looks = world.warnings.len() - start;
    assert!((9..=17).contains(&looks), "{looks} looks in ten minutes");
    assert!(world.warnings.iter().any(|text| text.contains("after 60 s")));
}

#[test]
fn states_count_against_no_request_and_nobodys_health() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..1);
    for _ in 0..50 {
        let busy = Fault::Busy("503".to_owned());
        assert_eq!(world.end(JobId(0), Err(&busy)), Verdict::NotYet);
        assert!(world.sent.is_empty(), "it rests");
        world.pass(3);
        assert_eq!(world.sent.len(), 1);
    }
    assert!(world.lost.is_empty() && world.warnings.is_empty(), "{:?}", world.warnings);
    assert_eq!(world.finish_all(), 1);
}

#[test]
fn a_pause_is_waited_for_and_set_right_when_nobody_ends_it() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..2);
    world.load.is_paused = true;
    world.pass(3);
    assert_eq!(world.schedule.capacity(Lane::Exploration), 0, "a state");
    world.submit(Lane::Exploration, 2..3);
    assert_eq!(world.sent.len(), 2, "nothing is sent to it");
    world.load.is_paused = false;
    world.pass(3);
    assert_eq!(world.sent.len(), 3);
    assert!(world.warnings.is_empty());
    world.load.is_paused = true;
    world.pass(40);
    assert!(world.warnings.iter().any(|text| text.contains("still paused")), "{:?}", world.warnings);
}

#[test]
fn a_server_that_draws_nothing_is_left_out_and_one_that_draws_slowly_is_not() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..2);
    for _ in 0..50 {
        world.load.generated_tokens += 1;
        world.pass(10);
    }
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
    world.pass(110);
    assert!(world.warnings.iter().any(|text| text.contains("drawn nothing")), "{:?}", world.warnings);
}

#[test]
fn a_request_far_beyond_its_pace_goes_elsewhere_and_its_late_answer_does_not_count() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..2);
    world.pass(1);
    world.end(JobId(0), Ok(100));
    world.end(JobId(1), Ok(100));
    world.submit(Lane::Exploration, 2..3);
    let (first, ticket) = world.sent[&JobId(2)];
    for _ in 0..80 {
        world.load.generated_tokens += 1;
        world.pass(1);
    }
    let (_, again) = world.sent[&JobId(2)];
    assert_ne!(ticket, again, "its deadline of 64 seconds is over");
    assert_eq!(world.schedule.ended(world.now, JobId(2), ticket, Ok(100)), Verdict::NotYet);
    assert_eq!(world.end(JobId(2), Ok(100)), Verdict::Settled);
    assert!(world.schedule.held(first) == 0 && world.lost.is_empty());
}

#[test]
fn a_request_that_fails_everywhere_is_given_back_in_the_end() {
    let mut world = World::new(3);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..1);
    let failed = Fault::Failed("status 500".to_owned());
    for _ in 0..100 {
        if world.sent.contains_key(&JobId(0)) {
            world.end(JobId(0), Err(&failed));
        }
        world.pass(2);
    }
    let [(JobId(0), reason)] = &world.lost[..] else { panic!("{:?}", world.lost) };
    assert!(reason.contains("8 times") && reason.contains("500"), "{reason}");
}

#[test]
fn answers_of_other_weights_are_thrown_away_and_the_server_is_given_the_right_ones() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..1);
    world.serves[0] = None;
    let swaps = world.swaps.len();
    let other = Fault::OtherWeights("called `default`".to_owned());
    assert_eq!(world.end(JobId(0), Err(&other)), Verdict::NotYet);
    assert_eq!(world.swaps.len(), swaps + 1);
    assert_eq!(world.end(JobId(0), Ok(9)), Verdict::Settled);
    assert!(world.lost.is_empty());
}

#[test]
fn how_fast_sequences_are_scored_is_no_measure_of_how_fast_rollouts_are_drawn() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    world.adopt(Lane::Scoring, BASE);
    world.submit(Lane::Scoring, 0..1);
    world.now += Duration::from_millis(1);
    world.end(JobId(0), Ok(100));
    world.submit(Lane::Exploration, 1..2);
    world.submit(Lane::Scoring, 2..3);
    let tickets = [1, 2].map(|job| world.sent[&JobId(job)].1);
    for _ in 0..90 {
        world.load.generated_tokens += 1;
        world.pass(1);
    }
    assert_eq!(world.sent[&JobId(1)].1, tickets[0], "it is drawn as long as it takes");
    assert_ne!(world.sent[&JobId(2)].1, tickets[1], "a score is far beyond its pace");
    assert_eq!((world.finish_all(), world.lost.len()), (2, 0));
}

#[test]
fn what_reached_a_server_that_is_left_paused_goes_elsewhere_and_is_not_waited_for() {
    let mut world = World::new(1);
    world.adopt(Lane::Scoring, BASE);
    world.submit(Lane::Scoring, 0..2);
    let ticket = world.sent[&JobId(0)].1;
    // as long as it is paused it answers nothing, and no pace is known that would say since when that is too long
    world.load.is_paused = true;
    world.serves[0] = None;
    world.pass(40);
    assert_ne!(world.sent.get(&JobId(0)).map(|(_, ticket)| *ticket), Some(ticket));
    world.load.is_paused = false;
    world.pass(10);
    assert_eq!((world.finish_all(), world.lost.len(), world.wrong), (2, 0, 0));
    assert_eq!(world.swaps.len(), 2, "it was given its weights again: {:?}", world.warnings);
}

#[test]
fn a_server_that_is_taken_out_ends_what_it_holds_and_is_sent_nothing_more() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..16);
    let (leaves, stays) = (ServerId(0), ServerId(1));
    assert_eq!((world.schedule.held(leaves), world.schedule.held(stays)), (8, 8));
    world.schedule.remove_server(world.now, leaves, false);
    world.obey();
    let state = |world: &World, server| world.schedule.standing(server).unwrap().state;
    assert_eq!(state(&world, leaves), ServerState::Leaving);
    world.submit(Lane::Exploration, 16..24);
    assert_eq!(world.schedule.held(leaves), 8);
    assert_eq!(world.finish_all(), 24);
    assert_eq!(state(&world, leaves), ServerState::Gone);
    world.submit(Lane::Exploration, 24..28);
    assert!(world.sent.values().all(|(server, _)| *server == stays));
    // and what is added meanwhile takes its place, and is given the policy and its share; what was asked of the one that
    // is gone is not taken for its word
    let added = world.schedule.add_server(world.now, limits());
    assert_eq!(added, leaves);
    world.schedule.attached(world.now, added, 1, Ok(Some(BASE)));
    assert_eq!(state(&world, added), ServerState::Attaching);
    world.serves[added.0] = None;
    world.obey();
    assert_eq!(state(&world, added), ServerState::Serving);
    world.submit(Lane::Exploration, 28..40);
    assert!(world.schedule.held(added) > 0 && world.wrong == 0);
}

#[test]
fn what_a_server_holds_that_is_taken_out_at_once_goes_elsewhere() {
    let mut world = World::new(2);
    world.adopt(Lane::Exploration, BASE);
    world.submit(Lane::Exploration, 0..8);
    world.schedule.remove_server(world.now, ServerId(0), true);
    world.obey();
    assert_eq!(world.schedule.standing(ServerId(0)).unwrap().state, ServerState::Gone);
    assert!(world.sent.values().all(|(server, _)| *server == ServerId(1)));
    // a failure of the one that is gone brings nobody back
    world.schedule.attached(world.now, ServerId(0), 1, Ok(Some(BASE)));
    world.pass(10);
    assert_eq!((world.finish_all(), world.schedule.held(ServerId(0))), (8, 0));
    assert!(world.lost.is_empty());
}

#[test]
fn a_server_tells_how_many_tokens_it_draws_a_second() {
    let mut world = World::new(1);
    world.adopt(Lane::Exploration, BASE);
    for second in 1..4 {
        world.load = Load { running: 2, generated_tokens: second * 50, ..Load::default() };
        world.pass(1);
    }
    let standing = world.schedule.standing(ServerId(0)).unwrap();
    assert!((standing.tokens_per_second - 50.0).abs() < 1.0, "{standing:?}");
    assert_eq!((standing.load.running, standing.serves), (2, Some(BASE)));
}

#[test]
fn whatever_happens_every_request_ends_once() {
    // a fixed sequence of everything that can happen, from a generator of its own
    let mut state = 0x9e37_79b9_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut world = World::new(5);
    world.adopt(Lane::Exploration, BASE);
    world.adopt(Lane::Scoring, FIRST);
    let (mut submitted, mut settled, mut policy) = (0, 0, 0);
    for _ in 0..4_000 {
        match random(20) {
            0 => {
                policy += 1;
                world.lane_policy.insert(Lane::Exploration, PolicyId(policy % 3));
                world.schedule.adopt(world.now, Lane::Exploration, Some(PolicyId(policy % 3)));
                // what is under way is of the policy before: not wrong
                let wrong = world.wrong;
                world.obey();
                world.wrong = wrong;
            }
            1 => {
                let server = ServerId(random(5) as usize);
                if !world.dead.remove(&server) {
                    world.dead.insert(server);
                    world.serves[server.0] = None;
                }
            }
            2..6 => {
                let lane = if random(3) == 0 { Lane::Scoring } else { Lane::Exploration };
                world.submit(lane, submitted..submitted + 1);
                submitted += 1;
            }
            6..9 => world.pass(1 + random(3)),
            _ => {
                let mut jobs: Vec<JobId> = world.sent.keys().copied().collect();
                jobs.sort_unstable();
                if jobs.is_empty() {
                    continue;
                }
                let job = jobs[random(jobs.len() as u64) as usize];
                let fault = match random(12) {
                    0 => Some(Fault::Busy(String::new())),
                    1 => Some(Fault::Broken(String::new())),
                    2 => Some(Fault::OtherWeights(String::new())),
                    3 => Some(Fault::Aborted(String::new())),
                    _ if world.dead.contains(&world.sent[&job].0) => Some(Fault::Broken(String::new())),
                    _ => None,
                };
                let end = fault.as_ref().map_or(Ok(3), Err);
                settled += u64::from(world.end(job, end) == Verdict::Settled);
            }
        }
    }
    world.dead.clear();
    for _ in 0..200 {
        settled += world.finish_all() as u64;
        world.pass(5);
    }
    assert!(submitted > 500, "{submitted}");
    assert_eq!(settled + world.lost.len() as u64, submitted);
    assert!(world.sent.is_empty());
}
