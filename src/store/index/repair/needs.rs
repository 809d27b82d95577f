//! Which damaged pages can be rebuilt, and what cannot be done before they are.

use crate::store::index::damage::Damage;
use crate::store::index::record::{Fingerprint, Part};
use crate::store::index::segment::Segment;
use crate::store::index::segments::Segments;

/// Whether the look-up of this key would need a damaged page.
pub(crate) fn needs_damaged_page(
    segments: &Segments,
    damage: &Damage,
    fingerprint: Fingerprint,
) -> bool {
    damage.count() > 0
        && segments.all().iter().any(|segment| {
            let ids = segment.pages_of(fingerprint);
            !damage.among(segment.about.level, ids).is_empty()
        })
}

/// The last seq whose event may be removed: those after it are still needed to make pages of keys again.
pub(crate) fn removable_up_to(segments: &Segments, damage: &Damage) -> u64 {
    if damage.count() == 0 {
        return u64::MAX;
    }
    let needs_events = |segment: &&Segment| !repairable(damage, segment, Part::Keys).is_empty();
    let first = segments.all().iter().find(needs_events);
    first.map_or(u64::MAX, |segment| segment.about.first_seq - 1)
}

/// Damaged pages of a part of a segment that can be rebuilt.
pub(super) fn repairable(damage: &Damage, segment: &Segment, part: Part) -> Vec<i64> {
    let ids = segment.layout.pages_of(part);
    let among = damage.among(segment.about.level, ids);
    let open = among.iter().filter(|page| !page.is_lost);
    open.map(|page| page.id).collect()
}
