//! Another form of an answer, or a remark, in brackets behind it.

/// What another form of an answer, in brackets behind it, starts with. Each holds one of `a`, `o`, `i`, `=`, or a sign
/// beyond ASCII: [`may_hold_gloss`].
pub(super) const GLOSSES: [&str; 8] = ["approx", "≈", "(=", "(or", "(i.e", "answer)", "final)", "(exact"];

/// Whether a text has a byte that every gloss has one of: one look instead of a search for each.
pub(super) fn may_hold_gloss(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'a' | b'o' | b'i' | b'=') || !byte.is_ascii())
}

/// Words that join another form of an answer to it, and the signs that say the same.
const JOINTS: [(&str, &str); 9] = [
    ("\\approx", "\\approx"),
    ("≈", "\\approx"),
    ("approximately", "\\approx"),
    ("approx.", "\\approx"),
    ("about", "\\approx"),
    ("roughly", "\\approx"),
    ("=", "="),
    ("i.e.", "="),
    ("or", "\\text{ or }"),
];

/// An answer with another form of it in brackets behind it, as a chain of both; with a remark, without it.
pub(super) fn gloss(text: &str) -> Option<String> {
    let before = text.trim_end_matches('}').strip_suffix(')')?;
    let open = before.rfind('(')?;
    let inner: String = before.get(open + 1..)?.replace("\\text{", " ").replace(['{', '}'], " ");
    // braces that hold something together are not taken apart
    let inner = if before.get(open + 1..)?.contains('{') && !before.contains("\\text{") {
        before.get(open + 1..)?.to_owned()
    } else {
        inner
    };
    let inner = inner.trim();
    let exact = before.get(..open)?;
    let exact = exact.trim_end_matches("\\left").trim_end();
    let exact = ["\\text{", "\\textrm{", "\\mathrm{"]
        .iter()
        .find_map(|style| exact.strip_suffix(style))
        .unwrap_or(exact);
    let exact = exact.trim_end_matches(['\\', ',', ';', ' ', '~', '!']);
    if exact.is_empty() || exact.matches('{').count() != exact.matches('}').count() {
        return None;
    }
    if matches!(inner, "answer" | "final answer" | "final" | "exact" | "exactly" | "the answer") {
        return Some(exact.to_owned());
    }
    let (joint, value) = JOINTS.iter().find_map(|(word, joint)| Some((*joint, inner.strip_prefix(word)?)))?;
    let value = value.trim_start_matches(',').trim_end_matches("\\right").trim();
    value.starts_with(|first: char| !first.is_ascii_alphabetic()).then(|| format!("{exact} {joint} {value}"))
}
