//! JSON by its grammar (RFC 8259), for what `serde_json::Value` cannot express: numbers out of range,
//! lone surrogates, repeated members, deep nesting, and where a value ends. Reads without recursion.

/// The text is not JSON here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad;

/// A place in a text.
pub struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

/// One value.
#[derive(Clone, Debug)]
pub struct Value<'t> {
    /// As it stands in the text.
    pub text: &'t str,
    /// Without white space between its tokens.
    pub tight: String,
    /// Levels of nesting; 0 for what is neither object nor array.
    pub depth: usize,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str) -> Self {
        Cursor { text, at: 0 }
    }

    /// The next byte that is not white space.
    pub fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.next_byte()
    }

    /// The next byte, white space too.
    pub fn next_byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes this byte, white space before it left out.
    pub fn take(&mut self, byte: u8) -> Result<(), Bad> {
        if self.peek() != Some(byte) {
            return Err(Bad);
        }
        self.at += 1;
        Ok(())
    }

    /// Takes a member's name, as it stands, and the colon after it.
    pub fn name(&mut self) -> Result<&'t str, Bad> {
        if self.peek() != Some(b'"') {
            return Err(Bad);
        }
        let name = self.token()?;
        self.take(b':')?;
        Ok(name)
    }

    /// Takes a value.
    pub fn value(&mut self) -> Result<Value<'t>, Bad> {
        self.peek();
        let start = self.at;
        let mut tight = String::new();
        let mut depth = 0;
        // What closes the arrays and objects that are open.
        let mut open = Vec::new();
        loop {
            match self.peek().ok_or(Bad)? {
                byte @ (b'[' | b'{') => {
                    let close = byte + 2;
                    self.at += 1;
                    tight.push(char::from(byte));
                    open.push(close);
                    depth = depth.max(open.len());
                    if self.peek() != Some(close) {
                        self.name_in(&open, &mut tight)?;
                        continue;
                    }
                }
                _ => tight.push_str(self.token()?),
            }
            // After a value, or at the end of an empty array or object.
            loop {
                let Some(close) = open.last().copied() else {
                    return Ok(Value {
                        text: &self.text[start..self.at],
                        tight,
                        depth,
                    });
                };
                let byte = self.peek().ok_or(Bad)?;
                if byte != close && byte != b',' {
                    return Err(Bad);
                }
                self.at += 1;
                tight.push(char::from(byte));
                if byte == b',' {
                    break;
                }
                open.pop();
            }
            self.name_in(&open, &mut tight)?;
        }
    }

    /// Takes the name of the next member, where an object is open.
    fn name_in(&mut self, open: &[u8], tight: &mut String) -> Result<(), Bad> {
        if open.last() == Some(&b'}') {
            tight.push_str(self.name()?);
            tight.push(':');
        }
        Ok(())
    }

    /// Takes a string, a number or a literal.
    fn token(&mut self) -> Result<&'t str, Bad> {
        let rest = &self.text[self.at..];
        let length = match rest.as_bytes()[0] {
            b'"' => string(rest.as_bytes())?,
            b'-' | b'0'..=b'9' => number(rest.as_bytes())?,
            _ => ["true", "false", "null"]
                .iter()
                .find(|literal| rest.starts_with(**literal))
                .ok_or(Bad)?
                .len(),
        };
        self.at += length;
        Ok(&rest[..length])
    }
}

/// The length of the string that the text begins with.
fn string(text: &[u8]) -> Result<usize, Bad> {
    let mut at = 1;
    loop {
        match text.get(at).ok_or(Bad)? {
            b'"' => return Ok(at + 1),
            b'\\' => match text.get(at + 1).ok_or(Bad)? {
                b'u' => {
                    let digits = text.get(at + 2..at + 6).ok_or(Bad)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(Bad);
                    }
                    at += 6;
                }
                byte if b"\"\\/bfnrt".contains(byte) => at += 2,
                _ => return Err(Bad),
            },
            0x00..=0x1f => return Err(Bad),
            _ => at += 1,
        }
    }
}

/// The length of the number that the text begins with.
fn number(text: &[u8]) -> Result<usize, Bad> {
    let digits = |from: usize| {
        let digits = text[from..].iter().take_while(|byte| byte.is_ascii_digit());
        from + digits.count()
    };
    let start = usize::from(text[0] == b'-');
    let mut end = match text.get(start) {
        Some(b'0') => start + 1,
        Some(b'1'..=b'9') => digits(start),
        _ => return Err(Bad),
    };
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction == end + 1 {
            return Err(Bad);
        }
        end = fraction;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent == end + 1 + sign {
            return Err(Bad);
        }
        end = exponent;
    }
    Ok(end)
}
