//! The settings that clients share: what is refused, and by which name.

use crate::fake::{stats, Fake};
use crate::program::{command, run_at, Running};

/// Runs `logagg topics` with these variables; returns what it said with exit code 2.
fn refused(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = command(&["topics"]);
    command.args(arguments).envs(variables.iter().copied());
    Running::spawn(&mut command).finish().expect(2).stderr
}

#[test]
fn a_server_that_is_none_is_refused() {
    let said = refused(&[], &["--server", "ftp://host"]);
    assert!(
        said.contains("a server is http://HOST:PORT or unix:/PATH"),
        "{said}"
    );
    let said = refused(&[("LOGAGG_SERVER", "http://host:x")], &[]);
    assert!(said.contains("a server is http://HOST:PORT"), "{said}");
    assert!(
        said.contains("environment variable LOGAGG_SERVER"),
        "{said}"
    );
    let said = refused(&[], &["--server", "http://user:hunter2@host"]);
    assert!(said.contains("must not have a user and password"), "{said}");
    if !cfg!(feature = "tls") {
        let said = refused(&[], &["--server", "https://host"]);
        assert!(said.contains("--features tls"), "{said}");
    }
}

#[test]
fn a_token_that_is_none_is_refused_and_not_shown() {
    let said = refused(&[("LOGAGG_TOKEN", "two words")], &[]);
    assert_eq!(
        said,
        "logagg: the environment variable LOGAGG_TOKEN does not hold a token\n"
    );
    let said = refused(&[], &["--token-file", "/no/such"]);
    assert!(
        said.starts_with("logagg: cannot read the token file /no/such (--token-file): "),
        "{said}"
    );
    let said = refused(&[("LOGAGG_TOKEN_FILE", "/dev/null")], &[]);
    assert_eq!(
        said,
        "logagg: the token file /dev/null (--token-file) does not hold a token; \
         the value came from the environment variable LOGAGG_TOKEN_FILE\n"
    );
}

#[test]
fn times_have_units() {
    for time in ["5", "1.5s", "-1s", "soon"] {
        for flag in ["--timeout", "--give-up-after"] {
            let said = refused(&[], &[&format!("{flag}={time}")]);
            assert!(said.contains("a time is a whole number"), "{said}");
        }
    }
}

/// A token is sent where it is meant to go, with each request.
#[test]
fn the_token_is_sent_as_a_bearer_and_empty_variables_are_none() {
    let fake = Fake::start(|_, _| stats(0));
    let mut command = command(&["stats", "--json", "--server", &fake.url]);
    Running::spawn(
        command
            .env("LOGAGG_TOKEN", "abc")
            .env("LOGAGG_TOKEN_FILE", ""),
    )
    .finish()
    .expect(0);
    run_at(&fake.url, &["stats", "--json"], b"").expect(0);
    let asked = fake.asked();
    assert!(asked[0].has("authorization: Bearer abc"), "{:?}", asked[0]);
    assert!(asked[0].has(concat!("user-agent: logagg/", env!("CARGO_PKG_VERSION"))));
    assert!(!asked[1]
        .headers
        .iter()
        .any(|header| header.starts_with("authorization")));
}

/// A path before the server's own, as behind a proxy.
#[test]
fn a_server_may_stand_below_a_path() {
    let fake = Fake::start(|_, _| stats(0));
    let url = format!("{}/logs/", fake.url);
    run_at(&url, &["stats", "--json"], b"").expect(0);
    assert_eq!(fake.targets(), ["/logs/stats"]);
}
