//! The machine's name and its time zone, for messages of its own programs.

use std::path::Path;

use tz::TimeZone;

use crate::ingest::{Machine, Zone};

/// Reads them, as they are at the start. A zone that cannot be read is UTC.
pub(crate) fn machine() -> Machine {
    let about = rustix::system::uname();
    let zone = match std::env::var("TZ") {
        Ok(zone) if !zone.is_empty() => TimeZone::from_posix_tz(&zone),
        _ => TimeZone::local(),
    };
    let zone = zone.unwrap_or_else(|error| {
        // Without the file the zone is UTC (tzset(3)).
        if Path::new("/etc/localtime").exists() {
            log::warn!("the time zone cannot be read, and is taken for UTC: {error}");
        }
        TimeZone::utc()
    });
    Machine {
        hostname: about.nodename().to_string_lossy().into_owned(),
        zone: Box::new(LocalZone(zone)),
    }
}

struct LocalZone(TimeZone);

impl Zone for LocalZone {
    fn offset_at(&self, unix: i64) -> i32 {
        let found = self.0.find_local_time_type(unix);
        found.map_or(0, |local| local.ut_offset())
    }
}
