//! The engine on a scripted model.
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

mod scripted;

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use scripted::ScriptedModel;
use still_rollout::{
    Engine, EngineConfig, EngineError, FinishReason, Finished, PolicyVersion, Request, Sampler,
    SamplingSettings, SeenTokens, Span, StepError, StepModel, SubmitError, VersionSpan,
};

const VOCABULARY: usize = 50;

type ScriptedEngine = Engine<ScriptedModel, u32>;

fn engine(slots: usize, config: EngineConfig) -> ScriptedEngine {
    Engine::new(ScriptedModel::new(VOCABULARY, slots, 128), PolicyVersion(0), config)
}

fn request(id: u32, prompt: &[u32], max_new_tokens: u32) -> Request<u32> {
    Request {
        id,
        prompt: prompt.into(),
        settings: SamplingSettings { max_new_tokens, ..SamplingSettings::default() },
        seed: 1000 + u64::from(id),
        stop_ids: Arc::new([]),
        stop_strings: Arc::new([]),
    }
}

/// Prompts of mixed lengths, many with a common beginning.
fn mixed_requests(count: u32) -> Vec<Request<u32>> {
    (0..count)
        .map(|id| {
            let prompt: Vec<u32> = (0..3 + (id / 3) % 5 * 11)
                .map(|position| if position < 9 { position } else { (id / 3 + position) % 50 })
                .collect();
            let mut request = request(id, &prompt, 1 + id * 7 % 23);
            request.settings.temperature = [1.0, 0.5, 0.0][id as usize % 3];
            request.settings.top_p = [1.0, 0.9][id as usize % 2];
            request.settings.repetition_penalty = [1.0, 1.0, 1.2][id as usize % 3];
            request.stop_ids = Arc::new([7]);
            request
        })
        .collect()
}

/// Steps until nothing is left; the finished rollouts by name.
fn run(engine: &mut ScriptedEngine) -> BTreeMap<u32, Finished<u32>> {
    let mut finished = BTreeMap::new();
    for _ in 0..20_000 {
        if engine.is_idle() {
            return finished;
        }
        let report = engine.step().unwrap();
        assert!(report.abandoned.is_empty(), "{:?}", report.abandoned);
        for ended in report.finished {
            assert_eq!(ended.tokens.len(), ended.log_probabilities.len());
            assert_eq!(ended.tokens.len(), ended.sampling_log_probabilities.len());
            assert!(finished.insert(ended.id, ended).is_none(), "reported twice");
        }
    }
    unreachable!("the engine never became idle");
}

fn run_all(mut engine: ScriptedEngine, requests: &[Request<u32>]) -> BTreeMap<u32, Finished<u32>> {
    for request in requests {
        engine.submit(request.clone()).unwrap();
    }
    run(&mut engine)
}

/// Each request in an engine of its own.
fn run_each_alone(requests: &[Request<u32>]) -> BTreeMap<u32, Finished<u32>> {
    requests
        .iter()
        .flat_map(|request| run_all(engine(1, EngineConfig::default()), std::slice::from_ref(request)))
        .collect()
}

#[test]
fn a_request_gives_the_same_tokens_whatever_shares_its_batch() {
    let requests = mixed_requests(40);
    let alone = run_each_alone(&requests);
    assert_eq!(alone.len(), 40);
    assert!(alone.values().any(|ended| ended.finish == FinishReason::Stop));
    assert!(alone.values().any(|ended| ended.finish == FinishReason::Length));
    for slots in [2, 5, 40, 64] {
        for prefill_tokens_per_step in [1, 7, 512] {
            let config = EngineConfig { prefill_tokens_per_step, ..EngineConfig::default() };
            assert_eq!(run_all(engine(slots, config), &requests), alone, "{slots} {prefill_tokens_per_step}");
        }
    }
    let backwards: Vec<_> = requests.iter().rev().cloned().collect();
    assert_eq!(run_all(engine(3, EngineConfig::default()), &backwards), alone);
}

#[test]
fn seeds_tell_requests_apart_and_nothing_else_does() {
    let same = |id| Request { seed: 5, ..request(id, &[1, 2, 3], 20) };
    let finished =
        run_all(engine(4, EngineConfig::default()), &[same(0), same(1), request(2, &[1, 2, 3], 20)]);
    assert_eq!(finished[&0].tokens, finished[&1].tokens);
    assert_ne!(finished[&0].tokens, finished[&2].tokens);
    assert_eq!(finished[&0].tokens.len(), 20);
}

#[test]
fn a_shared_prompt_is_run_once() {
    let prompt: Vec<u32> = (0..41).collect();
    let mut engine = engine(8, EngineConfig::default());
    for id in 0..8 {
        engine.submit(request(id, &prompt, 5)).unwrap();
    }
    let first = engine.step().unwrap();
    assert_eq!((first.prefill_tokens, first.tokens, first.active), (41, 1, 8));
    let second = engine.step().unwrap();
    assert_eq!((second.shared_tokens, second.prefill_tokens, second.tokens), (7 * 40, 0, 8));
    run(&mut engine);
    // a late one finds the prompt in a slot that is free by now, and needs no copy
    engine.submit(request(9, &prompt, 5)).unwrap();
    let late = engine.step().unwrap();
    assert_eq!((late.shared_tokens, late.prefill_tokens, late.tokens), (40, 0, 1));
}

#[test]
fn prompts_with_a_common_beginning_share_that_much() {
    let beginning: Vec<u32> = (0..30).collect();
    let requests: Vec<_> =
        (0..6).map(|id| request(id, &[&beginning[..], &[40 + id, 3]].concat(), 9)).collect();
    let mut together = engine(6, EngineConfig::default());
    for request in &requests {
        together.submit(request.clone()).unwrap();
    }
    let reports = [together.step().unwrap(), together.step().unwrap()];
    assert_eq!(reports.map(|report| report.shared_tokens), [0, 5 * 30]);
    assert_eq!(run(&mut together), run_each_alone(&requests));
}

#[test]
fn a_slot_is_refilled_at_the_next_step() {
    let mut engine = engine(2, EngineConfig::default());
    for id in 0..4 {
        engine.submit(request(id, &[id, 1], 1 + 2 * (id % 2))).unwrap();
    }
    assert_eq!(engine.free_slots(), 0);
    let mut drawn = Vec::new();
    let mut ended = Vec::new();
    while !engine.is_idle() {
        let report = engine.step().unwrap();
        drawn.push(report.tokens);
        ended.push(report.finished.iter().map(|finished| finished.id).collect::<Vec<_>>());
    }
    // 0 ends at once; 2 takes its slot and ends; then 3 beside 1: never a row left idle while one waits
    assert_eq!(drawn, [2, 2, 2, 1, 1]);
    assert_eq!(ended, [vec![0], vec![2], vec![1], vec![], vec![3]]);
    assert_eq!(engine.free_slots(), 2);
}

#[test]
fn long_prompts_run_in_pieces_beside_decoding_sequences() {
    let config = EngineConfig { prefill_tokens_per_step: 10, ..EngineConfig::default() };
    let mut engine = engine(3, config);
    engine.submit(request(0, &[1], 30)).unwrap();
    engine.step().unwrap();
    let long: Vec<u32> = (0..35).collect();
    engine.submit(request(1, &long, 5)).unwrap();
    for _ in 0..4 {
        assert_eq!(engine.progress(&1).map(|progress| progress.tokens.len()), Some(0));
        engine.step().unwrap();
    }
    assert_eq!(engine.model().steps, [vec![1], vec![1, 10], vec![1, 10], vec![1, 10], vec![1, 5]]);
    assert_eq!(engine.progress(&1).map(|progress| progress.tokens.len()), Some(1));
    assert_eq!(engine.progress(&0).map(|progress| progress.tokens.len()), Some(5));
}

#[test]
fn cancelled_rollouts_are_reported_once_with_what_they_have() {
    let mut engine = engine(1, EngineConfig::default());
    for id in 0..3 {
        engine.submit(request(id, &[1, 2], 10)).unwrap();
    }
    engine.step().unwrap();
    engine.step().unwrap();
    assert!(engine.cancel(&0) && engine.cancel(&2));
    assert!(!engine.cancel(&0) && !engine.cancel(&9));
    assert_eq!(engine.submit(request(0, &[1], 1)), Err(SubmitError::Duplicate), "it is still to be reported");
    let report = engine.step().unwrap();
    let ended: Vec<_> =
        report.finished.iter().map(|ended| (ended.id, ended.tokens.len(), ended.finish)).collect();
    assert_eq!(ended, [(0, 2, FinishReason::Cancelled), (2, 0, FinishReason::Cancelled)]);
    assert_eq!(run(&mut engine).keys().copied().collect::<Vec<_>>(), [1]);
    engine.submit(request(0, &[1], 1)).unwrap();
}

#[test]
fn a_cancelled_leader_leaves_its_followers_going() {
    let prompt: Vec<u32> = (0..40).collect();
    let config = EngineConfig { prefill_tokens_per_step: 16, ..EngineConfig::default() };
    let mut engine = engine(3, config);
    let requests: Vec<_> = (0..3).map(|id| request(id, &prompt, 6)).collect();
    for request in &requests {
        engine.submit(request.clone()).unwrap();
    }
    engine.step().unwrap();
    engine.cancel(&0);
    let mut finished = run(&mut engine);
    finished.remove(&0);
    let mut alone = run_each_alone(&requests);
    alone.remove(&0);
    assert_eq!(finished, alone);
}

#[test]
fn weights_change_between_steps_and_every_span_knows_its_version() {
    let spans = |finished: &Finished<u32>| {
        finished
            .versions
            .iter()
            .map(|span| (span.policy.version().unwrap().0, span.start, span.end))
            .collect::<Vec<_>>()
    };
    let mut engine = engine(2, EngineConfig::default());
    engine.submit(request(0, &[1, 2, 3], 10)).unwrap();
    for _ in 0..4 {
        engine.step().unwrap();
    }
    engine.publish(PolicyVersion(5), 77).unwrap();
    engine.submit(request(1, &[1, 2, 3], 4)).unwrap();
    let first = engine.step().unwrap();
    assert_eq!(first.shared_tokens, 0, "nothing of the old policy's cache is shared");
    assert_eq!(first.prefill_tokens, 10, "what the old weights cached is computed again");
    engine.publish(PolicyVersion(6), 78).unwrap();
    engine.publish(PolicyVersion(7), 77).unwrap();
    let finished = run(&mut engine);
    assert_eq!(spans(&finished[&0]), [(0, 0, 4), (5, 4, 5), (7, 5, 10)]);
    let last = VersionSpan { policy: PolicyVersion(7).into(), start: 1, end: 4 };
    assert_eq!(finished[&1].versions.last(), Some(&last));

    // a row that began under the new weights is what it would be in a fresh engine with them
    let mut fresh =
        Engine::new(ScriptedModel::new(VOCABULARY, 1, 128), PolicyVersion(5), EngineConfig::default());
    fresh.publish(PolicyVersion(5), 77).unwrap();
    fresh.submit(request(1, &[1, 2, 3], 4)).unwrap();
    assert_eq!(run(&mut fresh)[&1].tokens, finished[&1].tokens);
}

#[test]
fn running_out_of_memory_shrinks_the_batch_and_changes_no_token() {
    let requests = mixed_requests(30);
    let alone = run_each_alone(&requests);
    for max_tokens_per_step in [1, 3, 9, 20] {
        let mut model = ScriptedModel::new(VOCABULARY, 12, 128);
        model.max_tokens_per_step = max_tokens_per_step;
        let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
        for request in &requests {
            engine.submit(request.clone()).unwrap();
        }
        let (mut finished, mut put_back) = (BTreeMap::new(), 0);
        while !engine.is_idle() {
            let report = engine.step().unwrap();
            put_back += report.put_back;
            finished.extend(report.finished.into_iter().map(|ended| (ended.id, ended)));
        }
        assert!(put_back > 0 || max_tokens_per_step >= 12, "{max_tokens_per_step}");
        assert_eq!(finished, alone, "{max_tokens_per_step}");
    }
}

#[test]
fn a_sequence_that_does_not_fit_alone_is_given_up_and_the_engine_lives() {
    let mut model = ScriptedModel::new(VOCABULARY, 4, 128);
    model.max_tokens_per_step = 0;
    let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
    for id in 0..5 {
        engine.submit(request(id, &[1, 2, 3], 5)).unwrap();
    }
    let mut abandoned = Vec::new();
    while !engine.is_idle() {
        let report = engine.step().unwrap();
        abandoned.extend(report.abandoned.into_iter().map(|lost| lost.id));
    }
    abandoned.sort_unstable();
    assert_eq!(abandoned, [0, 1, 2, 3, 4]);
}

#[test]
fn a_shortage_that_passes_loses_nothing() {
    let requests = mixed_requests(6);
    let mut model = ScriptedModel::new(VOCABULARY, 4, 128);
    model.starved_steps = 50;
    let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
    for request in &requests {
        engine.submit(request.clone()).unwrap();
    }
    let report = engine.step().unwrap();
    assert!(report.is_stalled && report.abandoned.is_empty());
    assert_eq!(
        (report.active + report.waiting, report.tokens),
        (6, 0),
        "all are there, and nothing was drawn"
    );
    assert_eq!(run(&mut engine), run_each_alone(&requests));
    assert!(!engine.step().unwrap().is_stalled);
}

#[test]
fn what_a_failed_step_gave_up_or_ended_is_reported_by_the_next() {
    let mut model = ScriptedModel::new(VOCABULARY, 4, 128);
    (model.poison, model.fails_to_clear) = (Some(49), true);
    let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
    engine.submit(request(0, &[1, 49], 3)).unwrap();
    engine.submit(request(1, &[2, 2], 1)).unwrap();
    engine.step().unwrap_err();
    let report = engine.step().unwrap();
    assert_eq!((report.abandoned[0].id, report.finished[0].id), (0, 1));
    assert!(engine.is_idle());
}

#[test]
fn a_failed_step_may_be_tried_again() {
    let requests = mixed_requests(6);
    let mut model = ScriptedModel::new(VOCABULARY, 4, 128);
    model.fails_next = true;
    let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
    for request in &requests {
        engine.submit(request.clone()).unwrap();
    }
    assert_eq!(engine.step(), Err(EngineError::Model(StepError::Device("unplugged".to_owned()))));
    assert_eq!(run(&mut engine), run_each_alone(&requests));
}

#[test]
fn broken_logits_end_their_sequence_only() {
    let mut model = ScriptedModel::new(VOCABULARY, 4, 128);
    model.poison = Some(49);
    let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
    engine.submit(request(0, &[1, 49], 3)).unwrap();
    engine.submit(request(1, &[2, 2], 1)).unwrap();
    let report = engine.step().unwrap();
    assert_eq!(report.abandoned.iter().map(|lost| lost.id).collect::<Vec<_>>(), [0]);
    assert!(report.abandoned[0].reason.contains("not finite"));
    assert_eq!(engine.model().cleared, [0], "what is broken reaches no other row");
    assert_eq!(report.finished.iter().map(|ended| ended.id).collect::<Vec<_>>(), [1]);
    assert!(engine.is_idle());
}

#[test]
fn cache_positions_bound_the_sequences_but_never_starve_one() {
    let config = EngineConfig { cache_tokens: 25, ..EngineConfig::default() };
    let mut engine = engine(8, config);
    engine.submit(request(0, &[1, 2, 3, 4], 100)).unwrap();
    for id in 1..6 {
        engine.submit(request(id, &[1, 2, 3, 4], 6)).unwrap();
    }
    let first = engine.step().unwrap();
    assert_eq!((first.active, first.waiting), (1, 5), "one that needs more than all runs alone");
    engine.cancel(&0);
    assert_eq!(engine.step().unwrap().active, 2);
    assert_eq!(run(&mut engine).len(), 5);
}

#[test]
fn stop_strings_end_a_response_with_the_token_that_completes_them() {
    let spell = |token: u32, text: &mut Vec<u8>| text.extend_from_slice(format!("<{token}>").as_bytes());
    let plain = request(0, &[1, 2], 30);
    let free = run_all(engine(1, EngineConfig::default()), std::slice::from_ref(&plain));
    let tokens = &free[&0].tokens;
    let stop = format!("{}><{}>", tokens[4], tokens[5]);
    let spelled: Vec<String> = tokens.iter().map(|token| format!("<{token}>")).collect();
    let first = (0..30).position(|end| spelled[..=end].concat().contains(&stop)).unwrap();

    let stopping = Request { stop_strings: Arc::new(["nowhere".to_owned(), stop]), ..plain };
    assert_eq!(engine(1, EngineConfig::default()).submit(stopping.clone()), Err(SubmitError::NoTokenText));
    let engine = engine(1, EngineConfig::default()).with_token_text(Arc::new(spell));
    let finished = run_all(engine, &[stopping]);
    assert_eq!(finished[&0].finish, FinishReason::StopString);
    assert_eq!(finished[&0].tokens, tokens[..=first]);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_reason() {
    let mut engine = engine(1, EngineConfig::default());
    assert_eq!(engine.submit(request(0, &[], 5)), Err(SubmitError::EmptyPrompt));
    assert_eq!(
        engine.submit(request(0, &[1; 128], 5)),
        Err(SubmitError::PromptTooLong { tokens: 128, capacity: 128 })
    );
    assert_eq!(
        engine.submit(request(0, &[3, 50], 5)),
        Err(SubmitError::UnknownToken { token: 50, vocabulary_size: 50 })
    );
    let mut hot = request(0, &[1], 5);
    hot.settings.temperature = f32::NAN;
    assert!(matches!(engine.submit(hot), Err(SubmitError::Settings(_))));
    assert!(engine.is_idle());
    // the longest prompt that fits has room for one token; none wanted, none drawn
    engine.submit(request(0, &[1; 127], 5)).unwrap();
    engine.submit(request(1, &[1], 0)).unwrap();
    let finished = run(&mut engine);
    assert_eq!((finished[&0].tokens.len(), finished[&0].finish), (1, FinishReason::Length));
    assert_eq!((finished[&1].tokens.len(), finished[&1].finish), (0, FinishReason::Length));
}

/// Every token of a rollout drawn again by hand: a fresh model with the weights of the token's version runs
/// the whole context in one span.
fn draw_again(request: &Request<u32>, finished: &Finished<u32>) -> (Vec<u32>, Vec<f32>) {
    let mut context = request.prompt.to_vec();
    let mut log_probabilities = Vec::new();
    for span in &finished.versions {
        for index in span.start..span.end {
            let mut model = ScriptedModel::new(VOCABULARY, 1, 128);
            model.set_weights(span.policy.version().unwrap().0).unwrap();
            let mut logits = Vec::new();
            let whole = Span { slot: 0, start: 0, tokens: &context, wants_logits: true };
            model.step(&[whole], &mut logits).unwrap();
            let seen = SeenTokens::new(VOCABULARY, &context);
            let draw = Sampler::new()
                .draw(&mut logits, &request.settings, Some(&seen), request.seed, u64::from(index))
                .unwrap();
            context.push(draw.token);
            log_probabilities.push(draw.log_probability);
        }
    }
    (context.split_off(request.prompt.len()), log_probabilities)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn with_recomputed_caches_each_token_is_what_its_own_version_draws(
        swaps in proptest::collection::vec(0_usize..12, 0..12), slots in 1_usize..7, memory in 4_usize..80,
    ) {
        let requests = mixed_requests(12);
        let mut model = ScriptedModel::new(VOCABULARY, slots, 128);
        model.max_tokens_per_step = memory;
        let mut engine = Engine::new(model, PolicyVersion(0), EngineConfig::default());
        for request in &requests {
            engine.submit(request.clone()).unwrap();
        }
        let mut finished = Vec::new();
        for (version, steps) in (1..).zip(swaps) {
            for _ in 0..steps {
                finished.extend(engine.step().unwrap().finished);
            }
            engine.publish(PolicyVersion(version), version).unwrap();
        }
        finished.extend(run(&mut engine).into_values());
        prop_assert_eq!(finished.len(), requests.len());
        for ended in finished {
            let (tokens, log_probabilities) = draw_again(&requests[ended.id as usize], &ended);
            prop_assert_eq!(&tokens, &ended.tokens);
            prop_assert_eq!(&log_probabilities, &ended.log_probabilities);
        }
    }

    #[test]
    fn any_mixture_of_events_loses_no_request_and_changes_no_token(
        events in proptest::collection::vec((0_u8..8, 0_u32..30), 1..60),
        slots in 1_usize..6, prefill_tokens_per_step in 1_usize..40, memory in 2_usize..60,
    ) {
        let requests = mixed_requests(30);
        let alone = run_each_alone(&requests);
        let mut model = ScriptedModel::new(VOCABULARY, slots, 128);
        model.max_tokens_per_step = memory;
        let config = EngineConfig { prefill_tokens_per_step, ..EngineConfig::default() };
        let mut engine = Engine::new(model, PolicyVersion(0), config);
        let (mut taken, mut finished) = (Vec::new(), Vec::new());
        for (event, id) in events {
            match event {
                0..3 => if engine.submit(requests[id as usize].clone()).is_ok() { taken.push(id) },
                3 => { engine.cancel(&id); }
                _ => finished.extend(engine.step().unwrap().finished),
            }
        }
        while !engine.is_idle() {
            finished.extend(engine.step().unwrap().finished);
        }
        let mut ended: Vec<u32> = finished.iter().map(|ended| ended.id).collect();
        ended.sort_unstable();
        taken.sort_unstable();
        prop_assert_eq!(ended, taken);
        for ended in finished {
            let whole = &alone[&ended.id];
            if ended.finish == FinishReason::Cancelled {
                prop_assert!(whole.tokens.starts_with(&ended.tokens));
            } else {
                prop_assert_eq!(&ended, whole);
            }
        }
    }
}
