//! Request targets: which are legal, in each of their four forms (RFC 9112 §3.2).

use super::protocol::ProtocolError;

const BAD_TARGET: ProtocolError = ProtocolError::new(
    400,
    "The request target is malformed; send a path in ASCII, percent-encoded and without a fragment.",
);

/// The part of a target that says what is asked for: path and query of the origin-form and the absolute-form,
/// the other two forms as they are.
pub(super) fn reduce<'t>(method: &str, target: &'t str) -> Result<&'t str, ProtocolError> {
    // RFC 3986 §2 knows ASCII only; RFC 9112 §3.2 leaves a fragment no place.
    if !target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err(BAD_TARGET);
    }
    // §3.2.3: CONNECT has the authority-form, with a port, and nothing else has it.
    if method == "CONNECT" {
        let named = target.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !port.is_empty() && is_authority(target.as_bytes())
        });
        return if named { Ok(target) } else { Err(BAD_TARGET) };
    }
    // §3.2.1: origin-form.
    if target.starts_with('/') {
        return Ok(target);
    }
    // §3.2.4: asterisk-form, for OPTIONS only.
    if target == "*" && method == "OPTIONS" {
        return Ok(target);
    }
    // §3.2.2: absolute-form, which every server must take.
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(BAD_TARGET);
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BAD_TARGET);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, reduced) = rest.split_at(end);
    // RFC 9110 §4.2.1: an empty host is invalid.
    if authority.is_empty() || authority.starts_with(':') || !is_authority(authority.as_bytes()) {
        return Err(BAD_TARGET);
    }
    Ok(reduced)
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), without user information.
pub(super) fn is_authority(text: &[u8]) -> bool {
    // A pattern compiles to a few comparisons, where a search would take longer; each request has a Host.
    let name = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'%'
            )
            || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
    };
    let (host_is_legal, port) = if text.first() == Some(&b'[') {
        let Some(end) = text.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let literal = &text[1..end];
        let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b":.-_~".contains(byte);
        (
            !literal.is_empty() && literal.iter().all(legal),
            &text[end + 1..],
        )
    } else {
        let end = text
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(text.len());
        (text[..end].iter().all(name), &text[end..])
    };
    host_is_legal
        && match port {
            [] => true,
            [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn each_character_of_a_host_is_one_that_the_rfc_lists() {
        // RFC 3986 §2.3 unreserved, §2.2 sub-delims, and the percent sign of §2.1.
        const MARKS: &[u8] = b"-._~!$&'()*+,;=%";
        for byte in 0..=u8::MAX {
            let is_legal = byte.is_ascii_alphanumeric() || MARKS.contains(&byte);
            // A colon begins the port, which may be empty.
            let expected = is_legal || byte == b':';
            assert_eq!(is_authority(&[b'a', byte]), expected, "{byte}");
        }
    }
}
