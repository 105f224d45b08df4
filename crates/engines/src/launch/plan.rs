//! The servers of a section as commands.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_settings::{Findings, find_program};

use crate::{
    beginning::Renewal,
    settings::{EngineKind, EngineSection},
};

/// What stands for the model's folder in a command.
const MODEL: &str = "{model}";
/// What stands for the port of a server.
const PORT: &str = "{port}";
/// What stands for the GPUs that share a model.
const TENSOR_PARALLEL: &str = "{tensor_parallel}";
/// Names the GPUs that a program sees.
const DEVICES_VARIABLE: &str = "CUDA_VISIBLE_DEVICES";
/// Gives a server of vLLM its key.
const KEY_VARIABLE: &str = "VLLM_API_KEY";

/// Whose the devices of launched servers are while a command trains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// The servers', always: the trainer has others, by its environment.
    #[default]
    Split,
    /// The trainer's: before it is started the servers give up what they draw and sleep, or are ended where they cannot
    /// sleep; when the job has ended they come back.
    Turns,
}

/// The servers that a section has the daemon start.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchPlan {
    /// The GPUs of each server; none on the processor.
    pub servers: Vec<Vec<u32>>,
    /// Whether the devices are the trainer's while it trains.
    pub placement: Placement,
    /// Whether a server can let its memory go without being ended.
    pub can_sleep: bool,
    /// The run's model, as a folder.
    model: PathBuf,
    /// The command's words, with what stands for the model and the port.
    words: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl LaunchPlan {
    /// What a section asks for, for a model in a folder; `None` where it names servers that others start.
    pub fn of(section: &EngineSection, model: &Path) -> Option<Self> {
        if !section.launch {
            return None;
        }
        let parallel = section.tensor_parallel.max(1);
        let servers = if section.devices.is_empty() {
            vec![Vec::new(); section.servers.max(1)]
        } else {
            section.devices.chunks(parallel).map(<[u32]>::to_vec).collect()
        };
        // what runs on the processor has nowhere to put its memory
        let can_sleep = section.kind == EngineKind::Vllm
            && section.placement == Placement::Turns
            && !section.devices.is_empty();
        let words = words(section, can_sleep);
        let fill = |word: &String| word.replace(TENSOR_PARALLEL, &parallel.to_string());
        let mut environment = BTreeMap::new();
        if section.kind == EngineKind::Vllm {
            environment.insert("VLLM_SERVER_DEV_MODE".to_owned(), "1".to_owned());
        }
        environment.extend(section.environment.clone());
        Some(Self {
            servers,
            placement: section.placement,
            can_sleep,
            model: model.to_owned(),
            words: words.iter().map(fill).collect(),
            environment,
        })
    }

    /// The program's file.
    ///
    /// # Errors
    /// Why it cannot be started, with the remedy.
    pub fn executable(&self) -> Result<PathBuf, String> {
        find_program(self.words.first().map_or("", String::as_str))
            .map_err(|reason| format!("servers cannot be started (`engines`, `command`): {reason}"))
    }

    /// The command of a server that begins with the model of a folder, or with the run's.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn command(
        &self,
        server: usize,
        port: u16,
        key: Option<&str>,
        model: Option<&Path>,
    ) -> Result<Command, String> {
        let model = model.unwrap_or(&self.model);
        let words = self.words_with(model).skip(1).map(|word| word.replace(PORT, &port.to_string()));
        let mut command = Command::new(self.executable()?);
        command.args(words).envs(self.environment(server));
        if let Some(key) = key {
            command.env(KEY_VARIABLE, key);
        }
        Ok(command)
    }

    /// The command line of a server, for people.
    pub fn command_line(&self, server: usize) -> String {
        let variables =
            self.environment(server).into_iter().map(|(name, value)| format!("{name}={}", Quoted(&value)));
        let words = self.words_with(&self.model).map(|word| Quoted(&word).to_string());
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    fn words_with(&self, model: &Path) -> impl Iterator<Item = String> {
        let model = model.display().to_string();
        self.words.iter().map(move |word| word.replace(MODEL, &model))
    }

    fn environment(&self, server: usize) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        if let Some(devices) = self.servers.get(server).filter(|devices| !devices.is_empty()) {
            let devices: Vec<_> = devices.iter().map(u32::to_string).collect();
            environment.insert(DEVICES_VARIABLE.to_owned(), devices.join(","));
        }
        environment
    }
}

/// The words of a section's command, as they stand in the configuration.
fn words(section: &EngineSection, can_sleep: bool) -> Vec<String> {
    let mut words = section.command.clone();
    if words.is_empty() {
        let of_kind: &[&str] = match section.kind {
            EngineKind::Sglang => &[
                "python3",
                "-m",
                "sglang.launch_server",
                "--model-path",
                MODEL,
                "--host",
                "127.0.0.1",
                "--port",
                PORT,
                "--tp-size",
                TENSOR_PARALLEL,
            ],
            EngineKind::Openai | EngineKind::Embedded => &[],
            EngineKind::Vllm => &[
                "vllm",
                "serve",
                MODEL,
                "--host",
                "127.0.0.1",
                "--port",
                PORT,
                "--tensor-parallel-size",
                TENSOR_PARALLEL,
                "--enable-scale-out",
            ],
        };
        words.extend(of_kind.iter().map(ToString::to_string));
        if can_sleep {
            words.push("--enable-sleep-mode".to_owned());
        }
    }
    words.extend(section.arguments.iter().cloned());
    words
}

/// Notes what of a section cannot be launched.
pub(crate) fn validate(section: &EngineSection, key: &str, findings: &mut Findings) {
    let at = |name: &str| format!("{key}.{name}");
    if !section.launch {
        let usual = EngineSection::default();
        for (name, is_set) in [
            ("devices", section.devices != usual.devices),
            ("servers", section.servers != usual.servers),
            ("tensor_parallel", section.tensor_parallel != usual.tensor_parallel),
            ("command", section.command != usual.command),
            ("arguments", section.arguments != usual.arguments),
            ("environment", section.environment != usual.environment),
            ("placement", section.placement != usual.placement),
            ("renewal", section.renewal != usual.renewal),
        ] {
            findings.require(!is_set, &at(name), || {
                format!("is for servers that the daemon starts: set `{key}.launch = true`, or leave it out")
            });
        }
        return;
    }
    findings.require(section.kind != EngineKind::Embedded, &at("launch"), || {
        "servers of the kinds \"vllm\", \"sglang\" and \"openai\" can be started: name one of them".to_owned()
    });
    findings.require(section.addresses.is_empty(), &at("addresses"), || {
        "the daemon finds the addresses of servers that it starts: leave them out, or put servers that others start into a \
         section of their own"
            .to_owned()
    });
    findings.require(section.certificate_file.is_none(), &at("certificate_file"), || {
        "servers that the daemon starts are on this machine and speak plain HTTP: leave it out".to_owned()
    });
    let has_key = section.key_file.is_some() || section.key_variable.is_some();
    findings.require(!has_key || section.kind == EngineKind::Vllm, &at("key_file"), || {
        "only servers of vLLM can be started with a key that no list of processes shows: leave it out"
            .to_owned()
    });
    findings.require((1..=1024).contains(&section.tensor_parallel), &at("tensor_parallel"), || {
        "must be from 1 to 1024".to_owned()
    });
    if section.devices.is_empty() {
        findings.require((1..=1024).contains(&section.servers), &at("servers"), || {
            "must be from 1 to 1024: servers on the processor, as `devices` names no GPU".to_owned()
        });
    } else {
        findings.require(section.servers == EngineSection::default().servers, &at("servers"), || {
            "follows from `devices` and `tensor_parallel`: leave it out".to_owned()
        });
        let parallel = section.tensor_parallel.max(1);
        findings.require(section.devices.len().is_multiple_of(parallel), &at("devices"), || {
            format!("{} GPUs cannot be shared out by {parallel} (`tensor_parallel`)", section.devices.len())
        });
    }
    for (name, value) in [("start_seconds", section.start_seconds), ("stop_seconds", section.stop_seconds)] {
        findings
            .require((1..=1_000_000).contains(&value), &at(name), || "must be from 1 to 1000000".to_owned());
    }
    findings.require_variables(&at("environment"), section.environment.keys());
    findings.require(!section.environment.contains_key(DEVICES_VARIABLE), &at("environment"), || {
        format!("{DEVICES_VARIABLE} follows from `devices`: leave it out")
    });
    let words = words(section, false);
    let has = |mark: &str| words.iter().any(|word| word.contains(mark));
    findings.require(has(PORT), &at("command"), || {
        format!("{PORT} is missing: it stands for the port that the server has to open")
    });
    findings.require(has(MODEL) || section.renewal() == Renewal::Load, &at("command"), || {
        format!("{MODEL} is missing: it stands for the folder of the policy that the server begins with")
    });
    findings.require(words.first().is_some_and(|program| !program.is_empty()), &at("command"), || {
        "begins with the program, for example [\"vllm\", \"serve\"]".to_owned()
    });
}

/// A word as a shell reads it back.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+@%{}".contains(letter);
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            f.write_str(self.0)
        } else {
            write!(f, "'{}'", self.0.replace('\'', r"'\''"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launched(kind: EngineKind) -> EngineSection {
        EngineSection { kind, launch: true, ..EngineSection::default() }
    }

    fn lines(section: &EngineSection) -> Vec<String> {
        let plan = LaunchPlan::of(section, Path::new("/models/m")).unwrap();
        (0..plan.servers.len()).map(|server| plan.command_line(server)).collect()
    }

    #[test]
    fn gpus_are_shared_out_and_every_server_is_told_its_own() {
        let mut section = EngineSection {
            devices: vec![4, 5, 6, 7],
            tensor_parallel: 2,
            arguments: vec!["--max-model-len".to_owned(), "17408".to_owned()],
            environment: BTreeMap::from([("NAME".to_owned(), "two words".to_owned())]),
            ..launched(EngineKind::Vllm)
        };
        assert_eq!(
            lines(&section),
            ["4,5", "6,7"].map(|devices| format!(
                "CUDA_VISIBLE_DEVICES={devices} NAME='two words' VLLM_SERVER_DEV_MODE=1 vllm serve /models/m --host 127.0.0.1 \
                 --port {{port}} --tensor-parallel-size 2 --enable-scale-out --max-model-len 17408"
            ))
        );
        section.placement = Placement::Turns;
        assert!(lines(&section)[0].contains("--enable-sleep-mode --max-model-len"));
        let sglang = EngineSection { servers: 2, ..launched(EngineKind::Sglang) };
        let line = "python3 -m sglang.launch_server --model-path /models/m --host 127.0.0.1 --port {port} --tp-size 1";
        assert_eq!(lines(&sglang), [line, line]);
        assert_eq!(LaunchPlan::of(&EngineSection::default(), Path::new("m")), None);
    }

    #[test]
    fn a_command_has_its_port_and_its_key_where_no_list_of_processes_shows_it() {
        let section = EngineSection {
            command: ["sh", "serve", "{model}:{port}"].map(str::to_owned).to_vec(),
            ..launched(EngineKind::Vllm)
        };
        let plan = LaunchPlan::of(&section, Path::new("m")).unwrap();
        let command = plan.command(0, 81, Some("s3cret"), None).unwrap();
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["serve", "m:81"]);
        let with_other = plan.command(0, 81, None, Some(Path::new("other"))).unwrap();
        assert_eq!(with_other.get_args().collect::<Vec<_>>(), ["serve", "other:81"]);
        assert!(!plan.command_line(0).contains("s3cret"));
        let key = command.get_envs().find(|(name, _)| *name == KEY_VARIABLE);
        assert_eq!(key.and_then(|(_, value)| value), Some("s3cret".as_ref()));
    }

    #[test]
    fn what_cannot_be_launched_is_refused_by_its_key() {
        let sound =
            EngineSection { command: vec!["sh".to_owned(), PORT.to_owned()], ..launched(EngineKind::Vllm) };
        let found = |section: &EngineSection| {
            let mut findings = Findings::default();
            validate(section, "engines[0]", &mut findings);
            findings.into_vec().into_iter().map(|finding| finding.key).collect::<Vec<_>>()
        };
        assert!(found(&sound).is_empty() && found(&EngineSection::default()).is_empty());
        for (section, key) in [
            (EngineSection { launch: false, devices: vec![0], ..EngineSection::default() }, "devices"),
            (EngineSection { kind: EngineKind::Embedded, ..sound.clone() }, "launch"),
            (EngineSection { kind: EngineKind::Openai, ..sound.clone() }, "command"),
            (EngineSection { addresses: vec!["http://a:1".to_owned()], ..sound.clone() }, "addresses"),
            (EngineSection { devices: vec![0, 1, 2], tensor_parallel: 2, ..sound.clone() }, "devices"),
            (EngineSection { devices: vec![0], servers: 2, ..sound.clone() }, "servers"),
            (EngineSection { servers: 0, ..sound.clone() }, "servers"),
            (EngineSection { command: vec!["sh".to_owned()], ..sound.clone() }, "command"),
            (EngineSection { command: vec![String::new(), PORT.to_owned()], ..sound.clone() }, "command"),
            (EngineSection { renewal: Renewal::Restart, ..sound.clone() }, "command"),
            (
                EngineSection { launch: false, renewal: Renewal::Restart, ..EngineSection::default() },
                "renewal",
            ),
            (
                EngineSection {
                    environment: BTreeMap::from([(DEVICES_VARIABLE.to_owned(), String::new())]),
                    ..sound
                },
                "environment",
            ),
        ] {
            assert_eq!(found(&section), [format!("engines[0].{key}")]);
        }
    }
}
