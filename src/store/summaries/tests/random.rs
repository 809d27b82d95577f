//! Random searches over random events: the matcher itself judges what summaries say.

use super::*;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % bound as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Texts in which words end and go on in all ways, as JSON writes them.
const TEXTS: [&str; 24] = [
    "Declined",
    "undeclined",
    "card expired",
    "GET /api/v1",
    "time-out",
    "a_b",
    "größe",
    "Größe",
    "x\\ny",
    "q\\\"r",
    "\\u0041b",
    "\\ud83d\\ude00z",
    "half\\ud83dhere",
    "",
    "-",
    "10.2.3.4",
    "0.10",
    "1e2",
    "100",
    "a\\/b",
    "true",
    "null",
    "wörd\\u00e4x",
    "[1]",
];
const NUMBERS: [&str; 12] = [
    "0",
    "-0",
    "100",
    "1e2",
    "100.0",
    "0.10",
    "1e-1",
    "0.1",
    "-5",
    "404",
    "1e400",
    "12345678901234567890",
];
const OTHERS: [&str; 4] = ["true", "false", "null", "[]"];

fn random_value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 3 } else { 5 }) {
        0 => format!("\"{}\"", random.pick(&TEXTS)),
        1 => random.pick(&NUMBERS).to_owned(),
        2 => random.pick(&OTHERS).to_owned(),
        3 => format!(
            "[{},{}]",
            random_value(random, depth - 1),
            random_value(random, depth - 1)
        ),
        _ => random_object(random, depth - 1),
    }
}

fn random_object(random: &mut Random, depth: usize) -> String {
    let member = |random: &mut Random| {
        let name = random.pick(&["a", "b", "a.b", "msg", "c\\u0041"]);
        format!("\"{name}\":{}", random_value(random, depth))
    };
    let members: Vec<String> = (0..random.below(4)).map(|_| member(random)).collect();
    format!("{{{}}}", members.join(","))
}

/// An event of an era, whose own words are in no other.
fn random_event(random: &mut Random, number: u64) -> Event {
    let era = number / BLOCK;
    let mut event = Event::new(number);
    event.topic = format!("{}.{era}", random.pick(&["topic", "Tó-pic", "a"]));
    event.source = random.pick(&["web-1", "web-2", "WEB", "db.7"]).to_owned();
    if random.below(3) == 0 {
        event.payload = random_object(random, 3);
    }
    if random.below(50) == 0 {
        event.timestamp = random
            .pick(&[
                "0000-01-01T00:00+23:59",
                "9999-12-31T23:59:60Z",
                "2026-01-09",
            ])
            .to_owned();
    }
    event
}

fn random_pair(random: &mut Random, event: &Event) -> (&'static str, String) {
    let text = random.pick(&TEXTS).to_owned();
    let number = random.pick(&NUMBERS).to_owned();
    let plain: String = text.chars().filter(|c| !"\\\"".contains(*c)).collect();
    let plain = if plain.is_empty() {
        "x".to_owned()
    } else {
        plain
    };
    let era = format!("Era{}", random.below(3));
    let cut = |name: &str, by: usize| {
        let end = name.len().saturating_sub(by);
        format!(
            "{}*",
            &name[..(0..=end)
                .rev()
                .find(|at| name.is_char_boundary(*at))
                .unwrap_or(0)]
        )
    };
    let by = random.below(4);
    match random.below(20) {
        0 => ("topic", event.topic.clone()),
        1 => ("topic", cut(&event.topic, by)),
        2 => ("source", event.source.clone()),
        3 => ("source", cut(&event.source, by)),
        4 => ("event_id", event.event_id.clone()),
        5 => ("event_id", cut(&event.event_id, by)),
        6 => ("q", era),
        7 => ("q", format!("\"{plain}\"")),
        8 => ("q", format!("*\"{plain}\"")),
        9 => ("q", format!("\"{plain}\"*")),
        10 => ("q", format!("-\"{plain}\"")),
        11 => ("q", number),
        12 => ("where", format!("a={plain}")),
        13 => ("where", format!("a={number}")),
        14 => ("where", format!("msg~{era}")),
        15 => ("where", format!("a={plain}*")),
        16 => ("where", format!("a!={number}")),
        17 => ("where", format!("a~*\"{plain}\"*")),
        18 => ("since", event.timestamp.clone()),
        _ => ("until", event.timestamp.clone()),
    }
}

/// The matcher itself judges: no event that matches may lie in a block that is said not to have it.
#[test]
fn no_event_that_matches_is_in_a_block_that_is_said_not_to_have_it() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let mut random = Random(7);
    let events: Vec<Event> = (0..3 * BLOCK)
        .map(|number| random_event(&mut random, number))
        .collect();
    publish(&mut store, &events, 5_000_000);
    work(&mut store, 0);
    assert_eq!(store.search_index_through(), 3 * BLOCK);
    let (mut outs, mut checked) = (0, 0);
    for _ in 0..4_000 {
        let event = &events[random.below(events.len())];
        let pairs: Vec<(&str, String)> = (0..1 + random.below(2))
            .map(|_| random_pair(&mut random, event))
            .collect();
        let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        let Ok(filters) = Filters::parse(pairs.clone(), Instant::default()) else {
            continue;
        };
        checked += 1;
        for slot in 0..3 {
            let look = ask(&store, slot * BLOCK + 1, &filters);
            let here = &events[look.first as usize - 1..look.last as usize];
            if look.verdict == Verdict::NotInHere {
                outs += 1;
                for event in here.iter().step_by(1 + random.below(40)) {
                    let matches = filters.matches(&event.candidate(5_000_000));
                    assert!(!matches, "{event:?} {:?}", pairs.collect::<Vec<_>>());
                }
            }
        }
        // The event that the filters were made for is likely to match.
        if filters.matches(&event.candidate(5_000_000)) {
            let at = events.iter().position(|other| std::ptr::eq(other, event));
            let look = ask(&store, at.unwrap() as u64 + 1, &filters);
            assert_ne!(look.verdict, Verdict::NotInHere, "{event:?} {filters:?}");
        }
    }
    assert!(checked > 3_000 && outs > 1_000, "{checked} {outs}");
}
