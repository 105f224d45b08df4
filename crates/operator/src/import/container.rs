//! Files that hold no lines of JSON at all, told by their first bytes: one word on the file, and how to bring it.

use super::fields::FieldProblem;

/// Marks at the start of files in other formats.
const MARKS: [(&[u8], &str); 7] = [
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"PK\x03\x04", "a zip file"),
    (b"\xff\xfe", "in UTF-16"),
    (b"\xfe\xff", "in UTF-16"),
];

/// What is wrong with a file as a whole.
pub(super) fn problem(text: &[u8]) -> Option<FieldProblem> {
    if let Some((_, what)) = MARKS.iter().find(|(mark, _)| text.starts_with(mark)) {
        let remedy = match *what {
            "in UTF-16" => "save it as UTF-8",
            "a gzip file" | "a zstd file" | "a zip file" => "unpack it, and import what is in it",
            _ => {
                "write it as JSON lines, for example with pandas: read_parquet(...).to_json(..., orient='records', lines=True)"
            }
        };
        return Some(FieldProblem::whole(format!("the file is {what}"), remedy));
    }
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = lines.next()?;
    if first.starts_with(b"[") {
        return Some(FieldProblem::whole(
            "the file is one JSON list",
            "write one object on every line, for example with `jq -c '.[]' FILE`",
        ));
    }
    let second = lines.next();
    if first == b"{" || (first.starts_with(b"{") && second.is_some_and(|line| line.starts_with(b"\""))) {
        return Some(FieldProblem::whole(
            "its objects stand on several lines each",
            "write each on one line, for example with `jq -c . FILE`",
        ));
    }
    let is_header = !first.starts_with(b"{") && first.contains(&b',') && !first.contains(&b'{');
    (is_header && second.is_some_and(|line| !line.starts_with(b"{"))).then(|| {
        FieldProblem::whole(
            "the file looks like CSV",
            "write it as JSON lines, for example with pandas: read_csv(...).to_json(..., orient='records', lines=True)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_named_and_lines_are_let_through() {
        let told = |text: &[u8]| problem(text).map(|problem| problem.at(1).to_string());
        for (text, word) in [
            (&b"PAR1\x15\x04"[..], "Parquet"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xff\xfe{", "UTF-16"),
            (b"[{\"problem\": \"p\"},\n{}]", "JSON list"),
            (b"{\n  \"problem\": \"p\"\n}", "several lines"),
            (b"question,answer\n1+1,2\n", "CSV"),
        ] {
            assert!(told(text).is_some_and(|told| told.contains(word)), "{word}");
        }
        for text in [&b"{\"problem\": \"p\"}\n{\"problem\": \"q\"}"[..], b"", b"\n\n", b"nonsense\n{}", b"{"]
        {
            assert!(text == b"{" || told(text).is_none(), "{}", String::from_utf8_lossy(text));
        }
    }
}
