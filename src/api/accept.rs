//! What a request says in `Accept` (RFC 9110 §12.5.1) of a media type that could answer it.

use crate::http::Request;

/// How much a media type is preferred. The greater the more; the default is not acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Welcome {
    /// The weight, in thousandths.
    pub weight: u16,
    /// It is named, and not only among those that a `*` stands for.
    pub named: bool,
}

/// How much a media type without parameters is preferred. `suits` looks at the parameters that the request gives to
/// that type, in lower case and without quotes, and returns whether what is served has them. Without an `Accept`
/// everything is acceptable; malformed elements are ignored.
pub(crate) fn welcome(
    request: &Request,
    media_type: &str,
    suits: fn(&str, &str) -> bool,
) -> Welcome {
    let mut fields = request.headers("accept").peekable();
    if fields.peek().is_none() {
        return Welcome {
            weight: 1_000,
            named: false,
        };
    }
    let elements = fields
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','));
    // The most specific range that matches decides, whatever weight the others give.
    let decisive = elements
        .filter_map(|element| matching(element, media_type, suits))
        .max_by_key(|(precision, weight)| (*precision, *weight));
    decisive.map_or(Welcome::default(), |(precision, weight)| Welcome {
        weight,
        named: precision == Precision::Type && weight > 0,
    })
}

/// How specific a media range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Anything,
    Subtypes,
    Type,
}

/// An element that matches, with its weight.
fn matching(
    element: &str,
    media_type: &str,
    suits: fn(&str, &str) -> bool,
) -> Option<(Precision, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let range = parts.next()?.to_ascii_lowercase();
    let precision = match range.strip_suffix("/*") {
        Some("*") => Precision::Anything,
        Some(kind) if media_type.split('/').next() == Some(kind) => Precision::Subtypes,
        None if range == media_type => Precision::Type,
        _ => return None,
    };
    let mut weight = 1_000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        if name == "q" {
            weight = thousandths(&value)?;
        } else if precision == Precision::Type && !suits(&name, &value) {
            return None;
        }
    }
    Some((precision, weight))
}

/// A weight: 0 to 1 with at most three decimals (RFC 9110 §12.4.2).
pub(super) fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1")
        || decimals.len() > 3
        || !decimals.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let weight: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (weight <= 1_000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn weights_are_those_of_the_rfc() {
        for (text, weight) in [
            ("0", Some(0)),
            ("1", Some(1_000)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.001", Some(1)),
            ("1.000", Some(1_000)),
            ("0.", Some(0)),
            ("1.001", None),
            ("0.0001", None),
            ("2", None),
            (".5", None),
            ("-0", None),
            ("0.+1", None),
            ("", None),
        ] {
            assert_eq!(thousandths(text), weight, "{text}");
        }
    }
}
