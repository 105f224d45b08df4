//! What a run will take, before it takes it: `stilld run --dry-run`.

use std::{collections::BTreeMap, fmt, path::Path};

use still_control::Failure;
use still_decoder::DecoderConfig;
use still_domain::Algorithm;
use still_engines::{LaunchPlan, Placement as ServerPlacement};
use still_learning::{Footprint, Place, StepParts};
use still_operator::config::{Config, Device, DeviceSection};
use still_recipe::TrainingEngine;

use crate::{
    placement::{self, GeneratorPlacement, Placement, in_words},
    settings,
};

/// Bytes of an f32.
const FLOAT_BYTES: usize = 4;

/// One line of the plan.
struct Item {
    what: String,
    /// The processor means the host's memory.
    device: Device,
    bytes: usize,
}

/// What a run will take.
pub struct Plan {
    /// Where each generator runs.
    pub placement: Placement,
    items: Vec<Item>,
    /// The program that trains, where none of this process's devices does.
    trained_by: Option<String>,
    /// The servers that draw rollouts, where none of this process's devices does.
    drawn_by: Vec<String>,
    /// Servers that the daemon starts itself, and whose the GPUs are meanwhile.
    launched: Vec<String>,
}

impl Plan {
    /// The plan of a configuration for a model of these sizes.
    ///
    /// # Errors
    /// When a GPU has not the room.
    pub fn of(config: &Config, decoder: &DecoderConfig) -> Result<Self, Failure> {
        let placement = place(config, decoder)?;
        let items = items(config, decoder, &placement);
        let is_by_command = config.training.engine == TrainingEngine::Command;
        let trained_by = is_by_command.then(|| config.training.command.program.clone());
        let drawn_by = config.engines.iter().flat_map(|section| section.addresses.clone()).collect();
        Ok(Self { placement, items, trained_by, drawn_by, launched: launched(config) })
    }

    /// The plan for people.
    pub fn table(&self) -> String {
        let mut text = table(&self.items, placement::total_bytes);
        if let Some(program) = &self.trained_by {
            text.push_str(&format!("trained by `{program}`, whose memory is not planned here\n"));
        }
        if !self.drawn_by.is_empty() {
            let servers = self.drawn_by.join(", ");
            text.push_str(&format!("rollouts drawn by {servers}, whose memory is not planned here\n"));
        }
        for line in &self.launched {
            text.push_str(&format!("{line}\n"));
        }
        text
    }

    /// Bytes that it takes of the host's memory.
    pub fn on_host(&self) -> usize {
        self.host_items().fold(0, |sum, item| sum.saturating_add(item.bytes))
    }

    /// What takes the most of the host's memory.
    pub fn largest_on_host(&self) -> (&str, usize) {
        let largest = self.host_items().max_by_key(|item| item.bytes);
        largest.map_or(("nothing", 0), |item| (&item.what, item.bytes))
    }

    fn host_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.device == Device::Cpu)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("placement", &self.placement).finish_non_exhaustive()
    }
}

/// What is told of servers that the daemon starts.
fn launched(config: &Config) -> Vec<String> {
    let model = config.model.source.to_string();
    let plans = config.engines.iter().filter_map(|section| LaunchPlan::of(section, Path::new(&model)));
    let mut lines = Vec::new();
    for plan in plans {
        let count = plan.servers.len();
        lines.push(format!(
            "rollouts drawn by {count} servers that the daemon starts, whose memory is not planned here:"
        ));
        for (number, devices) in plan.servers.iter().enumerate() {
            lines.push(format!("  {}: {}", gpus(devices.iter()), plan.command_line(number)));
        }
        if plan.placement == ServerPlacement::Turns {
            let yielding = if plan.can_sleep { "sleep" } else { "are ended" };
            lines.push(format!(
                "  in turns with the trainer: they {yielding} while it trains, and nothing is explored then"
            ));
        }
    }
    let is_split = !config.launched_devices(ServerPlacement::Split).is_empty();
    if is_split && config.training.engine == TrainingEngine::Command {
        lines.push(match config.trainer_devices() {
            Some(devices) => format!("  beside the trainer on {}", gpus(devices.iter())),
            None => "  note: `training.command.environment` names no CUDA_VISIBLE_DEVICES, so the trainer sees the servers' \
                     GPUs too"
                .to_owned(),
        });
    }
    lines
}

fn gpus<T: ToString>(numbers: impl Iterator<Item = T>) -> String {
    let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
    match &numbers[..] {
        [] => "the processor".to_owned(),
        [one] => format!("GPU {one}"),
        several => format!("GPUs {}", several.join(", ")),
    }
}

/// Places the generators of a run in the memory that is there.
pub fn place(config: &Config, decoder: &DecoderConfig) -> Result<Placement, Failure> {
    let Footprint { device, pass, .. } = LearnerPlan::new(config, decoder).training;
    let learns_here = config.training.engine == TrainingEngine::Embedded && !config.device.learns_on_cpu();
    let on_device = if learns_here { device + pass } else { 0 };
    Placement::new(config, decoder, on_device, placement::total_bytes)
}

fn items(config: &Config, decoder: &DecoderConfig, placement: &Placement) -> Vec<Item> {
    let parameters = decoder.parameter_count() * FLOAT_BYTES;
    let mut items = vec![Item {
        what: "base and published policy".to_owned(),
        device: Device::Cpu,
        bytes: 2 * parameters,
    }];
    if config.training.engine == TrainingEngine::Embedded {
        items.extend(LearnerPlan::new(config, decoder).items(&config.device));
    }
    for (number, sampler) in placement.samplers.iter().enumerate() {
        items.extend(generator_items(&format!("sampler {number}"), sampler, decoder));
    }
    if let Some(evaluator) = &placement.evaluator {
        items.extend(generator_items("evaluator", evaluator, decoder));
    }
    items
}

/// What the learner takes, on the host and on its devices.
struct LearnerPlan {
    training: Footprint,
    parts: StepParts,
}

impl LearnerPlan {
    fn new(config: &Config, decoder: &DecoderConfig) -> Self {
        let learner = settings::learner(config);
        let parts = |job, sequences| StepParts::of(job, &learner, decoder.max_position_count, sequences);
        let sequences = if config.round.algorithm == Algorithm::Dpo { 2 } else { 1 };
        let parts = parts(&learner.training.imitation, 1).or(parts(config.round_learner().1, sequences));
        let training = Footprint::new(decoder, &learner, parts.tokens, learning_place(&config.device));
        Self { training, parts }
    }

    fn items(&self, devices: &DeviceSection) -> Vec<Item> {
        let Self { training, parts: StepParts { tokens, several } } = self;
        let item = |what: String, device, bytes| Item { what, device, bytes };
        let mut items = vec![
            item("learner: masters and moments".to_owned(), Device::Cpu, training.state),
            item("learner: last good state, checkpoint".to_owned(), Device::Cpu, training.last_good),
        ];
        let count = devices.learners.len();
        let summed = training.summed(count, *several, learning_place(devices));
        if summed > 0 {
            items.push(item("learner: gradients to be summed".to_owned(), Device::Cpu, summed));
        }
        for (number, device) in devices.learners.iter().enumerate() {
            let role = if count == 1 { "learner".to_owned() } else { format!("learner {number}") };
            items.push(item(format!("{role}: parameters"), *device, training.device));
            let pass = format!("{role}: gradients, and {tokens} tokens at once");
            items.push(item(pass, *device, training.pass));
        }
        items
    }
}

/// Where the learner's gradients are made.
fn learning_place(devices: &DeviceSection) -> Place {
    if devices.learns_on_cpu() { Place::Processor } else { Place::Gpus }
}

fn generator_items(role: &str, placed: &GeneratorPlacement, decoder: &DecoderConfig) -> Vec<Item> {
    let memory = placed.memory(decoder);
    let item = |what: String, bytes| Item { what, device: placed.device, bytes };
    let mut rollouts = format!("{} rollouts of {} tokens", placed.rollouts, placed.tokens);
    if placed.rollouts < placed.wanted_rollouts {
        rollouts += &format!(" ({} asked for)", placed.wanted_rollouts);
    }
    vec![
        item(format!("{role}: weights"), memory.weights),
        item(format!("{role}: cache of {rollouts}"), memory.cache),
        item(format!("{role}: a step, at most"), memory.step),
    ]
}

/// The lines, and what each device holds of them together.
fn table(items: &[Item], total_bytes: impl Fn(Device) -> Option<usize>) -> String {
    let mut together: BTreeMap<String, (Device, usize)> = BTreeMap::new();
    let mut text = String::new();
    for item in items {
        let device = device_label(item.device);
        text += &format!("  {:<60} {device:>8} {:>12}\n", item.what, in_words(item.bytes));
        together.entry(device).or_insert((item.device, 0)).1 += item.bytes;
    }
    for (name, (device, bytes)) in together {
        let of = total_bytes(device).map(|total| format!(" of {}", in_words(total))).unwrap_or_default();
        text += &format!("  {:<60} {name:>8} {:>12}{of}\n", "together", in_words(bytes));
    }
    text
}

fn device_label(device: Device) -> String {
    if device == Device::Cpu { "host".to_owned() } else { device.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_the_learner_is_counted() {
        let training = Footprint { state: 1, last_good: 2, gradient: 3, device: 4, pass: 5 };
        let mut plan = LearnerPlan { training, parts: StepParts { tokens: 7, several: false } };
        let taken = |plan: &LearnerPlan, learners: &[Device], device| -> usize {
            let devices = DeviceSection { learners: learners.to_vec(), ..DeviceSection::default() };
            let items = plan.items(&devices).into_iter().filter(|item| item.device == device);
            items.map(|item| item.bytes).sum()
        };
        assert_eq!(taken(&plan, &[Device::Cpu], Device::Cpu), 1 + 2 + 4 + 5);
        assert_eq!(taken(&plan, &[Device::Cpu; 2], Device::Cpu), 1 + 2 + 3 + 2 * (4 + 5));
        let gpus = [Device::Cuda(0), Device::Cuda(1)];
        assert_eq!(taken(&plan, &gpus, Device::Cpu), 1 + 2 + 3);
        assert!(gpus.into_iter().all(|gpu| taken(&plan, &gpus, gpu) == 4 + 5));
        plan.parts.several = true;
        assert_eq!(taken(&plan, &gpus, Device::Cpu), 1 + 2 + 3 * 3);
        assert_eq!(taken(&plan, &[Device::Cpu], Device::Cpu), 1 + 2 + 3 + 4 + 5);
    }

    #[test]
    fn servers_that_are_started_here_are_told_with_their_gpus_and_commands() {
        let text = "[[engines]]\nkind = \"vllm\"\nlaunch = true\ndevices = [0, 1, 2, 3]\ntensor_parallel = 2\n\
                    placement = \"turns\"\n[model]\nsource = \"/models/m\"\n[training]\nengine = \"command\"\n\
                    [training.command]\nprogram = \"sh\"\n";
        let told = |text: &str| {
            let config = still_operator::config::ConfigLayers::new().text("t", text).load().unwrap().config;
            launched(&config)
        };
        let lines = told(text);
        assert!(lines[0].contains("2 servers"), "{lines:?}");
        assert!(lines[2].starts_with("  GPUs 2, 3: CUDA_VISIBLE_DEVICES=2,3 "), "{lines:?}");
        assert!(lines[2].contains("vllm serve /models/m") && lines[3].contains("they sleep"), "{lines:?}");
        let split = told(&text.replace("turns", "split"));
        assert!(split[3].contains("the trainer sees the servers' GPUs too"), "{split:?}");
    }

    #[test]
    fn each_device_is_summed_up_beside_what_it_has() {
        let item = |what: &str, device, gibibytes: usize| Item {
            what: what.to_owned(),
            device,
            bytes: gibibytes << 30,
        };
        let items = [item("a", Device::Cpu, 1), item("b", Device::Cuda(1), 2), item("c", Device::Cuda(1), 3)];
        let text = table(&items, |device| (device == Device::Cuda(1)).then_some(80 << 30));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[3].contains("cuda:1") && lines[3].ends_with("5.00 GiB of 80.00 GiB"), "{text}");
        assert!(lines[4].contains("host") && lines[4].ends_with("1.00 GiB"), "{text}");
    }
}
