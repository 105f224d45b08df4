//! Finds the answer in a model's completion and decides whether it is the gold answer.
//!
//! What a verifier calls right is what the model becomes, so the rule is: **correct** only on proof, or on an
//! agreement that cannot be chance. Nothing is evaluated but a typed tree of the whole answer; a fragment of an
//! answer that cannot be read is never taken for it. No input can hang, panic or exhaust the process: sizes
//! and depths are bounded, and a deterministic fuel counter replaces clocks.
//!
//! # Finding the answer
//!
//! Only the solution is read: the text after the last end of a thought, up to the end of the solution. An
//! answer in a thought that never ended is no answer. [`Profile::Strict`] takes the last balanced box;
//! [`Profile::Lenient`] goes on with answer elements, phrases in several languages, a bare answer, bold text
//! and the last formula. Boxes that stand together are one answer, so hedging is wrong. Outside of boxes an answer
//! counts where its clause states it: what is denied, doubted, asked or supposed is none.
//!
//! ```
//! use still_verify::{Gold, Kind, Outcome, Profile, Rule, judge};
//!
//! let gold = Gold::parse(Kind::Math, "45")?;
//! let outcome = |completion: &str| judge(&gold, completion, Profile::Lenient).outcome;
//! assert_eq!(outcome(r"<think>\boxed{44}?</think>Hence $\boxed{45}$."), Outcome::Correct);
//! assert_eq!(outcome(r"<think>So \boxed{45}, wait"), Outcome::NoAnswer);
//! assert_eq!(outcome(r"\boxed{45} or \boxed{46}"), Outcome::Wrong);
//! assert_eq!(outcome("The answer is 45."), Outcome::Correct);
//! assert_eq!(outcome("정답은 45입니다."), Outcome::Correct);
//! assert_eq!(outcome("I was not sure, but the answer is 45."), Outcome::Correct);
//! assert_eq!(outcome("I am not sure that the answer is 45."), Outcome::NoAnswer);
//! assert_eq!(outcome("Is the answer $45$?"), Outcome::NoAnswer);
//! assert_eq!(judge(&gold, "#### 45", Profile::Lenient).rule, Some(Rule::Phrase));
//! assert_eq!(judge(&gold, "#### 45", Profile::Strict).outcome, Outcome::NoAnswer);
//! # Ok::<(), still_verify::GoldError>(())
//! ```
//!
//! # What is equal
//!
//! ```
//! use still_verify::{Outcome, equivalent};
//!
//! for (gold, answer) in [
//!     // numbers: separators, mixed fractions, repeating decimals, scientific notation
//!     ("3024", "3,024"),
//!     (r"137 \frac{1}{2}", "137.5"),
//!     (r"\frac{1}{3}", r"0.\overline{3}"),
//!     (".0000672", r"6.72 \times 10^{-5}"),
//!     // an exact gold by six correct digits or more
//!     (r"3\sqrt{13}", "10.8166538"),
//!     // radicals, functions, numbers too large to write
//!     (r"\sqrt{2+\sqrt{3}}", r"\frac{\sqrt6+\sqrt2}{2}"),
//!     (r"\log_2 3", r"\frac{\ln 3}{\ln 2}"),
//!     ("3^{1000000}", "9^{500000}"),
//!     // finite sums and products, also over a symbol; integrals, limits and series where they recur
//!     ("385", r"\sum_{k=1}^{10} k^2"),
//!     (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k"),
//!     (r"\int_0^1 x^2 \, dx", r"\int_0^1 t^2 \, dt"),
//!     // expressions, assignments, equations up to a factor
//!     ("(a+5)(b+2)", "ab + 2a + 5b + 10"),
//!     ("-13x+3", "f(x) = 3 - 13x"),
//!     ("y = 2x + 3", "2x - y + 3 = 0"),
//!     // intervals and solved inequalities, sets, tuples, matrices
//!     ("(3,4]", r"3 < x \le 4"),
//!     (r"(-\infty,2) \cup (3,\infty)", r"x < 2 \text{ or } x > 3"),
//!     ("(-2,2)", "|x| < 2"),
//!     (r"1 \pm \sqrt{19}", r"\{1-\sqrt{19}, 1+\sqrt{19}\}"),
//!     (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
//!     // answers by cases, in any order
//!     (
//!         r"\begin{cases} x & x \ge 0 \\ -x & x < 0 \end{cases}",
//!         r"\begin{cases} -x, & \text{if } x < 0, \\ x, & \text{if } x \geq 0. \end{cases}",
//!     ),
//!     // percent, degrees, units, currency, bases
//!     (r"28\%", "0.28"),
//!     (r"90^\circ", r"90 \text{ degrees}"),
//!     (r"864 \mbox{ inches}^2", r"6 \text{ ft}^2"),
//!     (r"5.4 \text{ cents}", r"\$0.054"),
//!     (r"2.5 \text{ hours}", r"2 \text{ hours } 30 \text{ minutes}"),
//!     (r"25^\circ\text{C}", r"25 ^\circ C"),
//!     ("5000000", r"5 \text{ million}"),
//!     ("52_8", r"52_{\text{eight}}"),
//!     // congruences, times, words
//!     (r"x \equiv 3 \pmod 7", r"x \equiv 10 \pmod{7}"),
//!     ("1:05 PM", "13:05"),
//!     (r"\text{Evelyn}", "evelyn."),
//!     ("7", r"\text{seven}"),
//! ] {
//!     assert_eq!(equivalent(gold, answer), Outcome::Correct, "{gold} and {answer}");
//! }
//! for (gold, answer) in [
//!     ("10^{-20}", "10^{-21}"),
//!     ("2^{2020}", "2^{2019}"),
//!     (r"\sqrt[3]{5}", r"\sqrt{5}"),
//!     ("(3,4]", "[3,4]"),
//!     (r"\{1, 2\}", "(1, 2)"),
//!     ("204_5", "204_6"),
//!     (r"\frac{7}{2}", "3.5000001"),
//!     (r"\frac{7}{2}", "7, 2"),
//!     ("10", r"10 \approx 11"),
//!     ("0.15", r"0.15\%"),
//!     ("3", "2x + 7 = 3"),
//!     (r"864 \mbox{ inches}^2", r"864 \text{ cm}^2"),
//!     ("41", r"41 \text{ or } 42"),
//! ] {
//!     assert_ne!(equivalent(gold, answer), Outcome::Correct, "{gold} and {answer}");
//! }
//! ```
//!
//! # Identifiers
//!
//! One grammar says when letters are what, for golds and answers alike:
//!
//! * a power, a factorial, a prime or a subscript binds to the letter before it: `xy^2` is `x \cdot y^2`;
//! * capitals side by side are one name (`AB`, `IV`), and so are letters with marks, primes and subscripts;
//! * up to three other letters are a product, or a word where they stand alone and look like one: no anagrams;
//!   longer runs, and letters in `\text{}`, are words; behind a number they are units if there is such a unit;
//! * a letter before a bracket is a function if it usually is one (`f`, `P`, `\phi`) or if the bracket holds one name,
//!   one number or several items; otherwise it is a factor;
//! * a function, operator, bound or name that is not modelled (`f(x)`, `\frac{dy}{dx}`, `\nabla u`, `P(A \mid B)`,
//!   `\vec a \times \vec b`, `1 + 2 + \cdots + n`) is opaque: equal to itself alone, argument by argument;
//! * names of bounds and of values must agree, and lists of named values are compared name by name; values without names
//!   stand in the order of the gold's names;
//! * an application that is the whole of an answer is no product (`h(x + 1)`), inside a product it may be one
//!   (`\frac12 h(a + b)`); capitals are other letters (`pPp`).
//!
//! ```
//! use still_verify::{Outcome, equivalent};
//!
//! for (gold, answer, same) in [
//!     ("xy^2", "y^2x", true),
//!     ("xy^2", "(xy)^2", false),
//!     ("x > 1, y > 2", "y > 2, x > 1", true),
//!     ("x > 1, y > 2", "x > 2, y > 1", false),
//!     ("AB = 3, BC = 4", "BC = 4, AB = 3", true),
//!     ("AB = 3, BC = 4", "AB = 4, BC = 3", false),
//!     (r"\frac{dy}{dx}", r"\frac{y}{x}", false),
//!     ("f(x) = x^2 + 1", "f(t) = t^2 + 1", true),
//!     ("f(2x)", "2f(x)", false),
//!     ("IV", "VI", false),
//! ] {
//!     assert_eq!(equivalent(gold, answer) == Outcome::Correct, same, "{gold} and {answer}");
//! }
//! ```
//!
//! # Map
//!
//! [`judge`] and [`Gold`] for completions, [`equivalent`] for two answers, [`fingerprint`] for majority votes,
//! [`grade`] for files.

mod choice;
mod compare;
mod expression;
mod extract;
mod fault;
mod fingerprint;
mod fuel;
mod gold;
pub mod grade;
mod judge;
mod lettered;
mod lexer;
mod moment;
mod normal;
mod numeral;
mod outcome;
mod reader;
mod scalar;
mod spelling;
mod token;
mod units;
mod wrapping;

pub use extract::solution;
pub use fault::GoldFault;
pub use fingerprint::fingerprint;
pub use gold::{Gold, GoldError};
pub use judge::{Detail, Judgement, equivalent, judge};
pub use outcome::{Kind, Outcome, Profile, Rule};

/// The version of the rules and their implementation; it changes whenever a verdict may.
pub const VERIFIER_VERSION: &str = "math-9";
