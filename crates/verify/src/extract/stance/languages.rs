//! Denial and doubt in other languages than English.

use super::Stance;
use super::words::{
    FOREIGN_ANSWERS, FOREIGN_DOUBTS, FOREIGN_EASY, FOREIGN_HYPOTHESES, FOREIGN_NEGATIONS, FOREIGN_SUBJECTS,
};

/// Marks after which another clause starts, in scripts without spaces.
const CLAUSE_ENDS: [&str; 18] = [
    "，",
    "。",
    "、",
    "；",
    "！",
    "？",
    ",",
    "\n",
    "：",
    "那么",
    "所以",
    "因此",
    "因而",
    "从而",
    "但是",
    "つまり",
    "이면 ",
    "으면 ",
];
/// What denies an answer that stands behind it.
const DENYING: [&str; 13] = [
    "不会",
    "不可能",
    "不能",
    "不应",
    "不该",
    "不再",
    "绝不",
    "決不",
    "决不",
    "并不",
    "而不",
    "不太可能",
    "并没有",
];
/// Verbs at the end of a denial.
const BEING: [&str; 9] = ["是", "为", "為", "等于", "等於", "该是", "應該是", "应该是", "该为"];
/// What doubts the answer of its clause.
const DOUBTING: [&str; 30] = [
    "不确定",
    "不確定",
    "不肯定",
    "不认为",
    "不認為",
    "不觉得",
    "不覺得",
    "不相信",
    "不知道",
    "不清楚",
    "不能说",
    "不能確定",
    "怀疑",
    "懷疑",
    "也许",
    "也許",
    "可能",
    "或许",
    "或許",
    "未必",
    "不一定",
    "不见得",
    "不代表",
    "不意味",
    "不说明",
    "たぶん",
    "おそらく",
    "아마",
    "혹시",
    "不敢说",
];
/// What only supposes it, or asks.
const RAISING: [&str; 18] = [
    "难道",
    "難道",
    "如果",
    "假如",
    "假设",
    "假設",
    "要是",
    "倘若",
    "是否",
    "是不是",
    "もし",
    "仮に",
    "만약",
    "만일",
    "かどうか",
    "若答案",
    "若答え",
    "설마",
];
/// What takes an answer back behind it.
const DENYING_BEHIND: [&str; 20] = [
    "ではな",
    "ではあり",
    "じゃな",
    "ではない",
    "とは限",
    "とは思わ",
    "とは思え",
    "가 아니",
    "이 아니",
    "은 아니",
    "는 아니",
    "가 아닙",
    "이 아닙",
    "아니",
    "아닙",
    "不对",
    "不對",
    "是错",
    "是不对",
    "是不可能",
];
/// What makes a question or a guess of it.
const ASKING_BEHIND: [&str; 20] = [
    "吗",
    "嗎",
    "么？",
    "吧？",
    "でしょうか",
    "ですか",
    "ますか",
    "なのか",
    "だろうか",
    "かもしれ",
    "なら",
    "だとしたら",
    "인가",
    "일까",
    "인지",
    "라면",
    "이라면",
    "일지도",
    "일 수도",
    "입니까",
];

/// What the clause before an answer says, in scripts without spaces.
pub(super) fn before(text: &str) -> Stance {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || "$*`\\([：:".contains(c));
    let start = CLAUSE_ENDS.iter().filter_map(|end| text.rfind(end).map(|start| start + end.len())).max();
    let clause = text.get(start.unwrap_or(0)..).unwrap_or("");
    if clause.is_ascii() {
        return Stance::Stated;
    }
    let is_denied = BEING.iter().any(|verb| {
        clause.strip_suffix(verb).is_some_and(|rest| DENYING.iter().any(|denial| rest.ends_with(denial)))
    });
    if is_denied {
        Stance::Denied
    } else if RAISING.iter().any(|word| clause.contains(word)) {
        Stance::Raised
    } else if DOUBTING.iter().any(|word| clause.contains(word)) {
        Stance::Doubted
    } else {
        Stance::Stated
    }
}

/// What stands right behind an answer, in scripts without spaces.
pub(super) fn behind(after: &str) -> Stance {
    let after = after.trim_start_matches(|c: char| c.is_whitespace() || "$*`\\)]".contains(c));
    if after.bytes().next().is_none_or(|first| first.is_ascii()) {
        return Stance::Stated;
    }
    if DENYING_BEHIND.iter().any(|word| after.starts_with(word)) {
        Stance::Denied
    } else if ASKING_BEHIND.iter().any(|word| after.starts_with(word)) {
        Stance::Raised
    } else {
        Stance::Stated
    }
}

/// What a sentence says of the answer in it, in scripts without spaces.
pub(super) fn within(sentence: &str) -> Stance {
    if sentence.is_ascii() {
        Stance::Stated
    } else if DENYING_BEHIND.iter().any(|word| sentence.contains(word)) {
        Stance::Denied
    } else if ASKING_BEHIND.iter().any(|word| sentence.contains(word)) {
        Stance::Raised
    } else {
        Stance::Stated
    }
}

/// What the words of a clause say in languages with Latin or Cyrillic letters.
pub(super) fn words(words: &[&str]) -> Stance {
    // `n'est pas $42$`, `no es $42$`
    let is_denied = match words {
        [.., last] if is_one_of(last, &["pas", "nicht", "keine"]) => true,
        [.., denial, verb] => {
            is_one_of(denial, &["no", "non", "não", "nao", "не"])
                && is_one_of(verb, &["es", "è", "é", "sea", "sia", "seja"])
        }
        _ => false,
    };
    if is_denied {
        return Stance::Denied;
    }
    let is_spoken = words.iter().any(|word| FOREIGN_ANSWERS.has(word));
    for (index, word) in words.iter().enumerate() {
        let later = words.get(index + 1..).unwrap_or(&[]);
        if FOREIGN_HYPOTHESES.has(word)
            && is_spoken
            && !later.is_empty()
            && later.iter().all(|word| FOREIGN_SUBJECTS.has(word))
        {
            return Stance::Raised;
        }
        let is_easy = later.iter().take(2).any(|next| FOREIGN_EASY.has(next));
        if FOREIGN_NEGATIONS.has(word) && is_spoken && !is_easy {
            return Stance::Doubted;
        }
        let earlier = words.get(index.wrapping_sub(1)).copied().unwrap_or("");
        let is_without =
            is_one_of(earlier, &["sans", "ohne", "sin", "sem", "senza", "aucun", "без", "kein", "ningún"]);
        if FOREIGN_DOUBTS.has(word) && !is_without {
            return Stance::Doubted;
        }
    }
    Stance::Stated
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}
