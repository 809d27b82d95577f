//! A subscription whose row a disk or memory has changed never leads to a wrong event: one flipped bit is put right,
//! and with more the subscription has no position until somebody puts it again.

use rusqlite::Connection;
use serde_json::{json, Value};

use super::positions::{acknowledge, after, put};
use super::publish;
use crate::checking::check;
use crate::harness::{event, Setup};

fn change(setup: &Setup, sql: &str) {
    let database = Connection::open(setup.database_path()).unwrap();
    assert_eq!(database.execute(sql, []).unwrap(), 1, "{sql}");
}

/// What `logagg check` says.
fn checked(setup: &Setup) -> String {
    check(setup.database_path()).1
}

fn flipped(column: &str, bits: i64) -> String {
    format!("{column} = ({column} | {bits}) - ({column} & {bits})")
}

#[test]
fn a_flipped_bit_in_a_position_is_put_right() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    put(&mut client, "mailer", 7).expect(200);
    put(&mut client, "other", 2).expect(200);
    server.stop();
    for damage in [
        flipped("after", 4),
        flipped("after", 1 << 40),
        flipped("checksum", 1 << 9),
        flipped("updated_at", 1 << 3),
        flipped("hold", 1),
        "name = 'mahler'".to_owned(),
        "name = CAST(x'6D61E96C6572' AS TEXT)".to_owned(),
    ] {
        let sql = format!("UPDATE subscriptions SET {damage} WHERE name = 'mailer'");
        change(&setup, &sql);
        let found = checked(&setup);
        assert!(found.contains("subscriptions: the row "), "{found}");
        let server = setup.start();
        let mut client = server.client();
        let one = client.get("/subscriptions/mailer").expect(200);
        assert_eq!((after(&one), &one["lag"]), (7, &json!(3)), "{damage}");
        let all = client.get("/subscriptions").expect(200);
        assert_eq!((&all["count"], all.get("damaged")), (&json!(2), None));
        assert!(server
            .json("/health")
            .get("damaged_subscriptions")
            .is_none());
        let log = server.log();
        log.wait_for(
            1,
            "a flipped bit in a row of the table subscriptions has been corrected",
        );
        server.stop();
        let found = checked(&setup);
        assert!(!found.contains("subscriptions: "), "{found}");
    }
}

#[test]
fn a_subscription_with_more_damage_has_no_position_until_it_is_put_again() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    for (name, seq) in [("archive", 1), ("mailer", 7), ("other", 2)] {
        put(&mut client, name, seq).expect(200);
    }
    server.stop();
    change(
        &setup,
        "UPDATE subscriptions SET after = 4 WHERE name = 'mailer'",
    );
    change(
        &setup,
        "UPDATE subscriptions SET after = 1 << 60 WHERE name = 'archive'",
    );
    // With the counters damaged as well, no seq may come from such a row.
    change(&setup, "UPDATE counters SET last_seq = 12, checksum = 77");
    let found = checked(&setup);
    let named = "subscriptions: the row \"mailer\" has a wrong checksum";
    assert!(found.contains(named), "{found}");

    let server = setup.start();
    let log = server.log();
    log.wait_for(
        1,
        "the subscription \"mailer\" is damaged and has no position any more",
    );
    for _ in 0..2 {
        let mut client = server.client();
        for answer in [
            client.get("/subscriptions/mailer"),
            acknowledge(&mut client, "mailer", 9),
            client.get("/subscribe?subscription=mailer&follow=false"),
        ] {
            let sentence = answer.sentence(503);
            assert!(sentence.contains("PUT /subscriptions/{name}"), "{sentence}");
        }
    }
    let mut client = server.client();
    let all = client.get("/subscriptions").expect(200);
    assert_eq!(
        (&all["count"], &all["damaged"]),
        (&json!(1), &json!(["archive", "mailer"]))
    );
    let health = client.get("/health").expect(200);
    assert_eq!(
        health["damaged_subscriptions"],
        json!(["archive", "mailer"])
    );
    let other = acknowledge(&mut client, "other", 3).expect(200);
    assert_eq!((after(&other), &other["lag"]), (3, &json!(7)));
    let unknown = client.get("/subscriptions/nobody").sentence(404);
    assert!(unknown.starts_with("No subscription has this name"));

    assert_eq!(after(&put(&mut client, "mailer", 8).expect(200)), 8);
    let removed = client.request("DELETE", "/subscriptions/archive", &[], b"");
    assert_eq!(removed.status, 204);
    let whole = |health: &Value| health.get("damaged_subscriptions").is_none();
    assert!(whole(&client.get("/health").expect(200)));
    // The next seq is the one after the newest event.
    let answer = client.publish_to("/publish?results=true", event("t", "new").to_string());
    assert_eq!(answer.expect(200)["results"][0]["seq"], 11);
    server.stop();
    let found = checked(&setup);
    assert!(!found.contains("subscriptions: "), "{found}");
    let server = setup.start();
    let mut client = server.client();
    assert_eq!(after(&client.get("/subscriptions/mailer").expect(200)), 8);
    client.get("/subscriptions/archive").sentence(404);
    assert!(whole(&client.get("/health").expect(200)));
}

#[test]
fn a_flipped_bit_in_what_the_database_says_of_itself_is_put_right() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, "t", "e", 10);
    let identity = server.json("/stats")["database_id"].clone();
    server.stop();
    for name in ["database_id", "dedup", "fingerprint_key"] {
        let database = Connection::open(setup.database_path()).unwrap();
        let sql = "SELECT CAST(value AS BLOB), typeof(value) FROM meta WHERE name = ?1";
        let read = database.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)));
        let (mut bytes, kind): (Vec<u8>, String) = read.unwrap();
        bytes[3] ^= 1;
        let sql = format!("UPDATE meta SET value = CAST(?2 AS {kind}) WHERE name = ?1");
        assert_eq!(database.execute(&sql, (name, bytes)).unwrap(), 1);
        drop(database);
        let (code, found) = check(setup.database_path());
        assert_eq!(code, 1, "{found}");
        // With another duplicate check nothing can be checked.
        let problem = format!("meta: the row \"{name}\" has a flipped bit");
        assert!(name == "dedup" || found.contains(&problem), "{found}");
        let server = setup.start();
        assert_eq!(server.json("/stats")["database_id"], identity);
        server.stop();
        let found = checked(&setup);
        assert!(!found.contains("meta: "), "{found}");
    }
    change(
        &setup,
        "UPDATE meta SET value = 'other' WHERE name = 'dedup'",
    );
    let (_, refused) = setup.fail();
    assert!(
        refused.contains("the row \"dedup\" of the table meta"),
        "{refused}"
    );
}
