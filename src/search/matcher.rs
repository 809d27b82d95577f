//! Whether an event matches the filters of a request, decided in steps: what is known of the event is kept between
//! them, as a few offsets into its payload.

use super::candidate::Candidate;
use super::condition::ValueScan;
use super::effort::Effort;
use super::filters::{Filters, Part, Verdict};
use super::path::Found;
use super::term_match::TermMatch;
use super::walk::{places, PathWalk, Taken, PATHS_MAX};

/// Bytes of a payload in which a needed text is looked for before anything else.
const SHORT_PAYLOAD_BYTES: usize = 4 * 1024;

/// How far an event has been compared with filters. One is used for all events that a search looks at, one after the
/// other.
#[derive(Debug)]
pub struct Matcher {
    /// The event that is being looked at.
    seq: u64,
    stage: Stage,
    terms: TermMatch,
    walk: PathWalk,
    paths: PathStates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No event has been begun.
    Begin,
    Terms,
    Paths,
}

/// The state of the conditions for an event.
#[derive(Debug)]
struct PathStates {
    /// The conditions that are fulfilled, for each path, as bits by their places.
    fulfilled: [u32; PATHS_MAX],
    value: ValueScan,
    /// The paths that are not decided.
    left: u32,
    /// The filter without which the event may match: the one that it has failed.
    failed: Option<Part>,
    has_failed: bool,
}

impl PathStates {
    /// A filter has failed. Returns whether the event has failed too.
    fn fail(&mut self, part: Part, parts: &[Part]) -> bool {
        self.has_failed |= self.failed.is_some() || !parts.contains(&part);
        self.failed = Some(part);
        self.has_failed
    }

    /// The conditions on a path hold, or do not. Returns whether the event has failed.
    fn decide(&mut self, place: usize, holds: bool, parts: &[Part]) -> bool {
        self.left &= !(1 << place);
        !holds && self.fail(Part::Path(place), parts)
    }

    fn verdict(&self) -> Verdict {
        match (self.has_failed, self.failed) {
            (true, _) => Verdict::Fails,
            (false, None) => Verdict::Matches,
            (false, Some(part)) => Verdict::MatchesWithout(part),
        }
    }
}

impl Default for Matcher {
    fn default() -> Self {
        Self {
            seq: 0,
            stage: Stage::Begin,
            terms: TermMatch::new(),
            walk: PathWalk::new(),
            paths: PathStates {
                fulfilled: [0; PATHS_MAX],
                value: ValueScan::default(),
                left: 0,
                failed: None,
                has_failed: false,
            },
        }
    }
}

impl Matcher {
    /// Whether the event with this seq matches, and if not, whether it does with one of the `parts` left out. `None`
    /// where the step is over first: then it is asked for again. Another event, as when this one has been removed
    /// meanwhile, is begun.
    pub fn judge(
        &mut self,
        filters: &Filters,
        (seq, event): (u64, &Candidate),
        parts: &[Part],
        effort: &mut Effort,
    ) -> Option<Verdict> {
        if self.stage != Stage::Begin && self.seq != seq {
            self.stage = Stage::Begin;
        }
        let verdict = self.go_on(filters, event, parts, effort);
        self.seq = seq;
        if verdict.is_some() {
            self.stage = Stage::Begin;
        }
        verdict
    }

    fn go_on(
        &mut self,
        filters: &Filters,
        event: &Candidate,
        parts: &[Part],
        effort: &mut Effort,
    ) -> Option<Verdict> {
        if self.stage == Stage::Begin {
            self.paths.failed = None;
            self.paths.has_failed = false;
            let own = [
                (Part::Topic, filters.topics().matches(event.topic)),
                (Part::Source, filters.sources().matches(event.source)),
            ];
            for (part, holds) in own {
                if !holds && self.paths.fail(part, parts) {
                    return Some(Verdict::Fails);
                }
            }
            if !filters.event_ids().matches(event.event_id) || !filters.range().matches(event) {
                return Some(Verdict::Fails);
            }
        }
        if self.stage != Stage::Paths {
            let holds = match (filters.terms(), self.stage) {
                ([], _) => true,
                (terms, Stage::Begin) => {
                    self.stage = Stage::Terms;
                    self.terms.begin(event, terms, effort)?
                }
                (terms, _) => self.terms.go_on(event.payload, terms, effort)?,
            };
            if !holds {
                return Some(Verdict::Fails);
            }
            if filters.paths().is_empty() {
                return Some(self.paths.verdict());
            }
            self.begin_paths(filters, event, parts);
            self.stage = Stage::Paths;
        }
        self.walk_paths(filters, event, parts, effort)
    }

    /// Begins with the conditions on paths; those that cannot hold are decided at once.
    fn begin_paths(&mut self, filters: &Filters, event: &Candidate, parts: &[Part]) {
        let (states, filters) = (&mut self.paths, filters.path_filters());
        states.fulfilled[..filters.len()].fill(0);
        states.value.end();
        states.left = u32::MAX >> (u32::BITS - filters.len() as u32);
        let is_plain = event.payload.len() <= SHORT_PAYLOAD_BYTES
            && memchr::memchr(b'\\', event.payload).is_none();
        if is_plain {
            for (place, filter) in filters.iter().enumerate() {
                if filter.lacks_needed_text(event.payload) && states.decide(place, false, parts) {
                    states.left = 0;
                    break;
                }
            }
        }
        self.walk.begin(event.payload, states.left);
    }

    /// Goes on through the payload.
    fn walk_paths(
        &mut self,
        filters: &Filters,
        event: &Candidate,
        parts: &[Part],
        effort: &mut Effort,
    ) -> Option<Verdict> {
        let (states, conditions) = (&mut self.paths, filters.path_filters());
        let mut take = |place: usize, found: Found, effort: &mut Effort| {
            let filter = &conditions[place];
            let mut fulfilled = states.fulfilled[place];
            let is_compared = filter.compare(found, &mut fulfilled, &mut states.value, effort);
            states.fulfilled[place] = fulfilled;
            if !is_compared {
                return Taken::Unfinished;
            }
            if !filter.is_final(fulfilled) {
                return Taken::GoOn;
            }
            match states.decide(place, filter.hold(fulfilled), parts) {
                true => Taken::Over,
                false => Taken::Enough,
            }
        };
        let paths = filters.paths();
        if !self.walk.go_on(event.payload, paths, effort, &mut take) {
            return None;
        }
        for place in places(states.left) {
            let holds = conditions[place].hold(states.fulfilled[place]);
            if states.has_failed || states.decide(place, holds, parts) {
                break;
            }
        }
        Some(states.verdict())
    }
}

impl Filters {
    /// Whether an event matches, in one step.
    pub fn matches(&self, event: &Candidate) -> bool {
        self.judge(event, &[]) == Verdict::Matches
    }

    /// Whether an event matches, and if not, whether it does with one of these parts left out; in one step.
    pub fn judge(&self, event: &Candidate, parts: &[Part]) -> Verdict {
        let mut matcher = Matcher::default();
        let verdict = matcher.judge(self, (0, event), parts, &mut Effort::unbounded());
        verdict.unwrap_or(Verdict::Fails)
    }
}
