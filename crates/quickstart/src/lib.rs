//! The embedded task: an n-digit number times one digit, worked from the last digit with carries.
//!
//! It shows the whole loop in minutes on a laptop and keeps it honest: answers are exact and hard to
//! guess, a direct answer without a thought is out of reach of the embedded model, and no held-out
//! problem ever occurs among the demonstrations or the problems to explore.
//!
//! ```text
//! problem     7*4827=?
//! response    <|begin_of_thought|>7*7+0=49;7*2+4=18;7*8+1=57;7*4+5=33;<|end_of_thought|>
//!             <|begin_of_solution|>\boxed{33789}<|end_of_solution|>       (one line, no space between)
//! ```
//!
//! Level = number of digits. With slips, a step of a demonstration is first written wrong now and then,
//! followed by `Wait,` and the corrected step: self-correction to imitate.
//!
//! ```
//! use still_quickstart::{Product, QuickStartTask};
//! let product = Product { digit: 7, number: 4827 };
//! assert_eq!(product.statement(), "7*4827=?");
//! assert_eq!(product.answer(), 33_789);
//! let task = QuickStartTask::default();
//! assert_eq!(task.generate(0)?.held_out.len(), 800);
//! # Ok::<(), still_quickstart::TaskError>(())
//! ```

mod product;
mod task;

pub use product::Product;
pub use task::{QuickStartTask, ResponseStyle, TaskError};
