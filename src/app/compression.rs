//! Answers in gzip. Compressing counts as reading: a short answer is compressed at once, a long one goes on in the part
//! of the turns that requests have which read.

use super::reply::Reply;
use super::App;
use crate::api::compression::Compression;
use crate::api::reading::Reading;
use crate::http::{Request, Response};
use crate::limits::COMPRESSED_BYTES_PER_UNIT;

impl App {
    /// Gives an answer in the content coding that the client takes, or begins to compress it.
    pub fn encode(&mut self, request: &Request, answer: Response) -> Reply {
        let mut compression = match Compression::begin(request, answer) {
            Ok(compression) => compression,
            Err(answer) => return Reply::Now(answer),
        };
        if compression.is_short() {
            if let Some(answer) = self.compress(&mut compression) {
                return Reply::Now(answer);
            }
        }
        Reply::Reading(Reading::Compression(compression.into()))
    }

    /// Goes on with an answer for a slice, or a piece where that is longer; `None` if that was not enough.
    pub(super) fn compress(&mut self, compression: &mut Compression) -> Option<Response> {
        let compressor = self.compressor.get_or_insert_default();
        loop {
            let (bytes, answer) = compression.go_on(compressor);
            self.reading
                .spend(bytes.div_ceil(COMPRESSED_BYTES_PER_UNIT) as u64);
            if answer.is_some() || self.reading.is_spent() {
                return answer;
            }
        }
    }
}
