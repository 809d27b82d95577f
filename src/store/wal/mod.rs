//! The write-ahead log: when it is copied into the database and by whom, and what of it is certain to be on
//! the disk. Does not touch the database itself.

pub(super) mod checkpoint;
pub(super) mod copier;
pub(super) mod file;
pub(super) mod position;
pub(super) mod recovery;

use self::checkpoint::CheckpointPlan;
use self::copier::CopyResult;
use self::recovery::{Closed, UnsyncedState};
use crate::limits::{CHECKPOINT_LAST_FRAMES, CHECKPOINT_MAX_FRAMES};

/// The state of the log.
#[derive(Debug)]
pub(super) struct Wal {
    plan: CheckpointPlan,
    /// Another process is to copy the log.
    needs_offload: bool,
    /// The result of the last request for that, until the next check of what is left.
    last_copy: Option<CopyResult>,
    /// What must be synced before anything is committed or copied.
    unsynced: UnsyncedState,
}

impl Wal {
    pub(super) fn new() -> Self {
        Self {
            plan: CheckpointPlan::new(),
            needs_offload: false,
            last_copy: None,
            unsynced: UnsyncedState::default(),
        }
    }

    /// Whether a checkpoint has to be tried now that the WAL has this many frames.
    pub(super) fn is_checkpoint_due(&mut self, frames: u32, is_quiet: bool) -> bool {
        self.plan.is_due(frames, is_quiet)
    }

    /// The next quiet turn checks whether there is something to copy.
    pub(super) fn checkpoint_soon(&mut self) {
        self.plan = CheckpointPlan::default();
    }

    /// All of the WAL has been copied.
    pub(super) fn checkpointed(&mut self) {
        self.plan = CheckpointPlan::new();
    }

    /// Another program blocks the checkpoint.
    pub(super) fn back_off_checkpoint(&mut self) {
        self.plan.back_off();
    }

    /// Whether the WAL file is to be truncated further when there is time.
    pub(super) fn is_truncating(&self) -> bool {
        self.plan.is_truncating
    }

    pub(super) fn set_truncating(&mut self, is_truncating: bool) {
        self.plan.is_truncating = is_truncating;
    }

    /// Whether another process is to copy the WAL.
    pub(super) fn needs_offload(&self) -> bool {
        self.needs_offload
    }

    /// Decides who copies the WAL, of which this many frames are left. Returns whether that is another process.
    pub(super) fn decide_offload(&mut self, frames_left: u64) -> bool {
        let copied_here = match self.last_copy.take() {
            None | Some(CopyResult::Failed) => CHECKPOINT_MAX_FRAMES,
            Some(CopyResult::Copied) => CHECKPOINT_LAST_FRAMES,
            Some(CopyResult::Unavailable) => u64::MAX,
        };
        self.needs_offload = frames_left > copied_here && self.is_certain();
        self.needs_offload
    }

    /// Another process has copied the log, or tried to.
    pub(super) fn offloaded(&mut self, result: CopyResult) {
        self.needs_offload = false;
        self.last_copy = Some(result);
        self.checkpoint_soon();
    }

    /// Whether all that SQLite takes for synced is on the disk.
    pub(super) fn is_certain(&self) -> bool {
        self.unsynced == UnsyncedState::default()
    }

    /// A sync of the log has failed.
    pub(super) fn sync_failed(&mut self) {
        self.unsynced.wal = true;
    }

    /// A sync of the log or of the database has failed.
    pub(super) fn checkpoint_failed(&mut self) {
        self.unsynced.wal = true;
        self.unsynced.database = true;
    }

    pub(super) fn may_have_holes(&self) -> bool {
        self.unsynced.wal
    }

    /// The log has been written again and synced.
    pub(super) fn wal_synced(&mut self) {
        self.unsynced.wal = false;
    }

    /// Whether pages of the database may be missing.
    pub(super) fn may_lack_pages(&self) -> bool {
        self.unsynced.database
    }

    pub(super) fn database_synced(&mut self) {
        self.unsynced.database = false;
    }

    /// The state of the log when the connection was closed, as long as there is none.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.unsynced.closed
    }

    /// The connection is closed, to be reopened.
    pub(super) fn connection_closed(&mut self, closed: Closed) {
        self.unsynced.closed = Some(closed);
    }

    /// The connection has been reopened, with a log that has been rewritten.
    pub(super) fn connection_opened(&mut self) {
        self.unsynced.wal = false;
        self.unsynced.closed = None;
    }

    /// All that was planned for the log is void: the database has been read again.
    pub(super) fn plan_again(&mut self) {
        self.plan = CheckpointPlan::new();
        self.last_copy = None;
    }
}
