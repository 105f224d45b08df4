//! Keys and values of past tokens on the device, a fixed capacity for each slot.
//!
//! All of it is taken beforehand and written in place, so its size never changes and no later step can fail
//! for want of it. Attention reads the first positions of every slot as one tensor, without a copy.

use burn::tensor::{DType, Device, ExecutionError, IndexingUpdateOp, Int, Tensor, TensorData};
use still_decoder::DecoderConfig;

use super::layout::StepLayout;
use crate::memory::{EXTENT_STEP, padded};

/// Keys and values of every layer, slot and head.
#[derive(Debug)]
pub(super) struct DeviceCache {
    layers: Vec<CacheLayer>,
    lengths: Vec<usize>,
    capacity_tokens: usize,
    head_count: usize,
    padded_tokens: usize,
}

/// One layer's part; both `[slots, heads, padded tokens, head_dim]`.
#[derive(Debug)]
pub(super) struct CacheLayer {
    pub(super) keys: Tensor<4>,
    pub(super) values: Tensor<4>,
}

/// What a step brings to one layer, both `[rows, heads, head_dim]`.
pub(super) struct NewKeysAndValues {
    pub(super) keys: Tensor<3>,
    pub(super) values: Tensor<3>,
}

impl DeviceCache {
    /// Empty slots of `capacity_tokens` each. Whether the memory was there shows in [`Self::prove`].
    pub(super) fn new(
        config: &DecoderConfig,
        slots: usize,
        capacity_tokens: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let padded_tokens = padded(capacity_tokens);
        let shape = [slots, config.key_value_head_count, padded_tokens, config.head_dim];
        let zeros = || device.memory_persistent_allocations((), |()| Tensor::zeros(shape, (device, dtype)));
        let layers = (0..config.layer_count).map(|_| CacheLayer { keys: zeros(), values: zeros() });
        Self {
            layers: layers.collect(),
            lengths: vec![0; slots],
            capacity_tokens,
            head_count: config.key_value_head_count,
            padded_tokens,
        }
    }

    /// Reads a number of every tensor: fails when one could not be had, or a write to it was lost.
    pub(super) fn prove(&self) -> Result<(), ExecutionError> {
        prove(self.layers.iter().flat_map(|layer| [layer.keys.clone(), layer.values.clone()]))
    }

    pub(super) const fn slot_count(&self) -> usize {
        self.lengths.len()
    }

    pub(super) const fn capacity_tokens(&self) -> usize {
        self.capacity_tokens
    }

    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    pub(super) fn layers(&self) -> &[CacheLayer] {
        &self.layers
    }

    /// Takes in what a step brought, in place; padding rows go where nobody reads.
    pub(super) fn store(&mut self, layout: &StepLayout, brought: Vec<NewKeysAndValues>, device: &Device) {
        let nowhere = [0, self.padded_tokens - 1];
        let mut indices = Vec::with_capacity(layout.row_count() * self.head_count * 3);
        for target in &layout.targets {
            let [slot, position] = target.map_or(nowhere, |to| [to.slot, to.position]);
            for head in 0..self.head_count {
                indices.extend([slot as i64, head as i64, position as i64]);
            }
        }
        let shape = [layout.row_count(), self.head_count, 3];
        let indices = Tensor::<3, Int>::from_data(TensorData::new(indices, shape), device);
        for (layer, new) in self.layers.iter_mut().zip(brought) {
            let put = |cached: Tensor<4>, new: Tensor<3>| {
                cached.scatter_nd(indices.clone(), new, IndexingUpdateOp::Assign)
            };
            layer.keys.inplace(|keys| put(keys, new.keys));
            layer.values.inplace(|values| put(values, new.values));
        }
        for to in layout.targets.iter().flatten() {
            if let Some(length) = self.lengths.get_mut(to.slot) {
                *length = to.position + 1;
            }
        }
    }

    /// Makes the first `tokens` of slot `to` those of slot `from`, which holds them.
    ///
    /// # Errors
    /// When the device has no room for the copy under way; nothing has changed then.
    pub(super) fn copy_prefix(
        &mut self,
        from: usize,
        to: usize,
        tokens: usize,
        device: &Device,
    ) -> Result<(), ExecutionError> {
        let extent = tokens.next_multiple_of(EXTENT_STEP).min(self.padded_tokens);
        if from != to && extent > 0 {
            let slot = Tensor::<1, Int>::from_data(TensorData::new(vec![from as i64], [1]), device);
            // a slice would be a view into the very tensor that is written: select makes a copy
            let piece = |cached: &Tensor<4>| cached.clone().narrow(2, 0, extent).select(0, slot.clone());
            let pieces: Vec<_> =
                self.layers.iter().map(|layer| (piece(&layer.keys), piece(&layer.values))).collect();
            prove(pieces.iter().flat_map(|(keys, values)| [keys.clone(), values.clone()]))?;
            for (layer, (keys, values)) in self.layers.iter_mut().zip(pieces) {
                let [_, heads, _, head_dim] = keys.dims();
                let region = [to..to + 1, 0..heads, 0..extent, 0..head_dim];
                layer.keys.inplace(|cached| cached.slice_assign(region.clone(), keys));
                layer.values.inplace(|cached| cached.slice_assign(region.clone(), values));
            }
        }
        if let Some(length) = self.lengths.get_mut(to) {
            *length = tokens;
        }
        Ok(())
    }

    /// Empties a slot down to its numbers: attention multiplies what it hides by zero, which does not hide NaN.
    pub(super) fn clear(&mut self, slot: usize) {
        for layer in &mut self.layers {
            let [_, heads, positions, head_dim] = layer.keys.dims();
            let region = [slot..slot + 1, 0..heads, 0..positions, 0..head_dim];
            let (device, dtype) = (layer.keys.device(), layer.keys.dtype());
            let zeros = Tensor::zeros([1, heads, positions, head_dim], (&device, dtype));
            layer.keys.inplace(|cached| cached.slice_assign(region.clone(), zeros.clone()));
            layer.values.inplace(|cached| cached.slice_assign(region, zeros));
        }
        if let Some(length) = self.lengths.get_mut(slot) {
            *length = 0;
        }
    }

    /// Bytes that the tensors take.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let tensors = self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]);
        tensors.map(super::weights::tensor_bytes).sum()
    }
}

/// Reads one number of every tensor, all at once: work that failed is reported by whoever reads its result.
pub(super) fn prove<const D: usize>(tensors: impl Iterator<Item = Tensor<D>>) -> Result<(), ExecutionError> {
    let firsts: Vec<_> =
        tensors.map(|tensor| tensor.slice([(); D].map(|()| 0..1)).reshape([1]).cast(DType::F32)).collect();
    if firsts.is_empty() {
        return Ok(());
    }
    Tensor::<1>::cat(firsts, 0).try_into_data().map(|_| ())
}
