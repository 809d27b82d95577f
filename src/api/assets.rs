//! Files that are compiled in for browsers, and how one is answered. What they mean is with those who
//! own them: `dashboard` and `pages`.

use std::io::{Read, Write};
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::Compression;

use crate::http::{Request, Response};

/// A file that is compiled in.
pub(crate) struct File {
    pub name: &'static str,
    media_type: &'static str,
    stored: Stored,
    /// The other form, once somebody has asked for it.
    other: OnceLock<Vec<u8>>,
}

/// In which form a file is compiled in.
enum Stored {
    Plain(&'static [u8]),
    Gzipped(&'static [u8]),
}

impl File {
    pub(crate) const fn plain(
        name: &'static str,
        media_type: &'static str,
        content: &'static [u8],
    ) -> File {
        File::new(name, media_type, Stored::Plain(content))
    }

    /// A file of which `gzipped` is the gzip form, made by this project's build.
    pub(crate) const fn gzipped(
        name: &'static str,
        media_type: &'static str,
        gzipped: &'static [u8],
    ) -> File {
        File::new(name, media_type, Stored::Gzipped(gzipped))
    }

    const fn new(name: &'static str, media_type: &'static str, stored: Stored) -> File {
        File {
            name,
            media_type,
            stored,
            other: OnceLock::new(),
        }
    }

    /// Answers a request for the file, in gzip where that is taken.
    pub(crate) fn answer(&'static self, request: &Request) -> Response {
        let takes_gzip = request.headers("accept-encoding").any(|field| {
            let codings = std::str::from_utf8(field).unwrap_or_default().split(',');
            codings.map(str::trim).any(|coding| {
                let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
                name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
            })
        });
        let content = if takes_gzip {
            self.in_gzip()
        } else {
            self.content()
        };
        let answer = Response::new(200, self.media_type, content)
            .header("Cache-Control", "no-cache")
            .header("X-Content-Type-Options", "nosniff")
            .header("Referrer-Policy", "no-referrer")
            .header("Vary", "Accept, Accept-Encoding");
        if takes_gzip {
            answer.header("Content-Encoding", "gzip")
        } else {
            answer
        }
    }

    /// The file itself.
    pub(crate) fn content(&'static self) -> &'static [u8] {
        match self.stored {
            Stored::Plain(content) => content,
            Stored::Gzipped(gzipped) => self.other.get_or_init(|| {
                let mut content = Vec::new();
                GzDecoder::new(gzipped)
                    .read_to_end(&mut content)
                    .expect("the build has made it gzip");
                content
            }),
        }
    }

    /// Its gzip form.
    pub(crate) fn in_gzip(&'static self) -> &'static [u8] {
        match self.stored {
            Stored::Gzipped(gzipped) => gzipped,
            Stored::Plain(content) => self.other.get_or_init(|| {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                let written = encoder.write_all(content);
                written
                    .and_then(|()| encoder.finish())
                    .expect("writing to memory does not fail")
            }),
        }
    }
}
