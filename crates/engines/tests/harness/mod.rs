//! A fleet of doubles with two policies, whose numbers are known by arithmetic of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, missing_docs, unreachable_pub)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use still_decoder::{
    DecoderConfig, DecoderWeights, Segments, Threads,
    hugging_face::{Precision, load_folder, save_folder},
    model_hidden_states, token_log_probabilities,
};
use still_domain::{
    CheckpointId, FinishReason, Measures, PolicyRef, PolicyVersion, RoundNumber, Statement, Trajectory,
};
use still_engine_double::{EngineDouble, Options, write_adapter};
use still_engines::{EngineKind, EngineSection, Fleet, FleetSeams, Policies, ReadResponse, Texts};
use still_roles::{ScoreRequest, ScoringPass, Unscored};
use tokio::runtime::Runtime;

pub const FIXTURE: &str = "../decoder/tests/fixtures/llama_smollm";
/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Problems are numbers, and prompts so many tokens.
pub struct Numbers;

impl Texts for Numbers {
    fn prompt(&self, problem: &Statement) -> Result<Vec<u32>, String> {
        let text = &problem.text;
        let number: u32 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
        Ok((0..6).map(|place| (number * 13 + place * 7) % 500).collect())
    }

    fn read(&self, tokens: &[u32], _: FinishReason, _: &[f32]) -> Result<ReadResponse, String> {
        Ok(ReadResponse { text: format!("{tokens:?}"), measures: Measures::default(), is_well_formed: false })
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
        &[2]
    }

    fn probe(&self) -> Vec<u32> {
        (0..20).map(|place| (place * 31 + 3) % 500).collect()
    }
}

/// Two policies: the base and one checkpoint.
pub struct Two {
    pub folders: [PathBuf; 2],
    models: [(DecoderConfig, DecoderWeights); 2],
}

impl Two {
    pub fn make(folder: &Path) -> Self {
        let (config, mut weights) = load_folder(Path::new(FIXTURE)).unwrap();
        for (place, value) in weights.final_norm.iter_mut().enumerate() {
            *value *= 1.0 + 0.1 * (place % 5) as f32;
        }
        weights.embedding.as_f32_mut().unwrap().iter_mut().step_by(5).for_each(|value| *value *= 1.05);
        let other = folder.join("other");
        save_folder(&other, &config, &weights, Precision::F32, u64::MAX).unwrap();
        let base = folder.join("base");
        fs::create_dir_all(&base).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(Path::new(FIXTURE).join(name), base.join(name)).unwrap();
        }
        let models = [load_folder(&base).unwrap(), load_folder(&other).unwrap()];
        Self { folders: [base, other], models }
    }

    /// The other one is an adapter of the base.
    pub fn make_adapter(folder: &Path) -> Self {
        let mut two = Self::make(folder);
        let [base, other] = &two.folders;
        two.models[1].1 = write_adapter(base, &other.join("adapter"), 4);
        let (config, weights) = &two.models[1];
        save_folder(other, config, weights, Precision::F32, u64::MAX).unwrap();
        two
    }

    pub fn score(&self, number: usize, tokens: &[u32]) -> Vec<f32> {
        let (config, weights) = &self.models[number];
        let (inputs, targets, threads) = (&tokens[..tokens.len() - 1], &tokens[1..], Threads::single());
        let segments = Segments::from_lengths([inputs.len()]);
        let hidden = model_hidden_states(config, weights, &segments, inputs, &threads).unwrap();
        let head = weights.head().as_f32().unwrap();
        token_log_probabilities(&hidden, head, config.hidden_size, targets, &threads).values
    }

    /// Makes sure that a trajectory was drawn by the policy that it names.
    pub fn check(&self, problem: &str, trajectory: &Trajectory) {
        let [span] = &trajectory.versions[..] else { panic!("one policy: {:?}", trajectory.versions) };
        assert_eq!((span.start, span.end as usize), (0, trajectory.tokens.len()));
        let number = usize::from(span.policy != PolicyVersion(0).into());
        let prompt = Numbers.prompt(&problem.into()).unwrap();
        let scored = self.score(number, &[&prompt[..], &trajectory.tokens].concat());
        let apart = scored[prompt.len() - 1..].iter().zip(&trajectory.log_probabilities);
        let most = apart.map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
        assert!(most < 1e-3, "{} is {most} from what policy {} draws", trajectory.id, span.policy);
    }
}

pub fn base() -> PolicyRef {
    PolicyRef { name: PolicyVersion(0).into(), checkpoint: None }
}

pub fn other() -> PolicyRef {
    PolicyRef::candidate(RoundNumber(1), CheckpointId::new("round-1-step-9"))
}

impl Policies for Two {
    fn folder(&self, policy: &PolicyRef) -> Result<PathBuf, String> {
        Ok(self.folders[usize::from(policy.checkpoint.is_some())].clone())
    }

    fn adapter(&self, policy: &PolicyRef) -> Option<PathBuf> {
        let folder = self.folders[usize::from(policy.checkpoint.is_some())].join("adapter");
        folder.exists().then_some(folder)
    }

    fn log_probabilities(&self, policy: &PolicyRef, tokens: &[u32]) -> Result<Vec<f32>, String> {
        Ok(self.score(usize::from(policy.checkpoint.is_some()), tokens))
    }
}

pub fn section(doubles: &[EngineDouble]) -> EngineSection {
    EngineSection {
        kind: EngineKind::Vllm,
        addresses: doubles.iter().map(EngineDouble::address).collect(),
        poll_milliseconds: 20,
        ..EngineSection::default()
    }
}

pub struct World {
    pub fleet: Fleet,
    pub two: Arc<Two>,
    pub folder: tempfile::TempDir,
    pub runtime: Runtime,
}

pub fn world(make: impl FnOnce(&Two) -> (Vec<EngineDouble>, EngineSection)) -> (World, Vec<EngineDouble>) {
    world_of(Two::make, make)
}

pub fn world_of(
    policies: impl FnOnce(&Path) -> Two,
    make: impl FnOnce(&Two) -> (Vec<EngineDouble>, EngineSection),
) -> (World, Vec<EngineDouble>) {
    let folder = tempfile::tempdir().unwrap();
    let two = Arc::new(policies(folder.path()));
    let (doubles, section) = make(&two);
    let runtime = Runtime::new().unwrap();
    let seams = FleetSeams {
        texts: Arc::new(Numbers),
        policies: Arc::clone(&two) as Arc<dyn Policies>,
        publications: folder.path().join("published"),
    };
    let fleet = Fleet::start(&[section], seams, runtime.handle()).unwrap();
    (World { fleet, two, folder, runtime }, doubles)
}

pub fn two_doubles(two: &Two) -> (Vec<EngineDouble>, EngineSection) {
    let doubles: Vec<_> = (0..2).map(|_| EngineDouble::start(Options::new(&two.folders[0]))).collect();
    let section = section(&doubles);
    (doubles, section)
}

/// A pass over sequences by number, each of which may come to one end alone.
pub struct Pass<'a> {
    left: std::ops::Range<u64>,
    pub found: BTreeMap<u64, Result<Vec<f32>, Unscored>>,
    under_way: BTreeSet<u64>,
    /// The most that were under way at once.
    pub most: usize,
    then: Box<dyn FnMut(usize) -> ControlFlow<()> + Send + 'a>,
}

/// A sequence of some length, of which the first tokens may be context.
pub fn sequence(number: u64) -> ScoreRequest {
    let tokens = (0..4 + number % 29).map(|place| ((number * 17 + place * 29 + 3) % 500) as u32).collect();
    ScoreRequest { tokens, from: 1 + number as usize % 3 }
}

impl<'a> Pass<'a> {
    pub fn of(numbers: std::ops::Range<u64>) -> Self {
        let (found, under_way) = (BTreeMap::new(), BTreeSet::new());
        Self { left: numbers, found, under_way, most: 0, then: Box::new(|_| ControlFlow::Continue(())) }
    }

    /// Does something each time that so many have come to an end.
    pub fn then(mut self, mut then: impl FnMut(usize) + Send + 'a) -> Self {
        self.then = Box::new(move |count| {
            then(count);
            ControlFlow::Continue(())
        });
        self
    }

    /// Wants so many and no more.
    pub fn until(mut self, wanted: usize) -> Self {
        self.then = Box::new(
            move |count| {
                if count < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        );
        self
    }

    /// Makes sure that so many were scored, by the policy of that number.
    pub fn check(&self, two: &Two, number: usize, count: usize) {
        assert_eq!((self.found.len(), self.under_way.len()), (count, 0));
        for (name, found) in &self.found {
            let (asked, found) = (sequence(*name), found.as_ref().unwrap());
            let expected = &two.score(number, &asked.tokens)[asked.from - 1..];
            assert_eq!(found.len(), expected.len());
            let apart = found.iter().zip(expected).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-3, "{name} is {apart} from what policy {number} thinks of it");
        }
    }
}

impl ScoringPass<ScoreRequest, Vec<f32>> for Pass<'_> {
    fn next(&mut self) -> Option<(u64, ScoreRequest)> {
        let number = self.left.next()?;
        self.under_way.insert(number);
        self.most = self.most.max(self.under_way.len());
        Some((number, sequence(number)))
    }

    fn scored(&mut self, number: u64, found: Result<Vec<f32>, Unscored>) -> ControlFlow<()> {
        assert!(self.under_way.remove(&number), "{number} was not under way");
        assert_eq!(self.found.insert(number, found), None, "{number} ended twice");
        (self.then)(self.found.len())
    }
}

/// How often a double was asked for something.
pub fn asked(double: &EngineDouble, what: &str) -> usize {
    double.log().iter().filter(|asked| asked.contains(what)).count()
}
