//! Spelling: typographic characters become the LaTeX or ASCII they stand for; invisible ones go.
//!
//! Look-alikes from other alphabets (Cyrillic `х`, Greek omicron) are left as they are: they are other
//! symbols, and calling them equal would be unsound.

use std::borrow::Cow;

/// Rewrites typographic characters. ASCII text is returned untouched.
pub(crate) fn normalise(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut script: Option<char> = None;
    for character in text.chars() {
        let superscript = superscript(character);
        let subscript = subscript(character);
        let wanted = if superscript.is_some() {
            Some('^')
        } else if subscript.is_some() {
            Some('_')
        } else {
            None
        };
        if script != wanted {
            if script.is_some() {
                out.push('}');
            }
            if let Some(mark) = wanted {
                out.push(mark);
                out.push('{');
            }
            script = wanted;
        }
        if let Some(plain) = superscript.or(subscript) {
            out.push(plain);
        } else {
            push_plain(&mut out, character);
        }
    }
    if script.is_some() {
        out.push('}');
    }
    Cow::Owned(out)
}

fn push_plain(out: &mut String, character: char) {
    match character {
        // invisible: zero width, direction marks, soft hyphen, byte order mark, variation selectors
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{00ad}'
        | '\u{fe00}'..='\u{fe0f}' => {}
        '\u{00a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => out.push(' '),
        '−' | '–' | '—' | '‐' | '‑' | '‒' | '﹣' => out.push('-'),
        '×' => out.push_str("\\times "),
        '·' | '⋅' | '∙' | '•' => out.push_str("\\cdot "),
        '÷' => out.push_str("\\div "),
        '⁄' | '∕' => out.push('/'),
        '∗' => out.push('*'),
        '√' => out.push_str("\\sqrt "),
        '∛' => out.push_str("\\sqrt[3] "),
        '∜' => out.push_str("\\sqrt[4] "),
        '∞' => out.push_str("\\infty "),
        '≤' | '⩽' | '≦' => out.push_str("\\le "),
        '≥' | '⩾' | '≧' => out.push_str("\\ge "),
        '≠' => out.push_str("\\ne "),
        '≈' | '≃' | '≅' => out.push_str("\\approx "),
        '≡' => out.push_str("\\equiv "),
        '∈' => out.push_str("\\in "),
        '∪' => out.push_str("\\cup "),
        '∩' => out.push_str("\\cap "),
        '∖' => out.push_str("\\setminus "),
        '∅' => out.push_str("\\emptyset "),
        'ℝ' => out.push_str("\\mathbb{R}"),
        '±' => out.push_str("\\pm "),
        '∓' => out.push_str("\\mp "),
        '°' | 'º' | '˚' => out.push_str("^\\circ "),
        '′' | '’' | '‘' => out.push('\''),
        '∠' => out.push_str("\\angle "),
        '⌊' => out.push_str("\\lfloor "),
        '⌋' => out.push_str("\\rfloor "),
        '⌈' => out.push_str("\\lceil "),
        '⌉' => out.push_str("\\rceil "),
        '⟨' | '〈' => out.push_str("\\langle "),
        '⟩' | '〉' => out.push_str("\\rangle "),
        '…' => out.push_str("\\ldots "),
        '∣' | '｜' => out.push('|'),
        '½' => out.push_str("\\frac{1}{2}"),
        '⅓' => out.push_str("\\frac{1}{3}"),
        '⅔' => out.push_str("\\frac{2}{3}"),
        '¼' => out.push_str("\\frac{1}{4}"),
        '¾' => out.push_str("\\frac{3}{4}"),
        '⅕' => out.push_str("\\frac{1}{5}"),
        '⅖' => out.push_str("\\frac{2}{5}"),
        '⅗' => out.push_str("\\frac{3}{5}"),
        '⅘' => out.push_str("\\frac{4}{5}"),
        '⅙' => out.push_str("\\frac{1}{6}"),
        '⅚' => out.push_str("\\frac{5}{6}"),
        '⅛' => out.push_str("\\frac{1}{8}"),
        '⅜' => out.push_str("\\frac{3}{8}"),
        '⅝' => out.push_str("\\frac{5}{8}"),
        '⅞' => out.push_str("\\frac{7}{8}"),
        '“' | '”' | '„' | '«' | '»' => out.push('"'),
        '。' | '．' => out.push('.'),
        '、' => out.push(','),
        '【' => out.push('['),
        '】' => out.push(']'),
        // full-width forms of printable ASCII
        '\u{ff01}'..='\u{ff5e}' => {
            out.push(char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character));
        }
        _ => match greek(character) {
            Some(name) => {
                out.push('\\');
                out.push_str(name);
                out.push(' ');
            }
            None => out.push(character),
        },
    }
}

fn greek(character: char) -> Option<&'static str> {
    Some(match character {
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' => "delta",
        'ε' | 'ϵ' => "epsilon",
        'ζ' => "zeta",
        'η' => "eta",
        'θ' => "theta",
        'κ' => "kappa",
        'λ' => "lambda",
        'μ' | 'µ' => "mu",
        'ν' => "nu",
        'ξ' => "xi",
        'π' | '𝜋' => "pi",
        'ρ' => "rho",
        'σ' => "sigma",
        'τ' => "tau",
        'φ' | 'ϕ' => "phi",
        'χ' => "chi",
        'ψ' => "psi",
        'ω' => "omega",
        'Δ' => "Delta",
        'Θ' => "Theta",
        'Λ' => "Lambda",
        'Π' => "Pi",
        'Σ' => "Sigma",
        'Φ' => "Phi",
        'Ψ' => "Psi",
        'Ω' => "Omega",
        _ => return None,
    })
}

fn superscript(character: char) -> Option<char> {
    Some(match character {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴' => '4',
        '⁵' => '5',
        '⁶' => '6',
        '⁷' => '7',
        '⁸' => '8',
        '⁹' => '9',
        '⁺' => '+',
        '⁻' => '-',
        'ⁿ' => 'n',
        'ⁱ' => 'i',
        'ˣ' => 'x',
        _ => return None,
    })
}

fn subscript(character: char) -> Option<char> {
    Some(match character {
        '₀' => '0',
        '₁' => '1',
        '₂' => '2',
        '₃' => '3',
        '₄' => '4',
        '₅' => '5',
        '₆' => '6',
        '₇' => '7',
        '₈' => '8',
        '₉' => '9',
        'ₙ' => 'n',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn typographic_characters_become_latex() {
        assert_eq!(normalise("2²·√3"), "2^{2}\\cdot \\sqrt 3");
        assert_eq!(normalise("２０４₅"), "204_{5}");
        assert_eq!(normalise("4\u{200b}5"), "45");
        assert_eq!(normalise("−½"), "-\\frac{1}{2}");
    }

    #[test]
    fn look_alikes_stay_different() {
        assert_ne!(normalise("х"), "x");
    }
}
