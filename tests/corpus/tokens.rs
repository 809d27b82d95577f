//! The tokens file against a reading of its own, and that no word of a file comes out in an error.
//!
//! The input is the text of a file; its first line also serves as an `Authorization` field.

use logagg::limits::{
    TOKENS_MAX, TOKEN_LINE_MAX_BYTES, TOKEN_MAX_BYTES, TOKEN_NAME_MAX_BYTES as NAME_MAX_BYTES,
};
use logagg::tokens::{BadLine, Fault, Scope, TokenCheck, Tokens};

/// Tokens of a file that are checked.
const TRIED: usize = 20;

/// All words that an error may have beside numbers.
const WORDS: &[&str] = &[
    "line",
    "a",
    "has",
    "at",
    "most",
    "bytes",
    "is",
    "NAME",
    "SCOPES",
    "TOKEN",
    "and",
    "after",
    "white",
    "space",
    "begins",
    "comment",
    "name",
    "UTF",
    "without",
    "control",
    "characters",
    "scopes",
    "are",
    "publish",
    "read",
    "or",
    "token",
    "visible",
    "ASCII",
    "the",
    "stands",
    "on",
    "already",
    "file",
    "tokens",
];

/// What a line grants.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Grant<'a> {
    line: usize,
    name: &'a [u8],
    publish: bool,
    read: bool,
    token: &'a [u8],
}

pub fn check(text: &[u8]) {
    let field = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match (Tokens::parse(text), grants(text)) {
        (Ok(tokens), Ok(grants)) => {
            assert_eq!(tokens.len(), grants.len());
            assert_eq!(tokens.is_empty(), grants.is_empty());
            says_nothing(&format!("{tokens:?}"), &["Tokens", "count"]);
            for grant in grants.iter().take(TRIED) {
                check_token(&tokens, &grants, grant.token);
            }
            check_field(&tokens, &grants, field);
        }
        (Err(found), Err(expected)) => {
            assert_eq!(found, expected);
            says_nothing(&found.to_string(), WORDS);
        }
        (found, expected) => panic!("{found:?}, not {:?}", expected.map(|grants| grants.len())),
    }
}

/// Asserts that a text is made of these words and numbers.
fn says_nothing(text: &str, words: &[&str]) {
    assert!(text.is_ascii(), "{text}");
    let is_word = |c: char| c.is_ascii_alphanumeric();
    for word in text.split(|c| !is_word(c)).filter(|word| !word.is_empty()) {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_number || words.contains(&word), "{word} in {text}");
    }
}

/// Reads the text as the interface describes it.
fn grants(text: &[u8]) -> Result<Vec<Grant<'_>>, BadLine> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut grants: Vec<Grant> = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let fault = match grant(line, number) {
            Ok(None) => continue,
            Ok(Some(grant)) => {
                let first = |same: fn(&Grant, &Grant) -> bool| {
                    grants.iter().find(|g| same(g, &grant)).map(|g| g.line)
                };
                if grants.len() == TOKENS_MAX {
                    Fault::TooMany
                } else if let Some(line) = first(|a, b| a.name == b.name) {
                    Fault::RepeatedName(line)
                } else if let Some(line) = first(|a, b| a.token == b.token) {
                    Fault::RepeatedToken(line)
                } else {
                    grants.push(grant);
                    continue;
                }
            }
            Err(fault) => fault,
        };
        return Err(BadLine {
            line: number,
            fault,
        });
    }
    Ok(grants)
}

fn grant(line: &[u8], number: usize) -> Result<Option<Grant<'_>>, Fault> {
    if line.len() > TOKEN_LINE_MAX_BYTES {
        return Err(Fault::Long);
    }
    let mut end = line.len() - usize::from(line.ends_with(b"\r"));
    let is_space = |at: usize| matches!(line[at], b' ' | b'\t');
    if let Some(comment) = (0..end).find(|at| line[*at] == b'#' && (*at == 0 || is_space(at - 1))) {
        end = comment;
    }
    let mut fields = Vec::new();
    let mut start = 0;
    for at in 0..=end {
        if at == end || is_space(at) {
            if at > start {
                fields.push(&line[start..at]);
            }
            start = at + 1;
        }
    }
    if fields.is_empty() {
        return Ok(None);
    }
    let [name, scopes, token] = fields[..] else {
        return Err(Fault::Fields);
    };
    let is_shown = |c: char| !c.is_control() && !c.is_whitespace();
    match std::str::from_utf8(name) {
        Ok(text) if name.len() <= NAME_MAX_BYTES && text.chars().all(is_shown) => {}
        _ => return Err(Fault::Name),
    }
    let listed: Vec<&[u8]> = scopes.split(|byte| *byte == b',').collect();
    let (publish, read) = match &listed[..] {
        [b"publish"] => (true, false),
        [b"read"] => (false, true),
        [b"publish", b"read"] | [b"read", b"publish"] => (true, true),
        _ => return Err(Fault::Scopes),
    };
    let is_visible = |byte: &u8| (0x21..=0x7e).contains(byte);
    if token.len() > TOKEN_MAX_BYTES || !token.iter().all(is_visible) {
        return Err(Fault::Token);
    }
    Ok(Some(Grant {
        line: number,
        name,
        publish,
        read,
        token,
    }))
}

/// What a token is good for, and some that look like it.
fn check_token(tokens: &Tokens, grants: &[Grant], token: &[u8]) {
    for (before, behind) in [
        (&b"Bearer "[..], &b""[..]),
        (b"bEARER \t ", b" "),
        (b"Bearer ", b"x"),
        (b"Bearer x", b""),
        (b"Basic ", b""),
        (b"Bearer", b""),
    ] {
        check_field(tokens, grants, &[before, token, behind].concat());
    }
    check_field(tokens, grants, &[b"Bearer ", &token[1..]].concat());
}

fn check_field(tokens: &Tokens, grants: &[Grant], field: &[u8]) {
    for needed in [None, Some(Scope::Publish), Some(Scope::Read)] {
        let ask = |fields: &[&[u8]]| tokens.check(fields.iter().copied(), needed);
        assert_eq!(ask(&[field]), expected_check(grants, field, needed));
        assert_eq!(ask(&[field, field]), TokenCheck::Unknown);
        assert_eq!(ask(&[]), TokenCheck::Missing);
    }
}

fn expected_check(grants: &[Grant], field: &[u8], needed: Option<Scope>) -> TokenCheck {
    let is_bearer =
        field.len() > 7 && field[..6].eq_ignore_ascii_case(b"bearer") && field[6] == b' ';
    if !is_bearer || field[7..].trim_ascii().is_empty() {
        return TokenCheck::Missing;
    }
    let token = field[7..].trim_ascii();
    let Some(grant) = grants.iter().find(|grant| grant.token == token) else {
        return TokenCheck::Unknown;
    };
    match needed {
        Some(Scope::Publish) if !grant.publish => TokenCheck::Insufficient(Scope::Publish),
        Some(Scope::Read) if !grant.read => TokenCheck::Insufficient(Scope::Read),
        _ => TokenCheck::Granted,
    }
}
