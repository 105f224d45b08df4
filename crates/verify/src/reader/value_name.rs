//! Values behind their names: `\text{remainder } 12`, `最大值为5`.

use super::{Reader, chain};
use crate::expression::{Expr, Name, Relation};
use crate::lexer::ReadError;
use crate::token::Token;

/// Words before a number that change what is said; any others name it.
const NO_NAMES: &[&str] = &[
    "not",
    "no",
    "none",
    "never",
    "less",
    "more",
    "fewer",
    "greater",
    "than",
    "least",
    "most",
    "about",
    "approximately",
    "approx",
    "around",
    "nearly",
    "almost",
    "over",
    "under",
    "above",
    "below",
    "between",
    "up",
    "to",
    "from",
    "except",
    "without",
    "all",
    "any",
    "either",
    "neither",
    "if",
    "unless",
    "half",
    "twice",
    "double",
    "triple",
    "minus",
    "plus",
    "times",
    "false",
    "wrong",
    "incorrect",
    "by",
    "increase",
    "decrease",
    "negative",
    "other",
    "rather",
    "excluding",
    "excluded",
    "non",
    "mindestens",
    "mehr",
    "weniger",
    "als",
    "nicht",
    "kein",
    "keine",
    "etwa",
    "rund",
    "unter",
    "ohne",
    "halb",
    "au",
    "moins",
    "pas",
    "environ",
    "jamais",
    "sauf",
    "demi",
    "mas",
    "menos",
    "aproximadamente",
    "casi",
    "nunca",
    "sin",
    "veces",
    "meno",
    "piu",
    "almeno",
    "circa",
    "quasi",
    "nao",
    "exceto",
    "minder",
    "mal",
    "fois",
];
/// What a name of a value in scripts without letters may end with: `最大值为`, `共`, `정답은`.
const ENDS_OF_NAMES: [char; 23] = [
    '为', '為', '是', '得', 'は', 'が', '은', '는', '이', '가', '值', '値', '答', '案', '解', '和', '积',
    '積', '数', '數', '率', '果', '共',
];
/// Signs in a name that make another value of the one behind it.
const NO_SIGNS: [char; 20] = [
    '不', '非', '没', '沒', '未', '无', '無', '负', '負', '约', '約', '至', '超', '近', '除', '于', '於',
    '약', '음', '니',
];
/// Names of an answer in other alphabets.
const FOREIGN_NAMES: [&str; 8] =
    ["ответ", "ответ равен", "значение", "réponse", "la réponse est", "solución", "solução", "résultat"];

/// Whether a word or several may name the value behind them.
fn names_a_value(name: &str) -> bool {
    if name.is_ascii() {
        return !name.split(' ').any(|word| NO_NAMES.contains(&word));
    }
    FOREIGN_NAMES.contains(&name) || (name.ends_with(ENDS_OF_NAMES) && !name.contains(NO_SIGNS))
}

impl Reader {
    /// Whether a number stands behind a word that may name it: `\text{remainder } 12`.
    pub(super) fn starts_named_value(&self, name: &Name) -> bool {
        matches!(
            self.peek(),
            Some(
                Token::Number { .. }
                    | Token::Minus
                    | Token::Frac
                    | Token::Sqrt
                    | Token::Currency(_)
                    | Token::Symbol(_)
                    | Token::Pi
                    | Token::OpenRound
            )
        ) && names_a_value(name)
            && name.chars().all(|letter| letter.is_alphabetic() || letter == ' ')
    }

    /// The value behind its name; words before a letter are known as they stand.
    pub(super) fn named_value(&mut self, name: &Name) -> Result<Expr, ReadError> {
        let value = self.item()?;
        let announced = ["is", "are", "equals", "be", "get", "have"]
            .iter()
            .any(|verb| name.strip_suffix(verb).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')));
        let announced = announced && name.split(' ').count() <= 6;
        if announced || (!value.has_symbols() && name.split(' ').count() <= 3) {
            return Ok(match value {
                Expr::Chain(..) => value,
                value => chain(Expr::Word(name.clone()), vec![(Relation::Equal, value)]),
            });
        }
        if matches!(value, Expr::Chain(..)) || name.split(' ').count() > 2 {
            return Err(ReadError::NotUnderstood);
        }
        Ok(Expr::Applied(name.clone(), vec![value]))
    }
}
