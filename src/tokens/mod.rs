//! Who may do what: from the text of a tokens file to its tokens, and from an `Authorization` field to
//! a verdict (RFC 6750 §2.1).
//!
//! Owns the file's grammar and the comparison; reads no file. Of a token only its digest is kept. No error, no log line
//! and no `Debug` output may hold a token or any other part of a line: in a line that is wrong, a token may be
//! anywhere.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::limits;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Publish,
    Read,
}

impl Scope {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Publish => "publish",
            Scope::Read => "read",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Scope::Publish => 1,
            Scope::Read => 2,
        }
    }
}

/// What the credentials of a request allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    Granted,
    /// There is no bearer token among them.
    Missing,
    /// The token is none of ours.
    Unknown,
    /// The token is known and lacks the scope that is needed.
    Insufficient(Scope),
}

/// SHA-256, so that comparing takes as long for a long token as for a short one, and what is kept in memory is useless
/// to anyone who reads it.
type Digest = [u8; 32];

struct Entry {
    digest: Digest,
    /// The bits of its scopes, at least one.
    scopes: u8,
}

/// The tokens of a file.
#[derive(Default)]
pub struct Tokens {
    entries: Vec<Entry>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("count", &self.len())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads the text of a tokens file: lines `NAME SCOPES TOKEN` with white space between. Scopes are `publish`,
    /// `read`, or both with a comma; a token is 1 to [`limits::TOKEN_MAX_BYTES`] visible ASCII characters; names, at
    /// most [`limits::TOKEN_NAME_MAX_BYTES`] long, and tokens are unique. A `#` at the start of a line or after white
    /// space begins a comment.
    ///
    /// # Errors
    /// The first line that is anything else.
    pub fn parse(text: &[u8]) -> Result<Tokens, BadLine> {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let mut entries = Vec::new();
        let mut names = HashMap::new();
        let mut digests = HashMap::new();
        for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
            let bad = |fault| BadLine {
                line: number,
                fault,
            };
            let Some(Line {
                name,
                scopes,
                token,
            }) = Line::read(line).map_err(bad)?
            else {
                continue;
            };
            if entries.len() == limits::TOKENS_MAX {
                return Err(bad(Fault::TooMany));
            }
            let digest = digest(token);
            if let Some(first) = names.insert(name, number) {
                return Err(bad(Fault::RepeatedName(first)));
            }
            if let Some(first) = digests.insert(digest, number) {
                return Err(bad(Fault::RepeatedToken(first)));
            }
            entries.push(Entry { digest, scopes });
        }
        Ok(Tokens { entries })
    }

    /// What a request with these `Authorization` fields may do, given the scope that it needs; none
    /// means that any token will do. The scheme is told apart without regard to case (RFC 9110 §11.1).
    pub fn check<'a>(
        &self,
        fields: impl Iterator<Item = &'a [u8]>,
        needed: Option<Scope>,
    ) -> TokenCheck {
        match only(fields) {
            Ok(credentials) => self.check_token(credentials.and_then(bearer), needed),
            Err(refused) => refused,
        }
    }

    /// The same where shippers send a token in the way of their own protocol: with one of the schemes of
    /// [`any_scheme`], or as `DD-API-KEY`.
    pub fn check_any<'a>(
        &self,
        fields: impl Iterator<Item = &'a [u8]>,
        api_keys: impl Iterator<Item = &'a [u8]>,
        needed: Option<Scope>,
    ) -> TokenCheck {
        match (only(fields), only(api_keys)) {
            (Ok(Some(credentials)), Ok(None)) => match any_scheme(credentials) {
                Some(token) => self.check_token(Some(&token), needed),
                None => TokenCheck::Missing,
            },
            (Ok(None), Ok(key)) => self.check_token(key.map(<[u8]>::trim_ascii), needed),
            // Nothing says which of several counts.
            _ => TokenCheck::Unknown,
        }
    }

    fn check_token(&self, token: Option<&[u8]>, needed: Option<Scope>) -> TokenCheck {
        let Some(token) = token else {
            return TokenCheck::Missing;
        };
        match (self.scopes_of(token), needed) {
            (0, _) => TokenCheck::Unknown,
            (scopes, Some(needed)) if scopes & needed.bit() == 0 => {
                TokenCheck::Insufficient(needed)
            }
            _ => TokenCheck::Granted,
        }
    }

    /// The scopes of a token, 0 where it is unknown. Each entry is compared whole, whatever the others
    /// came to, so that the time taken tells nothing of them.
    fn scopes_of(&self, token: &[u8]) -> u8 {
        let presented = digest(token);
        let mut scopes = 0;
        for entry in &self.entries {
            let equal = entry.digest.as_slice().ct_eq(&presented);
            scopes.conditional_assign(&entry.scopes, equal);
        }
        scopes
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn digest(token: &[u8]) -> Digest {
    Sha256::digest(token).into()
}

/// The one field, if there is one. The field is no list (RFC 9110 §11.6.2), and nothing says which of several counts.
fn only<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, TokenCheck> {
    match (fields.next(), fields.next()) {
        (one, None) => Ok(one),
        (_, Some(_)) => Err(TokenCheck::Unknown),
    }
}

/// Scheme and what follows it (RFC 9110 §11.4); none if nothing follows.
fn scheme(credentials: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = credentials.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = credentials.split_at(space);
    let rest = rest.trim_ascii();
    (!rest.is_empty()).then_some((scheme, rest))
}

/// The token in `Bearer TOKEN` (RFC 6750 §2.1); `None` if the scheme is another one or nothing follows it.
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = scheme(credentials)?;
    scheme.eq_ignore_ascii_case(b"bearer").then_some(token)
}

/// The token in `Bearer TOKEN`, `Splunk TOKEN`, `ApiKey TOKEN`, `ApiKey` with Base64 of `ANY:TOKEN`, or `Basic`
/// with the token as the password (RFC 7617).
fn any_scheme(credentials: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (scheme, token) = scheme(credentials)?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    let second = |encoded: &[u8]| {
        let pair = STANDARD.decode(encoded).ok()?;
        let colon = pair.iter().position(|&byte| byte == b':')?;
        let token = &pair[colon + 1..];
        (!token.is_empty()).then(|| Cow::Owned(token.to_vec()))
    };
    if is("bearer") || is("splunk") {
        Some(Cow::Borrowed(token))
    } else if is("apikey") {
        second(token).or(Some(Cow::Borrowed(token)))
    } else if is("basic") {
        second(token)
    } else {
        None
    }
}

/// A line that grants something.
struct Line<'a> {
    name: &'a [u8],
    scopes: u8,
    token: &'a [u8],
}

impl Line<'_> {
    /// Reads a line without its LF; `None` if it is empty or a comment.
    fn read(line: &[u8]) -> Result<Option<Line<'_>>, Fault> {
        if line.len() > limits::TOKEN_LINE_MAX_BYTES {
            return Err(Fault::Long);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut fields = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|field| !field.is_empty())
            .take_while(|field| !field.starts_with(b"#"));
        let Some(name) = fields.next() else {
            return Ok(None);
        };
        let (Some(scopes), Some(token), None) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(Fault::Fields);
        };
        let legal = |name: &str| !name.chars().any(|c| c.is_control() || c.is_whitespace());
        if name.len() > limits::TOKEN_NAME_MAX_BYTES || !std::str::from_utf8(name).is_ok_and(legal)
        {
            return Err(Fault::Name);
        }
        let scopes = match scopes {
            b"publish" => Scope::Publish.bit(),
            b"read" => Scope::Read.bit(),
            b"publish,read" | b"read,publish" => Scope::Publish.bit() | Scope::Read.bit(),
            _ => return Err(Fault::Scopes),
        };
        if token.len() > limits::TOKEN_MAX_BYTES || !token.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::Token);
        }
        Ok(Some(Line {
            name,
            scopes,
            token,
        }))
    }
}

/// A line of a tokens file that is wrong. Names the place and the reason, and never what the line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Long,
    Fields,
    Name,
    Scopes,
    Token,
    /// That line has the name already.
    RepeatedName(usize),
    /// That line has the token already.
    RepeatedToken(usize),
    TooMany,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Long => {
                let most = limits::TOKEN_LINE_MAX_BYTES;
                write!(f, "a line has at most {most} bytes")
            }
            Fault::Fields => f.write_str(
                "a line is NAME SCOPES TOKEN, and a # after white space begins a comment",
            ),
            Fault::Name => {
                let most = limits::TOKEN_NAME_MAX_BYTES;
                write!(
                    f,
                    "a name is UTF-8 without control characters, at most {most} bytes"
                )
            }
            Fault::Scopes => f.write_str("scopes are publish, read or publish,read"),
            Fault::Token => {
                let most = limits::TOKEN_MAX_BYTES;
                write!(f, "a token is visible ASCII, at most {most} bytes")
            }
            Fault::RepeatedName(first) => write!(f, "the name is already on line {first} already"),
            Fault::RepeatedToken(first) => {
                write!(f, "the token is already on line {first} already")
            }
            Fault::TooMany => {
                let most = limits::TOKENS_MAX;
                write!(f, "a file has at most {most} tokens")
            }
        }
    }
}

impl std::error::Error for BadLine {}
