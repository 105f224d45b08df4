//! Styles, frames and unseen things inside an answer.

use std::ops::Range;

use super::{command, group_end};

/// Commands whose first argument is a colour.
pub(super) const COLOURS: [&str; 4] = ["color", "textcolor", "colorbox", "enclose"];

/// Commands with an argument that is not seen.
pub(super) const HIDING: [&str; 5] = ["vphantom", "phantom", "hphantom", "label", "rule"];

/// Commands around a part that is shown as it is.
const FRAMES: [&str; 6] = ["smash", "mathtt", "framebox", "fbox", "bbox", "textcircled"];

/// A text without the outermost styles and unseen things inside it; `None` if it has none.
pub(super) fn without_inner(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut position = 0;
    while let Some(skipped) = memchr::memchr(b'\\', text.as_bytes().get(position..)?) {
        position += skipped;
        let rest = text.get(position..)?;
        let (name, length) = command(rest);
        if !(COLOURS.contains(&name) || HIDING.contains(&name) || FRAMES.contains(&name)) {
            position += length.max(2);
            continue;
        }
        // braces that never close are no answer
        let (end, kept) = {
            let before = text.get(..position)?;
            let after_digit = before.ends_with(|last: char| last.is_ascii_digit());
            replaced(rest, name, length, is_list_place(before), after_digit)?
        };
        out.push_str(text.get(copied..position)?);
        if kept.is_empty() {
            // what is not seen still keeps apart
            out.push(' ');
        }
        out.push_str(rest.get(kept)?);
        position += end;
        copied = position;
    }
    out.push_str(text.get(copied..)?);
    (copied > 0).then_some(out)
}

/// Whether a member of a list may start at a byte: nothing before it holds on to a single argument.
fn is_list_place(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with([',', ';', '=', '<', '>', '(', '['])
}

/// What is left of a styled part, as a range, and where the part ends.
fn replaced(
    text: &str,
    name: &str,
    length: usize,
    in_list: bool,
    after_digit: bool,
) -> Option<(usize, Range<usize>)> {
    // `\color[rgb]{1,0,0}`, `\bbox[5px]{5}`
    let length = match text.get(length..).and_then(|rest| rest.strip_prefix('[')) {
        Some(rest) => length + rest.find(']')? + 2,
        None => length,
    };
    if HIDING.contains(&name) {
        let end = group_end(text, length)?;
        let end = if name == "rule" { group_end(text, end)? } else { end };
        return Some((end, 0..0));
    }
    let (content, end) = if COLOURS.contains(&name) {
        let content = group_end(text, length)?;
        let Some(end) = group_end(text, content) else { return Some((content, 0..0)) };
        (content, end)
    } else {
        (length, group_end(text, length)?)
    };
    // a list in the colour of a part is a list of the whole
    let inner = text.get(content + 1..end - 1)?;
    let is_list = in_list && inner.contains([',', '=', '<', '>']);
    // a digit in another colour is a digit of the same number
    let is_digits =
        COLOURS.contains(&name) && !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
    let is_list = is_list || (is_digits && after_digit);
    Some((end, if is_list { content + 1..end - 1 } else { content..end }))
}
