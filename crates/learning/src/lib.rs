//! SFT and DPO learners: losses, optimizer, packing, checkpoints.
