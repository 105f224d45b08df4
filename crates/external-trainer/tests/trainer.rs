//! A command that trains: what it is handed, what it says, and what becomes of one that fails.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod harness;

use std::{
    fs,
    process::{Command, Stdio},
};

use harness::{Bench, lives, warnings};
use serde_json::Value;
use still_decoder::hugging_face::load_folder;
use still_domain::{Algorithm, CheckpointId};
use still_process::Turns;
use still_roles::{TrainingEvent, TrainingFailure, TrainingRun};
use still_text::Tokenizer;

/// What a job ended with, in words.
fn ending(events: &[TrainingEvent]) -> String {
    match events.last().unwrap() {
        TrainingEvent::Done { checkpoint, loss, .. } => format!("done {checkpoint} {loss:?}"),
        TrainingEvent::Refused { reason, .. } => format!("refused: {reason}"),
        other => panic!("{other:?}"),
    }
}

/// Runs one job to its end.
fn whole(bench: &Bench, objective: Algorithm) -> Vec<TrainingEvent> {
    let mut open = bench.open();
    let job = bench.job(objective);
    open.run().start(job);
    open.whole_job()
}

#[test]
fn a_job_goes_out_and_a_checked_model_comes_back() {
    let bench = Bench::new(
        r#"
        echo "Loading weights: 100%"
        echo "argument $1, colour $COLOUR" >&2
        printf 'no \377 text and no end of line'
        say ''
        say '{"event":"heartbeat"}'
        for step in 1 2 3 4 5 6; do progress $step; done
        say '{"event":"progress","steps":7}'
        checkpoint 4
        bring "$base"
        "#,
    );
    let events = whole(&bench, Algorithm::Sft);
    assert_eq!(ending(&events), "done step-6 Some(2.5)");
    let Some(TrainingEvent::Begun { plan, resumed_from: None, .. }) = events.first() else { panic!() };
    assert_eq!((plan.total_steps, plan.resumed_step), (6, 0));
    let steps = events.iter().filter(|event| matches!(event, TrainingEvent::Progress { .. }));
    assert_eq!(steps.count(), 6);
    assert!(warnings(&events).contains("missing field `step`"), "{}", warnings(&events));
    let saved: Vec<_> = bench.committed().iter().map(|one| (one.step, one.is_final)).collect();
    assert_eq!(saved, [(4, false), (6, true)]);

    let model = bench.path("checkpoints/step-6");
    let (_, weights) = load_folder(&model).unwrap();
    assert_eq!(weights, load_folder(&bench.path("base")).unwrap().1);
    assert_eq!(Tokenizer::load(&model).unwrap().vocabulary_size(), 26);
    assert!(!model.join("complete.json").exists() && !model.join("output").exists());
    let log = fs::read_to_string(bench.job_folder().join("trainer.log")).unwrap();
    let folder = bench.job_folder();
    for part in
        ["Loading weights", "colour green", "no \u{fffd} text", &format!("argument {}", folder.display())]
    {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!folder.join("output").exists(), "it is where checkpoints are");
}

#[test]
fn a_job_says_what_is_trained_on_to_the_token_and_the_step() {
    let bench = Bench::new("bring \"$base\"");
    whole(&bench, Algorithm::Dpo);
    let folder = bench.job_folder();
    let job: Value = serde_json::from_slice(&fs::read(folder.join("job.json")).unwrap()).unwrap();
    assert_eq!(
        (&job["format"], &job["objective"], &job["seed"]),
        (&1.into(), &"dpo".into(), &u64::MAX.into())
    );
    assert_eq!(job["base"], bench.path("base").to_str().unwrap());
    assert_eq!((&job["dpo"]["beta"], &job["dpo"]["span"]), (&0.1.into(), &"thought".into()));
    assert_eq!(job.get("lora"), None);
    assert_eq!((&job["hyperparameters"]["steps"], &job["checkpoint_every_steps"]), (&6.into(), &2.into()));
    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(job[name]["file"].as_str().unwrap()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(job[name]["count"], lines.len());
        let told = Command::new("sha256sum").arg(job[name]["file"].as_str().unwrap()).output().unwrap();
        assert!(told.stdout.starts_with(job[name]["sha256"].as_str().unwrap().as_bytes()), "{name}");
        lines
    };
    let tokenizer = Tokenizer::quick_start().unwrap();
    let examples = lines("examples");
    assert_eq!(examples.len(), 5);
    let tokens = |value: &Value| -> Vec<u32> { serde_json::from_value(value["tokens"].clone()).unwrap() };
    let text = |tokens: &[u32]| tokenizer.decode(tokens).unwrap();
    assert_eq!(text(&tokens(&examples[2]["prompt"])), "2*2=");
    for (response, thought) in [("chosen", "2+2;2"), ("rejected", "2-2")] {
        let response = &examples[2][response];
        let tokens = tokens(response);
        assert_eq!(response["text"], text(&tokens));
        assert!(text(&tokens).ends_with("<eos>"), "what ends a response is learnt");
        let covered: [usize; 2] = serde_json::from_value(response["loss"].clone()).unwrap();
        assert!(text(&tokens[covered[0]..covered[1]]).contains(thought));
        assert!(!text(&tokens[covered[0]..covered[1]]).contains("solution"), "the thought alone");
    }
    let steps = lines("steps");
    assert_eq!(steps.len(), 6);
    let rates: Vec<_> = steps.iter().map(|step| step["learning_rate"].as_f64().unwrap()).collect();
    assert!(
        rates[0] < rates[1]
            && rates[1] < rates[2]
            && rates[3] > rates[4]
            && rates[4] > rates[5]
            && rates[5] > 0.0,
        "{rates:?}"
    );
    let mut pass: Vec<u64> = steps[..3]
        .iter()
        .flat_map(|step| step["examples"].as_array().unwrap())
        .map(|one| one.as_u64().unwrap())
        .collect();
    pass.sort_unstable();
    assert_eq!(pass, [0, 1, 2, 3, 4], "a pass takes every example once");
}

#[test]
fn one_that_crashes_goes_on_from_its_newest_checkpoint() {
    let bench = Bench::new(
        r#"
        case $start in
        1) progress 1; progress 2; checkpoint 2; mkdir "$STILL_JOB/checkpoints/half"; echo "cuda is gone" >&2; exit 3 ;;
        2) checkpoint 4; kill -9 $$ ;;
        *) [ -e "$STILL_JOB/checkpoints/half" ] && exit 4; cat "$STILL_RESUME/state" >&2; bring "$base" ;;
        esac
        "#,
    );
    let events = whole(&bench, Algorithm::Sft);
    assert!(ending(&events).starts_with("done step-6"), "{events:?}");
    assert_eq!(bench.starts(), ["anew", "step-2", "step-4"]);
    let told = warnings(&events);
    assert!(told.contains("exit status: 3") && told.contains("cuda is gone"), "{told}");
    assert!(told.contains("signal: 9") && told.contains("try 2 of 4"), "{told}");
    let log = fs::read_to_string(bench.job_folder().join("trainer.log")).unwrap();
    assert!(log.contains("state after 4"), "{log}");
}

#[test]
fn one_that_fails_again_and_again_is_given_up_and_a_further_checkpoint_counts_anew() {
    let mut bench = Bench::new(
        r#"
        case $start in
        3) checkpoint 2 ;;
        esac
        say '{"event":"failed","reason":"no memory"}'
        "#,
    );
    bench.settings.command.retries = 2;
    let events = whole(&bench, Algorithm::Sft);
    let ended = ending(&events);
    assert!(ended.contains("failed 3 times in a row") && ended.contains("no memory"), "{ended}");
    assert_eq!(bench.starts(), ["anew", "anew", "anew", "step-2", "step-2"]);
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let mut bench = Bench::new(
        r#"
        case $start in
        1)  trap '' TERM
            setsid sh -c 'trap "" TERM; echo $$ > "$STILL_JOB/worker"; while :; do sleep 1; done' &
            while [ ! -s "$STILL_JOB/worker" ]; do sleep 0.05; done
            progress 1; checkpoint 1
            while :; do echo "still here"; sleep 0.2; done ;;
        *) bring "$base" ;;
        esac
        "#,
    );
    bench.settings.command.max_silence_seconds = 1;
    bench.settings.command.stop_seconds = 1;
    let events = whole(&bench, Algorithm::Sft);
    assert!(ending(&events).starts_with("done"), "{events:?}");
    assert_eq!(bench.starts(), ["anew", "step-1"]);
    let told = warnings(&events);
    assert!(told.contains("said nothing for 1 s") && told.contains("still here"), "{told}");
    let worker = fs::read_to_string(bench.job_folder().join("worker")).unwrap();
    assert!(!lives(&worker), "its worker lives on, in a session of its own");
}

#[test]
fn what_cannot_be_a_candidate_is_none() {
    let bench = Bench::new("bring \"$STILL_TEST_MODEL\"");
    let small = bench.model("small", |config| config.layer_count = 1);
    let wide = bench.model("wide", |config| config.tied_embeddings = false);
    let broken = bench.model("broken", |_| {});
    let weights = broken.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, &bytes).unwrap();
    let cut = bench.model("cut", |_| {});
    fs::write(cut.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    let other = bench.model("other", |_| {});
    let path = other.join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"Wait,\"", "\"Hmm,\"")).unwrap();
    let bare = bench.model("bare", |_| {});
    fs::remove_file(bare.join("config.json")).unwrap();
    for (model, part) in [
        (small, "num_hidden_layers is 1, and the run's model has 2"),
        (wide, "tie_word_embeddings"),
        (broken, "not finite"),
        (cut, "bytes"),
        (other, "changed the tokenizer"),
        (bare, "config.json"),
    ] {
        let mut bench = Bench::new("bring \"$STILL_TEST_MODEL\"");
        bench.settings.command.retries = 1;
        let model = model.to_str().unwrap().to_owned();
        bench.settings.command.environment.insert("STILL_TEST_MODEL".to_owned(), model.clone());
        let ended = ending(&whole(&bench, Algorithm::Sft));
        assert!(ended.contains("cannot be a candidate") && ended.contains(part), "{model}: {ended}");
        assert_eq!(bench.starts().len(), 2, "it is tried once more");
        assert!(bench.committed().is_empty());
    }
}

#[test]
fn an_output_that_is_half_written_is_not_believed() {
    let bench = Bench::new(
        r#"
        if [ $start = 1 ]; then
            mkdir "$STILL_JOB/output"; cp "$base/config.json" "$STILL_JOB/output"; say '{"event":"done"}'; exit 0
        fi
        [ -e "$STILL_JOB/output" ] && exit 1
        bring "$base"
        "#,
    );
    let events = whole(&bench, Algorithm::Sft);
    assert!(ending(&events).starts_with("done"), "{events:?}");
    assert!(warnings(&events).contains("is not complete"), "{}", warnings(&events));
}

#[test]
fn a_checkpoint_that_it_cannot_go_on_from_is_left_for_the_one_before() {
    let mut bench = Bench::new(
        r#"
        case $STILL_RESUME in
        '') checkpoint 2; checkpoint 4; exit 1 ;;
        *4) say '{"event":"unfit","reason":"its state is cut off"}' ;;
        *) bring "$base" ;;
        esac
        "#,
    );
    bench.settings.command.retries = 1;
    let events = whole(&bench, Algorithm::Sft);
    assert!(ending(&events).starts_with("done"), "{events:?}");
    assert_eq!(bench.starts(), ["anew", "step-4", "step-2"]);
    assert!(warnings(&events).contains("its state is cut off"));
}

#[test]
fn a_job_that_the_trainer_refuses_is_not_tried_again() {
    let bench = Bench::new("say '{\"event\":\"refused\",\"reason\":\"no such objective\"}'");
    let ended = ending(&whole(&bench, Algorithm::Sft));
    assert!(ended.contains("no such objective"), "{ended}");
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn a_checkpoint_is_asked_for_by_a_file_and_answers_all_who_asked() {
    let bench = Bench::new(
        r#"
        progress 1
        while [ ! -e "$STILL_JOB/checkpoint-request" ]; do sleep 0.05; done
        rm "$STILL_JOB/checkpoint-request"
        checkpoint 1
        while :; do sleep 1; done
        "#,
    );
    let mut open = bench.open();
    open.run().checkpoint(1);
    assert_eq!(open.next(), TrainingEvent::NothingToSave { tickets: vec![1] });
    open.run().start(bench.job(Algorithm::Sft));
    open.run().checkpoint(2);
    open.run().checkpoint(3);
    let events = open.until(|event| matches!(event, TrainingEvent::Checkpointed { .. }));
    let id = CheckpointId::new("step-1");
    assert_eq!(events.last(), Some(&TrainingEvent::Checkpointed { id, tickets: vec![2, 3] }));
}

#[test]
fn a_drain_waits_for_a_checkpoint_and_leaves_nothing_running() {
    let bench = Bench::new(
        r#"
        echo $$ > "$STILL_JOB/trainer"
        progress 1
        while [ ! -e "$STILL_JOB/checkpoint-request" ]; do sleep 0.05; done
        checkpoint 1
        while :; do sleep 1; done
        "#,
    );
    let mut open = bench.open();
    open.run().start(bench.job(Algorithm::Sft));
    open.until(|event| matches!(event, TrainingEvent::Progress { .. }));
    open.run().halt();
    let events = open.until(|event| *event == TrainingEvent::Halted);
    let first = CheckpointId::new("step-1");
    assert!(
        events.iter().any(|event| matches!(event, TrainingEvent::Checkpointed { id, .. } if *id == first))
    );
    assert!(!lives(&fs::read_to_string(bench.job_folder().join("trainer")).unwrap()));
    assert!(!bench.job_folder().join("checkpoint-request").exists());
}

#[test]
fn one_that_does_not_save_in_time_does_not_hold_a_drain_up() {
    let mut bench = Bench::new("trap '' TERM; progress 1; while :; do sleep 1; done");
    bench.settings.command.checkpoint_seconds = 1;
    bench.settings.command.stop_seconds = 1;
    let mut open = bench.open();
    open.run().start(bench.job(Algorithm::Sft));
    open.until(|event| matches!(event, TrainingEvent::Progress { .. }));
    open.run().halt();
    let events = open.until(|event| *event == TrainingEvent::Halted);
    assert!(warnings(&events).contains("not saved in time"), "{events:?}");
}

#[test]
fn a_pause_takes_no_further_step_and_a_job_goes_on_after_it() {
    let bench = Bench::new(
        r#"
        echo $$ > "$STILL_JOB/trainer"
        progress 1
        # a shell that starts nothing: one that waits for a child that is stopped before it runs is not stopped itself
        while [ ! -e "$STILL_JOB/go" ]; do :; done
        bring "$base"
        "#,
    );
    let mut open = bench.open();
    open.run().start(bench.job(Algorithm::Sft));
    open.until(|event| matches!(event, TrainingEvent::Progress { .. }));
    open.run().pause(true);
    let id = fs::read_to_string(bench.job_folder().join("trainer")).unwrap();
    let state = || {
        let status = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap();
        status.rsplit(')').next().unwrap().trim_start().chars().next().unwrap()
    };
    while state() != 'T' {
        std::thread::yield_now();
    }
    fs::write(bench.job_folder().join("go"), "").unwrap();
    open.run().pause(false);
    assert!(ending(&open.whole_job()).starts_with("done"));
}

#[test]
fn what_a_killed_daemon_left_is_ended_before_another_start() {
    let bench = Bench::new("bring \"$base\"");
    // the folder is known once a job has been in it
    whole(&bench, Algorithm::Sft);
    let mut orphan = Command::new("sh")
        .args(["-c", "trap '' TERM; echo; while :; do sleep 1; done"])
        .env("STILL_JOB", bench.job_folder())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let events = whole(&bench, Algorithm::Sft);
    assert!(warnings(&events).contains("left behind were ended"), "{events:?}");
    assert!(!orphan.wait().unwrap().success());
}

#[test]
fn an_output_that_was_complete_when_the_daemon_was_killed_is_taken_without_another_start() {
    let bench = Bench::new(
        r#"
        [ $start = 2 ] && exit 9
        bring "$base"
        "#,
    );
    whole(&bench, Algorithm::Sft);
    let output = bench.job_folder().join("output");
    fs::create_dir(&output).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(bench.path("base").join(name), output.join(name)).unwrap();
    }
    fs::write(output.join("complete.json"), "{}").unwrap();
    assert!(ending(&whole(&bench, Algorithm::Sft)).starts_with("done"));
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn another_job_begins_anew_in_a_folder_of_its_own() {
    let bench = Bench::new("checkpoint 2; bring \"$base\"");
    whole(&bench, Algorithm::Sft);
    let mut open = bench.open();
    let mut job = bench.job(Algorithm::Sft);
    job.seed = 8;
    open.run().start(job);
    let events = open.whole_job();
    assert!(ending(&events).starts_with("done"), "{events:?}");
    assert!(warnings(&events).contains("other data or settings"), "{}", warnings(&events));
    let begun = events.iter().find_map(|event| match event {
        TrainingEvent::Begun { resumed_from, .. } => Some(resumed_from.clone()),
        _ => None,
    });
    assert_eq!(begun, Some(None));
    assert_eq!(fs::read_dir(bench.path("training")).unwrap().count(), 2);
}

#[test]
fn a_program_that_is_gone_is_a_failure_and_names_its_remedy() {
    let bench = Bench::new("");
    let mut open = bench.open();
    fs::remove_file(bench.path("trainer")).unwrap();
    open.run().start(bench.job(Algorithm::Sft));
    let events = open.until(|event| matches!(event, TrainingEvent::Failed(_)));
    let Some(TrainingEvent::Failed(TrainingFailure::Device(reason))) = events.last() else { panic!() };
    assert!(reason.contains("mend the path"), "{reason}");
}

#[test]
fn the_end_of_a_run_ends_the_trainer() {
    let bench = Bench::new("echo $$ > \"$STILL_JOB/trainer\"; progress 1; while :; do sleep 1; done");
    let mut open = bench.open();
    open.run().start(bench.job(Algorithm::Sft));
    open.until(|event| matches!(event, TrainingEvent::Progress { .. }));
    let run: Box<dyn TrainingRun> = open.run.take().unwrap();
    run.end();
    assert!(!lives(&fs::read_to_string(bench.job_folder().join("trainer")).unwrap()));
}

#[test]
fn a_trainer_that_shares_devices_is_started_when_they_are_free_and_gives_them_back_with_its_job() {
    let mut bench = Bench::new(r#"case $start in 1) exit 1 ;; esac; bring "$base""#);
    let (turns, giver) = Turns::pair();
    bench.turns = Some(turns);
    let mut open = bench.open();
    open.run().start(bench.job(Algorithm::Sft));
    let ask = giver.asks().recv().unwrap();
    assert!(!bench.job_folder().join("starts").exists(), "the devices are not its own yet");
    let given_back = ask.grant();
    let events = open.whole_job();
    assert!(ending(&events).starts_with("done"), "{events:?}");
    assert_eq!(bench.starts(), ["anew", "anew"]);
    assert!(given_back.recv().is_err(), "the turn ends with the job");
    assert!(giver.asks().is_empty(), "one turn is for all starts of a job");

    // one that is given up while it waits takes nothing
    open.run().start(bench.job(Algorithm::Dpo));
    let ask = giver.asks().recv().unwrap();
    open.run().halt();
    open.until(|event| *event == TrainingEvent::Halted);
    assert!(ask.grant().recv().is_err());
    // and where nobody can give them they are nobody's
    drop(giver);
    open.run().start(bench.job(Algorithm::Sft));
    assert!(ending(&open.whole_job()).starts_with("done"));
}
