//! The parameter `q`: its text to terms.

use super::term::Term;
use crate::limits::{TERMS_MAX, TERM_MAX_BYTES};

/// Appends the terms that the value of `q` holds.
///
/// # Errors
/// What is wrong, as a sentence about it.
pub(super) fn parse_terms(q: &str, terms: &mut Vec<Term>) -> Result<(), &'static str> {
    let is_white = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut rest = q.trim_start_matches(is_white);
    if rest.is_empty() {
        return Err("must have a term");
    }
    while !rest.is_empty() {
        if terms.len() == TERMS_MAX {
            return Err("may have at most 32 terms in one request");
        }
        let is_negated = rest.starts_with('-');
        rest = &rest[usize::from(is_negated)..];
        let unstarred = rest.strip_prefix('*').unwrap_or(rest);
        let (text, has_star, after) = match unstarred.strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = parse_quoted(quoted)?;
                let unstarred_after = after.strip_prefix('*').unwrap_or(after);
                if !unstarred_after.is_empty() && !unstarred_after.starts_with(is_white) {
                    return Err("may have only a * and white space after a closing quote");
                }
                let has_star = [unstarred != rest, unstarred_after != after];
                (text, has_star, unstarred_after)
            }
            None => {
                let (run, after) = rest.split_at(rest.find(is_white).unwrap_or(rest.len()));
                let text = run.strip_prefix('*').unwrap_or(run);
                let has_first = text != run;
                let run = text;
                let text = run.strip_suffix('*').unwrap_or(run);
                (text.to_owned(), [has_first, text != run], after)
            }
        };
        match text.len() {
            0 => return Err("must have a text in each term"),
            len if len > TERM_MAX_BYTES => return Err("may have at most 256 bytes in a term"),
            _ => terms.push(Term::new(text.as_bytes(), is_negated, has_star)),
        }
        rest = after.trim_start_matches(is_white);
    }
    Ok(())
}

const _: () = assert!(
    TERMS_MAX == 32 && TERM_MAX_BYTES == 256,
    "sentences name them"
);

/// A quoted text after its opening quote, and what comes after the closing one.
fn parse_quoted(quoted: &str) -> Result<(String, &str), &'static str> {
    let mut text = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((text, &quoted[at + 1..])),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => text.push(escaped),
                None => text.push('\\'),
            },
            _ => text.push(character),
        }
    }
    Err("has a quote that is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(q: &str) -> Result<Vec<Term>, &'static str> {
        let mut terms = Vec::new();
        parse_terms(q, &mut terms).map(|()| terms)
    }

    fn term(q: &str) -> Term {
        terms(q).unwrap().remove(0)
    }

    #[test]
    fn terms_are_read_by_their_form() {
        for (q, text, stars, is_negated) in [
            ("declined", "declined", [false, false], false),
            ("-Debug", "debug", [false, false], true),
            ("*meo*", "meo", [true, true], false),
            ("-*meo", "meo", [true, false], true),
            ("time*", "time", [false, true], false),
            ("\"card expired\"", "card expired", [false, false], false),
            (
                "-\"connection res\"*",
                "connection res",
                [false, true],
                true,
            ),
            ("*\"a*\"", "a*", [true, false], false),
            ("a*b", "a*b", [false, false], false),
            ("a**", "a*", [false, true], false),
            ("***", "*", [true, true], false),
            ("--x", "-x", [false, false], true),
            ("\"-5\"", "-5", [false, false], false),
            (r#""a\"b\\c\d""#, r#"a"b\c\d"#, [false, false], false),
            ("a\"b", "a\"b", [false, false], false),
            ("Ä", "Ä", [false, false], false),
            ("\u{a0}", "\u{a0}", [false, false], false),
        ] {
            let term = term(q);
            assert_eq!(term.text(), text.as_bytes(), "{q}");
            assert_eq!(
                (term.stars(), term.is_negated()),
                (stars, is_negated),
                "{q}"
            );
        }
        let several = terms(" a\tb\r\n-c \"d e\" ").unwrap();
        assert_eq!(several.len(), 4);
    }

    #[test]
    fn what_is_no_term_is_refused() {
        let long = "a".repeat(TERM_MAX_BYTES + 1);
        for q in [
            "",
            " ",
            "-",
            "*",
            "**",
            "-*",
            "\"\"",
            "*\"\"*",
            "\"a",
            "\"a\\\"",
            "\"a\"b",
            "\"a\"**",
            "\"a\"\"b\"",
            "- a",
            "* a",
            "a -",
            &long,
            &format!("\"{long}\""),
        ] {
            assert!(terms(q).is_err(), "{q}");
        }
        assert!(terms(&long[1..]).is_ok());
        assert!(terms(&"a ".repeat(TERMS_MAX)).is_ok());
        assert!(terms(&"a ".repeat(TERMS_MAX + 1)).is_err());
    }
}
