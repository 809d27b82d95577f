//! A request that is refused, as a value, and the shapes that protocols over HTTP give to that.

use std::borrow::Cow;

use super::response::Response;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 599.
    pub status: u16,
    /// What is wrong and what to do, for a person.
    pub sentence: Cow<'static, str>,
    /// Further fields, such as `Allow` or `Retry-After`.
    pub headers: Vec<(&'static str, String)>,
    /// Close the connection after the answer.
    pub close: bool,
}

/// Makes status, media type and body of the answer. The fields of the refusal are added to it.
pub type ErrorShape = fn(&Refusal) -> Response;

impl Refusal {
    pub fn new(status: u16, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
            headers: Vec::new(),
            close: false,
        }
    }

    /// 503: the same request may succeed later.
    pub fn unavailable(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::unavailable_for(1, sentence)
    }

    /// The same, with the seconds to wait before a retry.
    pub fn unavailable_for(seconds: u64, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(503, sentence).header("Retry-After", seconds.to_string())
    }

    /// The same refusal with one more field.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer in this shape.
    pub fn shaped(&self, shape: ErrorShape) -> Response {
        let mut response = shape(self);
        response.headers.extend(self.headers.iter().cloned());
        response.close |= self.close;
        response
    }
}

/// The shape of our own interface: `{"detail":"…"}`.
pub fn detail_shape(refusal: &Refusal) -> Response {
    Response::error(refusal.status, &refusal.sentence)
}

/// A line of text, for protocols whose answers only people read.
pub(crate) fn plain_shape(refusal: &Refusal) -> Response {
    let body = format!("{}\n", refusal.sentence).into_bytes();
    Response::new(refusal.status, "text/plain; charset=utf-8", body)
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        refusal.shaped(detail_shape)
    }
}
