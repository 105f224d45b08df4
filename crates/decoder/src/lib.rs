//! The decoder on plain slices: configuration, weights, safetensors, forward and backward kernels.
