//! The query of a target: pairs, percent-decoding, and the values that several routes share.

use super::detail::{Detail, Details};
use crate::limits;
use crate::text::changes;

/// Decodes `%XX`, and with `form` a `+` as a space, as browsers and HTTP libraries encode queries.
/// `None` where an escape is broken or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Appends `text` with everything but unreserved characters and `*` as `%XX`.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(digit.into(), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
}

/// Changes of one character that a guess at what was meant may be away.
const GUESS_MAX_CHANGES: usize = 2;

/// Refuses members whose decoded name is not among `known`: a misspelt filter would otherwise be passed
/// over, and the answer be unfiltered. Names that begin with `_` pass, for pages that break caches with
/// them; a name with a broken escape is unknown; an empty piece (`&&`) is no member.
///
/// # Errors
/// One entry for each such member, in the order of the query.
pub(crate) fn check_names(query: Option<&str>, known: &[&str]) -> Result<(), Details> {
    let mut unknown = Details::default();
    for pair in query.unwrap_or_default().split('&') {
        if pair.is_empty() {
            continue;
        }
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let decoded = percent_decode(name, true);
        let is_legal = |name: &String| name.starts_with('_') || known.contains(&name.as_str());
        if !decoded.as_ref().is_some_and(is_legal) {
            let name = decoded.unwrap_or_else(|| name.to_owned());
            let msg = match guess(&name, known) {
                Some(meant) => format!("unknown query member; did you mean {meant}?"),
                None => format!("unknown query member; known are {}", known.join(", ")),
            };
            unknown.push(Detail::unknown_member(name, msg));
        }
    }
    match unknown.as_slice() {
        [] => Ok(()),
        _ => Err(unknown),
    }
}

/// The known name that is the fewest changes away from `name`, if that is not too many.
fn guess<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(limits::NAME_MAX_BYTES).collect();
    let distances = known.iter().map(|known| (changes(&name, known), *known));
    let (changes, nearest) = distances.min_by_key(|(changes, _)| *changes)?;
    (changes <= GUESS_MAX_CHANGES).then_some(nearest)
}

/// The values of the query member `name`, decoded, in order; a broken value is an error.
pub(crate) fn values(query: Option<&str>, name: &'static str) -> Result<Vec<String>, Details> {
    let mut found = Vec::new();
    let Some(query) = query else {
        return Ok(found);
    };
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode(key, true).as_deref() == Some(name) {
            let value = percent_decode(value, true).ok_or_else(|| {
                Details::query(
                    name,
                    format!("{name} has a broken percent-escape or is not UTF-8"),
                )
            })?;
            found.push(value);
        }
    }
    Ok(found)
}

/// The one value of `name`; two are an error.
pub(crate) fn single(query: Option<&str>, name: &'static str) -> Result<Option<String>, Details> {
    let mut found = values(query, name)?;
    if found.len() > 1 {
        return Err(Details::query(
            name,
            format!("{name} may be given only once"),
        ));
    }
    Ok(found.pop())
}

/// A flag: `true`, `false`, `1` or `0`; false where absent.
pub(crate) fn flag(query: Option<&str>, name: &'static str) -> Result<bool, Details> {
    flag_or(query, name, false)
}

/// A flag, and what it is where absent.
pub(crate) fn flag_or(
    query: Option<&str>,
    name: &'static str,
    absent: bool,
) -> Result<bool, Details> {
    match single(query, name)?.as_deref() {
        None => Ok(absent),
        Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(Details::query(
            name,
            format!("{name} must be true, false, 1 or 0"),
        )),
    }
}

/// A whole number in decimal digits.
pub(crate) fn number(query: Option<&str>, name: &'static str) -> Result<Option<u64>, Details> {
    let Some(value) = single(query, name)? else {
        return Ok(None);
    };
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Details::query(
            name,
            format!("{name} must be a whole number in decimal digits"),
        ));
    }
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Details::query(name, format!("{name} is too large"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_or_refused() {
        for (text, form, decoded) in [
            ("a%20b", false, Some("a b")),
            ("a+b", false, Some("a+b")),
            ("a+b", true, Some("a b")),
            ("%2F%2f", false, Some("//")),
            ("%C3%A4", false, Some("ä")),
            ("%", false, None),
            ("%4", false, None),
            ("%+1", false, None),
            ("%ff", false, None),
        ] {
            assert_eq!(percent_decode(text, form).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let text = "a b/ä*%?&=+~";
        let mut encoded = String::new();
        percent_encode(text, &mut encoded);
        assert_eq!(encoded, "a%20b%2F%C3%A4*%25%3F%26%3D%2B~");
        assert_eq!(percent_decode(&encoded, true).as_deref(), Some(text));
    }

    #[test]
    fn names_that_are_not_known_are_refused() {
        let known = ["topic", "limit", "after"];
        for query in [
            "",
            "&",
            "&&topic=a&",
            "topic&limit=1",
            "_=1&_x",
            "%5f=1",
            "to%70ic=a",
        ] {
            assert_eq!(check_names(Some(query), &known), Ok(()), "{query}");
        }
        assert_eq!(check_names(None, &known), Ok(()));
        for (query, name, msg) in [
            ("limt=5", "limt", "did you mean limit?"),
            ("topic=a&Limit=5", "Limit", "did you mean limit?"),
            ("limti", "limti", "did you mean limit?"),
            ("tpoics=a", "tpoics", "did you mean topic?"),
            ("to%20pic=a", "to pic", "did you mean topic?"),
            ("before=1", "before", "known are topic, limit, after"),
            ("topi%=a", "topi%", "did you mean topic?"),
            ("%ff=1", "%ff", "known are topic, limit, after"),
            ("=1", "", "known are topic, limit, after"),
        ] {
            let details = check_names(Some(query), &known).unwrap_err();
            let wanted =
                Detail::unknown_member(name.to_owned(), format!("unknown query member; {msg}"));
            assert_eq!(details.as_slice(), [wanted], "{query}");
        }
        let many = "x&".repeat(1_000);
        let details = check_names(Some(&many), &known).unwrap_err();
        assert_eq!(details.as_slice().len(), limits::ERRORS_MAX);
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(
            values(Some("topic=a&x=1&topic=b"), "topic"),
            Ok(vec!["a".into(), "b".into()])
        );
        assert_eq!(number(Some("after=12"), "after"), Ok(Some(12)));
        assert_eq!(number(Some("other=12"), "after"), Ok(None));
        for bad in [
            "after=",
            "after=-1",
            "after=+1",
            "after=1&after=1",
            "after=99999999999999999999",
            "after=%zz",
        ] {
            assert!(number(Some(bad), "after").is_err(), "{bad}");
        }
        assert_eq!(flag(Some("results=1"), "results"), Ok(true));
        assert!(flag(Some("results=yes"), "results").is_err());
    }
}
