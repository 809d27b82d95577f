//! Goes through a payload once for several paths, in steps, and hands over what each of them leads to.

use super::effort::Effort;
use super::path::{Found, Path};
use super::scalar::Scalar;
use super::text::Text;
use super::tokens::{Next, SavedScalar, Tokens};
use crate::limits::{FIELDS_ASKED_MAX, WHERE_MAX, WHERE_MAX_BYTES};

/// Paths of one walk at most.
pub(super) const PATHS_MAX: usize = WHERE_MAX;

const _: () = assert!(FIELDS_ASKED_MAX <= PATHS_MAX && PATHS_MAX <= u32::BITS as usize);

/// The path has come to its end: the values are those of the member.
const VALUES: u8 = u8::MAX;
/// What it costs to compare a name with a path.
const COMPARE_EFFORT: usize = 1;

/// What to do after something has been handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    GoOn,
    /// Nothing more that this path leads to is wanted.
    Enough,
    /// Nothing more is wanted at all.
    Over,
    /// The step is over; the same is handed over again.
    Unfinished,
}

/// Takes what the path of this number leads to.
pub(super) type Take<'t> = dyn FnMut(usize, Found, &mut Effort) -> Taken + 't;

/// The state of the paths in an object or array, or before a value.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// The paths that lead here, as bits.
    active: u32,
    /// For each of these, how many steps have been made, or [`VALUES`].
    steps: [u8; PATHS_MAX],
}

impl Level {
    const NONE: Level = Level {
        active: 0,
        steps: [0; PATHS_MAX],
    };

    /// The paths that are at their end.
    fn at_end(&self) -> u32 {
        let is_at_end = |path: &usize| self.steps[*path] == VALUES;
        places(self.active)
            .filter(is_at_end)
            .fold(0, |bits, path| bits | 1 << path)
    }
}

/// A walk through a payload. Its stack is bounded by the nesting of payloads.
#[derive(Debug)]
pub(super) struct PathWalk {
    tokens: Tokens,
    /// The objects and arrays that are open.
    levels: Vec<Level>,
    /// The state of the paths before the value that comes next.
    next: Level,
    /// Paths of which something is still wanted.
    wanted: u32,
    /// A value that is being handed over, and the paths that still get it.
    value: Option<(SavedScalar, u32)>,
}

/// The places of the bits that are set, in order.
pub(super) fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(place as usize)
    })
}

impl PathWalk {
    pub(super) fn new() -> Self {
        Self {
            tokens: Tokens::of_object(b""),
            levels: Vec::new(),
            next: Level::NONE,
            wanted: 0,
            value: None,
        }
    }

    /// Begins with a payload, for the paths that are `wanted`, as bits.
    pub(super) fn begin(&mut self, payload: &[u8], wanted: u32) {
        self.tokens = Tokens::of_object(payload);
        self.levels.clear();
        self.levels.push(Level {
            active: wanted,
            ..Level::NONE
        });
        self.next.active = 0;
        self.wanted = wanted;
        self.value = None;
    }

    /// Goes on in the same payload with the same paths. Returns whether it is over.
    pub(super) fn go_on(
        &mut self,
        payload: &[u8],
        paths: &[Path],
        effort: &mut Effort,
        take: &mut Take,
    ) -> bool {
        if let Some((saved, left)) = self.value.take() {
            if !self.hand_over(saved.of(payload), left, effort, take) {
                return false;
            }
        }
        while self.wanted != 0 {
            if effort.is_over() {
                return false;
            }
            match self.tokens.next(payload, effort) {
                Next::Name(name) => self.step_over(name, paths, effort, take),
                Next::Scalar(scalar) => {
                    let left = self.next.at_end() & self.wanted;
                    if left != 0 && !self.hand_over(scalar, left, effort, take) {
                        return false;
                    }
                }
                Next::Open => self.open(),
                Next::Close => {
                    self.levels.pop();
                    if self.tokens.is_in_array() {
                        self.next = self.levels.last().copied().unwrap_or(Level::NONE);
                    }
                }
                Next::Unfinished => {}
                Next::End => self.wanted = 0,
            }
        }
        true
    }

    /// Takes the name of a member: finds how far each path gets with it.
    fn step_over(&mut self, name: Text, paths: &[Path], effort: &mut Effort, take: &mut Take) {
        let mut decoded;
        let name = match name.as_plain() {
            Some(raw) => raw,
            None => {
                // A name that fills this is longer than all steps together.
                decoded = [0; WHERE_MAX_BYTES + 1];
                let len = name.decode().read(&mut decoded);
                effort.spend(len);
                &decoded[..len]
            }
        };
        self.next.active = 0;
        let Some(level) = self.levels.last() else {
            return self.tokens.pass_over();
        };
        let mut has_member = 0;
        for place in places(level.active & self.wanted) {
            effort.spend(COMPARE_EFFORT);
            let from = usize::from(level.steps[place]);
            let Some(to) = paths[place].step_over(from, name) else {
                continue;
            };
            self.next.active |= 1 << place;
            self.next.steps[place] = to as u8;
            if to == paths[place].len() {
                self.next.steps[place] = VALUES;
                has_member |= 1 << place;
            }
        }
        for place in places(has_member) {
            let taken = take(place, Found::Member, effort);
            self.note(place, taken);
        }
        if self.next.active & self.wanted == 0 {
            self.tokens.pass_over();
        }
    }

    /// An object or array begins.
    fn open(&mut self) {
        let mut level = self.next;
        level.active &= self.wanted;
        if !self.tokens.is_in_array() {
            // An object is not a value, nor is anything in it.
            level.active &= !level.at_end();
        }
        if level.active == 0 {
            self.tokens.leave();
        } else {
            self.levels.push(level);
        }
    }

    /// Hands a value to the paths that are `left`. False where the step is over before all have it.
    fn hand_over(
        &mut self,
        scalar: Scalar,
        left: u32,
        effort: &mut Effort,
        take: &mut Take,
    ) -> bool {
        for place in places(left) {
            if self.wanted >> place & 1 == 0 {
                continue;
            }
            let taken = take(place, Found::Value(scalar), effort);
            if taken == Taken::Unfinished {
                let left = left & (u32::MAX << place);
                self.value = Some((self.tokens.save(scalar), left));
                return false;
            }
            self.note(place, taken);
        }
        true
    }

    fn note(&mut self, place: usize, taken: Taken) {
        match taken {
            Taken::GoOn | Taken::Unfinished => {}
            Taken::Enough => self.wanted &= !(1 << place),
            Taken::Over => self.wanted = 0,
        }
    }
}
