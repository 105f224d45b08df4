//! Tokenizers, chat templates, thought and solution tags.
