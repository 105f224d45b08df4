use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use still_domain::{AttemptNumber, PolicyName, PolicyVersion, ProblemId, SamplingSettings};

use super::*;

/// Ends nothing by itself: what is cancelled is lost, and `refuse` is refused.
#[derive(Default)]
struct Patient {
    steps: Arc<AtomicUsize>,
    has_policy: bool,
    held: Vec<AttemptId>,
    cancelled: Vec<AttemptId>,
    is_starved: bool,
}

impl StepGenerator for Patient {
    fn adopt(&mut self, policy: &PolicyRef) -> Result<(), GeneratorError> {
        self.has_policy = true;
        if policy.checkpoint.is_some() {
            Err(GeneratorError::Policy("no such weights".to_owned()))
        } else {
            Ok(())
        }
    }

    fn submit(&mut self, rollout: Rollout) -> Result<(), GeneratorError> {
        if !self.has_policy {
            return Err(GeneratorError::NoPolicy);
        }
        if rollout.problem == "refuse" {
            return Err(GeneratorError::Refused { id: rollout.id, reason: "too long".to_owned() });
        }
        self.held.push(rollout.id);
        Ok(())
    }

    fn cancel(&mut self, id: &AttemptId) {
        self.held.retain(|held| held != id);
        self.cancelled.push(id.clone());
    }

    fn step(&mut self) -> Result<GeneratorStep, GeneratorError> {
        self.steps.fetch_add(1, Ordering::SeqCst);
        let lost =
            self.cancelled.drain(..).map(|id| Unserved { id, reason: "cancelled".to_owned() }).collect();
        Ok(GeneratorStep { lost, tokens: 1, is_stalled: self.is_starved, ..GeneratorStep::default() })
    }

    fn capacity(&self) -> usize {
        4
    }

    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.cancelled.is_empty()
    }
}

fn open(is_starved: bool) -> (Box<dyn Generator>, mpsc::Receiver<GeneratorEvent>, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let factory = EmbeddedGenerator::factory("patient", move || {
        Ok(Box::new(Patient { steps: Arc::clone(&counted), is_starved, ..Patient::default() }))
    });
    let (reported, events) = mpsc::channel();
    let sink = EventSink::new(move |event| {
        let _nobody_listens = reported.send(event);
    });
    (factory.open(sink).unwrap(), events, steps)
}

fn rollout(number: u32, problem: &str) -> Rollout {
    let id = AttemptId { problem: ProblemId::new("p"), number: AttemptNumber(number) };
    Rollout { id, problem: problem.into(), sampling: SamplingSettings::default(), seed: 0 }
}

fn policy(version: u64) -> PolicyRef {
    PolicyRef { name: PolicyName::from(PolicyVersion(version)), checkpoint: None }
}

/// What is reported but for tokens drawn.
fn next(events: &mpsc::Receiver<GeneratorEvent>) -> GeneratorEvent {
    events.iter().find(|event| !matches!(event, GeneratorEvent::Drawn(_))).unwrap()
}

#[test]
fn rollouts_wait_for_the_first_policy_and_come_to_one_word_each() {
    let (mut generator, events, _) = open(false);
    assert_eq!(next(&events), GeneratorEvent::Capacity(4));
    for (number, problem) in ["stay", "refuse", "stay"].into_iter().enumerate() {
        generator.submit(rollout(number as u32, problem));
    }
    generator.cancel(&rollout(2, "").id);
    assert!(matches!(next(&events), GeneratorEvent::Lost { id, .. } if id == rollout(2, "").id));
    generator.adopt(&policy(3));
    assert_eq!(next(&events), GeneratorEvent::Adopted(PolicyVersion(3).into()));
    assert!(matches!(next(&events), GeneratorEvent::Refused { id, .. } if id == rollout(1, "").id));
    generator.cancel(&rollout(0, "").id);
    assert!(matches!(next(&events), GeneratorEvent::Lost { id, .. } if id == rollout(0, "").id));
    generator.end();
    assert!(events.recv().is_err(), "nothing is reported after the end");
}

#[test]
fn what_is_meant_for_a_policy_that_cannot_be_had_waits_for_the_next() {
    let (mut generator, events, _) = open(false);
    assert_eq!(next(&events), GeneratorEvent::Capacity(4));
    generator.adopt(&policy(1));
    assert_eq!(next(&events), GeneratorEvent::Adopted(PolicyVersion(1).into()));
    let checkpoint = Some(still_domain::CheckpointId::new("round-1-step-2"));
    generator.adopt(&PolicyRef { checkpoint, ..policy(2) });
    let reason = "no such weights".to_owned();
    assert_eq!(next(&events), GeneratorEvent::NotAdopted { policy: PolicyVersion(2).into(), reason });
    generator.submit(rollout(0, "refuse"));
    generator.adopt(&policy(3));
    assert_eq!(next(&events), GeneratorEvent::Adopted(PolicyVersion(3).into()));
    assert!(matches!(next(&events), GeneratorEvent::Refused { .. }), "it was submitted only now");
}

#[test]
fn a_device_without_room_is_left_alone_and_others_are_heard_meanwhile() {
    let (mut generator, events, steps) = open(true);
    generator.adopt(&policy(1));
    generator.submit(rollout(0, "stay"));
    events.iter().find(|event| matches!(event, GeneratorEvent::Drawn(_))).unwrap();
    generator.adopt(&policy(2));
    let adopted = GeneratorEvent::Adopted(PolicyVersion(2).into());
    events.iter().find(|event| *event == adopted).unwrap();
    generator.end();
    let steps = steps.load(Ordering::SeqCst);
    assert!(steps < 100, "{steps} steps, as if there were no pause");
}
