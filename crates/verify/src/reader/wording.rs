//! Words beside a value: those that name it or count it, and those that change what is said of it.

/// Words before a number that change what is said; any others name it.
#[rustfmt::skip]
pub(super) const NO_NAMES: &[&str] = &[
    "not", "no", "none", "never", "less", "more", "fewer", "greater", "than", "least", "most", "about",
    "approximately", "approx", "around", "nearly", "almost", "over", "under", "above", "below", "between",
    "up", "to", "from", "except", "without", "all", "any", "either", "neither", "if", "unless", "half",
    "twice", "double", "triple", "minus", "plus", "times", "false", "wrong", "incorrect", "by",
    "increase", "decrease", "negative", "other", "rather", "excluding", "excluded", "non", "maybe",
    "perhaps", "possibly", "probably", "might", "may", "could", "cannot", "cant", "suppose", "supposing",
    "assume", "assuming", "imagine", "pretend", "whether", "doubt", "doubts", "doubtful", "unsure",
    "uncertain", "unclear", "unlikely", "guess", "near", "hardly", "barely", "scarcely", "anything",
    "everything", "nothing", "nobody", "but", "beyond", "exceed", "exceeds", "exceeding", "unlike",
    "until", "till", "before", "after", "base", "mod", "modulo", "per", "out", "divides", "divide",
    "divisible", "dividing", "differs", "differ", "different", "against", "ruled", "rule", "reject",
    "rejected", "refuse", "discard", "discarded", "deny", "impossible", "wonder", "hope", "wish", "think",
    "believe", "nor", "hundred", "fraction", "dozen", "thousand", "million", "billion", "percent",
    "square", "squared", "cube", "cubed", "root", "inverse", "reciprocal", "opposite", "tripled",
    "doubled", "halved", "quadruple", "dozens", "hundreds", "through", "within", "past", "since",
    "versus", "vs", "outside", "off", "away", "untrue", "invalid", "hundredth", "th", "wouldn", "couldn",
    "isn", "doesn", "don", "won", "wasn", "aren", "can", "mindestens", "mehr", "weniger", "als", "nicht",
    "kein", "keine", "etwa", "rund", "unter", "ohne", "halb", "au", "moins", "pas", "environ", "jamais",
    "sauf", "demi", "mas", "menos", "aproximadamente", "casi", "nunca", "sin", "veces", "meno", "piu",
    "almeno", "circa", "quasi", "nao", "exceto", "minder", "mal", "fois",
];
/// Words in -ly that change nothing.
pub(super) const SAME_LY: [&str; 9] =
    ["exactly", "finally", "only", "precisely", "simply", "namely", "clearly", "assembly", "family"];
/// What a number behind an `of` is: `a total of 42`.
#[rustfmt::skip]
pub(super) const SAME_OF: [&str; 33] = [
    "total", "value", "length", "area", "volume", "distance", "speed", "cost", "price", "profit",
    "probability", "angle", "measure", "count", "maximum", "minimum", "amount", "perimeter", "radius",
    "height", "width", "weight", "mass", "age", "answer", "result", "score", "average", "mean", "rate",
    "time", "ratio", "number",
];
/// What a name of a value in scripts without letters may end with: `最大值为`, `共`, `정답은`.
pub(super) const ENDS_OF_NAMES: [char; 26] = [
    '为', '為', '是', '得', 'は', 'が', '은', '는', '이', '가', '值', '値', '答', '案', '解', '和', '积',
    '積', '数', '數', '率', '果', '共', '有', '计', '計',
];
/// Signs in a name that make another value of the one behind it.
pub(super) const NO_SIGNS: [char; 26] = [
    '不', '非', '没', '沒', '未', '无', '無', '负', '負', '约', '約', '至', '超', '近', '除', '于', '於',
    '약', '음', '니', '许', '許', '疑', '若', '如', '假',
];
/// Names of an answer in other alphabets.
pub(super) const FOREIGN_NAMES: [&str; 8] =
    ["ответ", "ответ равен", "значение", "réponse", "la réponse est", "solución", "solução", "résultat"];

/// Words after a number that change what is said; they are no names of things counted.
#[rustfmt::skip]
pub(super) const NOT_THINGS: [&str; 143] = [
    "and", "or", "not", "is", "are", "was", "than", "more", "less", "least", "most", "about",
    "approximately", "around", "unknown", "maybe", "but", "if", "when", "where", "for", "to", "from",
    "plus", "minus", "times", "divided", "over", "squared", "cubed", "wrong", "no", "none", "never",
    "incorrect", "false", "invalid", "excluded", "rejected", "discarded", "extraneous", "impossible",
    "omitted", "removed", "missing", "cannot", "except", "without", "nor", "neither", "too", "mod",
    "modulo", "half", "twice", "double", "factorial", "fewer", "greater", "larger", "smaller", "ago",
    "perhaps", "possibly", "probably", "unless", "hardly", "barely", "doubled", "halved", "tripled",
    "quadrupled", "exceeded", "increased", "decreased", "reduced", "negated", "reversed", "under",
    "below", "above", "beyond", "between", "until", "till", "power", "powers", "after", "before",
    "nearly", "almost", "at", "by", "on", "with", "as", "base", "per", "could", "might", "may", "would",
    "should", "does", "do", "did", "has", "had", "doubtful", "doubt", "unlikely", "unsure", "uncertain",
    "unclear", "because", "since", "so", "then", "thus", "although", "though", "while", "whereas",
    "whether", "off", "away", "outside", "inside", "within", "otherwise", "else", "ruled", "reject",
    "rejects", "untrue", "refuted", "eliminated", "disallowed", "unequal", "different", "differs",
    "against", "versus",
];

/// Signs behind a number that are no counters: tens, tenths, halves, more and less.
#[rustfmt::skip]
pub(super) const NO_COUNTERS: [&str; 78] = [
    "折", "十", "百", "千", "万", "萬", "亿", "億", "割", "成", "半", "多", "余", "餘", "约", "約", "近", "未", "超", "分之", "以上",
    "以下", "以内", "以外", "左右", "이상", "이하", "미만", "초과", "정도", "아니", "아닙", "아닌", "なら", "ない", "なく", "ません",
    "でしょう", "です", "かも", "より", "라면", "인지", "아님", "일까", "인가", "모르", "모름", "지만", "보다", "까지", "부터", "이나", "쯤",
    "가량", "吗", "嗎", "不", "非", "没", "沒", "除", "几", "幾", "错", "錯", "否", "呢", "的倍", "的平", "的立", "的根", "的因",
    "的约", "的相", "的倒", "内", "外",
];

/// Units that start with a thousand: kilograms, metres, watts, calories, litres, hertz.
pub(super) const KILO: [&str; 6] = ["千克", "千米", "千瓦", "千卡", "千升", "千赫"];
