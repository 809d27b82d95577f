//! A text that is read from the front. What is not there is not taken: each method leaves the cursor where
//! it was, unless it says something else.

/// The rest of a text. Only ASCII is taken, so it always begins with a character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor(text)
    }

    pub(super) fn rest(&self) -> &'a str {
        self.0
    }

    /// The next byte, which may be one of a character that is not ASCII.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    /// Skips a number of bytes, which are ASCII, or what is left of them.
    fn pass(&mut self, count: usize) -> &'a str {
        let (passed, rest) = self.0.split_at_checked(count).unwrap_or((self.0, ""));
        self.0 = rest;
        passed
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_there = byte.is_ascii() && self.peek() == Some(byte);
        if is_there {
            self.pass(1);
        }
        is_there
    }

    pub(super) fn eat_text(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    pub(super) fn eat_any(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| bytes.contains(byte))?;
        self.eat(byte).then_some(byte)
    }

    /// Blanks and tabs, and how many.
    pub(super) fn blanks(&mut self) -> usize {
        self.pass_while(|byte| matches!(byte, b' ' | b'\t')).len()
    }

    pub(super) fn letters(&mut self) -> &'a str {
        self.pass_while(|byte| byte.is_ascii_alphabetic())
    }

    /// All digits that come, as many as there are.
    pub(super) fn all_digits(&mut self) -> &'a str {
        self.pass_while(|byte| byte.is_ascii_digit())
    }

    /// A number of `least` to `most` digits, which are all that come; at most nine.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let mut after = *self;
        let digits = after.all_digits();
        if !(least..=most.min(9)).contains(&digits.len()) {
            return None;
        }
        *self = after;
        digits.parse().ok()
    }

    pub(super) fn pass_while(&mut self, is_meant: impl Fn(u8) -> bool) -> &'a str {
        let is_meant = |byte: &u8| byte.is_ascii() && is_meant(*byte);
        let count = self.0.bytes().take_while(|byte| is_meant(byte)).count();
        self.pass(count)
    }

    /// Whether a word or a number goes on here.
    pub(super) fn is_in_word(&self) -> bool {
        let next = self.0.chars().next();
        next.is_some_and(|next| next.is_alphanumeric() || next == '_')
    }
}

/// The first bytes of a text, at most a number of them, and whole characters.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
