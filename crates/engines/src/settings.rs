//! `[[engines]]`: what draws the rollouts.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::Findings;

use crate::{
    beginning::Renewal,
    http::Address,
    launch::{self, Placement},
    schedule::Limits,
};

/// What draws rollouts and the evaluation's answers. Servers of all sections make one fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSection {
    /// What it is.
    pub kind: EngineKind,
    /// Where its servers are, for example `http://127.0.0.1:8000`. They belong to this run: it gives them weights, pauses
    /// them and ends what others have running there.
    pub addresses: Vec<String>,
    /// A file that holds the servers' key, which is never shown.
    pub key_file: Option<PathBuf>,
    /// A variable of the environment that holds the servers' key.
    pub key_variable: Option<String>,
    /// A file of certificates in PEM: authorities that vouch for servers of `https` addresses beside those that browsers
    /// trust.
    pub certificate_file: Option<PathBuf>,
    /// Requests that a server holds at once, at most; how many it is given within that follows from its own load.
    pub max_in_flight: usize,
    /// A server that holds requests and draws nothing for longer, in seconds, is left out, and its requests go elsewhere.
    pub max_silence_seconds: u64,
    /// Between two looks at a server's load, in milliseconds.
    pub poll_milliseconds: u64,
    /// How long a server may take over new weights, in seconds.
    pub max_load_seconds: u64,
    /// How far the servers' log-probabilities of a probe may be from those computed here, in nats a token on average: a
    /// server that is further away serves something else and is not used. A server in f32 is within 0.001, one in bf16
    /// within some hundredths.
    pub max_gap_nats: f64,
    /// Whether the daemon starts, watches, starts again and ends the servers itself, on this machine; then no addresses are
    /// named.
    pub launch: bool,
    /// GPUs of the launched servers by number, as CUDA counts them. None is for servers on the processor.
    pub devices: Vec<u32>,
    /// GPUs that one launched server has: there are `devices` divided by this many servers.
    pub tensor_parallel: usize,
    /// Launched servers where `devices` names no GPU.
    pub servers: usize,
    /// The command line of a launched server, in words: `{model}` stands for the model's folder, `{port}` for its port and
    /// `{tensor_parallel}` for that number. Where there is none, `vllm serve` or `python3 -m sglang.launch_server` with what
    /// the daemon needs of them.
    pub command: Vec<String>,
    /// Further arguments of the command.
    pub arguments: Vec<String>,
    /// Variables of the launched servers' environment, beside those of the daemon's own.
    pub environment: BTreeMap<String, String>,
    /// Whether a trainer (`training.engine = "command"`) has GPUs of its own or the launched servers' in turns with them.
    pub placement: Placement,
    /// How launched servers come by new weights.
    pub renewal: Renewal,
    /// How long a launched server may take to come up, in seconds.
    pub start_seconds: u64,
    /// Time that a launched server is given to end by itself, in seconds; then it is killed.
    pub stop_seconds: u64,
    /// Failures in a row of a launched server after which it is left out: one more than this. The others go on, and it is
    /// tried again much later.
    pub retries: u32,
    /// Wait before a launched server is started again, in seconds; it doubles with every failure in a row, up to ten minutes.
    pub backoff_seconds: u64,
    /// Tokens that each server is expected to draw in a second, for the estimate of `stilld run --dry-run`; without it the
    /// estimate says that drawing is not known.
    pub expected_tokens_per_second: Option<f64>,
}

/// What an engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// This process, on the devices of `device.samplers` and `device.evaluator`.
    #[default]
    Embedded,
    /// Servers of vLLM, started with `VLLM_SERVER_DEV_MODE=1`.
    Vllm,
    /// Servers of `SGLang`.
    Sglang,
    /// Servers that speak as `OpenAI`'s do. They take no weights while they are up, so the daemon has to start them
    /// (`launch`), one process a policy; what they draw is text, whose tokens are made here. As teachers they stand in
    /// `[teacher]`.
    Openai,
}

impl EngineKind {
    /// The name used in the configuration and in provenances.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Openai => "openai",
        }
    }
}

impl Default for EngineSection {
    fn default() -> Self {
        Self {
            kind: EngineKind::Embedded,
            addresses: Vec::new(),
            key_file: None,
            key_variable: None,
            certificate_file: None,
            max_in_flight: 256,
            max_silence_seconds: 120,
            poll_milliseconds: 1000,
            max_load_seconds: 1800,
            max_gap_nats: 0.1,
            launch: false,
            devices: Vec::new(),
            tensor_parallel: 1,
            servers: 1,
            command: Vec::new(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            placement: Placement::default(),
            renewal: Renewal::default(),
            start_seconds: 1800,
            stop_seconds: 30,
            retries: 3,
            backoff_seconds: 5,
            expected_tokens_per_second: None,
        }
    }
}

/// Whether rollouts are drawn by servers.
pub fn is_remote(engines: &[EngineSection]) -> bool {
    engines.iter().any(|section| section.kind != EngineKind::Embedded)
}

/// Tokens that all servers are expected to draw in a second; `None` where a section does not say.
pub fn expected_tokens_per_second(engines: &[EngineSection]) -> Option<f64> {
    let of_section =
        |section: &EngineSection| Some(section.expected_tokens_per_second? * section.server_count() as f64);
    if is_remote(engines) { engines.iter().map(of_section).sum() } else { None }
}

/// Notes what cannot be used.
pub fn validate(engines: &[EngineSection], findings: &mut Findings) {
    let is_embedded = engines.iter().any(|section| section.kind == EngineKind::Embedded);
    findings.require(!is_embedded || engines.len() == 1, "engines", || {
        "rollouts are drawn by this process or by servers: name either one section of kind \"embedded\" or servers alone"
            .to_owned()
    });
    for (index, section) in engines.iter().enumerate() {
        section.validate(&format!("engines[{index}]"), findings);
    }
    let mut all: Vec<&str> =
        engines.iter().flat_map(|section| &section.addresses).map(String::as_str).collect();
    all.sort_unstable();
    if let Some([twice, _]) = all.windows(2).find(|pair| matches!(pair, [one, two] if one == two)) {
        findings
            .note("engines", format!("`{twice}` is named twice: it would be given twice what it can take"));
    }
    let mut gpus: Vec<u32> = engines.iter().flat_map(|section| section.devices.iter().copied()).collect();
    gpus.sort_unstable();
    if let Some([twice, _]) = gpus.windows(2).find(|pair| matches!(pair, [one, two] if one == two)) {
        findings.note("engines", format!("GPU {twice} is given to two servers: name each once in `devices`"));
    }
}

impl EngineSection {
    fn validate(&self, key: &str, findings: &mut Findings) {
        let is_remote = self.kind != EngineKind::Embedded;
        let kind = format!("{key}.kind");
        findings.require(self.kind != EngineKind::Openai || self.launch, &kind, || {
            "servers that speak as OpenAI's do take no weights while they are up: have the daemon start them, anew with every \
             policy (`launch = true` and their `command`); as a teacher they stand in `[teacher]`"
                .to_owned()
        });
        let addresses = format!("{key}.addresses");
        launch::validate(self, key, findings);
        let is_pace = self.expected_tokens_per_second.is_none_or(|pace| pace.is_finite() && pace > 0.0);
        findings
            .require(is_pace, &format!("{key}.expected_tokens_per_second"), || "must be above 0".to_owned());
        findings.require(self.launch || is_remote != self.addresses.is_empty(), &addresses, || {
            if is_remote {
                "name at least one server, for example [\"http://127.0.0.1:8000\"]".to_owned()
            } else {
                "an embedded engine has no address: name the kind of the servers, for example kind = \"vllm\""
                    .to_owned()
            }
        });
        for address in &self.addresses {
            if let Err(reason) = address.parse::<Address>() {
                findings.note(&addresses, reason);
            }
        }
        findings.require(self.key_file.is_none() || self.key_variable.is_none(), &format!("{key}.key_file"), || {
            format!("the key is in a file or in a variable: leave out one of `{key}.key_file` and `{key}.key_variable`")
        });
        for (name, value, least, most) in [
            ("max_in_flight", self.max_in_flight as u64, 1, 1_000_000),
            ("max_silence_seconds", self.max_silence_seconds, 1, 1_000_000),
            ("poll_milliseconds", self.poll_milliseconds, 10, 600_000),
            ("max_load_seconds", self.max_load_seconds, 1, 1_000_000),
        ] {
            findings.require((least..=most).contains(&value), &format!("{key}.{name}"), || {
                format!("must be from {least} to {most}")
            });
        }
        let is_gap = self.max_gap_nats.is_finite() && self.max_gap_nats > 0.0;
        findings.require(is_gap, &format!("{key}.max_gap_nats"), || "must be above 0".to_owned());
    }

    /// The servers' key, if they have one.
    ///
    /// # Errors
    /// When it cannot be had; the message names the place, never the key.
    pub fn key(&self) -> Result<Option<String>, String> {
        read_key("engines", self.key_file.as_deref(), self.key_variable.as_deref())
    }

    /// How many servers it is about.
    pub const fn server_count(&self) -> usize {
        match (self.launch, self.devices.len(), self.tensor_parallel) {
            (false, ..) => self.addresses.len(),
            (true, 0, _) => self.servers,
            (true, devices, 0) => devices,
            (true, devices, parallel) => devices / parallel,
        }
    }

    /// The wait before the start of a launched server that follows so many failures in a row, from 1.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        still_settings::backoff(self.backoff_seconds, failures)
    }

    /// How its launched servers come by new weights.
    pub(crate) const fn renewal(&self) -> Renewal {
        match self.kind {
            // there is no other way
            EngineKind::Openai => Renewal::Restart,
            _ => self.renewal,
        }
    }

    /// What a server answers once it is up.
    pub(crate) const fn sign_of_life(&self) -> &'static str {
        match self.kind {
            EngineKind::Openai => "/v1/models",
            _ => "/health",
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            max_in_flight: self.max_in_flight,
            poll_every: Duration::from_millis(self.poll_milliseconds),
            max_silence: Duration::from_secs(self.max_silence_seconds),
        }
    }
}

/// A key out of a file or a variable, for a section.
///
/// # Errors
/// When it cannot be had; the message names the place, never the key.
pub(crate) fn read_key(
    section: &str,
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Option<String>, String> {
    let key = match (file, variable) {
        (Some(path), _) => fs::read_to_string(path).map_err(|error| {
            format!("the key of `{section}` cannot be read from `{}`: {error}", path.display())
        })?,
        (None, Some(name)) => env::var(name).map_err(|_| {
            format!("the key of `{section}` is to be in the variable `{name}`, which is not set")
        })?,
        (None, None) => return Ok(None),
    };
    let key = key.trim();
    // it goes into a header
    if key.is_empty() || !key.chars().all(|letter| letter.is_ascii_graphic()) {
        return Err(format!(
            "the key of `{section}` is empty, or holds what no key holds: one line of ASCII is wanted"
        ));
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(engines: &[EngineSection]) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        validate(engines, &mut findings);
        findings.into_vec().into_iter().map(|finding| (finding.key, finding.reason)).collect()
    }

    fn vllm(addresses: &[&str]) -> EngineSection {
        EngineSection {
            kind: EngineKind::Vllm,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..EngineSection::default()
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name_and_never_passed_over() {
        assert!(found(&[]).is_empty() && found(&[EngineSection::default()]).is_empty());
        assert!(found(&[vllm(&["http://127.0.0.1:8000"])]).is_empty());
        let sglang = EngineSection { kind: EngineKind::Sglang, ..vllm(&["https://node-1:30000"]) };
        assert!(found(&[vllm(&["http://127.0.0.1:8000"]), sglang]).is_empty());
        let sound = "http://a:1";
        for (engines, key, part) in [
            (
                vec![EngineSection { kind: EngineKind::Openai, ..vllm(&[sound]) }],
                "engines[0].kind",
                "launch = true",
            ),
            (vec![vllm(&[sound]), EngineSection::default()], "engines", "either"),
            (vec![vllm(&[])], "engines[0].addresses", "at least one"),
            (
                vec![EngineSection { kind: EngineKind::Embedded, ..vllm(&[sound]) }],
                "engines[0].addresses",
                "no address",
            ),
            (vec![vllm(&["ftp://a"])], "engines[0].addresses", "http://"),
            (vec![vllm(&[sound]), vllm(&[sound])], "engines", "twice"),
            (
                vec![EngineSection { max_gap_nats: 0.0, ..vllm(&[sound]) }],
                "engines[0].max_gap_nats",
                "above 0",
            ),
            (
                vec![EngineSection { expected_tokens_per_second: Some(0.0), ..vllm(&[sound]) }],
                "engines[0].expected_tokens_per_second",
                "above 0",
            ),
            (
                vec![EngineSection { max_in_flight: 0, ..vllm(&[sound]) }],
                "engines[0].max_in_flight",
                "from 1",
            ),
        ] {
            let found = found(&engines);
            let is_told = found.iter().any(|(at, reason)| at == key && reason.contains(part));
            assert!(is_told, "{key}, {part}: {found:?}");
        }
    }

    #[test]
    fn a_key_is_read_from_a_file_and_its_absence_names_the_place_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "s3cret\n").unwrap();
        let section = EngineSection { key_file: Some(path.clone()), ..vllm(&[]) };
        assert_eq!(section.key(), Ok(Some("s3cret".to_owned())));
        fs::write(&path, "s3cret and more").unwrap();
        assert!(!section.key().unwrap_err().contains("s3cret"));
        fs::remove_file(&path).unwrap();
        assert!(section.key().unwrap_err().contains(&*path.to_string_lossy()));
        let section = EngineSection { key_variable: Some("STILL_NO_SUCH_KEY".to_owned()), ..vllm(&[]) };
        assert!(section.key().unwrap_err().contains("STILL_NO_SUCH_KEY"));
    }
}
