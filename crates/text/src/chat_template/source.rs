//! A template's source as `minijinja` takes it: what only transformers or Python knows is written in words that it has.
//!
//! | in the source | becomes | why |
//! |---|---|---|
//! | `{% generation %}` | `{% with %}` | marks what the assistant said: a block whose variables are its own |
//! | `for x in xs` | `for x in (xs)\|ITERATED` | Python refuses to go through `none` |
//! | `'%s' % x` | `PRINTED('%s', x)` | Python formats by `%`; of numbers it stays the remainder |
//! | `{{ 'a'\|safe + x }}` | `{% autoescape 'html' %}{{ ('a'\|safe + x)\|SHOWN }}{% endautoescape %}` | what is added to markup is escaped, and nothing else |
//!
//! Comments, `{% raw %}` and what stands in quotes are left as they are.

use std::ops::Range;

/// The filter that what a loop goes through is given to.
pub(super) const ITERATED: &str = "iterated_by_loop";
/// The function that a text with a `%` behind it is given to.
pub(super) const PRINTED: &str = "printed_by_percent";

/// The filter that what is printed is given to where markup is put together.
pub(super) const SHOWN: &str = "shown_as_it_is";
/// Filters that make markup of a text.
const OF_MARKUP: [&str; 4] = ["safe", "e", "escape", "forceescape"];

/// The source in words that `minijinja` has.
pub(super) fn rewritten(source: &str) -> String {
    let source = with_line_feeds(source);
    let keeps_markup = keeps_markup(&source);
    let mut output = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some((before, tag, behind)) = next_tag(rest) {
        output.push_str(before);
        output.push_str(&of_tag(tag, keeps_markup));
        rest = behind;
        if tag_name(tag) == Some("raw") {
            let end = rest.match_indices("{%").find(|(at, _)| {
                rest.get(*at..).and_then(next_tag).is_some_and(|(_, tag, _)| tag_name(tag) == Some("endraw"))
            });
            let (raw, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
            output.push_str(raw);
            rest = behind;
        }
    }
    output.push_str(rest);
    output
}

/// Jinja2 ends every line with a line feed.
fn with_line_feeds(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// What stands before the first tag, the tag, and what stands behind it.
fn next_tag(source: &str) -> Option<(&str, &str, &str)> {
    let start = source
        .match_indices('{')
        .map(|(at, _)| at)
        .find(|at| source.get(at + 1..at + 2).is_some_and(|next| ["{", "%", "#"].contains(&next)))?;
    let (before, from) = source.split_at(start);
    let end = match from.get(..2)? {
        "{#" => from.find("#}")?,
        "{%" => end_of(from, "%}")?,
        _ => end_of(from, "}}")?,
    };
    let (tag, behind) = from.split_at(end + 2);
    Some((before, tag, behind))
}

/// Where a tag's end stands, outside of quotes and braces.
fn end_of(tag: &str, end: &str) -> Option<usize> {
    let (mut quote, mut is_escaped, mut depth) = (None, false, 0_usize);
    for (at, character) in tag.char_indices().skip(2) {
        match (quote, character) {
            _ if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, _) if depth == 0 && tag.get(at..).is_some_and(|rest| rest.starts_with(end)) => {
                return Some(at);
            }
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The first word of a statement.
fn tag_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    inner
        .trim_start_matches(['-', '+'])
        .split_whitespace()
        .next()
        .map(|name| name.trim_end_matches(['-', '+']))
}

/// A tag; where the template keeps markup, what is added may be of another tag.
fn of_tag(tag: &str, keeps_markup: bool) -> String {
    if tag.starts_with("{#") {
        return tag.to_owned();
    }
    match tag_name(tag) {
        Some("generation") => return tag.replacen("generation", "with", 1),
        Some("endgeneration") => return tag.replacen("endgeneration", "endwith", 1),
        _ => {}
    }
    let (open, inner, close) = parts(tag);
    let mut tokens = tokens(inner);
    print_by_percent(&mut tokens);
    if tag_name(tag) == Some("for") {
        iterate_by_filter(&mut tokens);
    }
    let adds_markup = adds(&tokens) && (keeps_markup || makes_markup(&tokens));
    let inner: String = tokens.into_iter().map(|token| token.text).collect();
    match (adds_markup, tag_name(tag)) {
        (true, None) => {
            // marks of their own keep the white space around as it would be without the statements
            let before = if open.ends_with('-') { '-' } else { '+' };
            let behind = if close.starts_with('-') { '-' } else { '+' };
            let shown = format!("{{{{ ({})|{SHOWN} }}}}", inner.trim());
            format!("{{%{before} autoescape 'html' %}}{shown}{{% endautoescape {behind}%}}")
        }
        (true, Some("set")) => {
            let (before, behind) = (open.trim_start_matches("{%"), close.trim_end_matches("%}"));
            format!("{{%{before} autoescape 'html' %}}{{%{inner}%}}{{% endautoescape {behind}%}}")
        }
        _ => format!("{open}{inner}{close}"),
    }
}

/// Whether a tag of the template makes markup of something. Not where a macro or a block gives a text: to `minijinja` that is
/// markup, and to Jinja2 it is none.
fn keeps_markup(source: &str) -> bool {
    let (mut rest, mut makes) = (source, false);
    while let Some((_, tag, behind)) = next_tag(rest) {
        rest = behind;
        if tag.starts_with("{#") {
            continue;
        }
        let tokens = tokens(parts(tag).1);
        let is_block = || !(0..tokens.len()).any(|at| is_mark(&tokens, at, "="));
        match tag_name(tag) {
            Some("macro" | "call") => return false,
            Some("set") if is_block() => return false,
            _ => makes |= makes_markup(&tokens),
        }
    }
    makes
}

/// Whether a tag makes markup of something.
fn makes_markup(tokens: &[Token]) -> bool {
    let mut is_filter = false;
    tokens.iter().filter(|token| token.kind != Kind::Blank).any(|token| {
        let is_behind_bar = std::mem::replace(&mut is_filter, token.kind == Kind::Mark && token.text == "|");
        is_behind_bar && OF_MARKUP.contains(&token.text.as_str())
    })
}

/// Whether something is added to something; `~` makes plain text of markup.
fn adds(tokens: &[Token]) -> bool {
    let has = |mark: &str| (0..tokens.len()).any(|at| is_mark(tokens, at, mark));
    has("+") && !has("~")
}

/// A tag's opening, its content and its end, marks of white space included.
fn parts(tag: &str) -> (&str, &str, &str) {
    let is_mark = |mark: Option<&str>| mark.is_some_and(|mark| mark == "-" || mark == "+");
    let open = if is_mark(tag.get(2..3)) { 3 } else { 2 };
    let end = tag.len() - 2;
    let close = if end > open && is_mark(tag.get(end - 1..end)) { end - 1 } else { end };
    let (front, close) = tag.split_at(close);
    let (open, inner) = front.split_at(open);
    (open, inner, close)
}

/// A piece of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Text,
    Word,
    Mark,
}

/// Every piece of a tag's content, in order and without a gap.
fn tokens(inner: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = inner;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '\'' | '"' => (Kind::Text, quoted_length(rest, first)),
            _ if first.is_whitespace() => (Kind::Blank, run_of(rest, char::is_whitespace)),
            _ if first.is_alphanumeric() || first == '_' => (Kind::Word, word_length(rest)),
            _ => {
                let two = rest.get(..2).filter(|two| ["//", "**", "==", "!=", "<=", ">="].contains(two));
                (Kind::Mark, two.map_or(first.len_utf8(), str::len))
            }
        };
        let (text, behind) = rest.split_at(length);
        tokens.push(Token { kind, text: text.to_owned() });
        rest = behind;
    }
    tokens
}

fn run_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|one| !belongs(one)).unwrap_or(text.len())
}

/// A name, or a number, whose exponent may have a sign.
fn word_length(rest: &str) -> usize {
    let length = run_of(rest, |one| one.is_alphanumeric() || one == '_');
    let (word, behind) = rest.split_at(length);
    let has_exponent = word.starts_with(|one: char| one.is_ascii_digit()) && word.ends_with(['e', 'E']);
    match behind.strip_prefix(['+', '-']) {
        Some(digits) if has_exponent => length + 1 + run_of(digits, |one| one.is_ascii_digit() || one == '_'),
        _ => length,
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What a loop goes through, up to its condition, becomes the input of a filter.
fn iterate_by_filter(tokens: &mut Vec<Token>) {
    let depths = depths(tokens);
    let word = |text: &str, from: usize| {
        (from..tokens.len()).find(|&at| {
            depths.get(at) == Some(&0)
                && tokens.get(at).is_some_and(|one| one.kind == Kind::Word && one.text == text)
        })
    };
    let Some(start) = word("in", 0).map(|at| at + 1) else { return };
    let ends = ["if", "recursive"].into_iter().filter_map(|text| word(text, start));
    let end = ends.min().unwrap_or(tokens.len());
    let sequence: String = tokens.drain(start..end).map(|token| token.text).collect();
    let text = format!(" ({})|{ITERATED} ", sequence.trim());
    tokens.insert(start, Token { kind: Kind::Word, text });
}

/// How deep in brackets each token stands; a bracket stands where its content does not.
fn depths(tokens: &[Token]) -> Vec<usize> {
    let mut depth = 0_usize;
    let mut of = |token: &Token| {
        let before = depth;
        match token.text.as_str() {
            "(" | "[" | "{" if token.kind == Kind::Mark => depth += 1,
            ")" | "]" | "}" if token.kind == Kind::Mark => {
                depth = depth.saturating_sub(1);
                return depth;
            }
            _ => {}
        }
        before
    };
    tokens.iter().map(&mut of).collect()
}

/// A `%` behind a text in quotes becomes a call.
fn print_by_percent(tokens: &mut Vec<Token>) {
    let mut from = 0;
    while let Some(at) = (from..tokens.len()).find(|&at| is_mark(tokens, at, "%")) {
        from = at + 1;
        let (Some(left), Some(right)) = (operand_before(tokens, at), operand_after(tokens, at)) else {
            continue;
        };
        let has_text =
            tokens.get(left.clone()).is_some_and(|left| left.iter().any(|one| one.kind == Kind::Text));
        // what binds as `%` does goes first
        let is_second = (0..left.start)
            .rev()
            .find(|&at| tokens.get(at).is_some_and(|one| one.kind != Kind::Blank))
            .is_some_and(|at| ["*", "/", "//", "%", "**", "-"].iter().any(|mark| is_mark(tokens, at, mark)));
        if !has_text || is_second {
            continue;
        }
        let text = |range: Range<usize>| -> String {
            tokens.get(range).unwrap_or_default().iter().map(|token| token.text.as_str()).collect()
        };
        let call = format!("{PRINTED}({}, {})", text(left.clone()), text(right.clone()));
        from = left.start;
        tokens.splice(left.start..right.end, [Token { kind: Kind::Word, text: call }]);
    }
}

fn is_mark(tokens: &[Token], at: usize, mark: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.kind == Kind::Mark && token.text == mark)
}

/// The tokens of the operand before a `%`: a value with its calls, items and filters.
fn operand_before(tokens: &[Token], at: usize) -> Option<Range<usize>> {
    let before =
        |at: usize| (0..at).rev().find(|&at| tokens.get(at).is_some_and(|one| one.kind != Kind::Blank));
    let end = before(at)? + 1;
    let mut start = end;
    loop {
        let last = before(start)?;
        start = match tokens.get(last)?.text.as_str() {
            ")" | "]" | "}" => {
                let depths = depths(tokens);
                let open = (0..last).rev().find(|&one| {
                    depths.get(one) == depths.get(last)
                        && ["(", "[", "{"].iter().any(|mark| is_mark(tokens, one, mark))
                })?;
                let is_called = before(open).is_some_and(|one| {
                    tokens.get(one).is_some_and(|one| {
                        matches!(one.kind, Kind::Word | Kind::Text)
                            || [")", "]", "}"].contains(&one.text.as_str())
                    })
                });
                if is_called {
                    start = open;
                    continue;
                }
                open
            }
            _ if matches!(tokens.get(last)?.kind, Kind::Word | Kind::Text) => last,
            _ => return None,
        };
        match before(start) {
            Some(joint) if [".", "|"].iter().any(|mark| is_mark(tokens, joint, mark)) => start = joint,
            _ => return Some(start..end),
        }
    }
}

/// The tokens of the operand behind a `%`.
fn operand_after(tokens: &[Token], at: usize) -> Option<Range<usize>> {
    let after = |at: usize| {
        (at + 1..tokens.len()).find(|&at| tokens.get(at).is_some_and(|one| one.kind != Kind::Blank))
    };
    let depths = depths(tokens);
    let closed = |open: usize| {
        (open + 1..tokens.len()).find(|&one| {
            depths.get(one) == depths.get(open)
                && [")", "]", "}"].iter().any(|mark| is_mark(tokens, one, mark))
        })
    };
    let start = after(at)?;
    let mut last = start;
    if is_mark(tokens, last, "-") || is_mark(tokens, last, "+") {
        last = after(last)?;
    }
    if ["(", "[", "{"].iter().any(|mark| is_mark(tokens, last, mark)) {
        last = closed(last)?;
    } else if !matches!(tokens.get(last)?.kind, Kind::Word | Kind::Text) {
        return None;
    }
    loop {
        match after(last) {
            Some(next) if [".", "|"].iter().any(|mark| is_mark(tokens, next, mark)) => last = after(next)?,
            Some(next) if ["(", "["].iter().any(|mark| is_mark(tokens, next, mark)) => last = closed(next)?,
            _ => return Some(start..last + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_generation_blocks_and_formats_are_rewritten_and_nothing_else() {
        for (source, expected) in [
            ("a {% generation %}b{%- endgeneration -%} c", "a {% with %}b{%- endwith -%} c"),
            ("{% for a, b in x['in'].items() %}", "{% for a, b in (x['in'].items())|iterated_by_loop %}"),
            (
                "{%- for m in messages[1:] if m.role in ('a', 'b') -%}",
                "{%- for m in (messages[1:])|iterated_by_loop if m.role in ('a', 'b') -%}",
            ),
            (
                "{% for m in (a if b else c) recursive %}",
                "{% for m in ((a if b else c))|iterated_by_loop recursive %}",
            ),
            ("{{ '%s' % x }}", "{{ printed_by_percent('%s', x) }}"),
            ("{{ 'a' ~ '%d' % (1 + 2) ~ 'b' }}", "{{ 'a' ~ printed_by_percent('%d', (1 + 2)) ~ 'b' }}"),
            (
                "{{ \"%s: %s\" % ('a', m['b']|trim) | upper }}",
                "{{ printed_by_percent(\"%s: %s\", ('a', m['b']|trim) | upper) }}",
            ),
            (
                "{{ '%s %s'.strip() % ('a', x.y(1)[0]) }}",
                "{{ printed_by_percent('%s %s'.strip(), ('a', x.y(1)[0])) }}",
            ),
            (
                "{% if loop.index0 % 2 == 1 and '%' in text %}",
                "{% if loop.index0 % 2 == 1 and '%' in text %}",
            ),
            ("{# for a in b % c #}{{ '{% for a in b %}' }}", "{# for a in b % c #}{{ '{% for a in b %}' }}"),
            (
                "{% raw %}{% for a in b %}{% endraw %}{{ {'a': {'b': 1}} }}",
                "{% raw %}{% for a in b %}{% endraw %}{{ {'a': {'b': 1}} }}",
            ),
            ("{% unclosed {{ 'x }}", "{% unclosed {{ 'x }}"),
            ("{{ 2 * m['n'] % 3 }}", "{{ 2 * m['n'] % 3 }}"),
            (
                "{{- 'a'|safe + b }}",
                "{%- autoescape 'html' %}{{ ('a'|safe + b)|shown_as_it_is }}{% endautoescape +%}",
            ),
            (
                "{% set a = b|safe %}{{ a + c }}",
                "{% set a = b|safe %}{%+ autoescape 'html' %}{{ (a + c)|shown_as_it_is }}{% endautoescape +%}",
            ),
            ("{# a|safe #}{{ a + c }}", "{# a|safe #}{{ a + c }}"),
            ("{{ 'a'|safe ~ b + c }}", "{{ 'a'|safe ~ b + c }}"),
            ("{% set a = b + c|e -%}", "{% autoescape 'html' %}{% set a = b + c|e %}{% endautoescape -%}"),
            ("a\r\nb\rc", "a\nb\nc"),
        ] {
            assert_eq!(
                rewritten(source).replace(" |", "|").replace("  ", " "),
                expected.replace(" |", "|"),
                "{source}"
            );
        }
    }
}
