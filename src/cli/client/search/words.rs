//! What the words of a search mean: a condition on the payload, or terms; and negated words, which begin as options do.

use std::ffi::OsString;

use clap::Command;

/// Whether a word is a condition: it begins as a path does, and has an operator outside of quotes.
pub(super) fn is_condition(word: &str) -> bool {
    let begins_path = |first: char| first.is_alphabetic() || matches!(first, '_' | '"' | '!');
    word.starts_with(begins_path) && has_operator(word)
}

fn has_operator(word: &str) -> bool {
    let mut in_quotes = false;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => in_quotes = !in_quotes,
            '\\' if in_quotes => drop(characters.next()),
            '=' | '<' | '>' | '~' if !in_quotes => return true,
            _ => {}
        }
    }
    false
}

/// The term that an event must not have.
pub(super) fn negated(word: &str) -> String {
    let is_quoted = word.contains('"') || !word.contains(char::is_whitespace);
    if is_quoted {
        return format!("-{word}");
    }
    let text = word.strip_prefix('*').unwrap_or(word);
    let first = &word[..word.len() - text.len()];
    let (text, last) = match text.strip_suffix('*') {
        Some(text) => (text, "*"),
        None => (text, ""),
    };
    let text = text.replace('\\', "\\\\");
    format!("-{first}\"{text}\"{last}")
}

/// The arguments of a search with each `-word` as `--not=word`. One letter after the hyphen is an option.
pub(crate) fn with_negations(command: &Command, arguments: &[OsString]) -> Vec<OsString> {
    let takes_value = |long: &str| {
        let mut options = command.get_arguments();
        let option = options.find(|option| option.get_long() == Some(long));
        option.is_some_and(|option| option.get_action().takes_values())
    };
    let mut changed = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        let word = text.strip_prefix('-').unwrap_or_default();
        if text == "--" {
            changed.push(argument.clone());
            break;
        }
        let is_option = word.len() < 2 && !word.starts_with(|c: char| c.is_ascii_digit());
        if let Some(long) = word.strip_prefix('-') {
            changed.push(argument.clone());
            if takes_value(long) {
                changed.extend(rest.next().cloned());
            }
        } else if is_option {
            changed.push(argument.clone());
        } else {
            changed.push(format!("--not={word}").into());
        }
    }
    changed.extend(rest.cloned());
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_condition_by_its_form() {
        for word in [
            "level=error",
            "ms>500",
            "a.b<=1",
            "msg~\"card expired\"",
            "level!=debug",
            "a!~b",
            "\"a.b\".c=1",
            "_x=",
            "größe>1",
            "!a=b",
            "url=\"a",
        ] {
            assert!(is_condition(word), "{word}");
        }
        for word in [
            "declined",
            "\"a=b\"",
            "\"card expired\"",
            "!trace_id",
            "5xx=1",
            "-a=b",
            "=x",
            "*a=b",
            "/a=b",
            "10.2.3.4",
            "\"a\\\"=b\"",
            "",
        ] {
            assert!(!is_condition(word), "{word}");
        }
    }

    #[test]
    fn what_must_not_be_there_is_one_term() {
        for (word, term) in [
            ("debug", "-debug"),
            ("*meo*", "-*meo*"),
            ("\"card expired\"", "-\"card expired\""),
            ("card expired", "-\"card expired\""),
            ("*card ex*", "-*\"card ex\"*"),
            ("a \\b", "-\"a \\\\b\""),
        ] {
            assert_eq!(negated(word), term);
        }
    }
}
