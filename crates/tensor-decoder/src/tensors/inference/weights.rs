//! A decoder's parameters on the device. Matrices are stored in the chosen precision, the head and all
//! vectors in f32: logits and norms are computed in f32. Newer parameters replace them one by one, so that
//! the device never holds two sets.

use burn::tensor::{DType, Device, ExecutionError, Tensor, TensorData};
use still_decoder::{DecoderWeights, LayerWeights, Matrix, Storage};

use super::cache::prove;
use crate::{TensorPrecision, tensors::decoder::storage_dtype};

/// The parameters.
#[derive(Debug)]
pub(super) struct DeviceWeights {
    /// `[vocabulary, hidden]`; in f32 when it is the head too.
    pub(super) embedding: Tensor<2>,
    pub(super) layers: Vec<LayerTensors>,
    /// `[hidden]`
    pub(super) final_norm: Tensor<1>,
    /// `[vocabulary, hidden]` in f32; none when it is the embedding.
    pub(super) head: Option<Tensor<2>>,
    uploader: Uploader,
}

/// One block's parameters; matrices are `[out, in]`.
#[derive(Debug)]
pub(super) struct LayerTensors {
    pub(super) input_norm: Tensor<1>,
    pub(super) qkv: Tensor<2>,
    pub(super) qkv_bias: Option<Tensor<1>>,
    pub(super) query_norm: Option<Tensor<1>>,
    pub(super) key_norm: Option<Tensor<1>>,
    pub(super) output: Tensor<2>,
    pub(super) post_attention_norm: Tensor<1>,
    pub(super) gate_up: Tensor<2>,
    pub(super) down: Tensor<2>,
}

/// Brings numbers to the device.
#[derive(Debug, Clone)]
struct Uploader {
    device: Device,
    matrix_dtype: DType,
}

impl DeviceWeights {
    /// Puts parameters on a device. Whether the memory was there shows in [`Self::prove`].
    pub(super) fn new(weights: &DecoderWeights, device: &Device, precision: TensorPrecision) -> Self {
        let uploader = Uploader { device: device.clone(), matrix_dtype: storage_dtype(precision) };
        let layers = weights.layers.iter().map(|layer| LayerTensors {
            input_norm: uploader.vector(&layer.input_norm),
            qkv: uploader.matrix(&layer.qkv),
            qkv_bias: layer.qkv_bias.as_deref().map(|values| uploader.vector(values)),
            query_norm: layer.query_norm.as_deref().map(|values| uploader.vector(values)),
            key_norm: layer.key_norm.as_deref().map(|values| uploader.vector(values)),
            output: uploader.matrix(&layer.output),
            post_attention_norm: uploader.vector(&layer.post_attention_norm),
            gate_up: uploader.matrix(&layer.gate_up),
            down: uploader.matrix(&layer.down),
        });
        Self {
            layers: layers.collect(),
            embedding: uploader.embedding(weights),
            final_norm: uploader.vector(&weights.final_norm),
            head: weights.head.as_ref().map(|head| uploader.table(head, DType::F32)),
            uploader,
        }
    }

    /// Puts other parameters of the same form in their place.
    pub(super) fn replace(&mut self, weights: &DecoderWeights) {
        let uploader = self.uploader.clone();
        self.embedding = uploader.embedding(weights);
        self.final_norm = uploader.vector(&weights.final_norm);
        self.head = weights.head.as_ref().map(|head| uploader.table(head, DType::F32));
        for (tensors, layer) in self.layers.iter_mut().zip(&weights.layers) {
            tensors.replace(layer, &uploader);
        }
    }

    /// Reads a number of every tensor: fails when one could not be had.
    pub(super) fn prove(&self) -> Result<(), ExecutionError> {
        let layers = self.layers.iter();
        let matrices = layers.clone().flat_map(LayerTensors::matrices);
        prove(matrices.chain([&self.embedding]).chain(&self.head).cloned())?;
        prove(layers.flat_map(LayerTensors::vectors).chain([&self.final_norm]).cloned())
    }

    /// The output head, `[vocabulary, hidden]` in f32.
    pub(super) fn head(&self) -> &Tensor<2> {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Bytes that the tensors take.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let matrices = self.layers.iter().flat_map(LayerTensors::matrices);
        let matrices = matrices.chain([&self.embedding]).chain(&self.head).map(tensor_bytes);
        let vectors = self.layers.iter().flat_map(LayerTensors::vectors).chain([&self.final_norm]);
        matrices.sum::<usize>() + vectors.map(tensor_bytes).sum::<usize>()
    }
}

impl LayerTensors {
    fn replace(&mut self, layer: &LayerWeights, uploader: &Uploader) {
        let optional = |values: &Option<Vec<f32>>| values.as_deref().map(|values| uploader.vector(values));
        self.input_norm = uploader.vector(&layer.input_norm);
        self.qkv = uploader.matrix(&layer.qkv);
        self.qkv_bias = optional(&layer.qkv_bias);
        self.query_norm = optional(&layer.query_norm);
        self.key_norm = optional(&layer.key_norm);
        self.output = uploader.matrix(&layer.output);
        self.post_attention_norm = uploader.vector(&layer.post_attention_norm);
        self.gate_up = uploader.matrix(&layer.gate_up);
        self.down = uploader.matrix(&layer.down);
    }

    fn matrices(&self) -> [&Tensor<2>; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }

    fn vectors(&self) -> impl Iterator<Item = &Tensor<1>> {
        let optional = [&self.qkv_bias, &self.query_norm, &self.key_norm].into_iter().flatten();
        [&self.input_norm, &self.post_attention_norm].into_iter().chain(optional)
    }
}

impl Uploader {
    fn embedding(&self, weights: &DecoderWeights) -> Tensor<2> {
        let dtype = if weights.head.is_some() { self.matrix_dtype } else { DType::F32 };
        self.table(&weights.embedding, dtype)
    }

    fn matrix(&self, matrix: &Matrix) -> Tensor<2> {
        self.table(matrix, self.matrix_dtype)
    }

    /// A matrix in a number format: widened on the host, rounded on the device.
    fn table(&self, matrix: &Matrix, dtype: DType) -> Tensor<2> {
        let shape = [matrix.rows(), matrix.columns()];
        let data = match (matrix.storage(), dtype) {
            (Storage::Bf16(values), DType::BF16) => TensorData::new(values.to_vec(), shape),
            _ => TensorData::new(matrix.rows_to_f32(0, matrix.rows()), shape),
        };
        let device = &self.device;
        if data.dtype() == dtype {
            return device
                .memory_persistent_allocations(data, |data| Tensor::from_data(data, (device, dtype)));
        }
        let wide = Tensor::<2>::from_data(data, (device, DType::F32));
        device.memory_persistent_allocations(wide, |wide| wide.cast(dtype))
    }

    fn vector(&self, values: &[f32]) -> Tensor<1> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::from_data(data, (&self.device, DType::F32))
    }
}

/// Bytes that a tensor's numbers take.
#[cfg(test)]
pub(super) fn tensor_bytes<const D: usize>(tensor: &Tensor<D>) -> usize {
    tensor.dims().iter().product::<usize>() * tensor.dtype().size()
}
