//! The grammar of tokens files, and what credentials are good for.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

const BOTH: u8 = 3;

fn parse(text: impl AsRef<[u8]>) -> Result<Tokens, BadLine> {
    Tokens::parse(text.as_ref())
}

fn check(tokens: &Tokens, field: &str, needed: Option<Scope>) -> TokenCheck {
    tokens.check([field.as_bytes()].into_iter(), needed)
}

#[test]
fn lines_are_a_name_scopes_and_a_token() {
    let text = "\u{feff}# who may do what\n\n \t \r\napp publish a-token\r\n\
        \tdash\t read  r~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t # a comment\n  # another\n\
        b\u{e4}r publish,read x\nall read,publish y #\nlast read z";
    let tokens = parse(text).unwrap();
    assert_eq!(tokens.len(), 5);
    let scopes = |token: &str| tokens.scopes_of(token.as_bytes());
    assert_eq!(scopes("a-token"), Scope::Publish.bit());
    assert_eq!(
        scopes("r~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        Scope::Read.bit()
    );
    assert_eq!((scopes("x"), scopes("y")), (BOTH, BOTH));
    assert_eq!(scopes("z"), Scope::Read.bit());
    for unknown in ["", "a-toke", "a-token ", "A-TOKEN", "app", "#", "X"] {
        assert_eq!(scopes(unknown), 0, "{unknown}");
    }
}

#[test]
fn a_file_may_hold_no_token() {
    for text in ["", "\n", "# nobody\n", "\u{feff}", "\r\n#\u{0}\n\t"] {
        assert!(parse(text).unwrap().is_empty(), "{text:?}");
    }
    // A comment is not looked at.
    assert!(parse(b"# \xff\n").unwrap().is_empty());
}

#[test]
fn the_first_bad_line_is_named_with_its_fault() {
    let long_name = format!("{} read t", "n".repeat(limits::TOKEN_NAME_MAX_BYTES + 1));
    let long_token = format!("n read {}", "t".repeat(limits::TOKEN_MAX_BYTES + 1));
    let long_line = format!("#{}", "c".repeat(limits::TOKEN_LINE_MAX_BYTES));
    let cases: [(&[u8], Fault); 26] = [
        (b"n", Fault::Fields),
        (b"n read", Fault::Fields),
        (b"n read a b", Fault::Fields),
        (b"n publish, read t", Fault::Fields),
        (b"n read #t", Fault::Fields),
        (b"n #read t", Fault::Fields),
        (b"n write t", Fault::Scopes),
        (b"n Read t", Fault::Scopes),
        (b"n READ t", Fault::Scopes),
        (b"n read,read t", Fault::Scopes),
        (b"n read, t", Fault::Scopes),
        (b"n ,read t", Fault::Scopes),
        (b"n publish,read,publish t", Fault::Scopes),
        (b"n publish;read t", Fault::Scopes),
        (b"t read,n t", Fault::Scopes),
        (b"n read t\xc3\xa4", Fault::Token),
        (b"n read t\x00", Fault::Token),
        (b"n read t\r\r", Fault::Token),
        (b"n read t\rm", Fault::Token),
        (b"n read t\x7f", Fault::Token),
        (b"n\xff read t", Fault::Name),
        (b"n\x00 read t", Fault::Name),
        (b"n\xc2\xa0 read t", Fault::Name),
        (long_name.as_bytes(), Fault::Name),
        (long_token.as_bytes(), Fault::Token),
        (long_line.as_bytes(), Fault::Long),
    ];
    for (line, fault) in cases {
        let text = [b"# first\nok read secret\r\n", line, b"\nbad bad bad bad\n"].concat();
        let bad = parse(text).unwrap_err();
        assert_eq!(bad, BadLine { line: 3, fault }, "{}", line.escape_ascii());
        let said = bad.to_string();
        assert!(said.starts_with("line 3: "), "{said}");
    }
    // What is just within the bounds.
    let name = "n".repeat(limits::TOKEN_NAME_MAX_BYTES);
    let token = "t".repeat(limits::TOKEN_MAX_BYTES);
    assert_eq!(parse(format!("{name} read {token}")).unwrap().len(), 1);
}

#[test]
fn names_and_tokens_stand_once() {
    let bad = parse("a read t\n\na publish u\n").unwrap_err();
    assert_eq!((bad.line, bad.fault), (3, Fault::RepeatedName(1)));
    let bad = parse("a read t\n#\nb read t\n").unwrap_err();
    assert_eq!((bad.line, bad.fault), (3, Fault::RepeatedToken(1)));
    assert_eq!(
        bad.to_string(),
        "line 3: the token is already on line 1 already"
    );
    assert!(parse("a read b\nb read a\nA read A\n").is_ok());
}

#[test]
fn tokens_are_bounded_in_number() {
    let line = |n| format!("name{n} read token{n}\n");
    let mut text: String = (0..limits::TOKENS_MAX).map(line).collect();
    assert!(text.len() <= limits::TOKENS_FILE_MAX_BYTES);
    assert_eq!(parse(&text).unwrap().len(), limits::TOKENS_MAX);
    text += "# a comment\none read more\n";
    let bad = parse(&text).unwrap_err();
    assert_eq!(
        (bad.line, bad.fault),
        (limits::TOKENS_MAX + 2, Fault::TooMany)
    );
}

#[test]
fn credentials_are_good_for_what_the_line_says() {
    let tokens = parse("p publish ppp\nr read rrr\nb publish,read bbb\n").unwrap();
    let (publish, read) = (Some(Scope::Publish), Some(Scope::Read));
    for (token, for_publish, for_read) in [
        (
            "ppp",
            TokenCheck::Granted,
            TokenCheck::Insufficient(Scope::Read),
        ),
        (
            "rrr",
            TokenCheck::Insufficient(Scope::Publish),
            TokenCheck::Granted,
        ),
        ("bbb", TokenCheck::Granted, TokenCheck::Granted),
        ("xxx", TokenCheck::Unknown, TokenCheck::Unknown),
    ] {
        let field = format!("Bearer {token}");
        assert_eq!(check(&tokens, &field, publish), for_publish);
        assert_eq!(check(&tokens, &field, read), for_read);
        let any = match token {
            "xxx" => TokenCheck::Unknown,
            _ => TokenCheck::Granted,
        };
        assert_eq!(check(&tokens, &field, None), any);
    }
    // With no token in the file, nobody gets in.
    let nobody = Tokens::default();
    assert_eq!(check(&nobody, "Bearer ppp", None), TokenCheck::Unknown);
    assert_eq!(check(&nobody, "Bearer ", None), TokenCheck::Missing);
}

#[test]
fn the_field_is_a_scheme_and_a_token() {
    let tokens = parse("n read secret\n").unwrap();
    let cases = [
        ("Bearer secret", TokenCheck::Granted),
        ("bearer secret", TokenCheck::Granted),
        ("BEARER   secret", TokenCheck::Granted),
        ("Bearer SECRET", TokenCheck::Unknown),
        ("Bearer secret,", TokenCheck::Unknown),
        ("Bearer secret secret", TokenCheck::Unknown),
        ("Bearer \"secret\"", TokenCheck::Unknown),
        ("Bearer secret, Bearer secret", TokenCheck::Unknown),
        ("Bearer secre", TokenCheck::Unknown),
        ("Bearer secrets", TokenCheck::Unknown),
        ("", TokenCheck::Missing),
        ("Bearer", TokenCheck::Missing),
        ("secret", TokenCheck::Missing),
        ("Bearersecret", TokenCheck::Missing),
        ("Bearer=secret", TokenCheck::Missing),
        (" secret", TokenCheck::Missing),
        ("Basic c2VjcmV0", TokenCheck::Missing),
        ("Token secret", TokenCheck::Missing),
    ];
    for (field, checked) in cases {
        assert_eq!(check(&tokens, field, Some(Scope::Read)), checked, "{field}");
    }
    let several = [&b"Bearer secret"[..], b"Bearer secret"];
    assert_eq!(tokens.check(several.into_iter(), None), TokenCheck::Unknown);
    assert_eq!(tokens.check(std::iter::empty(), None), TokenCheck::Missing);
}

#[test]
fn what_can_be_printed_holds_no_token() {
    let tokens = parse("n read secret\n").unwrap();
    assert_eq!(format!("{tokens:?}"), "Tokens { count: 1, .. }");
    let text = "n read secret\nm reed secret-too\n";
    let bad = parse(text).unwrap_err();
    assert!(!format!("{bad:?} {bad}").contains("secret"));
}

/// A legal line's parts.
fn parts() -> impl Strategy<Value = Vec<(String, u8, String)>> {
    let names = btree_set("[^\\s\\p{Cc}#][^\\s\\p{Cc}]{0,20}", 0..20);
    let tokens = btree_set("[!-\"$-~][!-~]{0,40}", 20..21);
    (names, vec(1_u8..=BOTH, 20), tokens).prop_map(|(names, scopes, tokens)| {
        let rest = scopes.into_iter().zip(tokens);
        let joined = names
            .into_iter()
            .filter(|name| !name.starts_with('\u{feff}'))
            .zip(rest);
        joined
            .map(|(name, (scopes, token))| (name, scopes, token))
            .collect()
    })
}

proptest! {
    #[test]
    fn any_text_is_tokens_or_a_line_of_it(text in vec(any::<u8>(), 0..400)) {
        let lines = text.split(|&byte| byte == b'\n').count();
        match Tokens::parse(&text) {
            Ok(tokens) => prop_assert!(tokens.len() <= lines),
            Err(bad) => prop_assert!((1..=lines).contains(&bad.line)),
        }
    }

    /// Text that is nearly right reaches further into the parser.
    #[test]
    fn any_fields_are_tokens_or_a_line_of_them(
        text in "((a|b|#|\u{feff}|\\t| |publish|read|,|\r|\n){1,3}( |\n)){0,40}",
    ) {
        let lines = text.split('\n').count();
        if let Err(bad) = parse(&text) {
            prop_assert!((1..=lines).contains(&bad.line));
        }
    }

    #[test]
    fn what_is_written_is_read(parts in parts(), end in "\r?\n", gap in "[ \t]{1,3}") {
        let names = ["", "publish", "read", "publish,read"];
        let text: String = parts
            .iter()
            .map(|(name, scopes, token)| {
                format!("{name}{gap}{}{gap}{token}{end}", names[usize::from(*scopes)])
            })
            .collect();
        let tokens = parse(&text).unwrap();
        prop_assert_eq!(tokens.len(), parts.len());
        for (_, scopes, token) in &parts {
            prop_assert_eq!(tokens.scopes_of(token.as_bytes()), *scopes);
            let longer = format!("{token}x");
            if parts.iter().all(|(_, _, other)| *other != longer) {
                prop_assert_eq!(tokens.scopes_of(longer.as_bytes()), 0);
            }
        }
    }

    /// Any field at all, and any token that is not in the file, is turned away.
    #[test]
    fn what_is_not_in_the_file_is_never_granted(field in vec(any::<u8>(), 0..60)) {
        let tokens = parse("n publish,read a-secret-nobody-guesses\n").unwrap();
        let checked = tokens.check([&field[..]].into_iter(), None);
        prop_assert!(matches!(checked, TokenCheck::Missing | TokenCheck::Unknown));
        let bearer = [b"Bearer ", &field[..]].concat();
        let checked = tokens.check([&bearer[..]].into_iter(), None);
        prop_assert!(matches!(checked, TokenCheck::Missing | TokenCheck::Unknown));
    }
}
