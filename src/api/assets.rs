//! Files that are compiled in for browsers, in gzip, and how one is answered. Their owners are `dashboard` and `pages`.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use super::compression::{takes_gzip, GZIP};
use crate::http::{Request, Response};

/// A file that is compiled in.
pub(crate) struct File {
    pub name: &'static str,
    media_type: &'static str,
    /// Its gzip form.
    pub(super) gzipped: &'static [u8],
    /// The file itself, after the first request for it.
    content: OnceLock<Vec<u8>>,
}

/// A file of `src/web/` by its name, or one that `build.rs` has made.
macro_rules! compiled_in {
    ($name:literal, $media_type:expr) => {
        $crate::api::assets::File::gzipped(
            $name,
            $media_type,
            include_bytes!(concat!(env!("OUT_DIR"), "/web/", $name, ".gz")),
        )
    };
}

pub(super) use compiled_in;

impl File {
    /// A file of which `gzipped` is the gzip form, made by this project's build.
    pub(super) const fn gzipped(
        name: &'static str,
        media_type: &'static str,
        gzipped: &'static [u8],
    ) -> File {
        File {
            name,
            media_type,
            gzipped,
            content: OnceLock::new(),
        }
    }

    /// Answers a request for the file, in gzip where that is taken.
    pub(crate) fn answer(&'static self, request: &Request) -> Response {
        let takes_gzip = takes_gzip(request);
        let content = if takes_gzip {
            self.gzipped
        } else {
            self.content()
        };
        let answer = Response::new(200, self.media_type, content)
            .header("Cache-Control", "no-cache")
            .header("X-Content-Type-Options", "nosniff")
            .header("Referrer-Policy", "no-referrer")
            .header("Vary", "Accept, Accept-Encoding");
        if takes_gzip {
            answer.header(GZIP.0, GZIP.1)
        } else {
            answer
        }
    }

    /// The file itself.
    pub(crate) fn content(&'static self) -> &'static [u8] {
        self.content.get_or_init(|| {
            let mut content = Vec::new();
            GzDecoder::new(self.gzipped)
                .read_to_end(&mut content)
                .expect("the build has made it gzip");
            content
        })
    }
}
