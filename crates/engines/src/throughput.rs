//! What a server draws for a fleet, beside what it draws for a client that does nothing but ask: a figure, run by `.ci/vllm`.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::channel},
    time::{Duration, Instant},
};

use still_domain::{
    AttemptId, AttemptNumber, FinishReason, Measures, PolicyRef, PolicyVersion, ProblemId, SamplingSettings,
    Statement,
};
use still_engine_double::{EngineDouble, Options};
use still_roles::{EventSink, GeneratorEvent, Rollout};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    EngineKind, EngineSection, Fleet, FleetSeams, Policies, ReadResponse, Texts,
    endpoint::Endpoint,
    engine::{Patience, Request},
    http::Http,
    protocol::{Look, Protocol, attach, generate},
    schedule::Lane,
    vllm::Vllm,
};

/// Requests that are drawn each way, so many at once.
const REQUESTS: u32 = 48;
const AT_ONCE: usize = 8;
const TOKENS: u32 = 48;
/// Each way is measured as often, by turns.
const TURNS: usize = 3;

/// Prompts by number, and the policy that the server was started with.
struct Seams {
    model: PathBuf,
    reference: Vec<f32>,
}

fn prompt(number: u32) -> Vec<u32> {
    (0..12).map(|place| 5 + (number * 17 + place * 29) % 400).collect()
}

impl Texts for Seams {
    fn prompt(&self, problem: &Statement) -> Result<Vec<u32>, String> {
        Ok(prompt(problem.text.parse().map_err(|_| "no number".to_owned())?))
    }

    fn read(&self, _: &[u32], _: FinishReason, _: &[f32]) -> Result<ReadResponse, String> {
        Ok(ReadResponse { text: String::new(), measures: Measures::default(), is_well_formed: false })
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        Err(format!("there are no texts here: {text}"))
    }

    fn text(&self, _: &[u32]) -> Result<String, String> {
        Err("there are no texts here".to_owned())
    }

    fn prompt_name(&self) -> &'static str {
        "numbers"
    }

    fn stop_ids(&self) -> &[u32] {
        &[]
    }

    fn probe(&self) -> Vec<u32> {
        prompt(0)
    }
}

impl Policies for Seams {
    fn folder(&self, _: &PolicyRef) -> Result<PathBuf, String> {
        Ok(self.model.clone())
    }

    fn adapter(&self, _: &PolicyRef) -> Option<PathBuf> {
        None
    }

    fn log_probabilities(&self, _: &PolicyRef, _: &[u32]) -> Result<Vec<f32>, String> {
        Ok(self.reference.clone())
    }
}

/// Tokens a second of a client that keeps so many questions open.
async fn bare(endpoint: &Arc<Endpoint>, turn: u32) -> f64 {
    let Look { version, .. } = Vllm::look(endpoint).await.unwrap();
    let began = Instant::now();
    let (mut asked, mut tokens) = (JoinSet::new(), 0);
    for number in 0..REQUESTS {
        if asked.len() >= AT_ONCE {
            tokens += asked.join_next().await.unwrap().unwrap();
        }
        let request = Request {
            name: format!("bare-{turn}-{number}"),
            prompt: prompt(number),
            sampling: SamplingSettings { max_new_tokens: TOKENS, ..SamplingSettings::default() },
            seed: u64::from(number),
            stop_ids: Arc::from([]),
            version: version.clone(),
            adapter: None,
        };
        let endpoint = Arc::clone(endpoint);
        asked.spawn(async move { generate(&endpoint, &request).await.unwrap().tokens.len() });
    }
    while let Some(drawn) = asked.join_next().await {
        tokens += drawn.unwrap();
    }
    tokens as f64 / began.elapsed().as_secs_f64()
}

/// Tokens a second through the role that the sampler holds.
fn through_a_fleet(fleet: &Fleet, turn: u32) -> f64 {
    let (sender, events) = channel();
    let sink = EventSink::new(move |event| {
        let _ = sender.send(event);
    });
    let mut generator = fleet.generators("servers", Lane::Exploration).open(sink).unwrap();
    generator.adopt(&PolicyRef { name: PolicyVersion(0).into(), checkpoint: None });
    let rollout = |number: u32| Rollout {
        id: AttemptId { problem: ProblemId::new(number.to_string()), number: AttemptNumber(turn) },
        problem: number.to_string().into(),
        sampling: SamplingSettings { max_new_tokens: TOKENS, ..SamplingSettings::default() },
        seed: u64::from(number),
    };
    // the server is ready once it has drawn something
    generator.submit(rollout(REQUESTS));
    let ended = || {
        loop {
            if let GeneratorEvent::Finished(finished) = events.recv().unwrap() {
                return finished.iter().map(|one| one.trajectory.tokens.len()).sum::<usize>();
            }
        }
    };
    ended();
    let began = Instant::now();
    (0..REQUESTS).for_each(|number| generator.submit(rollout(number)));
    let tokens: usize = (0..REQUESTS).map(|_| ended()).sum();
    tokens as f64 / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure: run by .ci/vllm"]
async fn a_fleet_beside_a_bare_client() {
    let fixture = Path::new("../decoder/tests/fixtures/llama_smollm");
    let double = EngineDouble::start(Options::new(fixture));
    let live = env::var("STILL_VLLM_ADDRESS").ok().zip(env::var("STILL_VLLM_MODEL").ok());
    let (address, model) = live.unwrap_or_else(|| (double.address(), fixture.display().to_string()));
    let patience = Patience {
        word: Duration::from_mins(2),
        sign: Duration::from_mins(2),
        load: Duration::from_mins(10),
    };
    let http = Http::new(address.parse().unwrap(), None, None).unwrap();
    let endpoint = Arc::new(Endpoint::new(EngineKind::Vllm, http, patience, 1e9));
    attach(&endpoint, true).await.unwrap();
    let reference = Vllm::score(&endpoint, None, &prompt(0)).await.unwrap().log_probabilities;
    let folder = tempfile::tempdir().unwrap();
    let seams = Arc::new(Seams { model: PathBuf::from(model), reference });
    let seams = FleetSeams {
        texts: Arc::clone(&seams) as Arc<dyn Texts>,
        policies: seams,
        publications: folder.path().join("published"),
    };
    let section = EngineSection {
        kind: EngineKind::Vllm,
        addresses: vec![address],
        max_in_flight: AT_ONCE,
        ..EngineSection::default()
    };
    let fleet = Fleet::start(&[section], seams, &Handle::current()).unwrap();
    let (mut direct, mut fleets) = (Vec::new(), Vec::new());
    for turn in 0..TURNS as u32 {
        let fleet = fleet.clone();
        fleets.push(tokio::task::spawn_blocking(move || through_a_fleet(&fleet, turn)).await.unwrap());
        direct.push(bare(&endpoint, turn).await);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    println!("tokens a second, {AT_ONCE} at once: bare client {direct:.1?}, fleet {fleets:.1?}");
    println!("the fleet draws {:.1} % of the bare client", 100.0 * mean(&fleets) / mean(&direct));
}
