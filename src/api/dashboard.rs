//! The dashboard: a page for browsers and what it loads, compiled in. It shows no data by itself; its
//! script asks for them as any client does.

use std::io::Write;
use std::sync::OnceLock;

use flate2::write::GzEncoder;
use flate2::Compression;

use crate::http::{Request, Response};

/// What the page may do: load from here, and nothing from elsewhere, and be framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file that is compiled in, and its gzipped form once somebody has asked for it.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    gzipped: OnceLock<Vec<u8>>,
}

macro_rules! file {
    ($name:literal, $media_type:literal) => {
        File {
            name: $name,
            media_type: $media_type,
            content: include_bytes!(concat!("../web/", $name)),
            gzipped: OnceLock::new(),
        }
    };
}

static PAGE: File = file!("page.html", "text/html; charset=utf-8");
static ASSETS: [File; 3] = [
    file!("dashboard.css", "text/css; charset=utf-8"),
    file!("dashboard.js", "text/javascript; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
];

/// Whether a request prefers a page to JSON: it names HTML, and does not name JSON before it.
pub fn is_wanted(request: &Request) -> bool {
    let accept = request.header("accept").unwrap_or_default();
    let place = |name| accept.find(name).unwrap_or(usize::MAX);
    let page = place("text/html").min(place("application/xhtml+xml"));
    page < place("application/json")
}

/// Answers `GET /` for browsers.
pub fn page(request: &Request) -> Response {
    PAGE.answer(request)
        .header("Content-Security-Policy", POLICY)
}

/// Answers `GET /assets/{name}`.
pub fn asset(request: &Request, name: &str) -> Response {
    match ASSETS.iter().find(|file| file.name == name) {
        Some(file) => file.answer(request),
        None => Response::error(404, "There is no file of this name."),
    }
}

impl File {
    fn answer(&'static self, request: &Request) -> Response {
        let takes_gzip = request.headers("accept-encoding").any(|field| {
            let codings = std::str::from_utf8(field).unwrap_or_default().split(',');
            codings.map(str::trim).any(|coding| {
                let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
                name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
            })
        });
        let content = if takes_gzip {
            self.gzipped()
        } else {
            self.content
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

    fn gzipped(&'static self) -> &'static [u8] {
        self.gzipped.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let written = encoder.write_all(self.content);
            written
                .and_then(|()| encoder.finish())
                .expect("writing to memory does not fail")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_dashboard_is_small() {
        let files = std::iter::once(&PAGE).chain(&ASSETS);
        let bytes: usize = files.map(|file| file.gzipped().len()).sum();
        assert!(bytes < 60_000, "{bytes} bytes gzipped");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_no_script_stands_in_the_page() {
        for file in std::iter::once(&PAGE).chain(&ASSETS) {
            let text = std::str::from_utf8(file.content).expect("files are UTF-8");
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                file.name
            );
        }
        let page = std::str::from_utf8(PAGE.content).expect("UTF-8");
        assert!(!page.contains("onclick") && !page.contains("style=") && !page.contains("<style"));
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script src=\"/assets/").count()
        );
    }
}
