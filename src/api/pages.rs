//! The description of this interface, and the two pages that show it. They are compiled in, and load
//! nothing from elsewhere.

use super::assets::{compiled_in, File};
use super::dashboard;
use crate::http::{Request, Response};

static DESCRIPTION: File = compiled_in!("openapi.json", "application/json");

/// Answers `GET /openapi.json`.
pub(crate) fn description(request: &Request) -> Response {
    DESCRIPTION.answer(request)
}

/// Answers `GET /assets/{name}`.
pub(crate) fn asset(request: &Request, name: &str) -> Response {
    match dashboard::asset(name).or_else(|| viewers::asset(name)) {
        Some(file) => file.answer(request),
        None => Response::error(404, "There is no file of this name."),
    }
}

/// Answers `GET /docs`: Swagger UI.
pub(crate) fn docs(request: &Request) -> Response {
    viewers::docs(request)
}

/// Answers `GET /redoc`: ReDoc.
pub(crate) fn redoc(request: &Request) -> Response {
    viewers::redoc(request)
}

#[cfg(feature = "api-pages")]
mod viewers {
    use super::*;

    /// What the pages may do. Both write styles into themselves; ReDoc searches in a worker that it makes itself.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                          img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";

    const HTML: &str = "text/html; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";

    static DOCS: File = compiled_in!("docs.html", HTML);
    static REDOC: File = compiled_in!("redoc.html", HTML);
    static ASSETS: [File; 5] = [
        compiled_in!("docs.js", SCRIPT),
        compiled_in!("redoc.js", SCRIPT),
        compiled_in!("swagger-ui.css", STYLE),
        compiled_in!("swagger-ui-bundle.js", SCRIPT),
        compiled_in!("redoc.standalone.js", SCRIPT),
    ];

    pub(super) fn docs(request: &Request) -> Response {
        page(&DOCS, request)
    }

    pub(super) fn redoc(request: &Request) -> Response {
        page(&REDOC, request)
    }

    fn page(file: &'static File, request: &Request) -> Response {
        file.answer(request)
            .header("Content-Security-Policy", POLICY)
    }

    pub(super) fn asset(name: &str) -> Option<&'static File> {
        ASSETS.iter().find(|file| file.name == name)
    }
}

#[cfg(not(feature = "api-pages"))]
mod viewers {
    use super::*;

    pub fn docs(_: &Request) -> Response {
        absent()
    }

    pub fn redoc(_: &Request) -> Response {
        absent()
    }

    fn absent() -> Response {
        Response::error(
            404,
            "This server was built without this page; build it with the cargo feature api-pages \
             (cargo build --release --features api-pages). GET /openapi.json has what it shows.",
        )
    }

    pub fn asset(_: &str) -> Option<&'static File> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::DESCRIPTION;
    use crate::api::endpoint::Endpoint;
    use crate::api::route::Route;

    #[test]
    fn the_description_has_each_route_and_nothing_else() {
        let document: serde_json::Value =
            serde_json::from_slice(DESCRIPTION.content()).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        // Protocols have more paths than patterns.
        let is_own = |path: &&str| {
            let endpoint = Endpoint::of(Route::of(path).as_ref());
            !matches!(endpoint, Endpoint::Ingest(_))
        };
        let described: BTreeSet<&str> = paths.keys().map(String::as_str).filter(is_own).collect();
        // What the pages load belongs to them.
        let routes = Endpoint::all().filter(|endpoint| {
            !matches!(
                endpoint,
                Endpoint::Asset | Endpoint::Other | Endpoint::Ingest(_)
            )
        });
        assert_eq!(described, routes.map(Endpoint::pattern).collect());
    }
}
