//! MessagePack: the length of an object whose bytes are still arriving, and its tokens once all are there.
//!
//! Neither recurses: an object is a sequence of tokens; those of arrays and maps say how many more follow.

/// Bytes that are no MessagePack, or end within an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below 0.
    Negative(i64),
    Float32(f32),
    Float64(f64),
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Extension(i8, &'a [u8]),
    /// The number of elements that follow.
    Array(u32),
    /// The number of pairs that follow.
    Map(u32),
}

/// How long a token is, and how many objects it has after it.
struct Header {
    /// Bytes of its tag and its length.
    head: usize,
    /// Bytes of its content, an extension's type among them.
    content: usize,
    /// Objects that belong to it.
    children: u64,
}

/// The header of the token at the beginning of `bytes`; `None` where bytes of it are missing.
fn header(bytes: &[u8]) -> Result<Option<Header>, Broken> {
    let Some(&tag) = bytes.first() else {
        return Ok(None);
    };
    let fixed = |content: usize| Some((0, content, 0));
    let counted = |size: usize| number(bytes, size).map(|count| (size, count as usize));
    let found = match tag {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => fixed(0),
        0x80..=0x8f => Some((0, 0, 2 * u64::from(tag & 15))),
        0x90..=0x9f => Some((0, 0, u64::from(tag & 15))),
        0xa0..=0xbf => fixed(usize::from(tag & 31)),
        0xc1 => return Err(Broken),
        0xc4..=0xc6 => counted(1 << (tag - 0xc4)).map(|(size, count)| (size, count, 0)),
        0xc7..=0xc9 => counted(1 << (tag - 0xc7)).map(|(size, count)| (size, count + 1, 0)),
        0xca | 0xce | 0xd2 => fixed(4),
        0xcb | 0xcf | 0xd3 => fixed(8),
        0xcc | 0xd0 => fixed(1),
        0xcd | 0xd1 => fixed(2),
        0xd4..=0xd8 => fixed(1 + (1 << (tag - 0xd4))),
        0xd9..=0xdb => counted(1 << (tag - 0xd9)).map(|(size, count)| (size, count, 0)),
        0xdc | 0xdd => counted(2 << (tag - 0xdc)).map(|(size, count)| (size, 0, count as u64)),
        0xde | 0xdf => counted(2 << (tag - 0xde)).map(|(size, count)| (size, 0, 2 * count as u64)),
    };
    Ok(found.map(|(size, content, children)| Header {
        head: 1 + size,
        content,
        children,
    }))
}

/// The big-endian number of `size` bytes after the tag.
fn number(bytes: &[u8], size: usize) -> Option<u64> {
    let digits = bytes.get(1..1 + size)?;
    Some(digits.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// Finds the end of an object whose bytes are still arriving. Looks at each byte once.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// Bytes that have been looked at; may be beyond those that are there.
    at: usize,
    /// Objects that are still to come.
    left: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl Scanner {
    /// Continues with an object that begins with `bytes`, those of the last call and perhaps more. Returns its length
    /// once all of it is there.
    ///
    /// # Errors
    /// It is no object, or it will be longer than `limit`.
    pub fn scan(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>, Broken> {
        while self.left > 0 {
            let Some(rest) = bytes.get(self.at..) else {
                return Ok(None);
            };
            let Some(header) = header(rest)? else {
                return Ok(None);
            };
            self.at = self.at.saturating_add(header.head + header.content);
            self.left = (self.left - 1).saturating_add(header.children);
            // Each object that is to come has at least a byte.
            let least = u64::try_from(self.at)
                .unwrap_or(u64::MAX)
                .saturating_add(self.left);
            if least > limit as u64 {
                return Err(Broken);
            }
        }
        Ok((self.at <= bytes.len()).then_some(self.at))
    }
}

/// The length of the object that `bytes` begin with, all of which must be there.
pub fn length(bytes: &[u8]) -> Result<usize, Broken> {
    Scanner::default().scan(bytes, bytes.len())?.ok_or(Broken)
}

/// Reads tokens one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Skips the next object, and returns its bytes.
    pub fn object(&mut self) -> Result<&'a [u8], Broken> {
        let (object, rest) = self.bytes.split_at(length(self.bytes)?);
        self.bytes = rest;
        Ok(object)
    }

    pub fn token(&mut self) -> Result<Token<'a>, Broken> {
        let header = header(self.bytes)?.ok_or(Broken)?;
        let (head, rest) = self.bytes.split_at(header.head);
        let (content, rest) = rest.split_at_checked(header.content).ok_or(Broken)?;
        self.bytes = rest;
        let tag = head[0];
        let unsigned = || content.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        // Sign-extended from the size that it has.
        let signed = || {
            let unused = 64 - 8 * content.len() as u32;
            ((unsigned() << unused) as i64) >> unused
        };
        let integer = |number: i64| match u64::try_from(number) {
            Ok(number) => Token::Unsigned(number),
            Err(_) => Token::Negative(number),
        };
        Ok(match tag {
            0x00..=0x7f => Token::Unsigned(tag.into()),
            0xe0..=0xff => Token::Negative(i64::from(tag as i8)),
            0xc0 | 0xc1 => Token::Nil,
            0xc2 | 0xc3 => Token::Bool(tag == 0xc3),
            0xa0..=0xbf | 0xd9..=0xdb => Token::Text(content),
            0xc4..=0xc6 => Token::Binary(content),
            0xca => Token::Float32(f32::from_bits(unsigned() as u32)),
            0xcb => Token::Float64(f64::from_bits(unsigned())),
            0xcc..=0xcf => Token::Unsigned(unsigned()),
            0xd0..=0xd3 => integer(signed()),
            0xc7..=0xc9 | 0xd4..=0xd8 => match content.split_first() {
                Some((kind, data)) => Token::Extension(*kind as i8, data),
                None => return Err(Broken),
            },
            0x90..=0x9f | 0xdc | 0xdd => Token::Array(header.children as u32),
            0x80..=0x8f | 0xde | 0xdf => Token::Map((header.children / 2) as u32),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(bytes: &[u8]) -> Token<'_> {
        assert_eq!(
            length(bytes).is_ok(),
            !matches!(bytes[0], 0x82 | 0x92 | 0xdc..=0xdf)
        );
        Reader::new(bytes).token().unwrap()
    }

    #[test]
    fn each_format_is_read() {
        for (bytes, expected) in [
            (&b"\x00"[..], Token::Unsigned(0)),
            (b"\x7f", Token::Unsigned(127)),
            (b"\xff", Token::Negative(-1)),
            (b"\xe0", Token::Negative(-32)),
            (b"\xc0", Token::Nil),
            (b"\xc2", Token::Bool(false)),
            (b"\xc3", Token::Bool(true)),
            (b"\xcc\xff", Token::Unsigned(255)),
            (b"\xcd\x01\x00", Token::Unsigned(256)),
            (b"\xce\xff\xff\xff\xff", Token::Unsigned(u32::MAX.into())),
            (
                b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                Token::Unsigned(u64::MAX),
            ),
            (b"\xd0\x80", Token::Negative(-128)),
            (b"\xd0\x7f", Token::Unsigned(127)),
            (b"\xd1\xff\x7f", Token::Negative(-129)),
            (b"\xd2\x80\x00\x00\x00", Token::Negative(i32::MIN.into())),
            (
                b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
                Token::Negative(i64::MIN),
            ),
            (b"\xca\x3f\x80\x00\x00", Token::Float32(1.0)),
            (b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", Token::Float64(1.0)),
            (b"\xa2hi", Token::Text(b"hi")),
            (b"\xd9\x02hi", Token::Text(b"hi")),
            (b"\xda\x00\x02hi", Token::Text(b"hi")),
            (b"\xdb\x00\x00\x00\x02hi", Token::Text(b"hi")),
            (b"\xc4\x01a", Token::Binary(b"a")),
            (b"\xc5\x00\x01a", Token::Binary(b"a")),
            (b"\xc6\x00\x00\x00\x01a", Token::Binary(b"a")),
            (b"\xd7\x0012345678", Token::Extension(0, b"12345678")),
            (b"\xd4\xffa", Token::Extension(-1, b"a")),
            (b"\xc7\x01\x05a", Token::Extension(5, b"a")),
            (b"\xc8\x00\x01\x05a", Token::Extension(5, b"a")),
            (b"\xc9\x00\x00\x00\x00\x05", Token::Extension(5, b"")),
            (b"\x92", Token::Array(2)),
            (b"\xdc\x01\x00", Token::Array(256)),
            (b"\xdd\x00\x01\x00\x00", Token::Array(65_536)),
            (b"\x82", Token::Map(2)),
            (b"\xde\x01\x00", Token::Map(256)),
            (b"\xdf\x00\x01\x00\x00", Token::Map(65_536)),
        ] {
            assert_eq!(token(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_broken_or_too_long_is_refused_early() {
        assert_eq!(length(b"\xc1"), Err(Broken));
        assert_eq!(length(b""), Err(Broken));
        assert_eq!(length(b"\x92\x01"), Err(Broken));
        assert_eq!(length(b"\xa2h"), Err(Broken));
        let scan = |bytes: &[u8]| Scanner::default().scan(bytes, 1_000);
        assert_eq!(
            scan(b"\xdb\x00\x01\x00\x00"),
            Err(Broken),
            "a text of 64 KiB"
        );
        assert_eq!(
            scan(b"\xdd\xff\xff\xff\xff"),
            Err(Broken),
            "more elements than bytes"
        );
        assert_eq!(scan(b"\xdb\x00\x00\x03"), Ok(None));
        // Nested as deeply as there are bytes.
        let nested = vec![0x91; 999];
        assert_eq!(scan(&nested), Ok(None));
        assert_eq!(scan(&[&nested[..], b"\x01"].concat()), Ok(Some(1_000)));
    }

    /// An object as bytes, with its depth bounded.
    fn object() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            any::<u8>()
                .prop_filter(
                    "no container",
                    |b| matches!(b, 0..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2)
                )
                .prop_map(|b| vec![b]),
            any::<i64>().prop_map(|n| [&[0xd3], &n.to_be_bytes()[..]].concat()),
            any::<f64>().prop_map(|n| [&[0xcb], &n.to_be_bytes()[..]].concat()),
            prop::collection::vec(any::<u8>(), 0..31).prop_map(|b| [
                &[0xa0 + b.len() as u8],
                &b[..]
            ]
            .concat()),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(|b| [
                &[0xc4, b.len() as u8],
                &b[..]
            ]
            .concat()),
        ];
        leaf.prop_recursive(4, 32, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(|all| [
                    &[0x90 + all.len() as u8],
                    &all.concat()[..]
                ]
                .concat()),
                prop::collection::vec((inner.clone(), inner), 0..8).prop_map(|all| {
                    let pairs: Vec<u8> = all
                        .iter()
                        .flat_map(|(key, value)| [&key[..], &value[..]].concat())
                        .collect();
                    [&[0x80 + all.len() as u8], &pairs[..]].concat()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_end_is_found_wherever_the_bytes_are_cut(
            object in object(),
            more in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let bytes = [&object[..], &more[..]].concat();
            prop_assert_eq!(length(&bytes), Ok(object.len()));
            let mut scanner = Scanner::default();
            for end in 0..object.len() {
                prop_assert_eq!(scanner.scan(&object[..end], 10_000), Ok(None));
            }
            prop_assert_eq!(scanner.scan(&bytes, 10_000), Ok(Some(object.len())));
            // All tokens of it, and nothing else.
            let mut reader = Reader::new(&object);
            let mut left = 1_u64;
            while left > 0 {
                left = left - 1 + match reader.token().unwrap() {
                    Token::Array(count) => count.into(),
                    Token::Map(count) => 2 * u64::from(count),
                    _ => 0,
                };
            }
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = length(&bytes);
            let mut reader = Reader::new(&bytes);
            while !reader.rest().is_empty() && reader.token().is_ok() {}
        }
    }
}
