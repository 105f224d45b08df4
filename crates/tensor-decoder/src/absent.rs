//! What stands for [`tensors`](crate) in a build without them: devices that nobody can open, and so decoders that nobody
//! can have. Callers are the same in both builds.

use still_decoder::{DecoderConfig, DecoderWeights, Loss};
use still_rollout::{Span, StepError, StepModel};

use crate::{
    adapters::Adapters,
    batch::TokenBatch,
    memory::CacheSize,
    parameters::Parameters,
    precision::TensorPrecision,
    trainable::{ForwardSettings, TrainableDecoder},
};

/// A device of tensors: there is none.
#[derive(Debug, Clone)]
pub struct Device(Never);

#[derive(Debug, Clone, Copy)]
enum Never {}

/// A decoder on one, as it is trained.
#[derive(Debug, Clone)]
pub struct Decoder(Never);

/// A decoder on one that generates.
#[derive(Debug)]
pub struct DeviceDecoder(Never);

/// Log-probabilities of given tokens on one.
#[derive(Debug)]
pub struct Scorer(Never);

impl Device {
    /// The same device, with gradients.
    #[must_use]
    pub fn autodiff(self) -> Self {
        match self.0 {}
    }
}

impl Decoder {
    /// Puts parameters on a device, all of them trained.
    pub fn from_weights(_: &DecoderWeights, device: &Device, _: TensorPrecision) -> Self {
        match device.0 {}
    }

    /// Puts a base and its adapters on a device; only the adapters are trained.
    pub fn with_adapters(
        _: &DecoderWeights,
        _: &Adapters,
        _: &DecoderConfig,
        device: &Device,
        _: TensorPrecision,
    ) -> Self {
        match device.0 {}
    }

    /// Puts a base on a device that adapters will be trained beside.
    pub fn frozen(_: &DecoderWeights, device: &Device, _: TensorPrecision) -> Self {
        match device.0 {}
    }

    /// A frozen decoder with adapters, which alone are trained.
    #[must_use]
    pub fn adapted(self, _: &Adapters, _: &DecoderConfig, _: &Device) -> Self {
        match self.0 {}
    }
}

impl TrainableDecoder for Decoder {
    fn target_log_probabilities(&self, _: &TokenBatch, _: &ForwardSettings) -> Vec<f32> {
        match self.0 {}
    }

    fn loss_and_gradients(&self, _: &TokenBatch, _: &ForwardSettings, _: &mut Loss<'_>) -> (f64, Parameters) {
        match self.0 {}
    }
}

impl DeviceDecoder {
    /// A decoder on a device, with its cache.
    ///
    /// # Errors
    /// None: there is no device.
    pub fn new(
        _: DecoderConfig,
        _: &DecoderWeights,
        device: &Device,
        _: TensorPrecision,
        _: CacheSize,
    ) -> Result<Self, StepError> {
        match device.0 {}
    }
}

impl StepModel for DeviceDecoder {
    type Weights = std::sync::Arc<DecoderWeights>;

    fn vocabulary_size(&self) -> usize {
        match self.0 {}
    }

    fn slot_count(&self) -> usize {
        match self.0 {}
    }

    fn slot_capacity_tokens(&self) -> usize {
        match self.0 {}
    }

    fn step(&mut self, _: &[Span<'_>], _: &mut Vec<f32>) -> Result<(), StepError> {
        match self.0 {}
    }

    fn copy_prefix(&mut self, _: usize, _: usize, _: usize) -> Result<(), StepError> {
        match self.0 {}
    }

    fn set_weights(&mut self, _: Self::Weights) -> Result<(), StepError> {
        match self.0 {}
    }
}

impl Scorer {
    /// A scorer on a device.
    ///
    /// # Errors
    /// None: there is no device.
    pub fn new(
        _: DecoderConfig,
        _: &DecoderWeights,
        device: &Device,
        _: TensorPrecision,
    ) -> Result<Self, StepError> {
        match device.0 {}
    }

    /// The log-probability of every token after the first, in nats.
    ///
    /// # Errors
    /// None: there is no device.
    pub fn log_probabilities(&self, _: &[u32]) -> Result<Vec<f32>, StepError> {
        match self.0 {}
    }
}
