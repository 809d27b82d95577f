//! SIGHUP: reads the tokens file again, and ends what the new tokens do not allow any more.

use super::{Connection, Platform, Reactor};
use crate::app::service::Service;
use crate::limits;
use crate::net::connection::key_of;
use crate::net::tokens_file;

impl<P: Platform, S: Service> Reactor<P, S> {
    pub(super) fn reload_tokens(&mut self) {
        if let Some(tokens) = tokens_file::reload(self.tokens_file.as_deref()) {
            self.app.set_tokens(tokens);
            let under_way = |(key, client): (usize, &Connection<P::Socket>)| {
                let is_under_way = client.stream.is_some() || client.read.is_some();
                is_under_way.then(|| client.ticket(key))
            };
            self.unchecked = self.clients.iter().filter_map(under_way).collect();
        }
    }

    /// Checks the requests of answers in progress against the new tokens. Each is compared with all tokens, so a turn
    /// checks only some of them.
    pub(super) fn check_tokens(&mut self) {
        for _ in 0..limits::TOKENS_CHECKED_PER_TURN {
            let Some(ticket) = self.unchecked.pop() else {
                return;
            };
            let key = key_of(ticket);
            let client = self.clients.get(key);
            let client = client.filter(|client| client.ticket(key) == ticket && !client.closing);
            let is_under_way =
                |client: &&Connection<P::Socket>| client.stream.is_some() || client.read.is_some();
            let Some(client) = client.filter(is_under_way) else {
                continue;
            };
            if self
                .app
                .may_go_on(&client.conn.request(), client.route.as_ref())
            {
                continue;
            }
            if client.stream.is_some() {
                self.break_stream(key);
            } else {
                self.begin_again(key);
            }
        }
    }
}
