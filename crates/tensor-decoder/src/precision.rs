//! Number formats on a device.

/// How a decoder's matrices are stored on a device; norms, biases and adapters are f32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TensorPrecision {
    /// Single precision.
    #[default]
    F32,
    /// The upper half of single precision. Norms and softmax are computed in f32 all the same, logits from where they
    /// leave the head (as transformers does); the decoder that generates holds the head itself in f32. The processor's
    /// kernels compute in f32 alone.
    Bf16,
}

impl TensorPrecision {
    /// Bytes of a number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}
