//! From a sealed set to a candidate policy: the trainer, and the jobs of the learner it oversees.

pub mod trainer;
mod training;
