//! Conversations as one text, on templates of the kinds that there are: what is trained on is what the model is asked
//! with and what the template renders.
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use serde_json::{Value, json};
use still_text::{
    ChatContext, Conversation, ConversationError, Format, PromptBook, PromptStyle, Prompter, Question,
    Tokenizer,
};

/// The end token of the quick start's tokenizer, in whose words all this is.
const END: &str = "<eos>";
const CHATML: &str = "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}<eos>\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";
/// As DeepSeek-R1 has it: the prompt opens the thought, and thoughts are left out of answers.
const OPENS: &str = "{% for m in messages %}{% if m.role == 'user' %}*{{ m.content }}{% else %}={{ m.content.split('</think>')[-1] }}<eos>{% endif %}{% endfor %}{% if add_generation_prompt %}=<think>\n{% endif %}";
/// As Qwen3 has it: a thought of its own field, an empty one where there is none.
const THINKS: &str = "{% for m in messages %}{% if m.role == 'user' %}*{{ m.content }}{% else %}=<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{{ m.content | trim }}<eos>\n{% endif %}{% endfor %}{% if add_generation_prompt %}={% endif %}";
/// One that drops what it does not know.
const TRIMS: &str = "{% for m in messages %}{{ '*' if m.role == 'user' else '=' }}{{ m.content.split('</think>')[-1] | trim }}<eos>{% endfor %}{% if add_generation_prompt %}={% endif %}";

/// One that opens the thought, renders an empty one, and drops what is no text.
const OPENS_AND_TAKES_TEXT: &str = "{% for m in messages %}{% if m.role == 'user' %}*{{ m.content }}{% else %}=<think></think>{{ m.content if m.content is string }}<eos>{% endif %}{% endfor %}{% if add_generation_prompt %}=<think>{% endif %}";

fn tokenizer(template: &str) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::quick_start().unwrap().save(folder.path()).unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

fn conversation(template: &str, answer: Value) -> Result<(String, String), ConversationError> {
    let mut answer = answer;
    answer["role"] = json!("assistant");
    let messages = vec![json!({"role": "user", "content": "1+1"}), answer];
    let context = ChatContext { messages, ..ChatContext::default() };
    let conversation = Conversation::of_messages(&tokenizer(template), &context)?;
    Ok((conversation.prompt, conversation.response))
}

fn text(template: &str, content: &str) -> (String, String) {
    conversation(template, json!({ "content": content })).unwrap()
}

#[test]
fn an_answer_stands_as_the_template_renders_it() {
    let pair = |prompt: &str, response: &str| (prompt.to_owned(), response.to_owned());
    assert_eq!(text(CHATML, " 2 "), pair("<u>1+1<eos>\n<a>", " 2"));
    assert_eq!(text(CHATML, "2<eos>"), pair("<u>1+1<eos>\n<a>", "2"), "its own end token is the turn's");
    assert_eq!(text(CHATML, "e"), pair("<u>1+1<eos>\n<a>", "e"), "a letter of the end token");
    assert_eq!(text(THINKS, "2"), pair("*1+1=", "<think>\n\n</think>\n\n2"));
    let thinking = conversation(THINKS, json!({"content": "2", "reasoning_content": "3"})).unwrap();
    assert_eq!(thinking, pair("*1+1=", "<think>\n3\n</think>\n\n2"));
    let by_another_name = conversation(THINKS, json!({"content": "2", "reasoning": "3"})).unwrap();
    assert_eq!(by_another_name, thinking);
}

#[test]
fn a_thought_that_the_prompt_opens_is_gone_on_with_and_not_opened_again() {
    let pair = |prompt: &str, response: &str| (prompt.to_owned(), response.to_owned());
    assert_eq!(text(OPENS, "<think>\n3</think>2"), pair("*1+1=<think>\n", "3</think>2"));
    assert_eq!(text(OPENS, "3</think>2"), pair("*1+1=<think>\n", "3</think>2"));
    assert_eq!(text(OPENS, "2"), pair("*1+1=", "2"), "the template renders such a turn without the tag");
    let field = conversation(OPENS, json!({"content": "2", "reasoning_content": "3"})).unwrap();
    assert_eq!(field, pair("*1+1=<think>\n", "3\n</think>\n\n2"));
    // where the template closes the thought that the prompt opens, or the prompt closes it itself
    let closing = OPENS.replace("={{ m.content", "=</think>{{ m.content");
    assert_eq!(text(&closing, "2"), pair("*1+1=<think>\n", "</think>2"));
    let closed = OPENS.replace("=<think>\n", "=<think>\n</think>");
    assert_eq!(text(&closed, "2"), pair("*1+1=<think>\n</think>", "2"));
    assert_eq!(
        text(&closing.replace("=<think>\n", "=<think></think>"), "2"),
        pair("*1+1=<think></think>", "2")
    );
    assert!(
        conversation(&closed, json!({"content": "3</think>2"})).is_err(),
        "a thought behind an empty one"
    );
    // what a template leaves out of the text is learnt as the model writes it
    assert_eq!(text(TRIMS, "<think>3</think>2"), pair("*1+1<eos>=", "<think>3</think>2"));
}

#[test]
fn what_a_template_leaves_out_is_refused_by_name() {
    let refused = |template: &str, answer: Value| conversation(template, answer).unwrap_err().to_string();
    for (template, answer, part) in [
        (CHATML, json!({"content": "2", "reasoning_content": "3"}), "`reasoning_content`"),
        (CHATML, json!({"content": "2", "thinking": "3"}), "`thinking`"),
        (CHATML, json!({"content": "2", "tool_calls": [{"function": {"name": "add"}}]}), "`tool_calls`"),
        (CHATML, json!({"content": ""}), "`content` is missing"),
        (OPENS_AND_TAKES_TEXT, json!({"content": [{"type": "text", "text": "2"}]}), "`content`"),
        ("{{ messages | length }}", json!({"content": "2"}), "renders what stands before"),
    ] {
        let reason = refused(template, answer);
        assert!(reason.contains(part), "{template}: {reason}");
    }
    let messages = vec![json!({"role": "user", "content": "1+1"})];
    let context = ChatContext { messages, ..ChatContext::default() };
    assert!(Conversation::of_messages(&tokenizer(CHATML), &context).is_err(), "no answer");
}

#[test]
fn a_turn_ends_in_the_token_of_the_template_and_the_prompt_is_a_prefix() {
    let tokenizer = tokenizer(CHATML);
    assert_eq!(tokenizer.turn_end(), END);
    let prompter = Prompter::new(tokenizer.clone(), PromptStyle::Chat);
    for answer in ["2", "2<eos>", " 1 1;", "<|begin_of_thought|>1<|end_of_thought|>"] {
        let encoded = prompter.answered("1+1", answer).unwrap();
        let (prompt, response) = encoded.ids.split_at(encoded.prompt_tokens);
        assert_eq!(prompt, prompter.prompt("1+1").unwrap());
        let expected = tokenizer.encode(answer.trim_end_matches(END), false).unwrap();
        assert_eq!(response, [expected.as_slice(), &[1]].concat(), "{answer}");
    }
    let cut = prompter.gone_on("1+1", "2").unwrap();
    assert_eq!(cut, prompter.answered("1+1", "2").unwrap());
}

#[test]
fn plain_text_ends_in_the_end_token_once() {
    let prompter = Prompter::new(Tokenizer::quick_start().unwrap(), PromptStyle::Raw);
    let encoded = prompter.answered("1+1=", "2").unwrap();
    assert_eq!((encoded.prompt_tokens, encoded.ids.len(), encoded.ids.last()), (4, 6, Some(&1)));
    assert_eq!(prompter.answered("1+1=", "2<eos>").unwrap(), encoded);
}

#[test]
fn a_token_across_the_border_leaves_the_prompt_as_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = json!({"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "<e>": 6});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": 6, "content": "<e>", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                  "vocab": vocabulary, "merges": ["a b", "b c", "ab c"]}
    });
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"eos_token": "<e>"}"#).unwrap();
    let prompter = Prompter::new(Tokenizer::load(folder.path()).unwrap(), PromptStyle::Raw);
    // "abc" is one token; asked is "a", then comes "bc", and the rest as it stands in the whole
    let encoded = prompter.answered("a", "bcab").unwrap();
    assert_eq!((encoded.ids.as_slice(), encoded.prompt_tokens), (&[0, 4, 3, 6][..], 1));
}

#[test]
fn texts_variables_and_kinds_decide_what_is_asked() {
    let template = "{{ messages | map(attribute='content') | join(';') }}{{ '?' if enable }}";
    let tokenizer = tokenizer(template);
    let render = |book: PromptBook, question: Question<'_>| {
        Prompter::new(tokenizer.clone(), book).render(question).unwrap()
    };
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let book = PromptBook {
        style: PromptStyle::Chat,
        system: "s".to_owned(),
        text: Some("all {problem}".to_owned()),
        by_kind: texts(&[("code", "code {problem}")]),
        by_source: texts(&[("f", "file {problem}")]),
        variables: json!({"enable": true}).as_object().unwrap().clone(),
        ..PromptBook::default()
    };
    assert_eq!(render(book.clone(), "1".into()), "s;all 1?");
    let code = Question { text: "1", kind: "code", source: "" };
    assert_eq!(render(book.clone(), code), "s;code 1?");
    assert_eq!(render(book.clone(), Question { source: "f", ..code }), "s;file 1?");
    let paper = |format| PromptBook { style: PromptStyle::Paper, format, ..PromptBook::default() };
    for (format, tag) in
        [(Format::Paper, "<|begin_of_thought|>"), (Format::Think, "<think>"), (Format::Plain, "step by step")]
    {
        let (plain, code) = (render(paper(format), "1".into()), render(paper(format), code));
        assert!(plain.contains(tag) && plain.contains("\\boxed{}") && plain.ends_with("\n\n1"), "{plain}");
        assert!(code.contains("```python") && !code.contains("\\boxed"), "programs are asked for: {code}");
    }
    let identity = |book: &PromptBook| Prompter::new(tokenizer.clone(), book.clone()).identity();
    let known = identity(&book);
    for changed in [
        PromptBook { system: "t".to_owned(), ..book.clone() },
        PromptBook { format: Format::Think, ..book.clone() },
        PromptBook { by_kind: texts(&[]), ..book.clone() },
        PromptBook { variables: serde_json::Map::new(), ..book.clone() },
    ] {
        assert_ne!(identity(&changed), known);
    }
}
