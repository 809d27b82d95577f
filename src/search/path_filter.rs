//! All conditions on one path: which of them are fulfilled, and whether the path holds.

use memchr::memmem::Finder;

use super::condition::{may_be_number, Condition, ValueScan};
use super::effort::Effort;
use super::path::{Found, Path};

/// What a condition costs besides the bytes that it looks at.
const CONDITION_EFFORT: usize = 2;

/// All conditions on one path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathFilter {
    conditions: Vec<Condition>,
    /// The conditions of which one has to be fulfilled (`=`), those that all have to be, and those that must not be, as
    /// bits by their places.
    any_of: u32,
    all_of: u32,
    none_of: u32,
    needed: Option<Needed>,
}

/// How a condition counts among those on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One of these has to be fulfilled.
    Any,
    All,
    None,
}

impl PathFilter {
    /// Adds a condition; there are at most 32.
    pub(super) fn add(&mut self, role: Role, condition: Condition) {
        let bit = 1 << self.conditions.len();
        *match role {
            Role::Any => &mut self.any_of,
            Role::All => &mut self.all_of,
            Role::None => &mut self.none_of,
        } |= bit;
        self.conditions.push(condition);
    }

    /// The conditions of which one has to be fulfilled; none if there are none.
    pub fn any_of(&self) -> impl Iterator<Item = &Condition> {
        self.with_bits(self.any_of)
    }

    /// The conditions that all have to be fulfilled.
    pub fn all_of(&self) -> impl Iterator<Item = &Condition> {
        self.with_bits(self.all_of)
    }

    fn with_bits(&self, bits: u32) -> impl Iterator<Item = &Condition> {
        let places = self.conditions.iter().enumerate();
        places.filter_map(move |(place, condition)| (bits >> place & 1 != 0).then_some(condition))
    }

    /// Adds the conditions to those that are `fulfilled` which a member or value fulfils. False where the step is over
    /// before that is known.
    pub(super) fn compare(
        &self,
        found: Found,
        fulfilled: &mut u32,
        scan: &mut ValueScan,
        effort: &mut Effort,
    ) -> bool {
        for (place, condition) in self.conditions.iter().enumerate().skip(scan.place) {
            if *fulfilled >> place & 1 != 0 {
                continue;
            }
            effort.spend(CONDITION_EFFORT);
            match condition.is_fulfilled_by(found, scan, effort) {
                None => {
                    scan.place = place;
                    return false;
                }
                Some(true) => *fulfilled |= 1 << place,
                Some(false) => {}
            }
        }
        scan.end();
        true
    }

    /// Whether the conditions hold where the payload has nothing further that fulfils one.
    pub(super) fn hold(&self, fulfilled: u32) -> bool {
        (self.any_of == 0 || fulfilled & self.any_of != 0)
            && fulfilled & self.all_of == self.all_of
            && fulfilled & self.none_of == 0
    }

    /// Whether further values make no difference.
    pub(super) fn is_final(&self, fulfilled: u32) -> bool {
        fulfilled & self.none_of != 0 || self.none_of == 0 && self.hold(fulfilled)
    }

    /// All conditions have been added. A payload without escapes must have the text of the one that asks for a text, or
    /// the last name of the path, if there has to be a member.
    pub(super) fn complete(&mut self, path: &Path) {
        let mut any_of = self.any_of();
        let text = match (any_of.next(), any_of.next()) {
            (Some(Condition::StringEquals(text)), None) => Some(&**text),
            (Some(Condition::Equals(text)), None) if !may_be_number(text.as_bytes()) => {
                Some(&**text)
            }
            _ => (self.any_of | self.all_of != 0).then(|| path.last_name()),
        };
        let needed = text.map(|text| Needed(Finder::new(text.as_bytes()).into_owned()));
        drop(any_of);
        self.needed = needed;
    }

    /// Whether a payload without escapes cannot fulfil the conditions.
    pub(super) fn lacks_needed_text(&self, payload: &[u8]) -> bool {
        let needed = self.needed.as_ref();
        needed.is_some_and(|needed| needed.0.find(payload).is_none())
    }
}

/// A text that is looked for before anything else.
#[derive(Clone, Debug)]
struct Needed(Finder<'static>);

impl PartialEq for Needed {
    fn eq(&self, other: &Self) -> bool {
        self.0.needle() == other.0.needle()
    }
}
