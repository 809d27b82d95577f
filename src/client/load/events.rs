//! Which events are sent: their ids, how ids are ordered, and which of them repeat.
//!
//! An event is a number here. Its id and its topic follow from the number alone, so an event can be sent again, byte
//! for byte, without anything being stored.

/// Bytes of each event id, whatever its order, so that order is all that differs between scenarios.
pub const ID_BYTES: usize = 36;
/// Topics that the events are spread over where nothing else is said.
pub const TOPICS: u64 = 5;
/// How many new events ago a near repeat may be: within one batch or a few.
const NEAR_EVENTS: u64 = 10_000;

/// How the ids of successive new events follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdOrder {
    /// Each greater than the one before, in the order of its bytes.
    Ordered,
    /// Like UUIDv4: uniformly random.
    Random,
}

/// Which events are sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// None: every event is new.
    Never,
    /// All: the same event again and again.
    Always,
    /// `per_mille` of a thousand repeat one of the last few thousand new events, at equal distances.
    Near { per_mille: u16 },
    /// Every second one repeats one of all that the stream had stored before the run, so that the
    /// repeats lie all over the database.
    HalfFar,
}

/// The endless sequence of events that one scenario sends. Two streams never share an id.
#[derive(Clone, Debug)]
pub struct EventStream {
    order: IdOrder,
    repeats: Repeats,
    topics: u64,
    seed: u64,
    fresh: u64,
    stored_before: u64,
    turn: u64,
}

impl EventStream {
    /// `seed` tells streams apart; ordered ids of a greater seed are greater.
    pub fn new(order: IdOrder, repeats: Repeats, topics: u64, seed: u64) -> EventStream {
        EventStream {
            order,
            repeats,
            topics,
            seed,
            fresh: 0,
            stored_before: 0,
            turn: 0,
        }
    }

    /// The same stream with every event new: what fills a database before a run.
    pub fn all_new(&self) -> EventStream {
        EventStream {
            repeats: Repeats::Never,
            ..self.clone()
        }
    }

    /// Continues after what `filler`, made by [`EventStream::all_new`], has stored.
    pub fn continue_after(&mut self, filler: &EventStream) {
        self.fresh = filler.fresh;
    }

    /// To be called before a run, while nothing is under way: from now on far repeats may be of
    /// everything that was given out so far.
    pub fn begin_run(&mut self) {
        self.stored_before = self.fresh;
    }

    /// Topics that the events are spread over.
    pub fn topics(&self) -> u64 {
        self.topics
    }

    /// Different events given out so far.
    pub fn distinct(&self) -> u64 {
        self.fresh
    }

    /// The number of the next event to send.
    pub fn next_event(&mut self) -> u64 {
        self.turn += 1;
        let repeat_from = match self.repeats {
            Repeats::Never => 0..0,
            Repeats::Always => 0..self.fresh.min(1),
            Repeats::Near { per_mille } if !is_nth(self.turn, per_mille) => 0..0,
            Repeats::Near { .. } => self.fresh.saturating_sub(NEAR_EVENTS)..self.fresh,
            Repeats::HalfFar if self.turn % 2 == 1 => 0..0,
            Repeats::HalfFar => 0..self.stored_before,
        };
        if repeat_from.is_empty() {
            self.fresh += 1;
            return self.fresh - 1;
        }
        let choices = repeat_from.end - repeat_from.start;
        repeat_from.start + mix(self.seed ^ self.turn) % choices
    }

    /// Writes the id of `event` over `id`, which is [`ID_BYTES`] long.
    pub fn write_id(&self, event: u64, id: &mut [u8]) {
        match self.order {
            IdOrder::Ordered => write_ordered(self.seed, event, id),
            IdOrder::Random => write_random(self.seed, event, id),
        }
    }

    /// The number of the topic of `event`: topics follow each other at random.
    pub fn topic(&self, event: u64) -> u64 {
        mix(event) % self.topics
    }
}

/// Whether this turn is one of those that are `per_mille` of a thousand, evenly spread.
pub fn is_nth(turn: u64, per_mille: u16) -> bool {
    let before = |turn: u64| u128::from(turn) * u128::from(per_mille) / 1_000;
    before(turn) > before(turn.saturating_sub(1))
}

/// The finaliser of SplitMix64: a bijection on 64 bits whose results look random.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Sixteen hexadecimal digits of the seed, a hyphen, nineteen decimal digits of the event.
fn write_ordered(seed: u64, event: u64, id: &mut [u8]) {
    write_hex(&seed.to_be_bytes(), &mut id[..16]);
    id[16] = b'-';
    let mut rest = event;
    for digit in id[17..ID_BYTES].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// The text of a UUIDv4 (RFC 9562 §5.4) made from seed and event.
fn write_random(seed: u64, event: u64, id: &mut [u8]) {
    let high = mix(mix(seed) ^ event);
    let low = mix(high ^ seed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    bytes[6] = 0x40 | (bytes[6] & 0x0F);
    bytes[8] = 0x80 | (bytes[8] & 0x3F);
    for (group, at) in [(0..4, 0), (4..6, 9), (6..8, 14), (8..10, 19), (10..16, 24)] {
        write_hex(&bytes[group.clone()], &mut id[at..at + 2 * group.len()]);
    }
    for at in [8, 13, 18, 23] {
        id[at] = b'-';
    }
}

fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn id(stream: &EventStream, event: u64) -> String {
        let mut id = [b'?'; ID_BYTES];
        stream.write_id(event, &mut id);
        String::from_utf8(id.to_vec()).expect("ids are ASCII")
    }

    #[test]
    fn ordered_ids_grow_with_the_event_and_with_the_seed() {
        let stream = EventStream::new(IdOrder::Ordered, Repeats::Never, TOPICS, 0xAB);
        assert_eq!(id(&stream, 42), "00000000000000ab-0000000000000000042");
        let later = EventStream::new(IdOrder::Ordered, Repeats::Never, TOPICS, 0xAC);
        let ids = [
            id(&stream, 9),
            id(&stream, 10),
            id(&stream, u64::MAX / 2),
            id(&later, 0),
        ];
        assert!(ids.is_sorted());
    }

    #[test]
    fn random_ids_look_like_uuid4_and_differ() {
        let stream = EventStream::new(IdOrder::Random, Repeats::Never, TOPICS, 7);
        let ids: HashSet<String> = (0..10_000).map(|event| id(&stream, event)).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            let groups: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&id.as_bytes()[19]));
        }
    }

    #[test]
    fn the_same_event_again_is_one_event() {
        let mut stream = EventStream::new(IdOrder::Ordered, Repeats::Always, TOPICS, 1);
        assert!((0..100).all(|_| stream.next_event() == 0));
        assert_eq!(stream.distinct(), 1);
    }

    fn near_stream(per_mille: u16) -> EventStream {
        EventStream::new(IdOrder::Random, Repeats::Near { per_mille }, TOPICS, 1)
    }

    #[test]
    fn repeats_are_as_many_as_was_asked_for() {
        for (per_mille, distinct) in [(0, 10_000), (1, 9_990), (333, 6_670), (999, 10)] {
            let mut stream = near_stream(per_mille);
            (0..10_000).for_each(|_| _ = stream.next_event());
            assert_eq!(stream.distinct(), distinct);
        }
        // The first event has none before it.
        let mut stream = near_stream(1_000);
        assert!((0..100).all(|_| stream.next_event() == 0));
    }

    #[test]
    fn half_of_the_events_repeat_earlier_ones() {
        let mut near = near_stream(500);
        let events: Vec<u64> = (0..50_000).map(|_| near.next_event()).collect();
        assert_eq!(near.distinct(), 25_000);
        let mut newest = 0;
        for event in events {
            newest = newest.max(event);
            assert!(newest - event <= NEAR_EVENTS);
        }

        let mut far = EventStream::new(IdOrder::Random, Repeats::HalfFar, TOPICS, 1);
        let mut filler = far.all_new();
        (0..1_000).for_each(|event| assert_eq!(filler.next_event(), event));
        far.continue_after(&filler);
        far.begin_run();
        let events: Vec<u64> = (0..2_000).map(|_| far.next_event()).collect();
        assert_eq!(far.distinct(), 2_000);
        assert_eq!(events.iter().filter(|event| **event < 1_000).count(), 1_000);
    }

    #[test]
    fn among_many_topics_each_is_rare_but_there() {
        let stream = EventStream::new(IdOrder::Random, Repeats::Never, 1_000, 1);
        let mut events = vec![0; 1_000];
        (0..30_000).for_each(|event| events[stream.topic(event) as usize] += 1);
        assert!(events.iter().all(|events| (5..100).contains(events)));
    }
}
