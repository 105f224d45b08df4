//! The words that decide how a text stands to an answer, in lower case.

use super::super::table::Table;

/// What denies the word that it reaches.
#[rustfmt::skip]
pub(super) static NEGATIONS: Table = Table::by_first_byte(&[
    "not", "cannot", "never", "no", "nor", "neither", "hardly", "barely", "scarcely", "nobody", "none",
    "nothing", "unable", "fail", "fails", "failed", "without", "far", "dont", "cant", "isnt", "doesnt",
    "wont", "beyond", "little", "noone", "impossible",
]);
/// What a negation reaches through.
#[rustfmt::skip]
pub(super) static REACHING: Table = Table::by_first_byte(&[
    "really", "quite", "entirely", "fully", "completely", "absolutely", "even", "yet", "very", "so",
    "too", "all", "that", "at", "actually", "totally", "exactly", "be", "been", "to", "have", "any", "a",
    "the", "much", "in", "of", "possibly", "simply", "just", "immediately", "necessarily", "directly",
    "able", "want", "wish", "going", "ready", "willing", "dare", "longer", "good", "strong", "real",
    "single", "from", "100", "percent", "hundred", "ever", "currently", "particularly", "especially",
    "always", "still", "room", "for", "reasonable", "shadow", "yourself", "honestly", "truly", "certain",
    "sure",
]);
/// What a negation before it makes no doubt: `not hard to see`, `no matter`.
#[rustfmt::skip]
pub(super) static EASY: Table = Table::by_first_byte(&[
    "hard", "difficult", "surprising", "surprisingly", "only", "matter", "wonder", "coincidence",
    "accident", "question", "problem", "exaggeration", "secret", "escape", "denying", "harder",
    "unreasonable", "just",
]);
/// Words of doubt wherever they stand in the clause.
#[rustfmt::skip]
pub(super) static DOUBTS: Table = Table::by_first_byte(&[
    "doubt", "doubts", "doubted", "doubtful", "dubious", "unsure", "skeptical", "sceptical", "wonder",
    "wondering", "wonders", "deny", "denies", "denied", "disagree", "disagrees", "maybe", "perhaps",
    "possibly", "conceivably", "misconception", "fallacy", "mistakenly", "erroneously", "wrongly",
    "falsely", "incorrectly", "refuse", "refuses", "questionable", "unconvinced", "supposedly",
    "allegedly", "hesitant", "hesitate", "reluctant",
]);
/// Verbs of doubt, where the clause that they speak of follows at once: `I hope the answer is`.
#[rustfmt::skip]
pub(super) static DOUBTING_VERBS: Table = Table::by_first_byte(&[
    "hope", "hoping", "hoped", "fear", "thought", "believed", "assumed", "guessed", "suspected",
    "supposed", "imagined", "expected", "pretend", "wish", "claimed", "unlikely", "unclear", "uncertain",
    "undecided", "unknown",
]);
/// What denies or leaves open the clause that it stands before with a conjunction: `it is false that`.
#[rustfmt::skip]
pub(super) static DOUBTFUL: Table = Table::by_first_byte(&[
    "improbable", "implausible", "impossible", "possible", "false", "untrue", "incorrect", "wrong",
    "mistake", "mistaken", "error", "tempting", "tempted", "absurd", "nonsense", "impression",
    "premature", "conceivable",
]);
/// Conjunctions at the start of the clause that a word speaks of.
pub(super) static CONJOINED: Table = Table::by_first_byte(&["that", "to", "whether", "if"]);
/// What else may start it.
pub(super) static COMPLEMENTS: Table = Table::by_first_byte(&[
    "that", "to", "whether", "if", "the", "it", "it's", "its", "this", "our", "my", "your", "what", "for",
]);
/// Words of knowing, which a negation turns to doubt.
#[rustfmt::skip]
pub(super) static SURE: Table = Table::by_first_byte(&[
    "sure", "certain", "convinced", "confident", "positive", "persuaded", "clear", "obvious", "evident",
    "likely", "probable", "plausible", "certainty", "way", "chance", "guarantee", "guaranteed",
]);
/// The same, where a conjunction follows.
#[rustfmt::skip]
pub(super) static FACTS: Table = Table::by_first_byte(&[
    "possible", "true", "correct", "case", "proof", "reason", "evidence", "idea", "justified", "settled",
    "known", "proven", "shown", "established", "sense", "right", "implied", "satisfied", "happy", "said",
]);
/// Words of believing.
#[rustfmt::skip]
pub(super) static BELIEFS: Table = Table::by_first_byte(&[
    "think", "believe", "believes", "thinks", "expect", "expects", "guess", "guesses", "assume",
    "assumes", "suspect", "suspects", "suppose", "supposes", "imagine", "imagines", "feel", "trust",
    "buy", "thinking", "believing",
]);
/// Words of telling, which are no word of one's own where others tell.
pub(super) static TELLING: Table = Table::by_first_byte(&[
    "say", "says", "saying", "said", "claim", "claims", "claiming", "argue", "argues",
]);
/// Words of knowing and following.
#[rustfmt::skip]
pub(super) static KNOWING: Table = Table::by_first_byte(&[
    "assert", "asserts", "conclude", "concludes", "confirm", "confirms", "prove", "proves", "proved",
    "show", "shows", "know", "knows", "knew", "mean", "means", "meant", "imply", "implies", "follow",
    "follows", "followed", "see", "agree", "agrees", "accept", "accepts", "suggest", "suggests", "tell",
    "tells", "establish", "verify", "verifies", "justify", "understand", "decide", "determine", "find",
    "indicate", "indicates", "support", "deduce", "infer", "state", "states", "ensure", "ensures",
    "guarantees", "recall", "remember", "seem", "seems", "appear", "appears",
]);
/// Those whose beliefs are told, not shared.
#[rustfmt::skip]
pub(super) static OTHERS: Table = Table::by_first_byte(&[
    "people", "some", "someone", "somebody", "others", "they", "students", "student", "many", "friend",
    "book", "books", "beginners", "everyone", "everybody", "anyone", "nobody", "author",
]);
/// Verbs that leave open what they stand by.
pub(super) static MODALS: Table = Table::by_first_byte(&["might", "may", "could", "would"]);
/// What opens a supposition, where only words for the answer follow.
#[rustfmt::skip]
pub(super) static HYPOTHESES: Table = Table::by_first_byte(&[
    "if", "whether", "suppose", "supposing", "assume", "assuming", "imagine", "pretend", "unless",
    "provided", "lest",
]);
/// Words for an answer and its verb.
pub(super) static SUBJECTS: Table = Table::by_first_byte(&[
    "that", "the", "this", "a", "its", "our", "my", "your", "final", "correct", "right", "true", "real",
    "actual", "only", "answer", "answers", "value", "result", "solution", "total", "number", "it", "is",
    "are", "was", "were", "really", "indeed", "actually", "equals", "equal", "to", "exactly", "for", "now",
    "moment", "we", "it's", "that's", "i", "be", "option", "choice", "sum", "in", "fact", "just", "had",
    "been", "simply", "here", "also", "even",
]);
/// Conjunctions behind which another clause starts.
#[rustfmt::skip]
pub(super) static CONJUNCTIONS: Table = Table::by_first_byte(&[
    "but", "so", "then", "hence", "therefore", "thus", "consequently", "and", "because", "since", "aber",
    "also", "donc", "pero", "entonces", "mais", "ma", "daher", "deshalb", "luego", "quindi", "portanto",
    "поэтому", "значит", "но", "whence", "accordingly", "y", "und", "et",
]);
/// What ties a clause to the one before its comma.
pub(super) static COMPLEMENTIZERS: Table =
    Table::by_first_byte(&["that", "whether", "if", "dass", "daß", "ob", "que", "che", "что", "de"]);
/// What a sentence that takes an answer back may start with.
#[rustfmt::skip]
pub(super) static INTERJECTIONS: Table = Table::by_first_byte(&[
    "wait", "no", "hmm", "hm", "oops", "sorry", "actually", "but", "however", "hold", "on", "oh", "ah",
    "well", "yet", "alas", "unfortunately", "i", "think", "realize", "see", "now", "though", "um", "uh",
    "clearly",
]);
/// What links a sentence's subject with what is said of it.
#[rustfmt::skip]
pub(super) static LINKING: Table = Table::by_first_byte(&[
    "answer", "result", "value", "solution", "is", "was", "be", "must", "seems", "looks", "can", "has",
    "also", "actually", "clearly", "obviously", "of", "course", "quite", "so", "just", "simply",
    "definitely", "certainly", "probably", "the", "a", "an", "completely", "totally", "even",
]);
/// What is said of a wrong answer.
#[rustfmt::skip]
pub(super) static WRONG: Table = Table::by_first_byte(&[
    "wrong", "incorrect", "false", "mistaken", "mistake", "error", "impossible", "nonsense", "absurd",
    "invalid", "untrue",
]);
/// What is said of a right one.
pub(super) static RIGHT: Table =
    Table::by_first_byte(&["right", "correct", "true", "possible", "valid", "answer", "it", "work", "add"]);

/// What denies in a clause of another language.
#[rustfmt::skip]
pub(super) static FOREIGN_NEGATIONS: Table = Table::by_first_byte(&[
    "nicht", "kein", "keine", "keineswegs", "niemals", "pas", "jamais", "aucunement", "no", "non", "não",
    "nao", "nunca", "jamás", "mai", "не", "нельзя", "нет", "nie",
]);
/// What follows a denial that denies no answer: `nicht schwer zu sehen`.
#[rustfmt::skip]
pub(super) static FOREIGN_EASY: Table = Table::by_first_byte(&[
    "schwer", "nur", "schwierig", "difficile", "dur", "seulement", "solo", "sólo", "só", "apenas",
    "difícil", "solamente", "только", "сложно", "трудно", "zu", "étonnant",
]);
/// Words of doubt in other languages.
#[rustfmt::skip]
pub(super) static FOREIGN_DOUBTS: Table = Table::by_first_byte(&[
    "vielleicht", "möglicherweise", "zweifle", "bezweifle", "peut", "doute", "quizás", "quizá", "acaso",
    "dudo", "forse", "talvez", "dubito", "duvido", "возможно", "Возможно", "сомневаюсь", "вдруг", "vez",
]);
/// What opens a supposition in other languages.
#[rustfmt::skip]
pub(super) static FOREIGN_HYPOTHESES: Table = Table::by_first_byte(&[
    "ob", "wenn", "falls", "si", "se", "если", "Если", "ли", "est-ce", "ist", "angenommen", "supposons",
]);
/// Words for an answer in other languages.
#[rustfmt::skip]
pub(super) static FOREIGN_ANSWERS: Table = Table::by_first_byte(&[
    "antwort", "réponse", "respuesta", "risposta", "resposta", "ответ", "ответом", "ergebnis", "lösung",
]);
/// Words for an answer and its verb in other languages.
#[rustfmt::skip]
pub(super) static FOREIGN_SUBJECTS: Table = Table::by_first_byte(&[
    "die", "antwort", "ist", "lautet", "wäre", "la", "réponse", "est", "finale", "respuesta", "es",
    "risposta", "è", "a", "resposta", "é", "ответ", "final", "richtige", "correcte", "correcta",
    "corretta", "que", "dass", "che", "elle", "das", "ergebnis", "lösung", "ответом", "является",
]);
/// Names of an answer.
pub(super) static ANSWERS: Table =
    Table::by_first_byte(&["answer", "answers", "result", "value", "solution", "option", "choice", "guess"]);
/// What is said of an answer that one might take.
pub(super) static TEMPTING: Table = Table::by_first_byte(&[
    "tempting",
    "naive",
    "naïve",
    "erroneous",
    "trap",
    "rejected",
    "extraneous",
    "bogus",
]);
