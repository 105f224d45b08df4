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
        | '\u{fe00}'..='\u{fe0f}'
        | '∴'
        | '✓'
        | '✔'
        | '✅' => {}
        '\u{00a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => out.push(' '),
        '−' | '–' | '—' | '‐' | '‑' | '‒' | '﹣' => out.push('-'),
        '×' | '⨯' | '✕' | '✖' => out.push_str("\\times "),
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
        '∅' | 'Ø' | '⌀' => out.push_str("\\emptyset "),
        'ℝ' => out.push_str("\\mathbb{R}"),
        '±' => out.push_str("\\pm "),
        '∓' => out.push_str("\\mp "),
        '°' | 'º' | '˚' => out.push_str("^\\circ "),
        '℃' => out.push_str("^\\circ C"),
        '℉' => out.push_str("^\\circ F"),
        '″' => out.push_str("''"),
        '∶' | '꞉' => out.push(':'),
        'ℤ' => out.push_str("\\mathbb{Z}"),
        'ℕ' => out.push_str("\\mathbb{N}"),
        'ℚ' => out.push_str("\\mathbb{Q}"),
        'ℂ' => out.push_str("\\mathbb{C}"),
        '∉' => out.push_str("\\notin "),
        '∧' => out.push_str("\\land "),
        '∨' => out.push_str("\\lor "),
        '¬' => out.push_str("\\neg "),
        '∀' => out.push_str("\\forall "),
        '∑' => out.push_str("\\sum "),
        '∏' => out.push_str("\\prod "),
        '∫' => out.push_str("\\int "),
        '∂' => out.push_str("\\partial "),
        '∇' => out.push_str("\\nabla "),
        '∥' => out.push_str("\\parallel "),
        '⊥' => out.push_str("\\perp "),
        '∼' => out.push_str("\\sim "),
        '⊂' => out.push_str("\\subset "),
        '⊆' => out.push_str("\\subseteq "),
        '⇒' => out.push_str("\\implies "),
        '⇔' => out.push_str("\\iff "),
        '→' => out.push_str("\\to "),
        '△' => out.push_str("\\triangle "),
        '⋯' => out.push_str("\\cdots "),
        '‰' => out.push_str("\\text{ permille}"),
        'ℓ' => out.push_str("\\ell "),
        '⅐' => out.push_str("\\frac{1}{7}"),
        '⅑' => out.push_str("\\frac{1}{9}"),
        '⅒' => out.push_str("\\frac{1}{10}"),
        '\u{3371}'..='\u{33df}' => match square_unit(character) {
            Some(unit) => {
                out.push_str("\\text{ ");
                out.push_str(unit);
            }
            None => out.push(character),
        },
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
        '。' | '．' | '٫' => out.push('.'),
        '、' | '٬' => out.push(','),
        '【' => out.push('['),
        '】' => out.push(']'),
        // full-width forms of printable ASCII
        '\u{ff01}'..='\u{ff5e}' => {
            out.push(char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character));
        }
        _ if plain_letter(character).is_some() => out.extend(plain_letter(character)),
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

/// Digits of other scripts, and the letters and digits that mathematics sets in other faces.
fn plain_letter(character: char) -> Option<char> {
    /// Where the digits of scripts start.
    const ZEROS: [u32; 14] = [
        0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
        0x0e50, 0x0ed0,
    ];
    let code = u32::from(character);
    if let Some(zero) = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)) {
        return char::from_digit(code - zero, 10);
    }
    match code {
        // thirteen alphabets of capital and small letters
        0x1d400..=0x1d6a3 => {
            let index = (code - 0x1d400) % 52;
            char::from_u32(if index < 26 { u32::from('A') + index } else { u32::from('a') + index - 26 })
        }
        0x1d7ce..=0x1d7ff => char::from_digit((code - 0x1d7ce) % 10, 10),
        // letters that older blocks had already
        0x210e => Some('h'),
        0x2102 => Some('C'),
        0x210a => Some('g'),
        0x210b..=0x210d => Some('H'),
        0x2110 | 0x2111 => Some('I'),
        0x2112 => Some('L'),
        0x2119 => Some('P'),
        0x211b..=0x211d => Some('R'),
        0x212c => Some('B'),
        0x212f => Some('e'),
        0x2130 => Some('E'),
        0x2131 => Some('F'),
        0x2133 => Some('M'),
        0x2134 => Some('o'),
        _ => None,
    }
}

/// Units that are one character, with the brace that closes them.
fn square_unit(character: char) -> Option<&'static str> {
    Some(match character {
        '㎜' => "mm}",
        '㎝' => "cm}",
        '㎞' => "km}",
        '㎟' => "mm}^2",
        '㎠' => "cm}^2",
        '㎡' => "m}^2",
        '㎢' => "km}^2",
        '㎣' => "mm}^3",
        '㎤' => "cm}^3",
        '㎥' => "m}^3",
        '㎎' => "mg}",
        '㎏' => "kg}",
        '㏄' => "cc}",
        '㎖' => "ml}",
        '㎐' => "Hz}",
        '㎧' => "m}/\\text{s}",
        '㏊' => "ha}",
        _ => return None,
    })
}

fn greek(character: char) -> Option<&'static str> {
    // five faces of the Greek letters of mathematics
    let character = match u32::from(character) {
        code @ 0x1d6a8..=0x1d7c9 => {
            let index = (code - 0x1d6a8) % 58;
            match index {
                0..=24 => char::from_u32(0x391 + index)?,
                26..=50 => char::from_u32(0x3b1 + index - 26)?,
                _ => character,
            }
        }
        _ => character,
    };
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
        'π' => "pi",
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
