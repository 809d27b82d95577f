//! Named subscriptions: reading them, and queueing changes of them for the next commit. A change waits
//! beside the ring and shares its transaction; like a publication it has no answer before that.

use super::reply::{unavailable, Completion, Reply, Ticket};
use super::App;
use crate::api::subscriptions::{self, Put};
use crate::http::{Method, Request, Response};
use crate::limits;
use crate::store::{SubscriptionOp, SubscriptionResult};

impl App {
    /// Answers what is asked of the subscription `name`.
    pub(super) fn subscription(
        &mut self,
        ticket: Ticket,
        request: &Request,
        body: Vec<u8>,
        name: String,
    ) -> Reply {
        let most = self.options.max_body_bytes;
        let change = match request.method {
            Method::Put => subscriptions::read_put(request, body, most)
                .map(|Put { after, hold }| SubscriptionOp::Put { name, after, hold }),
            Method::Post => subscriptions::read_acknowledgement(request, body, most)
                .map(|seq| SubscriptionOp::Acknowledge { name, seq }),
            Method::Delete => Ok(SubscriptionOp::Remove { name }),
            _ => return Reply::Now(subscriptions::one(&self.store, &name)),
        };
        match change {
            Ok(change) => {
                self.queue.push_change(ticket, change);
                Reply::AfterCommit
            }
            Err(refusal) => Reply::Now(*refusal),
        }
    }

    /// Answers `GET /subscriptions`.
    pub(super) fn subscriptions(&mut self) -> Response {
        let count = self.store.subscription_count() as u64;
        self.charge(count * limits::LINE_UNITS);
        subscriptions::list(&self.store)
    }

    /// The waiting changes have been committed.
    pub(super) fn answer_changes(&mut self, changed: Vec<SubscriptionResult>) {
        for ((ticket, change), changed) in self.queue.take_changes().zip(changed) {
            let response = subscriptions::changed(&self.store, &change, changed);
            self.committed.push(Completion::bare(ticket, response));
        }
    }

    /// The waiting changes could not be committed.
    pub(super) fn refuse_changes(&mut self) {
        for (ticket, _) in self.queue.take_changes() {
            let response = unavailable("The change could not be stored; send it again.");
            self.committed.push(Completion::bare(ticket, response));
        }
    }
}
