//! The parameters of a statement, in the engine's binary form.

const TEXT: u32 = 25;
const INT: u32 = 23;
const BIGINT: u32 = 20;
const BYTEA: u32 = 17;
const TEXT_ARRAY: u32 = 1009;
const INT_ARRAY: u32 = 1007;
const BIGINT_ARRAY: u32 = 1016;
const BYTEA_ARRAY: u32 = 1001;

/// A value of a parameter.
#[derive(Debug)]
pub(crate) struct Param {
    /// The object id of its type, which PostgreSQL promises not to change.
    pub(super) oid: u32,
    /// None for NULL.
    pub(super) value: Option<Vec<u8>>,
}

impl Param {
    pub(crate) fn text(text: &str) -> Param {
        Param::new(TEXT, text.as_bytes().to_vec())
    }

    pub(crate) fn bigint(number: i64) -> Param {
        Param::new(BIGINT, number.to_be_bytes().to_vec())
    }

    pub(crate) fn maybe_bigint(number: Option<i64>) -> Param {
        Param {
            oid: BIGINT,
            value: number.map(|number| number.to_be_bytes().to_vec()),
        }
    }

    pub(crate) fn int(number: i32) -> Param {
        Param::new(INT, number.to_be_bytes().to_vec())
    }

    pub(crate) fn maybe_int(number: Option<i32>) -> Param {
        Param {
            oid: INT,
            value: number.map(|number| number.to_be_bytes().to_vec()),
        }
    }

    pub(crate) fn maybe_bytes(bytes: Option<&[u8]>) -> Param {
        Param {
            oid: BYTEA,
            value: bytes.map(<[u8]>::to_vec),
        }
    }

    pub(crate) fn texts<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Param {
        Param::array(TEXT_ARRAY, TEXT, texts.len(), |out| {
            texts.for_each(|text| element(out, text.as_bytes()));
        })
    }

    pub(crate) fn ints(numbers: impl ExactSizeIterator<Item = i32>) -> Param {
        Param::array(INT_ARRAY, INT, numbers.len(), |out| {
            numbers.for_each(|number| element(out, &number.to_be_bytes()));
        })
    }

    pub(crate) fn bigints(numbers: impl ExactSizeIterator<Item = i64>) -> Param {
        Param::array(BIGINT_ARRAY, BIGINT, numbers.len(), |out| {
            numbers.for_each(|number| element(out, &number.to_be_bytes()));
        })
    }

    pub(crate) fn byte_strings<'a>(values: impl ExactSizeIterator<Item = &'a [u8]>) -> Param {
        Param::array(BYTEA_ARRAY, BYTEA, values.len(), |out| {
            values.for_each(|value| element(out, value));
        })
    }

    fn new(oid: u32, value: Vec<u8>) -> Param {
        Param {
            oid,
            value: Some(value),
        }
    }

    /// An array of one dimension without NULLs.
    fn array(oid: u32, element: u32, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Param {
        let mut out = Vec::with_capacity(20 + 8 * length);
        let dimensions = i32::from(length > 0);
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&0_i32.to_be_bytes());
        out.extend_from_slice(&element.to_be_bytes());
        if length > 0 {
            out.extend_from_slice(&(length as i32).to_be_bytes());
            out.extend_from_slice(&1_i32.to_be_bytes());
            write(&mut out);
        }
        Param::new(oid, out)
    }
}

fn element(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_have_the_form_of_the_engine() {
        let texts = Param::texts(["ab", ""].into_iter());
        let expected = [
            &[0, 0, 0, 1][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 25],
            &[0, 0, 0, 2],
            &[0, 0, 0, 1],
            &[0, 0, 0, 2],
            b"ab",
            &[0, 0, 0, 0],
        ];
        assert_eq!(texts.value, Some(expected.concat()));
        assert_eq!(texts.oid, TEXT_ARRAY);
        let none = Param::bigints(std::iter::empty());
        assert_eq!(none.value.map(|value| value.len()), Some(12));
    }
}
