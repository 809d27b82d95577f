//! Reading what memory has to know of the segments, a segment at a time.

use rusqlite::Connection;

use super::compaction::Compaction;
use super::fingerprint::Fingerprinter;
use super::memtables::Memtables;
use super::obsolete::ObsoletePages;
use super::repair::Repairs;
use super::scrub::Scrub;
use super::segments::SegmentsLoad;
use super::upgrade::Upgrades;
use super::{Damage, KeyIndex};
use crate::store::retention::horizons::Horizons;
use crate::store::work::LoadBudget;

impl KeyIndex {
    /// Reads it in one go. The events after [`KeyIndex::mark`] are to be handed to [`KeyIndex::restore`].
    pub(crate) fn load(
        db: &Connection,
        fingerprinter: Fingerprinter,
        filter_memory_max: usize,
        horizons: Horizons,
    ) -> rusqlite::Result<Self> {
        let mut load = IndexLoad::begin(db, fingerprinter, filter_memory_max, horizons)?;
        load.step(db, &mut LoadBudget::unlimited())?;
        load.finish(db)
    }
}

/// An index whose segments are being read.
pub(crate) struct IndexLoad {
    fingerprinter: Fingerprinter,
    horizons: Horizons,
    damage: Damage,
    segments: SegmentsLoad,
}

impl IndexLoad {
    pub(crate) fn begin(
        db: &Connection,
        fingerprinter: Fingerprinter,
        filter_memory_max: usize,
        horizons: Horizons,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            fingerprinter,
            horizons,
            damage: Damage::default(),
            segments: SegmentsLoad::begin(db, filter_memory_max, horizons)?,
        })
    }

    /// Reads on. Returns whether all segments have been read.
    pub(crate) fn step(
        &mut self,
        db: &Connection,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        self.segments.step(db, &self.damage, budget)
    }

    /// The index, once all segments have been read, with empty memtables.
    pub(crate) fn finish(self, db: &Connection) -> rusqlite::Result<KeyIndex> {
        let segments = self.segments.finish();
        let (obsolete, next_page) = ObsoletePages::find(db, segments.all())?;
        Ok(KeyIndex {
            fingerprinter: self.fingerprinter,
            segments,
            memtables: Memtables::new(),
            compaction: Compaction::new(obsolete, next_page),
            horizons: self.horizons,
            committed_horizons: self.horizons,
            damage: self.damage,
            repairs: Repairs::default(),
            upgrades: Upgrades::default(),
            scrub: Scrub::default(),
            remade: None,
            has_sealed: false,
        })
    }
}
