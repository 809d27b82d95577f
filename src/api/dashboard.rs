//! The dashboard: a page for browsers and what it loads, compiled in. It shows no data by itself; its script requests
//! them as any client does.

use super::assets::{compiled_in, File};
use crate::http::{Request, Response};

/// What the page may do: load from this server only, and not be framed by other pages.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE: File = compiled_in!("page.html", "text/html; charset=utf-8");
static ASSETS: [File; 30] = [
    compiled_in!("api.js", SCRIPT),
    compiled_in!("ask.js", SCRIPT),
    compiled_in!("bar.js", SCRIPT),
    compiled_in!("dashboard.css", STYLE),
    compiled_in!("dashboard.js", SCRIPT),
    compiled_in!("detail.js", SCRIPT),
    compiled_in!("events.css", STYLE),
    compiled_in!("fields.js", SCRIPT),
    compiled_in!("figures.js", SCRIPT),
    compiled_in!("histogram.js", SCRIPT),
    compiled_in!("icon.svg", "image/svg+xml"),
    compiled_in!("json.js", SCRIPT),
    compiled_in!("keys.js", SCRIPT),
    compiled_in!("level.js", SCRIPT),
    compiled_in!("live.js", SCRIPT),
    compiled_in!("plot.js", SCRIPT),
    compiled_in!("publish.js", SCRIPT),
    compiled_in!("query.js", SCRIPT),
    compiled_in!("rejected.js", SCRIPT),
    compiled_in!("row.js", SCRIPT),
    compiled_in!("rows.js", SCRIPT),
    compiled_in!("save.js", SCRIPT),
    compiled_in!("search.js", SCRIPT),
    compiled_in!("shippers.js", SCRIPT),
    compiled_in!("subscriptions.js", SCRIPT),
    compiled_in!("tabs.js", SCRIPT),
    compiled_in!("text.js", SCRIPT),
    compiled_in!("times.js", SCRIPT),
    compiled_in!("topics.js", SCRIPT),
    compiled_in!("words.js", SCRIPT),
];

/// Whether a request prefers a page to JSON: it names HTML, and does not name JSON before it.
pub(crate) fn is_wanted(request: &Request) -> bool {
    let accept = request.header("accept").unwrap_or_default();
    let place = |name| accept.find(name).unwrap_or(usize::MAX);
    let page = place("text/html").min(place("application/xhtml+xml"));
    page < place("application/json")
}

/// Answers `GET /` for browsers.
pub(crate) fn page(request: &Request) -> Response {
    PAGE.answer(request)
        .header("Content-Security-Policy", POLICY)
}

/// The dashboard's file of this name.
pub(crate) fn asset(name: &str) -> Option<&'static File> {
    ASSETS.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_dashboard_is_small() {
        let files = std::iter::once(&PAGE).chain(&ASSETS);
        let bytes: usize = files.map(|file| file.gzipped.len()).sum();
        assert!(bytes < 70_000, "{bytes} bytes gzipped");
    }

    /// A module that is not compiled in would show in a browser alone.
    #[test]
    fn every_module_that_a_script_names_is_compiled_in() {
        let mut named = 0;
        for file in &ASSETS {
            let text = std::str::from_utf8(file.content()).expect("files are UTF-8");
            let imports = text.lines().filter(|line| line.starts_with("import "));
            let modules = text.split("\"./").skip(1);
            let modules = modules.filter_map(|rest| Some(rest.split_once('"')?.0));
            assert_eq!(imports.count(), modules.clone().count(), "{}", file.name);
            for module in modules {
                assert!(asset(module).is_some(), "{}: {module}", file.name);
                named += 1;
            }
        }
        assert!(named > ASSETS.len(), "{named}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_no_script_stands_in_the_page() {
        for file in std::iter::once(&PAGE).chain(&ASSETS) {
            let text = std::str::from_utf8(file.content()).expect("files are UTF-8");
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                file.name
            );
        }
        let page = std::str::from_utf8(PAGE.content()).expect("UTF-8");
        assert!(!page.contains("onclick") && !page.contains("style=") && !page.contains("<style"));
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script type=\"module\" src=\"/assets/")
                .count()
        );
    }
}
