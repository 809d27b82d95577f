//! What a transaction has made again, until memory takes it over.

use crate::store::index::damage::Damage;
use crate::store::index::layout::Description;
use crate::store::index::record::Posting;
use crate::store::index::segments::Segments;

/// What a transaction has made again.
#[derive(Default)]
pub(crate) struct Remade {
    pub(super) about: Option<Description>,
    pub(super) ids: Vec<i64>,
    pub(super) key_fences: Option<Vec<u64>>,
    pub(super) posting_fences: Option<Vec<Posting>>,
    /// Pages of the filter, counted from its first.
    pub(super) filter: Vec<(usize, Vec<u8>)>,
}

/// The transaction that has made these pages again was committed.
pub(crate) fn take_over(remade: Remade, segments: &mut Segments, damage: &Damage) {
    let Some(about) = remade.about else { return };
    if let Some(segment) = segments.find_mut(&about) {
        if let Some(fences) = remade.key_fences {
            segment.key_fences = fences;
        }
        if let Some(fences) = remade.posting_fences {
            segment.posting_fences = fences;
        }
        if let Some(filter) = &mut segment.filter {
            for (number, page) in &remade.filter {
                filter.set_page(*number, page);
            }
        }
    }
    damage.repaired(about.level, remade.ids.into_iter());
}
