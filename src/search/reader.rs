//! Goes through a payload value by value, without steps: for a client that shows it.

use super::effort::Effort;
use super::scalar::Scalar;
use super::text::Text;
use super::tokens::{Next, Tokens};

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    /// The reader is after its opening bracket.
    Object,
    Array,
    Scalar(Scalar<'a>),
}

/// A place in the text of a payload.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    payload: &'a [u8],
    tokens: Tokens,
    /// The element of an array that has been found to be there.
    element: Option<Next<'a>>,
}

impl<'a> Reader<'a> {
    /// At the beginning of a payload, after the bracket of its object. It ends at once if it has none.
    pub(crate) fn of_object(payload: &'a [u8]) -> Self {
        Self {
            payload,
            tokens: Tokens::of_object(payload),
            element: None,
        }
    }

    fn next(&mut self) -> Next<'a> {
        self.tokens.next(self.payload, &mut Effort::unbounded())
    }

    /// The name of the next member, whose value comes next. `None` at the end of the object, whose bracket is taken.
    pub(crate) fn name(&mut self) -> Option<Text<'a>> {
        match self.next() {
            Next::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether there is another element in the array, which comes next. At the end the bracket is taken.
    pub(crate) fn has_element(&mut self) -> bool {
        let next = self.next();
        let is_there = !matches!(next, Next::Close | Next::End);
        self.element = is_there.then_some(next);
        is_there
    }

    /// The value that comes next; it goes into an object or array. `None` where there is none. One that is nested
    /// deeper than a payload may be is skipped.
    pub(crate) fn value(&mut self) -> Option<Token<'a>> {
        let next = self.element.take().unwrap_or_else(|| self.next());
        match next {
            Next::Scalar(scalar) => Some(Token::Scalar(scalar)),
            Next::Open if self.tokens.is_in_array() => Some(Token::Array),
            Next::Open => Some(Token::Object),
            Next::Name(_) | Next::Close | Next::Unfinished | Next::End => None,
        }
    }

    /// Skips the value of the member whose name has been taken.
    pub(crate) fn skip(&mut self) {
        self.tokens.pass_over();
    }

    /// Skips the rest of the object or array that has been opened last.
    pub(crate) fn leave(&mut self) {
        self.tokens.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what the reader finds, a letter a token.
    fn walk(reader: &mut Reader, token: Option<Token>, out: &mut String) {
        match token {
            Some(Token::Object) => {
                out.push('{');
                while reader.name().is_some() {
                    out.push('n');
                    let value = reader.value();
                    walk(reader, value, out);
                }
                out.push('}');
            }
            Some(Token::Array) => {
                out.push('[');
                while reader.has_element() {
                    let value = reader.value();
                    walk(reader, value, out);
                }
                out.push(']');
            }
            Some(Token::Scalar(_)) => out.push('s'),
            None => out.push('-'),
        }
    }

    fn shape(payload: &str) -> String {
        let mut out = String::new();
        let mut reader = Reader::of_object(payload.as_bytes());
        walk(&mut reader, Some(Token::Object), &mut out);
        out
    }

    #[test]
    fn all_values_are_found_in_order() {
        let payload = r#"{"a":1,"b":[],"c":[[2,"x\"]"],{"d":{}}],"e":null}"#;
        assert_eq!(shape(payload), "{nsn[]n[[ss]{n{}}]ns}");
        let deep = format!("{{\"a\":{}1{},\"b\":2}}", "[".repeat(500), "]".repeat(500));
        let levels = crate::limits::PAYLOAD_MAX_DEPTH - 1;
        let found = format!("{{n{}-{}ns}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(shape(&deep), found);
    }

    #[test]
    fn a_payload_that_is_cut_off_ends() {
        let payload = r#"{"a":1,"b":[],"c":[[2,"x\"]"],{"d":{}}],"e":null}"#;
        for end in 0..payload.len() {
            shape(&payload[..end]);
            shape(&payload[end..]);
        }
    }

    #[test]
    fn what_is_skipped_or_left_is_passed_over() {
        let mut reader = Reader::of_object(br#"{"a":{"x":[1]},"b":[1,[2]],"c":3}"#);
        assert!(reader.name().is_some());
        reader.skip();
        assert!(reader.name().is_some() && matches!(reader.value(), Some(Token::Array)));
        reader.leave();
        assert!(reader.name().is_some() && matches!(reader.value(), Some(Token::Scalar(_))));
        assert!(reader.name().is_none());
    }
}
