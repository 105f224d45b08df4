//! The configuration from outside: every shipped file, the schema, the reference, layers and errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use still_operator::config::{
    Config, ConfigError, ConfigLayers, LoadedConfig, ModelSource, Origin, QUICKSTART, QUICKSTART_NAME,
    reference, schema, show_json, show_toml,
};

/// Set to write the generated files anew instead of comparing them.
const WRITE: &str = "STILL_WRITE_GENERATED";

fn configs() -> PathBuf {
    PathBuf::from("../../configs")
}

fn load(text: &str) -> Result<LoadedConfig, ConfigError> {
    ConfigLayers::new().text("my.toml", text).load()
}

fn message(text: &str) -> String {
    load(text).expect_err(text).to_string()
}

/// Compares a checked-in file with what the program generates.
fn assert_generated(name: &str, expected: &str) {
    let path = configs().join(name);
    if env::var_os(WRITE).is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == expected, "configs/{name} is out of date: run the tests once with {WRITE}=1");
}

#[test]
fn every_shipped_file_is_sound() {
    let mut count = 0;
    for entry in fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            ConfigLayers::new().file(&path).unwrap().load_run().unwrap_or_else(|error| panic!("{error}"));
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} files under configs/");
}

#[test]
fn the_schema_is_checked_in() {
    assert_generated("schema.json", &(serde_json::to_string_pretty(&schema()).unwrap() + "\n"));
}

#[test]
fn the_reference_holds_every_key_with_its_default() {
    let text = reference();
    assert_generated("reference.toml", &text);
    let loaded = load(&text).unwrap();
    assert_eq!(loaded.config, Config::default());
    let origins = show_json(&loaded)["origins"].as_object().unwrap().clone();
    assert!(origins.len() > 90, "only {} keys", origins.len());
    for (key, origin) in origins {
        let is_unset = text.contains(&format!("# {} is not set", key.rsplit('.').next().unwrap()));
        assert!(
            is_unset || origin.as_str().unwrap().starts_with("my.toml:"),
            "{key} is missing in the reference"
        );
    }
    let commented = text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    let undocumented: Vec<_> = text
        .lines()
        .zip(text.lines().skip(1))
        .filter(|(before, line)| line.contains(" = ") && !line.starts_with('#') && !before.starts_with('#'))
        .collect();
    assert!(commented > 90 && undocumented.is_empty(), "{undocumented:?}");
}

#[test]
fn the_quick_start_has_the_numbers_of_its_documents() {
    let config = ConfigLayers::new().text(QUICKSTART_NAME, QUICKSTART).load().unwrap().config;
    assert_eq!(config.model.source, ModelSource::Embedded);
    assert_eq!((config.run.rounds, config.round.problems, config.selection.max_per_problem), (5, 900, 2));
    assert_eq!((config.training.imitation.steps, config.training.improvement.steps), (300, 300));
    let task = config.task.quickstart;
    assert_eq!(task.demonstrations.values().sum::<u32>(), 400);
    assert!(task.problems >= config.run.rounds * config.round.problems);
    assert_eq!(config.evaluation.hard_levels.into_iter().collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn a_later_layer_wins_and_every_value_remembers_where_it_comes_from() {
    let loaded = ConfigLayers::new()
        .text("my.toml", "[run]\nseed = 1\nrounds = 2\n[exploration.sampling]\ntop_k = 3\n")
        .environment([
            ("STILL__RUN__SEED".to_owned(), "4".to_owned()),
            ("STILL__MODEL__SOURCE".to_owned(), "hf:a/b".to_owned()),
            ("STILL__EXPLORATION__SAMPLING__TOP_K".to_owned(), "5".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ])
        .set("run.seed=6")
        .set("device.learners=[\"cuda:1\"]")
        .set("task.quickstart.demonstrations.6=70")
        .option("run.data_dir", "elsewhere", "--data-dir")
        .load()
        .unwrap();
    let config = &loaded.config;
    assert_eq!((config.run.seed, config.run.rounds, config.exploration.sampling.top_k), (6, 2, 5));
    assert_eq!(config.model.source.to_string(), "hf:a/b");
    assert_eq!(
        (config.task.quickstart.demonstrations[&6], config.task.quickstart.demonstrations[&5]),
        (70, 50)
    );
    for (key, origin) in [
        ("run.seed", "--set run.seed=6"),
        ("run.rounds", "my.toml:3"),
        ("run.data_dir", "--data-dir"),
        ("run.lockstep", "default"),
        ("exploration.sampling.top_k", "environment STILL__EXPLORATION__SAMPLING__TOP_K"),
        ("task.quickstart.demonstrations", "--set task.quickstart.demonstrations.6=70"),
    ] {
        assert_eq!(loaded.origin(key).to_string(), origin, "{key}");
    }
}

#[test]
fn what_is_shown_can_be_read_back() {
    let loaded = load("[run]\nseed = 9\n[training.imitation]\npeak_learning_rate = 1e-9\n").unwrap();
    let text = show_toml(&loaded);
    assert!(text.contains("seed = 9  # my.toml:2\n"), "{text}");
    assert!(text.contains("lockstep = false  # default\n"), "{text}");
    assert_eq!(load(&text).unwrap().config, loaded.config);
    let json = show_json(&loaded);
    assert_eq!(json["config"]["run"]["seed"], 9);
    assert_eq!(json["origins"]["run.seed"], "my.toml:2");
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_key() {
    for (text, line, meant) in [
        ("[run]\nsede = 1\n", 2, "run.seed"),
        ("[run]\n\nround = 1\n", 3, "run.rounds"),
        ("[explorations]\nmax_policy_lag = 1\n", 1, "exploration"),
        ("[training]\nsteps = 5\n", 2, "training.imitation.steps"),
        ("[round]\nrounds = 5\n", 2, "run.rounds"),
        ("[exploration.sampling]\ntemprature = 1.0\n", 2, "exploration.sampling.temperature"),
    ] {
        let message = message(text);
        assert!(message.starts_with(&format!("my.toml:{line}: ")), "{message}");
        assert!(message.contains(&format!("did you mean `{meant}`?")), "{message}");
    }
    let both = message("[run]\nzzzzzz = 1\n[gaet]\n");
    assert_eq!(both.lines().count(), 2, "all unknown keys are reported at once: {both}");
    assert!(both.contains("`run.zzzzzz`: is no known key; `stilld config show` lists all"), "{both}");
}

#[test]
fn an_unknown_key_of_environment_or_command_line_names_it() {
    let environment = [("STILL__RUN__SEDE".to_owned(), "1".to_owned())];
    let error = ConfigLayers::new().environment(environment).set("run.lock=true").load().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("`run.sede` (environment STILL__RUN__SEDE)"), "{message}");
    assert!(message.contains("`run.lock` (--set run.lock=true)"), "{message}");
    assert!(message.contains("did you mean `run.lockstep`?"), "{message}");
    let error = ConfigLayers::new().set("run.seed").load().unwrap_err();
    assert!(error.to_string().contains("--set section.key=value"), "{error}");
    let error = ConfigLayers::new().set("run=1").load().unwrap_err();
    assert!(error.to_string().contains("is a section"), "{error}");
}

#[test]
fn a_wrong_type_and_a_wrong_value_name_key_and_place() {
    for (text, parts) in [
        ("[run]\nseed = \"x\"\n", ["my.toml:2: `run.seed`", "expected u64"]),
        ("[run]\nseed = -1\n", ["my.toml:2: `run.seed`", "expected u64"]),
        (
            "[round]\ninit = \"bass\"\n",
            ["my.toml:2: `round.init`", "expected one of `base`, `previous`, `imitated`"],
        ),
        ("[device]\nlearners = [\"gpu\"]\n", ["my.toml:2: `device.learners[0]`", "cuda:0"]),
        ("[device]\nlearners = []\n", ["my.toml:2: `device.learners`", "at least one device"]),
        ("[device]\nlearners = [\"cpu\", \"cuda:0\"]\n", ["my.toml:2: `device.learners`", "not both"]),
        ("[device]\nlearners = [\"cuda:0\", \"cuda:0\"]\n", ["my.toml:2: `device.learners`", "twice"]),
        ("[device]\nsamplers = [\"cpu\",\n\"gpu\"]\n", ["my.toml:2: `device.samplers[1]`", "cuda:0"]),
        ("run = 3\n", ["my.toml:1: `run`", "is a section `[run]`"]),
        ("[http]\nlisten = \"9464\"\n", ["my.toml:2: `http.listen`", "127.0.0.1:9464"]),
        ("[hygiene]\nngram_words = 0\n", ["my.toml:2: `hygiene.ngram_words`", "at least 1"]),
        (
            "[exploration.sampling]\ntemperature = 0.0\n",
            ["my.toml:2: `exploration.sampling.temperature`", "at 0 all 4 attempts of a visit are the same"],
        ),
        ("[task]\nsource = \"files\"\n", ["`task.files.evaluation` (default)", "needs held-out problems"]),
        ("[run\nseed = 1\n", ["my.toml:1:", ""]),
    ] {
        let message = message(text);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let several = message("[exploration]\nattempts_per_problem = 0\n[gate]\ntolerance = 2.0\n");
    assert!(several.lines().count() >= 2, "{several}");
    assert!(several.contains("my.toml:4: `gate.tolerance`: must lie between -1 and 1"), "{several}");
}

#[test]
fn a_missing_file_is_named() {
    let error = ConfigLayers::new().file(Path::new("/nowhere/at-all.toml")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at-all.toml"), "{error}");
    assert_eq!(load("").unwrap().origin("run.seed"), Origin::Default);
}

#[test]
fn budgets_are_named_by_level_and_by_source() {
    let text =
        "[selection]\nlevel_budgets = { 5 = 10 }\n[selection.source_budgets]\n\"numina/olympiads\" = 300\n";
    let selection = load(text).unwrap().config.selection;
    assert_eq!(selection.level_budgets, [(5, 10)].into());
    assert_eq!(selection.source_budgets, [("numina/olympiads".to_owned(), 300)].into());
    assert!(message("[selection]\nlevel_budgets = { hard = 10 }\n").contains("selection.level_budgets"));
    let several =
        message("[selection]\nlength_quantiles = [0.9, 0.1]\n[exploration]\nattempts_per_policy = 0\n");
    assert!(several.contains("`selection.length_quantiles`"), "{several}");
    assert!(several.contains("`exploration.attempts_per_policy`"), "{several}");
}

#[test]
fn pairs_obey_a_section_of_their_own_and_a_configuration_of_before_is_told_so() {
    let run = |text: &str| ConfigLayers::new().text("my.toml", text).load_run().map(|loaded| loaded.config);
    let defaults = run("[round]\nalgorithm = \"dpo\"\n").unwrap().training.preference;
    let rate =
        (defaults.peak_learning_rate, defaults.epochs, defaults.batch_sequences, defaults.weight_decay);
    assert_eq!(rate, (5e-7, 1.0, 32, 0.0));

    let before = "[round]\nalgorithm = \"dpo\"\n[training.improvement]\npeak_learning_rate = 1e-6\n";
    let error = run(before).unwrap_err().to_string();
    assert!(error.starts_with("my.toml:4: `training.improvement.peak_learning_rate`"), "{error}");
    assert!(error.contains("set `training.preference.peak_learning_rate`"), "{error}");
    let both = format!("{before}[training.preference]\npeak_learning_rate = 1e-6\n");
    assert!((run(&both).unwrap().training.preference.peak_learning_rate - 1e-6).abs() < 1e-12);
    run(&before.replace("dpo", "sft")).unwrap();
}

#[test]
fn answers_that_are_never_trained_on_are_refused_with_the_numbers() {
    let run = |text: &str| ConfigLayers::new().text("my.toml", text).load_run();
    let short = "[training.improvement]\nmax_sequence_tokens = 16_384\n";
    let error = run(short).unwrap_err().to_string();
    assert!(error.starts_with("my.toml:2: `training.improvement.max_sequence_tokens`"), "{error}");
    for part in ["16384 tokens, prompt included", "exploration.sampling.max_new_tokens", "20000 let pass"] {
        assert!(error.contains(part), "{error}");
    }
    // a learner without the memory for long ones, by choice
    for chosen in
        ["[hygiene]\nmax_response_tokens = 16_000\n", "[exploration.sampling]\nmax_new_tokens = 8_000\n"]
    {
        run(&format!("{short}{chosen}")).unwrap();
    }
    // pairs have a limit of their own
    let pairs = "[round]\nalgorithm = \"dpo\"\n[training.preference]\nmax_sequence_tokens = 8_192\n";
    assert!(run(pairs).unwrap_err().to_string().contains("`training.preference.max_sequence_tokens`"));
    // a one-shot job draws no answers
    load(short).unwrap();
}
