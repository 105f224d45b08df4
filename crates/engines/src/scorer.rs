//! The scorer role of a fleet: as many sequences of a pass are with the dispatcher as the fleet can hold, and their scores come
//! from there.

use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
};

use still_domain::PolicyRef;
use still_roles::{EventSink, ScoreRequest, Scorer, ScoringPass, Withdrawal};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    dispatcher::{Command, Holder, ScorerEvent, Work},
    fleet::Fleet,
    generator::END,
    schedule::Lane,
};

/// Tokens of a pass that are under way, at most, unless a single sequence has more: each takes some forty bytes, in the
/// sequence and in the question about it.
const MAX_TOKENS: usize = 4 << 20;

/// Tells openings of the lane apart.
static OPENINGS: AtomicU64 = AtomicU64::new(0);

/// Scores sequences on the servers of a fleet, many at once. A fleet whose servers are all away is waited for.
#[derive(Debug)]
pub struct FleetScorer {
    fleet: Fleet,
}

/// What a pass waits for.
enum Word {
    Told(ScorerEvent),
    Withdrawn,
}

/// The lane of scoring, held for one pass. What it has under way is dropped with it.
struct Lease {
    orders: UnboundedSender<Command>,
    incarnation: u64,
}

impl FleetScorer {
    pub(crate) const fn new(fleet: Fleet) -> Self {
        Self { fleet }
    }
}

impl Scorer for FleetScorer {
    fn score(
        &mut self,
        policy: &PolicyRef,
        pass: &mut dyn ScoringPass<ScoreRequest, Vec<f32>>,
        withdrawal: &Withdrawal,
    ) -> Result<(), String> {
        let (sender, words) = mpsc::channel();
        let lease = Lease::open(&self.fleet, policy, sender.clone())?;
        // whoever withdraws keeps this end: that the lane was taken away is told by its own
        withdrawal.when_withdrawn(move || {
            // a pass that is over wants no word
            let _ = sender.send(Word::Withdrawn);
        });
        // how many tokens each has that is under way
        let mut under_way: HashMap<u64, usize> = HashMap::new();
        let (mut tokens, mut capacity, mut is_all) = (0, 0, false);
        loop {
            while !is_all
                && !withdrawal.is_withdrawn()
                && under_way.len() < capacity
                && (tokens < MAX_TOKENS || under_way.is_empty())
            {
                match pass.next() {
                    Some((number, request)) => {
                        under_way.insert(number, request.tokens.len());
                        tokens += request.tokens.len();
                        lease.submit(number, request);
                    }
                    None => is_all = true,
                }
            }
            if is_all && under_way.is_empty() {
                return Ok(());
            }
            match words.recv() {
                Ok(Word::Told(ScorerEvent::Capacity(told))) => capacity = told,
                Ok(Word::Told(ScorerEvent::Scored { number, found })) => {
                    tokens -= under_way.remove(&number).unwrap_or_default();
                    if pass.scored(number, found).is_break() {
                        return Ok(());
                    }
                }
                Ok(Word::Told(ScorerEvent::NotAdopted(reason))) => return Err(reason),
                Ok(Word::Told(ScorerEvent::Closed)) => {
                    return Err("the fleet of servers has ended, or another pass has begun".to_owned());
                }
                Ok(Word::Withdrawn) | Err(_) => return Ok(()),
            }
        }
    }
}

impl Lease {
    /// Has the lane's work done by a policy; what comes of it goes to a sender.
    fn open(fleet: &Fleet, policy: &PolicyRef, sender: Sender<Word>) -> Result<Self, String> {
        let (orders, lane) = (fleet.orders(), Lane::Scoring);
        let incarnation = OPENINGS.fetch_add(1, Ordering::Relaxed) + 1;
        let events = EventSink::new(move |event| {
            let _ = sender.send(Word::Told(event));
        });
        let opened = Command::Open { lane, incarnation, holder: Holder::Scorer(events) };
        orders.send(opened).map_err(|_| "the fleet of servers has ended".to_owned())?;
        let lease = Self { orders, incarnation };
        lease.order(Command::Adopt { lane, incarnation, policy: policy.clone() });
        Ok(lease)
    }

    fn submit(&self, number: u64, request: ScoreRequest) {
        let (lane, incarnation) = (Lane::Scoring, self.incarnation);
        self.order(Command::Submit { lane, incarnation, work: Work::Sequence { number, request } });
    }

    fn order(&self, order: Command) {
        // a fleet that has ended says so by itself
        let _ = self.orders.send(order);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (done, ended) = mpsc::channel();
        let (lane, incarnation) = (Lane::Scoring, self.incarnation);
        self.order(Command::Close { lane, incarnation, done: Some(done) });
        // when this is over nothing is under way any more
        let _ = ended.recv_timeout(END);
    }
}
