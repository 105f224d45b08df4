//! Hostile inputs: towers, factorials, millions of digits, deep nesting, thousands of open boxes.

/// Golds of several kinds, none of which any hostile input equals.
pub(crate) const GOLDS: [&str; 8] = [
    "77777",
    "1.0000001 \\times 10^{-15}",
    "\\sqrt{77777}",
    "x^2+77777",
    "(7,77777)",
    "\\{7, 77777\\}",
    "y = 77777x",
    "\\text{Evelyn}",
];

/// Every hostile answer.
pub(crate) fn inputs() -> Vec<String> {
    let deep = 10_000;
    let mut inputs: Vec<String> = [
        "9^{9^{9^{9}}}",
        "9^{9^9}",
        "2^{2^{2^{2^{2^{2}}}}}",
        "10^{10^{10}}",
        "((((9!)!)!)!)!",
        "1000000!",
        "5000!^{5000}",
        "10^{-30001 \\times 10^0}",
        "\\binom{1000000000}{500000000}",
        "\\binom{100000}{50000}",
        "e^{e^{e^{e^{e}}}}",
        "\\sin(10^{1000})",
        "c^ink^t^ln\nk'^ink^t^11",
        "ki^x^5 - x^8  ^43",
        "\\sin(9^{9^9})",
        "\\sqrt[1000000]{2}",
        "2^{1/1000003}",
        "x^{1.2516} + 3x",
        "\\ln(10^{-3000})",
        "\\lfloor \\pi^{1000} \\rfloor",
        "10^{-4000}\\sqrt{2} + 2",
        "1/0",
        "0^0",
        "0/0",
        "\\frac{1}{\\sqrt{2}-\\sqrt{2}}",
        "\\ln(\\sqrt{2}-\\sqrt{2})",
        "\\arcsin(2)",
        "(-1)^{\\sqrt{2}}",
        "x^{x^{x^{x^{x}}}}",
        "(1+x)^{1000000}",
        "(x+y+z)^{99999999999}",
        "2+10^{-1000}\\sqrt{2}",
        "2 + e^{-1000000}",
        "\\log_{1} 5",
        "\\gcd(0,0)",
        "\\max()",
        "1e99999999",
        "0.\\overline{}",
        "\\frac",
        "\\sqrt",
        "^",
        "_",
        "\\left(",
        "{",
        "}",
        "\\",
        "a_{b_{c_{d}}}",
        "1,2,3,,,,",
        "|||||",
        "\\begin{pmatrix}",
        "\\begin{pmatrix} 1 & 2 \\\\ 3 \\end{pmatrix}",
        "\\boxed{\\boxed{\\boxed{3}}}",
        "4\u{200b}2\u{200b}0",
        "х = 3",
        "\u{202e}2\u{202c}1",
        "٢",
        "²",
        "2\u{0301}",
        "\u{1d7d0}\u{1d7d1}",
        "🂡",
        "\0\0\0",
        "\u{feff}3",
    ]
    .map(str::to_owned)
    .to_vec();
    inputs.push("{".repeat(deep) + "2" + &"}".repeat(deep));
    inputs.push("(".repeat(deep) + "2" + &")".repeat(deep));
    inputs.push("(".repeat(1_500) + "2" + &")".repeat(1_500));
    inputs.push("\\sqrt{".repeat(1_000) + "2" + &"}".repeat(1_000));
    inputs.push("\\boxed{".repeat(4_000));
    inputs.push("\\boxed{2} ".repeat(4_000) + "\\boxed{");
    inputs.push("\\boxed{3} or ".repeat(2_000));
    inputs.push("9".repeat(2_000_000));
    inputs.push("9".repeat(3_999));
    inputs.push("9".repeat(3_999) + "^{" + &"9".repeat(3_999) + "}");
    inputs.push("0.".to_owned() + &"3".repeat(3_900));
    inputs.push("-".repeat(10_000) + "2");
    inputs.push("2".to_owned() + &"!".repeat(10_000));
    inputs.push("2^".repeat(5_000) + "2");
    inputs.push("2/".repeat(2_000) + "3");
    inputs.push("1+".repeat(2_000) + "2");
    inputs.push("\\sqrt{2}+".repeat(500) + "2");
    inputs.push("\\sin(1)+".repeat(400) + "2");
    inputs.push("e^{x}+".repeat(300) + "2");
    inputs.push("(x+1)".repeat(700));
    for inner in ["a", "\\pi", "\\sqrt{2}\\pi"] {
        inputs.push("(2".repeat(18) + inner + &")^2".repeat(18));
    }
    inputs.push("1,".repeat(600) + "2");
    inputs.push((0..150).map(|index| format!("\\sqrt{{{index}}},")).collect::<Vec<_>>().concat() + "2");
    inputs.push("(0,1)\\cup".repeat(200) + "(2,3)");
    inputs.push("x<1 or ".repeat(200) + "x>3");
    inputs.push("$".repeat(100_000));
    inputs.push("**".repeat(50_000));
    inputs.push("<".repeat(500_000));
    inputs.push("<think>".repeat(50_000) + &"</think>".repeat(50_000));
    inputs.push("answer is ".repeat(50_000));
    inputs.push("The answer is not 2. ".repeat(20_000));
    inputs.push("not ".repeat(50_000) + "the answer is 2");
    inputs.push("Is it $2$? ".repeat(20_000));
    inputs.push("It is not $2$. ".repeat(20_000));
    inputs.push("**2** is wrong. ".repeat(20_000));
    inputs.push("\\frac".repeat(4_000) + "2");
    inputs.push("}1".repeat(2_000));
    inputs.push("{1}".repeat(1_300));
    inputs.push("\\text{".repeat(3_000) + "a" + &"}".repeat(3_000));
    inputs.push("\\pm 1".repeat(100));
    inputs.push("x_1".repeat(500));
    inputs.push((0..400).map(|index| format!("x_{{{index}}} +")).collect::<Vec<_>>().concat() + "2");
    inputs.push("\\sum_{k=1}^{10^9} k".to_owned());
    inputs.push("\\sum_{a=1}^{99}".repeat(30) + "a");
    inputs.push("\\prod_{k=1}^{4000} (k^{4000}+\\sqrt{k})".to_owned());
    inputs.push("\\int_0^1 ".repeat(60) + "x dx");
    inputs.push("\\lim_{x \\to 0} ".repeat(2_000) + "x");
    inputs.push("\\begin{cases} x & x>0 \\\\".repeat(1_000));
    inputs.push("5 \\text{ million million million million million}".repeat(100));
    inputs.push("5 \\text{ ft } 3 \\text{ in } ".repeat(1_000));
    inputs
}
