//! What this crate takes for granted of every kind of server, held against its double in every run of the tests, and of vLLM
//! against a live server by `.ci/vllm`, which names its address in `STILL_VLLM_ADDRESS` and its model's folder in
//! `STILL_VLLM_MODEL`.

mod scores;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use still_decoder::{
    DecoderConfig, DecoderWeights, Segments, Threads,
    hugging_face::{Precision, load_folder, save_folder},
    model_hidden_states, token_log_probabilities,
};
use still_domain::{FinishReason, SamplingSettings};
use still_engine_double::{EngineDouble, Fault as Failure, Options, write_adapter};

use crate::{
    EngineKind, Fault, Load,
    endpoint::{Adapter, Endpoint, Prepared, PreparedAdapter},
    engine::{Patience, Request, Response},
    http::Http,
    probe,
    protocol::{attach, generate, poll, swap},
    publication::Publication,
    schedule::PolicyId,
};

/// A model of the decoder's own fixtures.
const FIXTURE: &str = "../decoder/tests/fixtures/llama_smollm";
/// What f32 arithmetic may differ by, in nats a token on average.
const GAP: f64 = 1e-3;

/// A server with the model that it was started with, and another one that fits it.
struct Subject {
    endpoint: Endpoint,
    base: Arc<Prepared>,
    other: Arc<Prepared>,
    models: [Model; 2],
    probe: Vec<u32>,
    folder: tempfile::TempDir,
}

struct Model {
    config: DecoderConfig,
    weights: DecoderWeights,
}

impl Model {
    fn load(folder: &Path) -> Self {
        let (config, weights) = load_folder(folder).unwrap();
        Self { config, weights }
    }

    /// The log-probability of every token but the first.
    fn score(&self, tokens: &[u32]) -> Vec<f32> {
        let (inputs, targets, threads) = (&tokens[..tokens.len() - 1], &tokens[1..], Threads::single());
        let segments = Segments::from_lengths([inputs.len()]);
        let hidden = model_hidden_states(&self.config, &self.weights, &segments, inputs, &threads).unwrap();
        let head = self.weights.head().as_f32().unwrap();
        token_log_probabilities(&hidden, head, self.config.hidden_size, targets, &threads).values
    }
}

/// Makes sure that a response was drawn by a model.
fn assert_drawn_by(model: &Model, request: &Request, response: &Response) {
    let tokens = [&request.prompt[..], &response.tokens].concat();
    let scored = &model.score(&tokens)[request.prompt.len() - 1..];
    let gap = probe::gap(scored, &response.log_probabilities);
    assert!(gap < GAP, "`{}` is {gap} nats a token from its model", request.name);
}

/// A folder with the model of another, a little of everything changed.
fn perturbed(of: &Path, folder: &Path) -> PathBuf {
    let (config, mut weights) = load_folder(of).unwrap();
    for (place, value) in weights.final_norm.iter_mut().enumerate() {
        *value *= 1.0 + 0.1 * ((place % 7) as f32 - 3.0) / 3.0;
    }
    // the embedding too, which is the head of a tied model
    for value in weights.embedding.as_f32_mut().unwrap().iter_mut().step_by(5) {
        *value *= 1.05;
    }
    fs::create_dir_all(folder).unwrap();
    save_folder(folder, &config, &weights, Precision::F32, u64::MAX).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        if of.join(name).exists() {
            fs::copy(of.join(name), folder.join(name)).unwrap();
        }
    }
    folder.to_owned()
}

impl Subject {
    fn new(kind: EngineKind, address: &str, base: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let other = perturbed(base, &folder.path().join("other"));
        let models = [Model::load(base), Model::load(&other)];
        let probe: Vec<u32> =
            (0..24).map(|place| (place * 37 + 11) % models[0].config.vocabulary_size as u32).collect();
        let prepared = |number: usize, name: &str, from: &Path| {
            let publication = Publication::make(&folder.path().join("published"), name, from).unwrap();
            let reference = models[number].score(&probe);
            let (id, name) = (PolicyId(number as u64), name.to_owned());
            Arc::new(Prepared { id, name, publication, reference, adapter: None })
        };
        let (base, other) = (prepared(0, "base", base), prepared(1, "other", &other));
        let word = Duration::from_mins(2);
        let patience = Patience { word, sign: word, load: Duration::from_mins(10) };
        let http = Http::new(address.parse().unwrap(), None, None).unwrap();
        let endpoint = Endpoint::new(kind, http, patience, 0.05);
        Self { endpoint, base, other, models, probe, folder }
    }

    fn known(&self) -> Vec<Arc<Prepared>> {
        vec![Arc::clone(&self.base), Arc::clone(&self.other)]
    }

    fn request(&self, name: &str, max_new_tokens: u32, seed: u64) -> Request {
        Request {
            name: name.to_owned(),
            prompt: self.probe[..9].to_vec(),
            sampling: SamplingSettings { max_new_tokens, ..SamplingSettings::default() },
            seed,
            stop_ids: Arc::from([]),
            version: self.endpoint.serves().unwrap().version,
            adapter: self.endpoint.serves().unwrap().adapter,
        }
    }

    async fn swap(&self, policy: &Arc<Prepared>) -> Result<(), String> {
        swap(&self.endpoint, policy, &self.known(), &self.probe).await
    }

    fn assert_drawn_by(&self, number: usize, request: &Request, response: &Response) {
        assert_drawn_by(&self.models[number], request, response);
    }

    async fn all(&self) {
        self.attaches().await;
        self.draws().await;
        self.refuses().await;
        Box::pin(self.scores()).await;
        self.is_given_weights().await;
        self.is_given_back_what_it_had().await;
        self.is_set_right_after_a_pause().await;
        if self.endpoint.about().unwrap().adapters.is_some() {
            self.takes_adapters().await;
            Box::pin(self.scores_under_adapters()).await;
        }
    }

    /// A policy as an adapter of the base, by whole weights too.
    fn adapter(&self, number: u64, rank: usize) -> (Arc<Prepared>, Model) {
        let root = self.folder.path();
        let (name, peft) = (format!("adapter-{number}"), root.join(format!("peft-{number}")));
        let weights = write_adapter(self.base.publication.folder(), &peft, rank);
        let model = Model { config: self.models[0].config.clone(), weights };
        let reference = model.score(&self.probe);
        let merged = root.join(format!("merged-{number}"));
        fs::create_dir_all(&merged).unwrap();
        save_folder(&merged, &model.config, &model.weights, Precision::F32, u64::MAX).unwrap();
        let published = root.join("published");
        let publication = Publication::make(&published, &format!("{name}-whole"), &merged).unwrap();
        let (as_adapter, rank) = Publication::make_adapter(&published, &name, &peft).unwrap();
        let adapter = PreparedAdapter { publication: as_adapter, rank, base: Arc::clone(&self.base) };
        let id = PolicyId(number);
        (Arc::new(Prepared { id, name, publication, reference, adapter: Some(adapter) }), model)
    }

    async fn takes_adapters(&self) {
        let max_rank = self.endpoint.about().unwrap().adapters.unwrap().max_rank.unwrap() as usize;
        let ((first, first_model), (second, _)) = (self.adapter(20, 4), self.adapter(21, 8));
        self.swap(&self.base).await.unwrap();
        let whole = self.endpoint.serves().unwrap();
        let mut names = Vec::new();
        self.swap(&first).await.unwrap();
        let under_first = self.endpoint.serves().unwrap();
        assert_eq!((under_first.policy, &under_first.version), (first.id, &whole.version), "no new weights");
        names.push(under_first.adapter.as_ref().unwrap().name.clone());
        let request = self.request("of the first", 12, 7);
        let response = generate(&self.endpoint, &request).await.unwrap();
        assert_drawn_by(&first_model, &request, &response);
        // what was asked of the first goes on to its end while the server is given the second
        let long = self.request("goes on", 400, 9);
        assert!(self.endpoint.takes_beside(&second));
        let (response, given) = tokio::join!(generate(&self.endpoint, &long), self.swap(&second));
        given.unwrap();
        assert_drawn_by(&first_model, &long, &response.unwrap());
        let under_second = self.endpoint.serves().unwrap();
        names.push(under_second.adapter.as_ref().unwrap().name.clone());
        assert_ne!(names[0], names[1]);
        assert_eq!(attach(&self.endpoint, false).await, Ok(Some(second.id)));
        // it stays for as long as somebody names it, and no longer
        poll(&self.endpoint).await.unwrap();
        generate(&self.endpoint, &request).await.unwrap();
        drop((under_first, long));
        let gone = Request { adapter: None, ..request.clone() };
        drop(request);
        poll(&self.endpoint).await.unwrap();
        let adapter = Arc::new(Adapter { name: names[0].clone(), policy: Arc::clone(&first) });
        let gone = Request { adapter: Some(adapter), ..gone };
        assert!(matches!(generate(&self.endpoint, &gone).await, Err(Fault::OtherWeights(_))));
        drop(gone);
        // the weights beneath are another policy
        self.swap(&self.base).await.unwrap();
        assert_eq!(self.endpoint.serves().unwrap(), whole);
        let request = self.request("of the base", 8, 5);
        self.assert_drawn_by(0, &request, &generate(&self.endpoint, &request).await.unwrap());
        // another name when it is given again
        self.swap(&first).await.unwrap();
        let again = self.endpoint.serves().unwrap().adapter.unwrap().name.clone();
        assert!(!names.contains(&again));
        // one that is too large is given as whole weights, and then adapters want the base again
        let (large, large_model) = self.adapter(22, max_rank + 1);
        assert!(!self.endpoint.takes_beside(&large));
        self.swap(&large).await.unwrap();
        let serves = self.endpoint.serves().unwrap();
        assert_eq!((serves.policy, serves.adapter), (large.id, None));
        let request = self.request("of the large one", 8, 5);
        assert_drawn_by(&large_model, &request, &generate(&self.endpoint, &request).await.unwrap());
        assert!(!self.endpoint.takes_beside(&first));
        self.swap(&first).await.unwrap();
        let request = self.request("of the first once more", 8, 5);
        assert_drawn_by(&first_model, &request, &generate(&self.endpoint, &request).await.unwrap());
        // one that it refuses is given as whole weights at the next try
        let (refused, _) = self.adapter(23, 4);
        let config = refused.adapter.as_ref().unwrap().publication.folder().join("adapter_config.json");
        fs::remove_file(config).unwrap();
        let told = self.swap(&refused).await.unwrap_err();
        assert!(told.contains("adapter-23") && told.contains("whole weights instead"), "{told}");
        self.swap(&refused).await.unwrap();
        assert_eq!(self.endpoint.serves().unwrap().adapter, None);
    }

    async fn attaches(&self) {
        let found = attach(&self.endpoint, false).await.unwrap();
        assert_eq!((found, self.endpoint.serves()), (None, None), "weights that this run has not named");
        self.swap(&self.base).await.unwrap();
        let version = self.endpoint.serves().unwrap().version;
        for is_doubted in [false, true] {
            let found = attach(&self.endpoint, is_doubted).await.unwrap();
            assert_eq!(found, (!is_doubted).then_some(self.base.id));
        }
        self.swap(&self.base).await.unwrap();
        assert_ne!(self.endpoint.serves().unwrap().version, version);
        let about = self.endpoint.about().unwrap();
        assert!(about.context > 100);
        assert!(about.version.is_some_and(|version| version.contains('.')));
        assert_eq!(about.precision.as_deref(), Some("f32"), "the suite's tolerance is of f32");
        let load = poll(&self.endpoint).await.unwrap();
        assert_eq!((load.running, load.waiting, load.is_paused), (0, 0, false));
        assert!((0.0..=1.0).contains(&load.cache_share));
    }

    async fn draws(&self) {
        let request = self.request("first", 12, 7);
        let first = generate(&self.endpoint, &request).await.unwrap();
        assert_eq!((first.tokens.len(), first.finish), (12, FinishReason::Length));
        self.assert_drawn_by(0, &request, &first);
        let again = generate(&self.endpoint, &self.request("again", 12, 7)).await.unwrap();
        assert_eq!(again.tokens, first.tokens, "a seed repeats");
        let other = generate(&self.endpoint, &self.request("other", 12, 70_001)).await.unwrap();
        assert_ne!(other.tokens, first.tokens);
        // the stop token is the last of the response, with its log-probability
        let stop = first.tokens[4];
        let until = first.tokens.iter().position(|token| *token == stop).unwrap() + 1;
        let request = Request { stop_ids: Arc::from([stop]), ..self.request("stop", 12, 7) };
        let stopped = generate(&self.endpoint, &request).await.unwrap();
        assert_eq!((&stopped.tokens[..], stopped.finish), (&first.tokens[..until], FinishReason::Stop));
        // log-probabilities are those of the unmodified distribution, whatever is sampled
        let mut request = self.request("cold", 12, 3);
        (request.sampling.temperature, request.sampling.top_p) = (0.5, 0.9);
        let cold = generate(&self.endpoint, &request).await.unwrap();
        self.assert_drawn_by(0, &request, &cold);
        let wrong = Request { version: "another".to_owned(), ..self.request("wrong", 2, 3) };
        assert!(matches!(generate(&self.endpoint, &wrong).await, Err(Fault::OtherWeights(_))));
        let together = (0..6).map(|number| {
            let (endpoint, request) = (&self.endpoint, self.request(&format!("b{number}"), 8, number));
            async move { (generate(endpoint, &request).await.unwrap(), request) }
        });
        for asked in together.collect::<Vec<_>>() {
            let (response, request) = asked.await;
            self.assert_drawn_by(0, &request, &response);
        }
    }

    async fn refuses(&self) {
        let context = self.endpoint.about().unwrap().context;
        let long = Request { prompt: vec![5; context as usize], ..self.request("long", 4, 1) };
        let refused = generate(&self.endpoint, &long).await.unwrap_err();
        let remedy = match self.endpoint.kind {
            EngineKind::Sglang => "--context-length",
            _ => "--max-model-len",
        };
        assert!(matches!(&refused, Fault::Refused(reason) if reason.contains(remedy)), "{refused:?}");
        let unknown = Request { prompt: vec![5, 9_999_999], ..self.request("unknown", 4, 1) };
        let refused = generate(&self.endpoint, &unknown).await.unwrap_err();
        assert!(matches!(&refused, Fault::Refused(_)), "{refused:?}");
        // as long as there is room
        let nearly = Request { prompt: vec![5; context as usize - 3], ..self.request("nearly", 64, 1) };
        let cut = generate(&self.endpoint, &nearly).await.unwrap();
        assert_eq!((cut.tokens.len(), cut.finish), (3, FinishReason::Length));
    }

    async fn is_given_weights(&self) {
        let mut before = None;
        for (number, policy) in [(1, &self.other), (0, &self.base), (1, &self.other)] {
            self.swap(policy).await.unwrap();
            let serves = self.endpoint.serves().unwrap();
            assert_eq!(serves.policy, policy.id);
            assert_ne!(before.replace(serves.version.clone()), Some(serves.version), "a name is given once");
            let request = self.request("after a swap", 8, 5);
            let response = generate(&self.endpoint, &request).await.unwrap();
            self.assert_drawn_by(number, &request, &response);
        }
        // one that is called what it is not
        let publication =
            Publication::make(&self.folder.path().join("published"), "false", self.base.publication.folder());
        let name = "the false one".to_owned();
        let (id, reference) = (PolicyId(9), self.models[1].score(&self.probe));
        let wrong =
            Arc::new(Prepared { id, name, publication: publication.unwrap(), reference, adapter: None });
        let told = self.swap(&wrong).await.unwrap_err();
        assert!(told.contains("the false one") && told.contains("serves"), "{told}");
        assert_eq!(self.endpoint.serves(), None, "it is not used");
    }

    async fn is_given_back_what_it_had(&self) {
        self.swap(&self.base).await.unwrap();
        let publication = Publication::make(
            &self.folder.path().join("published"),
            "broken",
            self.other.publication.folder(),
        );
        let (name, reference) = ("broken".to_owned(), self.other.reference.clone());
        let (id, publication) = (PolicyId(8), publication.unwrap());
        let broken = Arc::new(Prepared { id, name, publication, reference, adapter: None });
        for file in fs::read_dir(broken.publication.folder()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                fs::remove_file(path).unwrap();
            }
        }
        let told = self.swap(&broken).await.unwrap_err();
        assert!(
            told.contains("broken") && told.contains("was given base again") && !told.contains("but:"),
            "{told}"
        );
        let found = attach(&self.endpoint, false).await.unwrap();
        assert_eq!(found, Some(self.base.id));
        let request = self.request("after a failure", 8, 5);
        let response = generate(&self.endpoint, &request).await.unwrap();
        self.assert_drawn_by(0, &request, &response);
    }

    async fn drops_what_nobody_waits_for(&self) {
        attach(&self.endpoint, false).await.unwrap();
        self.swap(&self.base).await.unwrap();
        let long = self.request("dropped", 15_000, 11);
        let dropped = generate(&self.endpoint, &long);
        tokio::select! {
            _ = dropped => panic!("it was not to end"),
            () = self.until(|load| load.running == 1) => {}
        }
        self.until(|load| load.running == 0 && load.waiting == 0).await;
    }

    async fn is_set_right_after_a_pause(&self) {
        self.pause().await;
        assert!(poll(&self.endpoint).await.unwrap().is_paused);
        let found = attach(&self.endpoint, false).await.unwrap();
        assert_eq!(found, Some(self.base.id), "its weights are those that it was given");
        assert!(!poll(&self.endpoint).await.unwrap().is_paused);
        // doubted and paused: it is not asked anything before it has weights
        self.pause().await;
        assert_eq!(attach(&self.endpoint, true).await.unwrap(), None);
        self.swap(&self.base).await.unwrap();
        assert!(!poll(&self.endpoint).await.unwrap().is_paused);
    }

    /// Somebody pauses it.
    async fn pause(&self) {
        let path = match self.endpoint.kind {
            EngineKind::Sglang => "/pause_generation",
            _ => "/pause?mode=abort",
        };
        let body = serde_json::json!({"mode": "abort"});
        self.endpoint.http.post(path, Some(&body), Some(self.endpoint.patience.word)).await.unwrap();
    }

    async fn until(&self, condition: impl Fn(&Load) -> bool) {
        while !condition(&poll(&self.endpoint).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_is_what_this_crate_takes_sglang_for() {
    let base = Path::new(FIXTURE);
    for max_lora_rank in [None, Some(16)] {
        let double = EngineDouble::start(Options { max_lora_rank, ..Options::sglang(base) });
        Subject::new(EngineKind::Sglang, &double.address(), base).all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_serves_the_base_under_an_adapters_name_is_not_used() {
    let base = Path::new(FIXTURE);
    for (kind, options, path) in [
        (EngineKind::Vllm, Options::new(base), "/v1/load_lora_adapter"),
        (EngineKind::Sglang, Options::sglang(base), "/load_lora_adapter"),
    ] {
        let double = EngineDouble::start(Options { max_lora_rank: Some(16), ..options });
        let subject = Subject::new(kind, &double.address(), base);
        attach(&subject.endpoint, false).await.unwrap();
        let (policy, model) = subject.adapter(20, 4);
        double.fail(path, Failure::InName, 1);
        let told = subject.swap(&policy).await.unwrap_err();
        assert!(told.contains("was given adapter-20 and serves base"), "{told}");
        assert_eq!(subject.endpoint.serves(), None, "it is not used");
        subject.swap(&policy).await.unwrap();
        let request = subject.request("after it", 6, 5);
        assert_drawn_by(&model, &request, &generate(&subject.endpoint, &request).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_is_what_this_crate_takes_vllm_for() {
    let base = Path::new(FIXTURE);
    for (has_generate, max_lora_rank) in [(true, Some(16)), (false, None), (false, Some(16))] {
        let double = EngineDouble::start(Options { has_generate, max_lora_rank, ..Options::new(base) });
        let subject = Subject::new(EngineKind::Vllm, &double.address(), base);
        subject.all().await;
        assert_eq!(subject.endpoint.about().unwrap().has_generate, Some(has_generate));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a live vLLM: run by .ci/vllm"]
async fn a_live_server_is_what_this_crate_takes_vllm_for() {
    let address = env::var("STILL_VLLM_ADDRESS").expect("STILL_VLLM_ADDRESS names a server");
    let model = env::var("STILL_VLLM_MODEL").expect("STILL_VLLM_MODEL names its model's folder");
    let subject = Subject::new(EngineKind::Vllm, &address, Path::new(&model));
    subject.all().await;
    subject.drops_what_nobody_waits_for().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doubles_drop_what_nobody_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let base = perturbed(Path::new(FIXTURE), folder.path());
    let config = fs::read_to_string(base.join("config.json")).unwrap();
    let longer = config.replace("\"max_position_embeddings\": 256", "\"max_position_embeddings\": 20000");
    assert_ne!(config, longer);
    fs::write(base.join("config.json"), longer).unwrap();
    for (kind, options) in
        [(EngineKind::Vllm, Options::new(&base)), (EngineKind::Sglang, Options::sglang(&base))]
    {
        let double = EngineDouble::start(Options { context: 16_000, slots: 2, ..options });
        Subject::new(kind, &double.address(), &base).drops_what_nobody_waits_for().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_given_weights_is_refused_with_the_remedy() {
    let base = Path::new(FIXTURE);
    let double = EngineDouble::start(Options { is_development: false, ..Options::new(base) });
    let subject = Subject::new(EngineKind::Vllm, &double.address(), base);
    let told = attach(&subject.endpoint, false).await.unwrap_err();
    assert!(told.contains("VLLM_SERVER_DEV_MODE=1"), "{told}");
}

/// The questions of a swap, in the words of each kind.
const STEPS: [(EngineKind, &[&str]); 2] = [
    (
        EngineKind::Vllm,
        &[
            "/pause",
            "/collective_rpc",
            "/reset_prefix_cache",
            "/update_weight_version",
            "/weight_info",
            "/resume",
            "/is_paused",
            "/inference/v1/generate",
        ],
    ),
    (
        EngineKind::Sglang,
        &[
            "/pause_generation",
            "/update_weights_from_disk",
            "/model_info",
            "/continue_generation",
            "/ready",
            "/generate",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_any_step_of_a_swap_leaves_a_server_that_is_not_used_or_is_right() {
    let base = Path::new(FIXTURE);
    for (kind, steps) in STEPS {
        let options = if kind == EngineKind::Sglang { Options::sglang(base) } else { Options::new(base) };
        let double = EngineDouble::start(options);
        let subject = Subject::new(kind, &double.address(), base);
        attach(&subject.endpoint, false).await.unwrap();
        subject.swap(&subject.base).await.unwrap();
        for path in steps {
            for failure in [Failure::Status(500), Failure::Drop, Failure::DropAfter] {
                // once on a connection that was used before, and once on a new one
                double.fail(path, failure.clone(), if failure == Failure::Status(500) { 1 } else { 2 });
                let told = subject.swap(&subject.other).await.unwrap_err();
                double.heal();
                assert!(!told.is_empty());
                let serves = subject.endpoint.serves().map(|serves| serves.policy);
                assert!(
                    serves.is_none() || serves == Some(subject.base.id),
                    "{path} {failure:?}: {serves:?}"
                );
                // as the fleet does with one that failed: it is looked at, and given what it is to serve
                let found = attach(&subject.endpoint, false).await.unwrap();
                if found != Some(subject.base.id) {
                    subject.swap(&subject.base).await.unwrap();
                }
                let request = subject.request("after a failure", 6, 5);
                let response = generate(&subject.endpoint, &request).await.unwrap();
                subject.assert_drawn_by(0, &request, &response);
                assert!(!poll(&subject.endpoint).await.unwrap().is_paused, "{path} {failure:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_are_there_beside_a_cache_that_is_not_emptied_are_loaded_once_more() {
    let base = Path::new(FIXTURE);
    let double = EngineDouble::start(Options::sglang(base));
    let subject = Subject::new(EngineKind::Sglang, &double.address(), base);
    attach(&subject.endpoint, false).await.unwrap();
    subject.swap(&subject.base).await.unwrap();
    double.fail("/update_weights_from_disk", Failure::InPart, 1);
    subject.swap(&subject.other).await.unwrap();
    let flushed = double.log().iter().filter(|asked| asked.contains("/flush_cache")).count();
    assert_eq!((double.heal(), flushed), (1, 1));
    let request = subject.request("after it", 6, 5);
    let response = generate(&subject.endpoint, &request).await.unwrap();
    subject.assert_drawn_by(1, &request, &response);
}

#[test]
fn a_server_that_is_gone_keeps_no_policy_on_the_disk() {
    let subject = Subject::new(EngineKind::Vllm, "http://127.0.0.1:1", Path::new(FIXTURE));
    let held = Arc::strong_count(&subject.base);
    subject.endpoint.set_good(&subject.base);
    assert_eq!(Arc::strong_count(&subject.base), held + 1);
    subject.endpoint.let_go();
    assert_eq!(Arc::strong_count(&subject.base), held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_tls_and_wants_a_key_is_asked_as_any_other_by_who_trusts_it() {
    let base = Path::new(FIXTURE);
    let options = Options { is_encrypted: true, key: Some("s3cret".to_owned()), ..Options::new(base) };
    let double = EngineDouble::start(options);
    assert!(double.address().starts_with("https://"));
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, still_engine_double::CERTIFICATE).unwrap();
    let word = Duration::from_mins(2);
    let patience = Patience { word, sign: word, load: word };
    let asked = |key: Option<&str>, authority: Option<&Path>| {
        let http = Http::new(double.address().parse().unwrap(), key, authority).unwrap();
        let endpoint = Endpoint::new(EngineKind::Vllm, http, patience, 0.05);
        async move { (attach(&endpoint, false).await, format!("{endpoint:?}")) }
    };
    let (found, shown) = asked(Some("s3cret"), Some(&authority)).await;
    assert_eq!(found, Ok(None));
    assert!(!shown.contains("s3cret"), "{shown}");
    let (refused, _) = asked(Some("another"), Some(&authority)).await;
    let told = refused.unwrap_err();
    assert!(told.contains("401") && told.contains("key_file") && !told.contains("another"), "{told}");
    let (refused, _) = asked(Some("s3cret"), None).await;
    assert!(refused.unwrap_err().contains("certificate_file"));
}
