//! Streams of events, as their readers see them: nothing is skipped, nothing comes twice, what comes is
//! stored, and the end comes when it should.

use std::rc::Rc;

use serde::Deserialize;

use crate::answer::Answer;
use crate::judge::Shown;
use crate::request::{Subscribe, Wanted};
use crate::world::World;

/// A stream that has begun.
pub struct Streaming {
    asked: Rc<Subscribe>,
    is_chunked: bool,
    /// What has come and is no whole item yet.
    text: Vec<u8>,
    /// The seq up to which all that is wanted has come.
    position: u64,
    /// Up to this seq it may begin later.
    may_begin_behind: u64,
    /// Without `follow`: it ends between these seqs, with what was committed when it was asked for.
    ends: Option<(u64, u64)>,
    /// The position that it was asked for is ahead of the newest event.
    awaits_reset: bool,
    /// The turn in which it was asked for.
    turn: u64,
}

/// The notice that a position is ahead of the newest event.
#[derive(Deserialize)]
struct Reset {
    position: u64,
    last_seq: u64,
}

impl World {
    /// The head of a stream has come.
    pub fn begin_stream(&mut self, id: usize, index: usize, answer: &Answer) {
        self.observe();
        let asked = &self.links[id].asked[index];
        let Wanted::Stream(subscribe) = &asked.wanted else {
            panic!("{id}'s request {index} is answered with a stream");
        };
        let subscribe = subscribe.clone();
        let turn = asked.complete_in.expect("it has no body");
        let is_chunked = answer.field("Transfer-Encoding") == Some("chunked");
        assert_eq!(answer.status, 200);
        assert!(is_chunked || answer.closes(), "nothing says where it ends");
        assert_ne!(is_chunked, asked.is_old, "no chunks for HTTP/1.0");
        // What was committed when it was asked for lies between what was known in that turn and now.
        let rows = &self.database.rows;
        let known = rows.partition_point(|row| row.turn < turn);
        let least = known.checked_sub(1).map_or(0, |at| rows[at].seq);
        let most = self.database.newest_seq();
        let (position, may_begin_behind) = match (subscribe.after, subscribe.follow) {
            (Some(after), _) => (after, 0),
            (None, true) => (least, most),
            (None, false) => (0, 0),
        };
        self.trace.note("gets a stream from seq", id, position);
        self.trace.mark("a stream");
        let link = &mut self.links[id];
        link.asked[index].status = Some(200);
        link.stream = Some(Streaming {
            is_chunked,
            text: Vec::new(),
            position,
            may_begin_behind,
            ends: (!subscribe.follow).then_some((least, most)),
            // Where it came to be the newest event meanwhile, nothing comes of it.
            awaits_reset: position > most,
            asked: subscribe,
            turn,
        });
    }

    /// Takes apart what a stream has brought. Says whether that was its end.
    pub fn hear_stream(&mut self, id: usize) -> bool {
        let mut is_over = false;
        loop {
            let link = &mut self.links[id];
            let Some(stream) = &mut link.stream else {
                return is_over;
            };
            if !stream.is_chunked {
                stream.text.append(&mut link.said);
                break;
            }
            let Some(line) = link.said.windows(2).position(|two| two == b"\r\n") else {
                break;
            };
            let size = std::str::from_utf8(&link.said[..line]).expect("a size in digits");
            let size = usize::from_str_radix(size, 16).expect("a size in digits");
            let (begin, end) = (line + 2, line + 2 + size);
            if link.said.len() < end + 2 {
                break;
            }
            assert_eq!(&link.said[end..end + 2], b"\r\n", "behind a chunk");
            stream.text.extend_from_slice(&link.said[begin..end]);
            link.said.drain(..end + 2);
            is_over = size == 0;
            if is_over {
                break;
            }
        }
        self.take_items(id);
        if is_over {
            self.end_stream(id);
        }
        is_over
    }

    fn take_items(&mut self, id: usize) {
        self.observe();
        let Some(mut stream) = self.links[id].stream.take() else {
            return;
        };
        let end: &[u8] = if stream.asked.is_ndjson {
            b"\n"
        } else {
            b"\n\n"
        };
        let text = std::mem::take(&mut stream.text);
        let mut rest = &text[..];
        while let Some(at) = rest.windows(end.len()).position(|part| part == end) {
            let (item, behind) = rest.split_at(at);
            rest = &behind[end.len()..];
            if let Some(seq) = bare_id(item) {
                self.take_id(id, &mut stream, seq);
                continue;
            }
            match event_of(item, stream.asked.is_ndjson) {
                None => self.trace.mark("a heartbeat"),
                Some(_) if is_reset(item) => {
                    self.take_reset(&mut stream, item);
                }
                Some(json) => self.take_event(id, &mut stream, json),
            }
        }
        stream.text = rest.to_vec();
        self.links[id].stream = Some(stream);
    }

    fn take_reset(&mut self, stream: &mut Streaming, item: &[u8]) {
        #[derive(Deserialize)]
        struct Line {
            reset: Reset,
        }
        let Reset { position, last_seq } = match stream.asked.is_ndjson {
            true => {
                let line: Line = serde_json::from_slice(item).expect("a reset");
                line.reset
            }
            false => {
                let text = std::str::from_utf8(item).expect("a reset");
                let data = text.split_once("\nevent: reset\ndata: ").expect("a reset");
                let reset: Reset = serde_json::from_str(data.1).expect("a reset");
                assert_eq!(data.0, format!("id: {}", reset.last_seq));
                reset
            }
        };
        assert_eq!(Some(position), stream.asked.after);
        assert!(position > last_seq, "{position} is not ahead of {last_seq}");
        let rows = &self.database.rows;
        let known = rows.partition_point(|row| row.turn < stream.turn);
        let least = known.checked_sub(1).map_or(0, |at| rows[at].seq);
        assert!((least..=self.database.newest_seq()).contains(&last_seq));
        stream.position = last_seq;
        stream.awaits_reset = false;
        self.trace.mark("a reset");
    }

    /// The stream has come to this seq, and found nothing more on the way.
    fn take_id(&mut self, id: usize, stream: &mut Streaming, seq: u64) {
        assert!(stream.asked.version.is_some() && !stream.asked.is_ndjson);
        assert!(!stream.awaits_reset && seq > stream.position);
        self.check_nothing_between(id, stream, seq + 1);
        stream.position = seq;
        self.trace.mark("an id alone");
    }

    fn take_event(&self, id: usize, stream: &mut Streaming, json: &[u8]) {
        let shown: Shown = serde_json::from_slice(json).expect("an event");
        let rows = &self.database.rows;
        let at = rows.partition_point(|row| row.seq < shown.seq);
        let row = rows.get(at).filter(|row| shown.is(row));
        let Some(row) = row else {
            panic!("{id} gets what is not stored: {}", json.escape_ascii());
        };
        let seq = shown.seq;
        assert!(!stream.awaits_reset, "{id} gets seq {seq} before a reset");
        assert!(
            seq > stream.position,
            "{id} gets seq {seq} behind {}",
            stream.position
        );
        assert!(
            stream.asked.wants(&row.event),
            "{id} gets seq {seq} unasked"
        );
        self.check_nothing_between(id, stream, seq);
        stream.position = seq;
        stream.may_begin_behind = 0;
        let until = stream.ends.map_or(u64::MAX, |(_, most)| most);
        assert!(
            seq <= until,
            "{id} gets seq {seq}, which came later than its end"
        );
    }

    /// No event that is wanted has been left out in front of this seq.
    fn check_nothing_between(&self, id: usize, stream: &Streaming, seq: u64) {
        let rows = &self.database.rows;
        let from = stream.position.max(stream.may_begin_behind);
        let first = rows.partition_point(|row| row.seq <= from);
        let between = rows[first..].iter().take_while(|row| row.seq < seq);
        for row in between {
            assert!(
                !stream.asked.wants(&row.event),
                "{id} did not get seq {}, and now {seq}",
                row.seq
            );
        }
    }

    /// The last chunk has come, so everything has.
    fn end_stream(&mut self, id: usize) {
        let link = &mut self.links[id];
        let stream = link.stream.take().expect("it is over");
        assert!(stream.text.is_empty(), "a stream ends within an item");
        assert!(!stream.awaits_reset, "{id}'s stream ends without a reset");
        let index = link.answered;
        link.answered += 1;
        // The connection of a server that stops, or of a client that wants so, ends with its stream.
        link.says_close = link.asked[index].says_close;
        let until = match (stream.ends, link.finished_at_seq) {
            (Some((least, _)), _) => least,
            (None, Some(seq)) => seq,
            (None, None) => {
                assert!(self.stopped.is_some(), "{id}'s stream ends for nothing");
                0
            }
        };
        self.check_nothing_between(id, &stream, until + 1);
        self.trace.mark("a stream that ends well");
        self.trace.note("has all of a stream up to seq", id, until);
    }

    /// The server ends its side. Without a last chunk that is the end of a stream that has no chunks, or
    /// a stream is broken off.
    pub fn shut_stream(&mut self, id: usize) {
        let link = &mut self.links[id];
        let Some(stream) = link.stream.take() else {
            return;
        };
        link.answered += 1;
        link.says_close = true;
        let may_break = self.stopped.is_some()
            || link.has_lacked_memory
            || self.trouble.was_there_in(stream.turn);
        if may_break {
            return self.trace.mark("a stream that may be broken off");
        }
        assert!(
            !stream.is_chunked,
            "{id}'s stream is broken off for nothing"
        );
        link.stream = Some(stream);
        link.answered -= 1;
        self.end_stream(id);
        self.links[id].says_close = true;
    }
}

/// The seq of an `id` that stands alone.
fn bare_id(item: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(item).ok()?;
    text.strip_prefix("id: ")?.parse().ok()
}

fn is_reset(item: &[u8]) -> bool {
    item.starts_with(b"{\"reset\":") || item.windows(13).any(|part| part == b"\nevent: reset")
}

/// The JSON of an event; none of what only says that the stream is there.
fn event_of(item: &[u8], is_ndjson: bool) -> Option<&[u8]> {
    if is_ndjson {
        return (!item.is_empty()).then_some(item);
    }
    if item.starts_with(b":") {
        return None;
    }
    let data = item.windows(7).position(|part| part == b"\ndata: ");
    let data = &item[data.expect("a message has data") + 7..];
    if is_reset(item) {
        return Some(data);
    }
    let shown: Shown = serde_json::from_slice(data).expect("an event");
    assert!(item.starts_with(format!("id: {}\n", shown.seq).as_bytes()));
    Some(data)
}
