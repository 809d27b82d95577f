//! Protobuf's wire format: the fields of one message, one after the other, as slices of its bytes.
//!
//! A reader of our own, since those on crates.io build trees of owned values (`prost`, `protobuf`) or need unsafe code
//! and a generator (`quick-protobuf`), and none can stop in the middle of a body and continue later. Tests hold it
//! against `prost`. Knows no message.

/// Why bytes are not a message, as a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// The old form of a message. No field of ours has it.
    Group,
}

const WRONG_TYPE: Malformed = Malformed("a field has the wrong wire type");
const TRUNCATED: Malformed = Malformed("a field is cut off");

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn fixed64(self) -> Result<u64, Malformed> {
        match self {
            Value::Fixed64(number) => Ok(number),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn fixed32(self) -> Result<u32, Malformed> {
        match self {
            Value::Fixed32(number) => Ok(number),
            _ => Err(WRONG_TYPE),
        }
    }
}

/// The fields of a message that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Bytes that are left.
    pub(crate) fn rest(&self) -> usize {
        self.rest.len()
    }

    /// The number and the value of the next field; none at the end.
    ///
    /// # Errors
    /// The bytes are not a message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            3 => {
                self.skip_group()?;
                Value::Group
            }
            4 => return Err(Malformed("a group ends that has not begun")),
            _ => self.value(wire_type)?,
        };
        Ok(Some((number, value)))
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u32), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed("a field has no number"))?;
        if key < 8 {
            return Err(Malformed("a field has the number 0"));
        }
        Ok((key >> 3, key & 7))
    }

    #[inline]
    fn value(&mut self, wire_type: u32) -> Result<Value<'a>, Malformed> {
        match wire_type {
            0 => self.varint().map(Value::Varint),
            1 => Ok(Value::Fixed64(u64::from_le_bytes(self.array()?))),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| TRUNCATED)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(TRUNCATED)?;
                self.rest = rest;
                Ok(Value::Bytes(bytes))
            }
            5 => Ok(Value::Fixed32(u32::from_le_bytes(self.array()?))),
            _ => Err(Malformed("a field has an unknown wire type")),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A number in base 128, the lowest digits first; at most ten bytes.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        const TOO_LONG: Malformed = Malformed("a number has more than 64 bits");
        let mut number = 0;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                if at == 9 && *byte > 1 {
                    return Err(TOO_LONG);
                }
                self.rest = &self.rest[at + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 {
            TRUNCATED
        } else {
            TOO_LONG
        })
    }

    /// Skips a group whose key has been read, and all groups in it.
    fn skip_group(&mut self) -> Result<(), Malformed> {
        let mut depth = 1_usize;
        while depth > 0 {
            if self.rest.is_empty() {
                return Err(Malformed("a group does not end"));
            }
            match self.key()?.1 {
                3 => depth += 1,
                4 => depth -= 1,
                wire_type => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, &'static str> {
        let mut fields = Fields::of(std::mem::take(&mut bytes));
        let mut found = Vec::new();
        while let Some(field) = fields.next().map_err(|malformed| malformed.0)? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn every_wire_type_is_read() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0x80],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 7, 0, 0, 0],
            // A group with a group and a number in it.
            &[0x2b, 0x33, 0x08, 0x01, 0x34, 0x2c],
            &[
                0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ]
        .concat();
        let expected = vec![
            (1, Value::Varint(150)),
            (2, Value::Fixed64(0x8000_0000_0000_0001)),
            (3, Value::Bytes(b"hi")),
            (4, Value::Fixed32(7)),
            (5, Value::Group),
            (16, Value::Varint(u64::MAX)),
        ];
        assert_eq!(read(&bytes), Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_named() {
        for (bytes, reason) in [
            (&[0x08][..], "a field is cut off"),
            (&[0x80], "a field is cut off"),
            (&[0x0a, 2, b'h'], "a field is cut off"),
            (&[0x09, 0, 0], "a field is cut off"),
            (&[0x00, 0x01], "a field has the number 0"),
            (&[0x0e], "a field has an unknown wire type"),
            (&[0x0c], "a group ends that has not begun"),
            (&[0x0b, 0x08, 0x01], "a group does not end"),
            (&[0xff; 11], "a number has more than 64 bits"),
            (
                &[
                    0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
                ],
                "a number has more than 64 bits",
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                "a field has no number",
            ),
        ] {
            assert_eq!(read(bytes), Err(reason), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_prost_writes_them(number: u64) {
            let mut bytes = vec![0x08];
            prost::encoding::encode_varint(number, &mut bytes);
            prop_assert_eq!(read(&bytes), Ok(vec![(1, Value::Varint(number))]));
        }

        #[test]
        fn any_bytes_are_taken_or_refused_as_by_prost(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            // A message without known fields: all are skipped. Prost also looks whether the end of a group has
            // the number of its beginning.
            let is_taken = <() as prost::Message>::decode(&bytes[..]).is_ok();
            let has_group = read(&bytes).is_ok_and(|fields| fields.iter().any(|(_, value)| *value == Value::Group));
            prop_assert_eq!(read(&bytes).is_ok(), is_taken || has_group);
        }
    }
}
