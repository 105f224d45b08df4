//! Training by a command of its own: a folder that says what is to be trained goes out, a model folder or an adapter
//! comes back. What such a command is handed and has to say is docs/external-training.md.
//!
//! | module | noun |
//! |---|---|
//! | [`ExternalTrainer`] | what opens training runs of that kind |
//! | `job_folder` | what is to be trained, as files |
//! | `protocol` | what the trainer says, line by line |
//! | `checkpoints` | what it can go on from, found and made durable |
//! | `output` | what it brought, checked before it is a candidate |
//! | `candidate` | what it brought, as the final checkpoint of its job |
//! | `work` | the job at work |
//! | `supervisor` | when it is started, asked, ended and started again |
//!
//! The trainer may fail, hang, babble or be killed at any moment: nothing that it leaves is believed before it says that
//! it is complete and a check agrees. A daemon that is killed takes the trainer with it, and the next one goes on from the
//! newest checkpoint.

mod candidate;
mod checkpoints;
mod job_folder;
mod output;
mod protocol;
mod supervisor;
mod trainer;
mod work;

pub use trainer::{ExternalTrainer, MergeAdapter};
