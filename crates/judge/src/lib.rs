//! The verifier role: one judge for every kind of answer.
//!
//! Answers are judged by [`still_verify`], programs by their tests in a [`still_sandbox`]. Both read the
//! solution of a response and never its thought. What a judge cannot tell is an error and says nothing of the
//! answer; whoever asked tries it once more.
//!
//! | module | what it holds |
//! |---|---|
//! | [`verifier`] | the role itself, and what it can judge on this machine |
//! | [`code`] | programs: how they are run, what their tests say |
//! | [`block`] | the program in a solution: its last fenced code block |
//! | [`grade`] | files of predictions, a JSON line each |
//!
//! ```
//! use still_domain::{AnswerKind, Outcome, Problem, ProblemId, Split};
//! use still_judge::{CodeSection, StandardVerifier};
//! use still_roles::Verifier;
//! use still_verify::Profile;
//!
//! let verifier = StandardVerifier::new(Profile::Strict, CodeSection::default());
//! let mut problem = Problem {
//!     id: ProblemId::new("square"),
//!     text: "Read a number and print its square.".into(),
//!     gold: r#"{"tests": [{"output": {"input": "3", "expected": "9"}}]}"#.into(),
//!     kind: AnswerKind::Code,
//!     level: None,
//!     source: String::new(),
//!     split: Split::Explore,
//! };
//! let verdict = verifier.judge(&problem, "<think>9?</think>I would square it.");
//! assert_eq!(verdict.outcome, Outcome::NoAnswer);
//! let verdict = verifier.judge(&problem, "<think>9?</think>\n```python\nprint(int(input()) ** 2)\n```\n");
//! // where the kernel offers no confinement nothing is run, and the verdict says what is missing
//! assert!(verdict.outcome == Outcome::Correct || verdict.rule.unwrap().contains("cannot be confined"));
//! ```

pub mod block;
pub mod code;
pub mod grade;
mod section;
pub mod verifier;

pub use code::{CODE_VERSION, CodeJudge, CodeVerdict, Unready};
pub use section::CodeSection;
pub use verifier::{StandardVerifier, Unjudgeable, stated_answer};
