//! What a trainer brought, checked before it is a candidate.
//!
//! | what is checked | against |
//! |---|---|
//! | sizes, and every tensor's name and shape | the run's model |
//! | the tokenizer, where there is one | the run's: ids, stop tokens, and how the job's own texts are encoded |
//! | every number | it must be finite |
//! | log-probabilities of some of the job's sequences | they must be finite |
//!
//! The last two read the model into memory; where it does not fit that is left out and said. An adapter is merged into
//! what training started from, and kept beside the merged model. The files of the tokenizer are always the run's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use still_decoder::{
    DecoderConfig, DecoderWeights, Segments, Threads,
    hugging_face::{DEFAULT_MAX_SHARD_BYTES, Precision, load_config, load_folder, save_folder},
    model_hidden_states, token_log_probabilities,
};
use still_library::Weights;
use still_text::Tokenizer;
use still_training_data::Sequence;

use crate::trainer::MergeAdapter;

/// Says that a folder holds an adapter and no model.
const ADAPTER_FILE: &str = "adapter_config.json";
const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Folder inside a checkpoint of an adapter of the run's base model: servers are given it beside that.
pub(crate) const ADAPTER_OF_BASE: &str = "adapter";
/// The same of an adapter of another policy.
pub(crate) const ADAPTER_OF_POLICY: &str = "adapter-of-policy";
/// Tokens of a sequence that the model is asked about, at most.
const PROBE_TOKENS: usize = 512;
/// Bytes of an f32.
const FLOAT_BYTES: u64 = 4;

/// What the trained model must be.
pub(crate) struct Expected<'a> {
    pub(crate) config: &'a DecoderConfig,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) probes: &'a [Sequence],
    pub(crate) threads: usize,
    /// Bytes of memory that may be taken for a look at it.
    pub(crate) memory_bytes: u64,
}

/// A model that passed.
pub(crate) struct Checked {
    /// Its weights, unless they do not fit the memory.
    pub(crate) weights: Option<Weights>,
    /// Whether it came as an adapter.
    is_adapter: bool,
    /// What could not be looked at.
    pub(crate) remark: Option<String>,
}

impl Expected<'_> {
    /// Checks what is in `output`. `start` reads what training started from, for an adapter. Blocks.
    ///
    /// # Errors
    /// Why it cannot be a candidate.
    pub(crate) fn check(
        &self,
        output: &Path,
        merge: &MergeAdapter,
        start: impl FnOnce() -> Result<Weights, String>,
    ) -> Result<Checked, String> {
        self.check_tokenizer(output)?;
        if output.join(ADAPTER_FILE).is_file() {
            let weights = Arc::new(merge(output, &*start()?)?);
            self.check_numbers(&weights)?;
            return Ok(Checked { weights: Some(weights), is_adapter: true, remark: None });
        }
        self.check_sizes(&load_config(output).map_err(|error| error.to_string())?)?;
        let wanted = self.config.parameter_count() as u64 * FLOAT_BYTES;
        if wanted > self.memory_bytes {
            let remark = format!(
                "the trained model takes {} MiB and {} MiB are free: names and shapes of its tensors are checked, \
                 and its numbers are not",
                wanted >> 20,
                self.memory_bytes >> 20
            );
            return Ok(Checked { weights: None, is_adapter: false, remark: Some(remark) });
        }
        let (_, weights) = load_folder(output).map_err(|error| error.to_string())?;
        self.check_numbers(&weights)?;
        Ok(Checked { weights: Some(Arc::new(weights)), is_adapter: false, remark: None })
    }

    /// The model must be of the run's sizes: what tells how long a text may be and which ids end one is the run's own.
    fn check_sizes(&self, found: &DecoderConfig) -> Result<(), String> {
        let fields = |config: &DecoderConfig| {
            let (size, shown) = (|value: usize| value.to_string(), |value: bool| value.to_string());
            [
                ("architecture", format!("{:?}", config.architecture)),
                ("vocab_size", size(config.vocabulary_size)),
                ("hidden_size", size(config.hidden_size)),
                ("intermediate_size", size(config.intermediate_size)),
                ("num_hidden_layers", size(config.layer_count)),
                ("num_attention_heads", size(config.attention_head_count)),
                ("num_key_value_heads", size(config.key_value_head_count)),
                ("head_dim", size(config.head_dim)),
                ("rms_norm_eps", config.rms_norm_epsilon.to_string()),
                ("rope parameters", format!("{:?}", config.rope)),
                ("tie_word_embeddings", shown(config.tied_embeddings)),
                ("attention_bias", shown(config.attention_bias)),
                ("query and key norms", shown(config.query_key_norm)),
            ]
        };
        let differing = fields(found).into_iter().zip(fields(self.config)).find(|(one, two)| one != two);
        match differing {
            Some(((name, found), (_, wanted))) => {
                Err(format!("config.json: {name} is {found}, and the run's model has {wanted}"))
            }
            None => Ok(()),
        }
    }

    /// A tokenizer that came along must do what the run's does.
    fn check_tokenizer(&self, output: &Path) -> Result<(), String> {
        if !output.join("tokenizer.json").is_file() {
            return Ok(());
        }
        let (ours, theirs) = (self.tokenizer, Tokenizer::load(output).map_err(|error| error.to_string())?);
        let changed =
            |what: String| format!("the trainer changed the tokenizer: {what}; train with the run's own");
        let (size, found) = (ours.vocabulary_size(), theirs.vocabulary_size());
        if size != found {
            return Err(changed(format!("{found} ids instead of {size}")));
        }
        let ids = 0..u32::try_from(size).unwrap_or(u32::MAX);
        if let Some(id) = ids.into_iter().find(|id| ours.id_to_token(*id) != theirs.id_to_token(*id)) {
            return Err(changed(format!("id {id} is another token")));
        }
        for probe in self.probes {
            let text = ours.decode(&probe.tokens).map_err(|error| error.to_string())?;
            let encoded =
                |tokenizer: &Tokenizer| tokenizer.encode(&text, false).map_err(|error| error.to_string());
            if encoded(ours)? != encoded(&theirs)? {
                return Err(changed("a text of the job is encoded otherwise".to_owned()));
            }
        }
        Ok(())
    }

    fn check_numbers(&self, weights: &DecoderWeights) -> Result<(), String> {
        for tensor in self.config.named_parameters() {
            if weights.read(&tensor).iter().any(|value| !value.is_finite()) {
                return Err(format!("tensor `{}` holds numbers that are not finite", tensor.name));
            }
        }
        let threads = Threads::new(self.threads.max(1));
        for probe in self.probes {
            let tokens = probe.tokens.get(..PROBE_TOKENS).unwrap_or(&probe.tokens);
            let Some((_, targets)) = tokens.split_first().filter(|(_, targets)| !targets.is_empty()) else {
                continue;
            };
            let inputs = tokens.get(..targets.len()).unwrap_or_default();
            let segments = Segments::from_lengths([inputs.len()]);
            let hidden = model_hidden_states(self.config, weights, &segments, inputs, &threads)
                .map_err(|error| error.to_string())?;
            let head = weights.head().as_f32().ok_or("the head is not in f32")?;
            let found =
                token_log_probabilities(&hidden, head, self.config.hidden_size, targets, &threads).values;
            if found.iter().any(|value| !value.is_finite()) {
                return Err("log-probabilities of the job's own sequences are not finite".to_owned());
            }
        }
        Ok(())
    }
}

impl Checked {
    /// Puts the model's files into `folder` too, and nothing else that the trainer left beside them. What is in `output`
    /// stays: a crash loses nothing. An adapter has a folder of its own there, of this name.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn place(
        &self,
        output: &Path,
        folder: &Path,
        adapter_folder: &str,
        config: &DecoderConfig,
    ) -> io::Result<()> {
        if let (true, Some(weights)) = (self.is_adapter, &self.weights) {
            save_folder(folder, config, weights, Precision::F32, DEFAULT_MAX_SHARD_BYTES)
                .map_err(io::Error::other)?;
            let adapter = folder.join(adapter_folder);
            fs::create_dir_all(&adapter)?;
            return [ADAPTER_FILE, ADAPTER_WEIGHTS_FILE]
                .into_iter()
                .try_for_each(|name| link(&output.join(name), &adapter.join(name)));
        }
        for entry in fs::read_dir(output)? {
            let path: PathBuf = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name == "config.json" || (is_weights(name) && path.is_file()) {
                link(&path, &folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// Gives a file a second name; copies it where the file system has none.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => fs::copy(from, to).map(drop),
        linked => linked,
    }
}

fn is_weights(name: &str) -> bool {
    name == "model.safetensors"
        || name == "model.safetensors.index.json"
        || (name.starts_with("model-") && Path::new(name).extension().is_some_and(|end| end == "safetensors"))
}

/// Memory that is free, in bytes; as much as there may be where the system does not say.
pub(crate) fn free_memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(u64::MAX, |kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DecoderConfig {
        let json = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
            "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "vocab_size": 26, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
            "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": true
        });
        DecoderConfig::from_hugging_face(&json).unwrap()
    }

    fn no_adapter(_: &Path, _: &DecoderWeights) -> Result<DecoderWeights, String> {
        Err("no adapter is expected".to_owned())
    }

    fn no_start() -> Result<Weights, String> {
        Err("what it started from is not wanted".to_owned())
    }

    /// Checks what is in a folder, with so much memory.
    fn check(
        folder: &Path,
        memory_bytes: u64,
        merge: &MergeAdapter,
        start: impl FnOnce() -> Result<Weights, String>,
    ) -> Result<Checked, String> {
        let (config, tokenizer) = (config(), Tokenizer::quick_start().unwrap());
        let probes = [Sequence { tokens: vec![8, 9, 10, 1], prompt_tokens: 2, target: 2..4 }];
        let expected =
            Expected { config: &config, tokenizer: &tokenizer, probes: &probes, threads: 1, memory_bytes };
        expected.check(folder, merge, start)
    }

    #[test]
    fn a_model_that_does_not_fit_is_not_read_and_that_is_said() {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut weights = DecoderWeights::random(&config(), 3);
        weights.final_norm[0] = f32::INFINITY;
        save_folder(folder.path(), &config(), &weights, Precision::F32, 2000).unwrap();
        fs::write(folder.path().join("optimizer.bin"), "not the model's").unwrap();
        let checked = check(folder.path(), 16, &no_adapter, no_start).unwrap();
        assert!(checked.weights.is_none() && checked.remark.as_ref().unwrap().contains("0 MiB are free"));
        let refused = check(folder.path(), u64::MAX, &no_adapter, no_start).err();
        assert_eq!(refused.as_deref(), Some("tensor `model.norm.weight` holds numbers that are not finite"));

        checked.place(folder.path(), out.path(), ADAPTER_OF_BASE, &config()).unwrap();
        assert_eq!(load_folder(out.path()).unwrap().1, weights, "shards and index are the model's");
        assert!(!out.path().join("optimizer.bin").exists());
        assert!(folder.path().join("config.json").exists(), "a crash loses nothing");
    }

    #[test]
    fn an_adapter_is_merged_into_what_training_started_from_and_kept_beside_it() {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in [ADAPTER_FILE, ADAPTER_WEIGHTS_FILE] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let start = Arc::new(DecoderWeights::random(&config(), 3));
        let merge = |_: &Path, start: &DecoderWeights| {
            let mut merged = start.clone();
            merged.final_norm[0] = 7.0;
            Ok(merged)
        };
        let given = Arc::clone(&start);
        let checked = check(folder.path(), u64::MAX, &merge, move || Ok(given)).unwrap();
        checked.place(folder.path(), out.path(), ADAPTER_OF_BASE, &config()).unwrap();
        let (_, placed) = load_folder(out.path()).unwrap();
        assert_eq!((placed.final_norm[0], &placed.embedding), (7.0, &start.embedding));
        assert_eq!(fs::read_to_string(out.path().join("adapter").join(ADAPTER_FILE)).unwrap(), ADAPTER_FILE);
    }
}
