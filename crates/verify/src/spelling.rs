//! Tables of names: keywords, functions, Greek letters.

use crate::expression::{Function, Name};
use crate::token::Token;

/// The token of a plain word, if it has one.
pub(crate) fn keyword(run: &str) -> Option<Token> {
    Some(match run {
        "and" | "和" | "与" | "與" | "及" | "과" | "와" | "및" | "그리고" => Token::And,
        "or" | "或" | "或者" | "또는" | "혹은" => Token::Or,
        "minus" | "negative" | "Negative" => Token::Minus,
        "pi" => Token::Pi,
        "inf" | "infinity" | "oo" => Token::Infinity,
        "sqrt" => Token::Sqrt,
        "mod" => Token::Mod,
        "degrees" | "degree" | "deg" => Token::Degree,
        "percent" | "pct" => Token::Percent,
        _ => return function(run).map(Token::Function),
    })
}

/// The token of a conjunction of other languages: Latin letters are words only in text or between spaces.
pub(crate) fn conjunction(run: &str) -> Option<Token> {
    Some(match run {
        "et" | "und" | "и" | "と" | "かつ" | "且" => Token::And,
        "oder" | "ou" | "или" | "または" | "もしくは" => Token::Or,
        _ => return None,
    })
}

/// The function of this name.
pub(crate) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" | "cosec" => Function::Csc,
        "arcsin" | "asin" => Function::Arcsin,
        "arccos" | "acos" => Function::Arccos,
        "arctan" | "atan" | "arctg" => Function::Arctan,
        "arccot" | "arcctg" | "acot" => Function::Arccot,
        "arcsec" | "asec" => Function::Arcsec,
        "arccsc" | "acsc" => Function::Arccsc,
        "arsinh" | "arcsinh" | "asinh" => Function::Arsinh,
        "arcosh" | "arccosh" | "acosh" => Function::Arcosh,
        "artanh" | "arctanh" | "atanh" => Function::Artanh,
        "coth" => Function::Coth,
        "sech" => Function::Sech,
        "csch" => Function::Csch,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "exp" => Function::Exp,
        "cis" => Function::Cis,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Log,
        "abs" => Function::Abs,
        "floor" => Function::Floor,
        "ceil" => Function::Ceiling,
        "gcd" => Function::Gcd,
        "lcm" => Function::Lcm,
        "max" => Function::Max,
        "min" => Function::Min,
        "Re" => Function::Real,
        "Im" => Function::ImaginaryPart,
        _ => return None,
    })
}

/// Whether a command names a Greek letter.
pub(crate) fn is_greek(name: &str) -> bool {
    matches!(
        name,
        "alpha"
            | "beta"
            | "gamma"
            | "delta"
            | "epsilon"
            | "varepsilon"
            | "zeta"
            | "eta"
            | "theta"
            | "vartheta"
            | "iota"
            | "kappa"
            | "lambda"
            | "mu"
            | "nu"
            | "xi"
            | "rho"
            | "varrho"
            | "sigma"
            | "tau"
            | "upsilon"
            | "phi"
            | "varphi"
            | "chi"
            | "psi"
            | "omega"
            | "Gamma"
            | "Delta"
            | "Theta"
            | "Lambda"
            | "Xi"
            | "Pi"
            | "Sigma"
            | "Phi"
            | "Psi"
            | "Omega"
            | "ell"
    )
}

/// The spelling under which a symbol is compared.
pub(crate) fn symbol_name(name: &Name) -> Name {
    match &**name {
        "\\varepsilon" => "\\epsilon".into(),
        "\\varphi" => "\\phi".into(),
        "\\vartheta" => "\\theta".into(),
        _ => name.clone(),
    }
}
