//! A second reading of HTTP/1.1 requests (RFC 9110, RFC 9112), for whole connections only: written from
//! the documents, without the server's parts and without `httparse`, and as strict as the interface is.

use logagg::limits::{
    CHUNK_EXCESS_MAX_BYTES, CHUNK_FRAMING_BYTES, CHUNK_FRAMING_PER_BYTE, CHUNK_LINE_MAX_BYTES,
    CONTENT_LENGTH_MAX, HEADERS_MAX, HEAD_MAX_BYTES, TARGET_MAX_BYTES, TRAILERS_MAX_BYTES,
};

/// What a connection that got these bytes and then the end must have made of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Method, path, query and body of each request, written as the tests' driver does.
    pub requests: Vec<(String, Vec<u8>)>,
    /// Something was refused after these.
    pub refused: bool,
}

/// Something is not as it must be, or not all of it is there.
struct Refused;

type Read<T> = Result<T, Refused>;

enum Framing {
    Nothing,
    Length(u64),
    Chunked,
}

struct Head {
    line: String,
    framing: Framing,
    is_early: bool,
    expects: bool,
    expects_other: bool,
    keeps: bool,
}

/// Reads all requests. Bodies may be `body_max` bytes long. What begins with `/early` is answered from
/// its head alone.
pub fn read(bytes: &[u8], body_max: usize, discard_max: u64) -> Expected {
    let mut expected = Expected::default();
    let mut rest = bytes;
    loop {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        if rest.is_empty() {
            return expected;
        }
        let goes_on = request(&mut rest, body_max, discard_max, &mut expected.requests);
        match goes_on {
            Ok(true) => {}
            Ok(false) => return expected,
            Err(Refused) => {
                expected.refused = true;
                return expected;
            }
        }
    }
}

/// Takes a request off; says whether another one may follow.
fn request(
    rest: &mut &[u8],
    body_max: usize,
    discard_max: u64,
    requests: &mut Vec<(String, Vec<u8>)>,
) -> Read<bool> {
    let head = head(rest)?;
    let is_simple = matches!(head.framing, Framing::Nothing) && !head.expects_other;
    if head.is_early && !is_simple {
        requests.push((head.line, Vec::new()));
        let length = match head.framing {
            Framing::Nothing => 0,
            Framing::Length(length) if length <= discard_max && !head.expects => length,
            // It is not waited for.
            _ => return Ok(false),
        };
        let length = length as usize;
        if rest.len() < length {
            *rest = b"";
            return Ok(false);
        }
        *rest = &rest[length..];
        return Ok(head.keeps);
    }
    if head.expects_other {
        return Err(Refused);
    }
    let body = match head.framing {
        Framing::Nothing => Vec::new(),
        Framing::Length(length) => {
            let length = usize::try_from(length).map_err(|_| Refused)?;
            if length > body_max || length > rest.len() {
                return Err(Refused);
            }
            let (body, behind) = rest.split_at(length);
            *rest = behind;
            body.to_vec()
        }
        Framing::Chunked => chunks(rest, body_max)?,
    };
    requests.push((head.line, body));
    Ok(head.keeps)
}

/// Takes a line off, its CRLF not included. A CR or LF inside is no line end.
fn line<'b>(rest: &mut &'b [u8]) -> Read<&'b [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Refused)?;
    let line = rest[..end].strip_suffix(b"\r").ok_or(Refused)?;
    if line.contains(&b'\r') {
        return Err(Refused);
    }
    *rest = &rest[end + 1..];
    Ok(line)
}

fn head(rest: &mut &[u8]) -> Read<Head> {
    let before = rest.len();
    let request_line = line(rest)?;
    let (method, target, minor) = request_line_parts(request_line)?;
    let (path, query) = target_parts(method, target)?;
    let mut fields = Vec::new();
    loop {
        let line = line(rest)?;
        if line.is_empty() {
            break;
        }
        fields.push(field(line)?);
    }
    if before - rest.len() > HEAD_MAX_BYTES || fields.len() > HEADERS_MAX {
        return Err(Refused);
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let named = fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| *value).collect()
    };

    let hosts = values("Host");
    let is_host = |value: &&[u8]| value.is_empty() || is_authority(value);
    if hosts.len() > 1 || (hosts.is_empty() && minor == 1) || !hosts.iter().all(is_host) {
        return Err(Refused);
    }
    let framing = framing(
        &values("Content-Length"),
        &values("Transfer-Encoding"),
        minor,
    )?;
    let expectations = values("Expect");
    let is_known = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
    let options: Vec<Vec<u8>> = values("Connection")
        .into_iter()
        .flat_map(elements)
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    let says = |option: &[u8]| options.iter().any(|said| said == option);
    let method = match method {
        b"GET" => "Get",
        b"HEAD" => "Head",
        b"POST" => "Post",
        b"PUT" => "Put",
        b"DELETE" => "Delete",
        b"OPTIONS" => "Options",
        _ => "Other",
    };
    Ok(Head {
        line: format!("{method} {path} {query:?}"),
        framing,
        is_early: path.starts_with("/early"),
        expects: minor == 1 && !expectations.is_empty(),
        expects_other: minor == 1 && !expectations.iter().all(is_known),
        keeps: !says(b"close") && (minor == 1 || says(b"keep-alive")),
    })
}

/// Method, target and minor version (RFC 9112 §3).
fn request_line_parts(line: &[u8]) -> Read<(&[u8], &str, u8)> {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        return Err(Refused);
    };
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        _ => return Err(Refused),
    };
    let is_graphic = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b'#';
    if !is_token(method) || target.is_empty() || !target.iter().all(is_graphic) {
        return Err(Refused);
    }
    if target.len() > TARGET_MAX_BYTES {
        return Err(Refused);
    }
    let target = std::str::from_utf8(target).map_err(|_| Refused)?;
    Ok((method, target, minor))
}

/// Path and query (RFC 9112 §3.2).
fn target_parts<'t>(method: &[u8], target: &'t str) -> Read<(&'t str, Option<&'t str>)> {
    let path_and_query = if method == b"CONNECT" {
        let (host, port) = target.rsplit_once(':').ok_or(Refused)?;
        if host.is_empty() || port.is_empty() || !is_authority(target.as_bytes()) {
            return Err(Refused);
        }
        target
    } else if target.starts_with('/') || (method == b"OPTIONS" && target == "*") {
        target
    } else {
        let scheme = target.find("://").ok_or(Refused)?;
        if !["http", "https"].contains(&&*target[..scheme].to_ascii_lowercase()) {
            return Err(Refused);
        }
        let behind = &target[scheme + 3..];
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let authority = &behind.as_bytes()[..end];
        if authority.is_empty() || authority[0] == b':' || !is_authority(authority) {
            return Err(Refused);
        }
        &behind[end..]
    };
    let (path, query) = match path_and_query.find('?') {
        Some(at) => (&path_and_query[..at], Some(&path_and_query[at + 1..])),
        None => (path_and_query, None),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// Name and value of a field line (RFC 9112 §5).
fn field(line: &[u8]) -> Read<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refused)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_legal = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
    if !is_token(name) || !value.iter().all(is_legal) {
        return Err(Refused);
    }
    Ok((name, value.trim_ascii()))
}

/// RFC 9112 §6.3.
fn framing(lengths: &[&[u8]], codings: &[&[u8]], minor: u8) -> Read<Framing> {
    let mut length = None;
    for element in lengths.iter().flat_map(|value| elements(value)) {
        if element.is_empty() || !element.iter().all(u8::is_ascii_digit) {
            return Err(Refused);
        }
        let digits = element.iter().skip_while(|byte| **byte == b'0');
        // More digits than 2^63 has would not fit.
        if digits.clone().count() > 19 {
            return Err(Refused);
        }
        let number = digits.fold(0_u64, |n, byte| n * 10 + u64::from(byte - b'0'));
        if number > CONTENT_LENGTH_MAX || length.is_some_and(|other| other != number) {
            return Err(Refused);
        }
        length = Some(number);
    }
    if codings.is_empty() {
        return Ok(match length {
            None | Some(0) => Framing::Nothing,
            Some(length) => Framing::Length(length),
        });
    }
    let codings: Vec<&[u8]> = codings.iter().flat_map(|value| elements(value)).collect();
    let is_chunked = codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked");
    if minor == 0 || length.is_some() || !is_chunked {
        return Err(Refused);
    }
    Ok(Framing::Chunked)
}

/// A chunked body (RFC 9112 §7.1), its trailer section included.
fn chunks(rest: &mut &[u8], body_max: usize) -> Read<Vec<u8>> {
    let mut body = Vec::new();
    let mut excess = 0_i64;
    loop {
        let line = line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (size, extension) = line.split_at(digits.count());
        let is_legal = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        let has_form = extension.is_empty() || extension.trim_ascii_start().starts_with(b";");
        if size.is_empty() || !has_form || !extension.iter().all(is_legal) {
            return Err(Refused);
        }
        if line.len() + 1 > CHUNK_LINE_MAX_BYTES {
            return Err(Refused);
        }
        let size = std::str::from_utf8(size).map_err(|_| Refused)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| Refused)?;
        if size > body_max - body.len() {
            return Err(Refused);
        }
        // Line, line end and the line end after the data, less what is allowed for them.
        let allowed = CHUNK_FRAMING_BYTES + CHUNK_FRAMING_PER_BYTE * size as u64;
        excess = (excess + line.len() as i64 + 4 - allowed as i64).max(0);
        if excess > CHUNK_EXCESS_MAX_BYTES as i64 {
            return Err(Refused);
        }
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 || &rest[size..size + 2] != b"\r\n" {
            return Err(Refused);
        }
        body.extend_from_slice(&rest[..size]);
        *rest = &rest[size + 2..];
    }
    let (mut bytes, mut count) = (0, 0);
    loop {
        let line = line(rest)?;
        if line.is_empty() {
            return Ok(body);
        }
        field(line)?;
        bytes += line.len() + 2;
        count += 1;
        if bytes > TRAILERS_MAX_BYTES || count > HEADERS_MAX {
            return Err(Refused);
        }
    }
}

/// The elements of a list (RFC 9110 §5.6.1), empty ones too.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(byte))
}

/// Host and optional port (RFC 3986 §3.2.2 and §3.2.3).
fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !text[colon..].contains(&b']') => (&text[..colon], &text[colon + 1..]),
        _ => (text, &b""[..]),
    };
    let within = |text: &[u8], marks: &[u8]| {
        text.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(byte))
    };
    let is_host = match host {
        [b'[', literal @ .., b']'] => !literal.is_empty() && within(literal, b":.-_~"),
        name => within(name, b"-._~!$&'()*+,;=%"),
    };
    is_host && port.iter().all(u8::is_ascii_digit)
}
