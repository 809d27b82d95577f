//! What came in by which protocol, what became of it, and where the identities of records were from.

use super::exposition::{Exposition, Kind};
use crate::event::{IdentityCounts, Protocol};
use crate::store::Outcome;

/// What became of the records of publications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Results {
    accepted: u64,
    duplicates: u64,
    conflicts: u64,
    rejected: u64,
}

/// Counts since the process started.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    results: Results,
    identities: IdentityCounts,
}

/// Counts by protocol.
#[derive(Debug, Default)]
pub(super) struct Ingest([Counts; Protocol::ALL.len()]);

impl Ingest {
    /// A publication was committed, with these outcomes of its events.
    pub(super) fn committed(&mut self, protocol: Protocol, outcomes: &[Outcome]) {
        let results = &mut self.0[protocol as usize].results;
        for outcome in outcomes {
            match outcome {
                Outcome::Accepted(_) => results.accepted += 1,
                Outcome::Duplicate(_) => results.duplicates += 1,
                Outcome::Conflict(_) => results.conflicts += 1,
            }
        }
    }

    /// Records did not become events.
    pub(super) fn rejected(&mut self, protocol: Protocol, records: u64) {
        self.0[protocol as usize].results.rejected += records;
    }

    /// Records got their identities from there.
    pub(super) fn identified(&mut self, protocol: Protocol, more: IdentityCounts) {
        let counts = &mut self.0[protocol as usize].identities;
        counts.own += more.own;
        counts.member += more.member;
        counts.hash += more.hash;
        counts.auto += more.auto;
    }

    /// Writes all counts, those that are 0 too: a rate needs what came before the first one.
    pub(super) fn expose(&self, page: &mut Exposition) {
        let name = "log_aggregator_ingest_records";
        let help = "Records by protocol and by what became of them, since the start.";
        page.family(name, Kind::Counter, help);
        for (protocol, Counts { results, .. }) in self.all() {
            for (result, count) in [
                ("accepted", results.accepted),
                ("duplicate", results.duplicates),
                ("conflict", results.conflicts),
                ("rejected", results.rejected),
            ] {
                let labels = format!("protocol=\"{protocol}\",result=\"{result}\"");
                page.counted(name, &labels, count);
            }
        }
        let name = "log_aggregator_ingest_identities";
        let help =
            "Records by protocol and by where their identities are from, since the start. A retry of one with auto is \
             stored again.";
        page.family(name, Kind::Counter, help);
        for (protocol, Counts { identities, .. }) in self.all() {
            for (identity, count) in [
                ("own", identities.own),
                ("member", identities.member),
                ("hash", identities.hash),
                ("auto", identities.auto),
            ] {
                let labels = format!("protocol=\"{protocol}\",identity=\"{identity}\"");
                page.counted(name, &labels, count);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Counts)> {
        Protocol::ALL
            .into_iter()
            .map(Protocol::name)
            .zip(self.0.iter())
    }
}
