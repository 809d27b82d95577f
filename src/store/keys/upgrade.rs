//! Filters as version 3 of the tables has them, in the place of the older ones and with as many bits.

use rusqlite::Connection;

use super::build::fill_filter_page;
use super::load::{descriptions, does_not_fit, has_size_of_a_build};
use super::merge::Source;
use super::segment::replace_page;
use crate::limits::SEGMENT_PAGE_BYTES;

/// Makes the filters of all segments anew, out of their keys: about a second for ten million.
pub fn make_filters_anew(db: &Connection) -> rusqlite::Result<()> {
    let mut page = Vec::with_capacity(SEGMENT_PAGE_BYTES);
    for about in descriptions(db)? {
        if !has_size_of_a_build(&about) {
            return Err(does_not_fit(&about));
        }
        let layout = about.layout();
        let mut keys = Source::pages(about.level, layout.first_page, layout.keys);
        for number in 0..layout.filter {
            fill_filter_page(
                db,
                &mut keys,
                about.filter_blocks(),
                number as usize,
                &mut page,
            )?;
            replace_page(db, about.level, layout.filter_at() + number, &page)?;
        }
    }
    Ok(())
}
