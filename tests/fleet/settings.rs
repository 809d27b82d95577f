//! Which settings a forwarder takes, and how it ends where it cannot begin.

use crate::engine::shared;
use crate::forwarder::{run, url_of};
use crate::harness::Server;

#[test]
fn what_cannot_pass_is_said_and_the_password_never() {
    let Some(engine) = shared() else {
        return;
    };
    let server = Server::start(&[]);
    let node = url_of(server.address());
    let address = engine.address();
    let fails = |to: &str, code: i32, what: &str| {
        let (found, _, said) = run(&["forward", "--once", "--server", &node, "--to", to]);
        assert_eq!(found, code, "{to}: {said}");
        assert!(said.contains(what), "{to}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    };
    for wrong in [
        "mysql://u:s3cret@h/d",
        "postgres://u:s3cret@h",
        "postgres://u:s3cret@localhost/d?sslmode=require",
        "postgres://u:s3cret@db.example.com/d?sslmode=verify-full",
    ] {
        fails(wrong, 2, "--to");
    }
    engine.sql("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'right' ");
    engine.database("guarded");
    fails(
        &format!("postgres://guarded:s3cret@{address}/guarded"),
        1,
        "28P01",
    );
    fails(
        &format!("postgres://guarded@{address}/guarded"),
        1,
        "password",
    );
    fails(
        &format!("postgres://nobody:s3cret@{address}/guarded"),
        1,
        "28",
    );
    fails(
        &format!("postgres://postgres:s3cret@{address}/no_such"),
        1,
        "no_such",
    );
    // It is let in, and may not make the tables.
    fails(
        &format!("postgres://guarded:right@{address}/guarded"),
        1,
        "42501",
    );
    engine.sql(
        "postgres",
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0",
    );
    fails(&engine.url("ascii"), 1, "UTF8");
    let newer = engine.database("newer");
    fails_not(&node, &newer);
    engine.sql("newer", "UPDATE logagg.meta SET version = 99");
    fails(&newer, 1, "version 99");
    let (code, _, said) = run(&["forward", "--server", &node]);
    assert_eq!(code, 2, "{said}");
    let (code, _, said) = run(&["forward", "--to", &newer, "--batch-events", "0"]);
    assert_eq!(code, 2, "{said}");
    let (code, _, said) = run(&["forward", "--to", &newer, "--listen", "nonsense"]);
    assert_eq!(code, 2, "{said}");
}

fn fails_not(node: &str, to: &str) {
    let (code, _, said) = run(&["forward", "--once", "--server", node, "--to", to]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn passwords_come_from_the_url_a_file_or_the_environment() {
    let Some(engine) = shared() else {
        return;
    };
    let server = Server::start(&[]);
    let node = url_of(server.address());
    engine.database("passwords");
    engine.sql(
        "postgres",
        "CREATE ROLE keeper IN ROLE pg_read_all_data LOGIN PASSWORD 'w ü%' ",
    );
    engine.sql("passwords", "GRANT ALL ON DATABASE passwords TO keeper");
    let address = engine.address();
    let file = server.setup().directory().join("password");
    std::fs::write(&file, "w ü%\n").unwrap();
    let url = format!("postgres://keeper@{address}/passwords");
    let with_password = format!("postgres://keeper:w%20%C3%BC%25@{address}/passwords");
    let path = file.to_str().unwrap();
    fails_not(&node, &with_password);
    let arguments = ["forward", "--once", "--server", &node, "--to", &url];
    let (code, _, said) = run(&[&arguments[..], &["--to-password-file", path]].concat());
    assert_eq!(code, 0, "{said}");
    let output = crate::forwarder::program(&arguments[..4])
        .env("LOGAGG_TO", &url)
        .env("PGPASSWORD", "w ü%")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let (code, _, said) = run(&[&arguments[..], &["--to-password-file", "/no/such"]].concat());
    assert_eq!(code, 2, "{said}");
}

#[test]
fn a_node_that_refuses_the_token_ends_it() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("tokens");
    let setup = crate::harness::Setup::new();
    let tokens = setup.directory().join("tokens");
    std::fs::write(&tokens, "reader read abcdefghijklmnopqrstuvwxyz\n").unwrap();
    let setup = setup.flags(["--auth-tokens-file", tokens.to_str().unwrap()]);
    let server = setup.start();
    let node = url_of(server.address());
    let arguments = ["forward", "--once", "--server", &node, "--to", &to];
    let (code, _, said) = run(&arguments);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("token"), "{said}");
    let mut right = crate::forwarder::program(&arguments);
    right.env("LOGAGG_TOKEN", "abcdefghijklmnopqrstuvwxyz");
    assert!(right.output().unwrap().status.success());
}

/// The commands `forward` and `store` and the queries of the page, on this server and this store. What other programs
/// do there (`createdb`, `psql`, Compose) is not run, nor are servers started.
#[test]
fn the_commands_of_the_page_run() {
    let Some(engine) = shared() else {
        return;
    };
    let server = Server::start(&[]);
    let node = url_of(server.address());
    let to = engine.database("page");
    let stream = crate::nats::shared().map(|cluster| cluster.stream("page", serde_json::json!({})));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FLEET.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut commands = Vec::new();
    for block in page.split("\n```").filter(|part| part.starts_with("sh\n")) {
        let is_run =
            |line: &&str| line.starts_with("logagg forward ") || line.starts_with("logagg store ");
        for line in block.lines().filter(is_run) {
            if line.contains("nats://") && stream.is_none() {
                continue;
            }
            let command = line.split(" | ").next().unwrap_or_default();
            let words = command.split_whitespace().skip(1);
            let mut words: Vec<&str> = words
                .map(|word| match word.trim_matches('\'') {
                    word if word.starts_with("postgres://") => &to,
                    word if word.starts_with("nats://") => stream.as_deref().unwrap(),
                    word if word.starts_with("http://") => &node,
                    "127.0.0.1:9187" => "127.0.0.1:0",
                    word => word,
                })
                .collect();
            commands.push(words[0].to_owned());
            if words[0] == "forward" {
                words.push("--once");
            }
            let (code, _, said) = run(&words);
            assert_eq!(code, 0, "{line}: {said}");
        }
    }
    assert_eq!(commands[..3], ["forward", "store", "store"]);
    let queries = page.split("\n```").filter(|part| part.starts_with("sql\n"));
    for query in queries {
        engine.sql("page", &query["sql\n".len()..]);
    }
}
