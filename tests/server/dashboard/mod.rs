//! The page for browsers: here as far as HTTP shows it, below as Chromium shows it.

mod accessibility;
mod hostile;
mod layout;
mod live;
mod publishing;
mod rejected;
mod same_events;
mod searching;
mod tail;
mod token;

use std::io::Read;

use flate2::read::GzDecoder;

use crate::harness::Server;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn a_browser_gets_the_page_and_programs_get_json() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let page = client.request("GET", "/", &[BROWSER], b"");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("vary"), Some("Accept, Accept-Encoding"));
    for accept in [
        "",
        "Accept: */*",
        "Accept: application/json",
        "Accept: application/json, text/html",
    ] {
        let headers: Vec<&str> = Some(accept)
            .into_iter()
            .filter(|field| !field.is_empty())
            .collect();
        let answer = client.request("GET", "/", &headers, b"");
        assert_eq!(answer.expect(200)["service"], "log-aggregator");
    }
    let head = client.request("HEAD", "/", &[BROWSER], b"");
    assert_eq!(head.header("content-length"), page.header("content-length"));
}

#[test]
fn what_the_page_loads_is_there_and_compressed_where_that_is_taken() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let page = client.request("GET", "/", &[BROWSER], b"").text();
    let loaded = page.split('"').filter(|part| part.starts_with("/assets/"));
    let mut loaded: Vec<String> = loaded.map(str::to_owned).collect();
    let first = loaded.len();
    let mut next = 0;
    while let Some(target) = loaded.get(next).cloned() {
        next += 1;
        let plain = client.get(&target);
        assert_eq!(plain.status, 200, "{target}");
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = client.request("GET", &target, &["Accept-Encoding: br, gzip;q=0.8"], b"");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        let mut content = Vec::new();
        GzDecoder::new(&gzip.body[..])
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content, plain.body);
        let refused = client.request("GET", &target, &["Accept-Encoding: gzip;q=0"], b"");
        assert_eq!(refused.header("content-encoding"), None);
        // The modules that a script names are loaded next.
        for part in plain.text().split('"') {
            if let Some(name) = part.strip_prefix("./").filter(|_| target.ends_with(".js")) {
                let module = format!("/assets/{name}");
                if !loaded.contains(&module) {
                    loaded.push(module);
                }
            }
        }
    }
    assert!(loaded.len() > 20, "{loaded:?}");
    // The page names all modules, so that they are loaded at once and not one after another.
    assert_eq!(loaded.len(), first, "{:?}", &loaded[first..]);
    client.get("/assets/other.js").sentence(404);
    client.get("/assets/").sentence(404);
}
