//! Making requests: what clients of every kind may want, and what none should.

use std::rc::Rc;

use crate::bytes::{coded, encoded, form, plain, request, with_body, without_body, Head};
use crate::random::Random;
use crate::request::{Event, Item, Page, Publish, Request, Stays, Subscribe, Wanted};
use crate::setup::Setup;

const TOPICS: [&str; 7] = [
    "order",
    "order.paid",
    "order.p",
    "b",
    "ä/ö",
    "a b%2F",
    "q\"\\",
];
/// Makes requests, and remembers what was published to publish it again.
#[derive(Default)]
pub struct Composer {
    made: u64,
    recent: Vec<Rc<Event>>,
    batches: Vec<Rc<Publish>>,
}

impl Composer {
    /// Any request. `newest` is the greatest seq there is.
    pub fn any(&mut self, random: &mut Random, setup: &Setup, newest: u64) -> Request {
        match random.below(100) {
            0..=59 => self.publication(random, setup),
            60..=67 => spoiled(random),
            68..=71 => refused_framing(random),
            72..=77 => other(random),
            78..=82 => stream(random, newest),
            _ => self.reading(random, newest),
        }
    }

    /// A question that is always answered with 200.
    pub fn health(&mut self) -> Request {
        let (bytes, head_bytes) = plain(&Head::new("GET", "/health"));
        request(bytes, head_bytes, Wanted::Status(200))
    }

    pub fn stats(&mut self) -> Request {
        let (bytes, head_bytes) = plain(&Head::new("GET", "/stats"));
        request(bytes, head_bytes, Wanted::Stats)
    }

    fn publication(&mut self, random: &mut Random, setup: &Setup) -> Request {
        let publish = match self.batches.len() as u64 {
            n if n > 0 && random.chance(6) => self.batches[random.below(n) as usize].clone(),
            _ => self.batch(random),
        };
        let items = &publish.items;
        let texts: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::Good(event) => event.text(random),
                Item::Bad => r#"{"topic":"no more"}"#.to_owned(),
            })
            .collect();
        let text = form(random, &texts);
        let mut head = Head::new("POST", "/publish");
        let flags = [("results", publish.results), ("partial", publish.partial)];
        for (name, is_set) in flags.into_iter().filter(|(_, is_set)| *is_set) {
            let join = if head.target.contains('?') { '&' } else { '?' };
            head.target.push_str(&format!("{join}{name}={is_set}"));
        }
        let coding = ["gzip", "deflate", "zstd", ""][random.below(12).min(3) as usize];
        let body = coded(coding, text.as_bytes());
        let types = [
            "Content-Type: application/json",
            "content-type:application/x-ndjson",
        ];
        head.field(types[random.below(2) as usize]);
        if !coding.is_empty() {
            head.field(format!("Content-Encoding: {coding}"));
        }
        let limit = setup.app.max_body_bytes;
        let wanted =
            if body.len() > limit || text.len() > limit || items.len() > setup.app.ring_capacity {
                Wanted::Status(413)
            } else if items.iter().any(|item| matches!(item, Item::Bad)) && !publish.partial {
                Wanted::Status(422)
            } else {
                Wanted::Publish(publish.clone())
            };
        let mut request = with_body(random, head, &body, wanted);
        if body.len() > limit {
            request.is_early = true;
            request.stays = Stays::Closes;
        } else {
            self.remember(random, &publish);
        }
        request
    }

    fn remember(&mut self, random: &mut Random, publish: &Rc<Publish>) {
        self.recent.extend(publish.events().cloned());
        self.batches.push(publish.clone());
        while self.recent.len() > 200 {
            let at = random.below(self.recent.len() as u64) as usize;
            self.recent.swap_remove(at);
        }
        if self.batches.len() > 8 {
            self.batches.remove(0);
        }
    }

    fn batch(&mut self, random: &mut Random) -> Rc<Publish> {
        let count = match random.below(20) {
            0 => random.below(300),
            1..=7 => random.below(8),
            _ => 0,
        };
        let partial = random.chance(6);
        let mut items = Vec::new();
        for _ in 0..=count {
            items.push(if random.chance(if partial { 3 } else { 60 }) {
                Item::Bad
            } else {
                Item::Good(self.event(random))
            });
        }
        Rc::new(Publish {
            items,
            results: random.chance(2),
            partial,
        })
    }

    fn event(&mut self, random: &mut Random) -> Rc<Event> {
        let known = self.recent.len() as u64;
        if known > 0 && random.chance(3) {
            let again = self.recent[random.below(known) as usize].clone();
            if random.chance(3) {
                let version = again.version + 1 + random.below(2);
                let (topic, event_id) = again.key();
                return Rc::new(Event::new(random, &topic, event_id, version));
            }
            return again;
        }
        self.made += 1;
        let topic = TOPICS[random.below(TOPICS.len() as u64) as usize];
        let event_id = format!(
            "{}{}",
            ["e-", "é ", "😀/"][random.below(3) as usize],
            self.made
        );
        let version = random.below(3);
        Rc::new(Event::new(random, topic, event_id, version))
    }

    fn reading(&mut self, random: &mut Random, newest: u64) -> Request {
        let (target, wanted) = match random.below(10) {
            0..=3 => page(random, newest),
            4..=6 => {
                let (topic, event_id) = match self.recent.len() as u64 {
                    0 => ("order".to_owned(), "e-0".to_owned()),
                    n => self.recent[random.below(n) as usize].key(),
                };
                let target = format!("/events/{}/{}", encoded(&topic), encoded(&event_id));
                (target, Wanted::Event { topic, event_id })
            }
            7 => ("/topics".to_owned(), Wanted::Topics),
            8 => ("/stats".to_owned(), Wanted::Stats),
            _ => ("/health".to_owned(), Wanted::Health),
        };
        let method = if random.chance(8) { "HEAD" } else { "GET" };
        let mut head = Head::new(method, target);
        if random.chance(3) {
            head.field("Accept-Encoding: gzip");
        }
        without_body(random, head, wanted)
    }
}

fn stream(random: &mut Random, newest: u64) -> Request {
    let (topics, mut query) = topics(random);
    let subscribe = Subscribe {
        topics,
        after: random.chance(2).then(|| random.below(newest + 4)),
        follow: random.chance(2),
        is_ndjson: random.chance(2),
        version: random.chance(3).then(|| 1 + random.below(3)),
    };
    query.extend(
        subscribe
            .version
            .map(|version| format!("where=version%3D{version}")),
    );
    query.extend(subscribe.after.map(|after| format!("after={after}")));
    if !subscribe.follow {
        query.push("follow=0".to_owned());
    }
    let mut head = Head::new("GET", format!("/subscribe?{}", query.join("&")));
    if subscribe.is_ndjson {
        head.field("Accept: application/x-ndjson");
    }
    without_body(random, head, Wanted::Stream(Rc::new(subscribe)))
}

/// Some topics or prefixes of topics, and how a query names them.
fn topics(random: &mut Random) -> (Vec<String>, Vec<String>) {
    let mut topics = Vec::new();
    for _ in 0..random.below(3) {
        let topic = TOPICS[random.below(TOPICS.len() as u64) as usize];
        let topic = [topic, "order*", "*", "none"][(random.below(6) as usize).saturating_sub(2)];
        topics.push(topic.to_owned());
    }
    let query = topics
        .iter()
        .map(|topic| format!("topic={}", encoded(topic)));
    let query = query.collect();
    (topics, query)
}

fn page(random: &mut Random, newest: u64) -> (String, Wanted) {
    let (topics, mut query) = topics(random);
    let mut page = Page {
        topics,
        after: None,
        before: None,
        limit: 100,
        version: None,
    };
    if random.chance(3) {
        let version = 1 + random.below(4);
        query.push(format!("where=version%3D{version}"));
        page.version = Some(version);
    }
    let seq = random.below(newest + 4);
    match random.below(3) {
        0 => {
            query.push(format!("after={seq}"));
            page.after = Some(seq);
        }
        1 => {
            query.push(format!("before={seq}"));
            page.before = Some(seq);
        }
        _ => {}
    }
    if random.chance(2) {
        page.limit = 1 + random.below(20) as usize;
        query.push(format!("limit={}", page.limit));
    }
    (
        format!("/events?{}", query.join("&")),
        Wanted::Page(Rc::new(page)),
    )
}

/// A publication that is refused for what it is, with any setup.
fn spoiled(random: &mut Random) -> Request {
    let mut head = Head::new("POST", "/publish");
    let good = r#"{"topic":"order","event_id":"refused","timestamp":"2026-01-02","source":"s"}"#;
    let json = "Content-Type: application/json";
    let (fields, body, status): (&[&str], &[u8], u16) = match random.below(9) {
        0 => (&[json], &good.as_bytes()[..30], 422),
        1 => (&[json], b"{\"events\":[]}", 422),
        2 => (&[json], b"", 422),
        3 => (&[json, "Content-Encoding: gzip"], good.as_bytes(), 422),
        4 => (&["Content-Type: text/plain"], good.as_bytes(), 415),
        5 => (&[json, "Content-Encoding: br"], good.as_bytes(), 415),
        6 => (&[], good.as_bytes(), 415),
        7 => {
            head.target.push_str("?results=maybe");
            (&[json], good.as_bytes(), 422)
        }
        _ => {
            head.target.push_str("?partial=true");
            (&[json], b"{\"topic\":1,}", 422)
        }
    };
    fields.iter().for_each(|field| head.field(*field));
    with_body(random, head, body, Wanted::Status(status))
}

/// What the connection itself refuses, and closes after it.
fn refused_framing(random: &mut Random) -> Request {
    let (text, status) = match random.below(10) {
        0 => ("GET /health HTTP/1.1\nHost: h\n\n".to_owned(), 400),
        1 => ("GET /health HTTP/1.1\r\nA: b\r\n\r\n".to_owned(), 400),
        2 => ("GET /health HTTP/3.0\r\nHost: h\r\n\r\n".to_owned(), 505),
        3 => (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
            501,
        ),
        4 => (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n".to_owned(),
            400,
        ),
        5 => ("GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n".to_owned(), 400),
        6 => (
            "GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n".to_owned(),
            417,
        ),
        7 => (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9_000)),
            414,
        ),
        8 => (
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n",
                "x".repeat(17_000)
            ),
            431,
        ),
        _ => {
            let head = "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
            (
                format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
                400,
            )
        }
    };
    let head_bytes = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4);
    let mut request = request(text.into_bytes(), head_bytes, Wanted::Status(status));
    request.stays = Stays::Closes;
    request.is_early = true;
    request
}

/// What is answered without a look at what is stored.
fn other(random: &mut Random) -> Request {
    let (method, target, status) = match random.below(7) {
        0 => ("GET", "/nothing", 404),
        1 => ("HEAD", "/", 200),
        2 => ("GET", "http://h/", 200),
        3 => ("OPTIONS", "*", 204),
        4 => ("OPTIONS", "/publish", 204),
        5 => ("GET", "/events?limit=0", 422),
        _ => {
            let head = Head::new("POST", ["/stats", "/nothing"][random.below(2) as usize]);
            let status = if head.target == "/stats" { 405 } else { 404 };
            let body = vec![b'x'; random.below(3_000) as usize];
            return with_body(random, head, &body, Wanted::Status(status));
        }
    };
    without_body(random, Head::new(method, target), Wanted::Status(status))
}
