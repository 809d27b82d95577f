//! Whether the server still has the database that the lines went to. Lines that a state counts as stored may be missing
//! in another one, as in a copy that was restored.

use std::path::Path;
use std::time::{Duration, Instant};

use super::follower::Follower;
use crate::client::Client;
use crate::limits::SHIP_DATABASE_MS;
use crate::text::escaped;

/// When to ask the server for its database.
#[derive(Default)]
pub(super) struct Watch {
    /// None is now.
    due: Option<Instant>,
    /// The id of the database that it had last.
    id: Option<String>,
}

impl Watch {
    /// From now on the server may be another one.
    pub(super) fn make_due(&mut self) {
        self.due = None;
    }

    /// Asks the server, if that is due, and reports the files of which something may be missing. The publisher deals
    /// with a server that does not answer.
    pub(super) fn check(&mut self, client: &Client, followers: &mut [Follower]) {
        let now = Instant::now();
        if self.due.is_some_and(|due| now < due) {
            return;
        }
        let Ok(id) = client.database_id() else {
            return;
        };
        self.due = Some(now + Duration::from_millis(SHIP_DATABASE_MS));
        self.id = id;
        for follower in followers {
            self.tell(client, follower);
        }
    }

    /// Tells a log file the database, and reports if something may be missing in it. One that is told when it is found
    /// need not be opened for it again.
    pub(super) fn tell(&self, client: &Client, follower: &mut Follower) {
        let Some(id) = &self.id else {
            return;
        };
        if follower.goes_to(id) {
            let [path, state] = [follower.path(), follower.state_path()].map(shown);
            client.report(&format!(
                "the server has another database now, {}: lines of {path} that were shipped before may be \
                 missing in it; without its state {state} the file is shipped again",
                escaped(id)
            ));
        }
    }
}

fn shown(path: &Path) -> String {
    escaped(&path.display().to_string()).into_owned()
}
