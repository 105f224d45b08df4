//! `[device]`: where tensor work runs.

use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use still_recipe::Precision;
use still_settings::Findings;

/// Where tensor work runs, by role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSection {
    /// Devices that share the learner's work, each with the whole policy: a list of "cpu" or "cuda:0", "cuda:1"
    /// and so on. How many there are does not change what is learnt.
    pub learners: Vec<Device>,
    /// Devices of the samplers, one sampler on each: a list of "cpu" or "cuda:0", "cuda:1" and so on.
    pub samplers: Vec<Device>,
    /// Device of the evaluator: "cpu" or "cuda:0", "cuda:1" and so on.
    pub evaluator: Device,
    /// Threads of the learner on the CPU, which all its devices there share; 0 takes what the machine has.
    pub learner_threads: usize,
    /// Threads of each sampler on the CPU; 0 takes what the machine has.
    pub sampler_threads: usize,
    /// Threads of the evaluator on the CPU; 0 takes what the machine has.
    pub evaluator_threads: usize,
    /// Number format of the weights that rollouts are drawn with. A processor multiplies in bf16 where it has AVX512-BF16, and in
    /// f32 elsewhere; weights that come in bf16 are kept so either way.
    pub precision: Precision,
}

/// A device that tensors live on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its index.
    Cuda(usize),
}

impl Default for DeviceSection {
    fn default() -> Self {
        Self {
            learners: vec![Device::Cpu],
            samplers: vec![Device::Cpu],
            evaluator: Device::Cpu,
            learner_threads: 0,
            sampler_threads: 0,
            evaluator_threads: 0,
            precision: Precision::F32,
        }
    }
}

impl DeviceSection {
    /// Whether the learner works on the processor, and not on GPUs.
    pub fn learns_on_cpu(&self) -> bool {
        self.learners.iter().all(|device| *device == Device::Cpu)
    }

    /// Notes what cannot be run.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, devices) in [("device.learners", &self.learners), ("device.samplers", &self.samplers)] {
            findings.require(!devices.is_empty(), key, || {
                "name at least one device, for example [\"cpu\"]".to_owned()
            });
        }
        let cpus = self.learners.iter().filter(|device| **device == Device::Cpu).count();
        findings.require(cpus == 0 || cpus == self.learners.len(), "device.learners", || {
            "name the processor or GPUs, not both: their numbers differ".to_owned()
        });
        let gpus: BTreeSet<String> =
            self.learners.iter().filter(|device| **device != Device::Cpu).map(Device::to_string).collect();
        findings.require(cpus + gpus.len() == self.learners.len(), "device.learners", || {
            "a GPU is named twice: it would hold the policy twice and be no faster".to_owned()
        });
        for (key, threads) in [
            ("device.learner_threads", self.learner_threads),
            ("device.sampler_threads", self.sampler_threads),
            ("device.evaluator_threads", self.evaluator_threads),
        ] {
            findings.require(threads <= 1024, key, || format!("{threads} threads are more than 1024"));
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("`{text}` is no device: write \"cpu\" or \"cuda:0\"");
        match text {
            "cpu" => Ok(Self::Cpu),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(error),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Device {
    fn schema_name() -> Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(cpu|cuda:[0-9]+)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_survives_its_text_form_and_another_text_is_refused_with_the_remedy() {
        for device in [Device::Cpu, Device::Cuda(7)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for text in ["gpu", "cuda", "cuda:", "cuda:-1", "CPU"] {
            assert!(text.parse::<Device>().unwrap_err().contains("cuda:0"), "{text}");
        }
    }
}
