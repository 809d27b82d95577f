//! What is asked of the engine without a publication: requests that read, changes of subscriptions, the front's own
//! looks for new events, and parts of streams. They wait in one queue for the connections that read.

use super::rows::{self, Part, HEAD};
use super::search::FrontSearch;
use super::stats;
use super::subscriptions as positions;
use super::wanted::Wanted;
use crate::api::page::EventsQuery;
use crate::api::subscribe::SubscribeParams;
use crate::app::reply::Ticket;
use crate::clock::Now;
use crate::event::NameFilter;
use crate::limits::{FRONT_PART_BYTES, FRONT_PART_EVENTS, PAGE_MAX_BYTES};
use crate::postgres::statement::Statement;
use crate::postgres::{Answer, Row};
use crate::store::{Bound, SubscriptionOp};

/// What is said where the engine has not answered.
pub(super) const UNREADABLE: &str = "The engine cannot be read now; try again.";

/// Something that is asked of the engine.
pub(super) struct Read {
    /// Who waits for it; none for the front itself.
    pub ticket: Option<Ticket>,
    /// In `mono_ms`.
    pub since: u64,
    pub kind: Kind,
}

pub(super) enum Kind {
    Page(Box<EventsQuery>),
    Search(Box<FrontSearch>),
    Event {
        topic: String,
        event_id: String,
    },
    /// Counts the events of topics up to a seq after this one.
    Topics {
        after: u64,
    },
    Stats {
        /// The id up to which batches have been added up.
        base: i64,
        with: StatsFor,
    },
    Subscriptions,
    Subscription(String),
    Change(SubscriptionOp),
    Subscribe(Box<SubscribeParams>),
    /// How far the events go, and those after a seq where they are wanted.
    Look {
        asked: u64,
        after: Option<u64>,
    },
    Part {
        id: u64,
        part: Part,
        wanted: Box<Wanted>,
    },
}

/// What statistics are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatsFor {
    Stats,
    Metrics(crate::metrics::Format),
}

impl Kind {
    pub(super) fn statements(&mut self, now: Now) -> Vec<Statement> {
        match self {
            Kind::Page(query) => vec![
                HEAD.into(),
                page_of(query).statement(&Wanted::of_topics(query.filters().topics())),
            ],
            Kind::Search(search) => search.statements(now),
            Kind::Event { topic, event_id } => vec![rows::one(topic, event_id)],
            Kind::Topics { after } => vec![HEAD.into(), stats::count_topics(*after)],
            Kind::Stats { base, .. } => stats::statements(*base),
            Kind::Subscriptions => vec![HEAD.into(), positions::LIST.into()],
            Kind::Subscription(name) => vec![HEAD.into(), positions::one(name)],
            Kind::Change(change) => positions::change(change),
            Kind::Subscribe(params) => {
                let name = params.subscription.as_deref();
                vec![HEAD.into(), positions::one(name.unwrap_or_default())]
            }
            Kind::Look { after: None, .. } => vec![HEAD.into()],
            Kind::Look {
                after: Some(after), ..
            } => vec![
                HEAD.into(),
                live_part(*after).statement(&Wanted::of_topics(&NameFilter::new(&[]))),
            ],
            Kind::Part { part, wanted, .. } => vec![part.statement(wanted)],
        }
    }
}

/// The events of a page without other filters than topics.
pub(super) fn page_of(query: &EventsQuery) -> Part {
    Part {
        bound: query.bound(),
        end: match query.bound() {
            Bound::After(_) => u64::MAX,
            Bound::Before(_) => 1,
        },
        events: query.limit(),
        bytes: PAGE_MAX_BYTES,
    }
}

/// The newest events, after a seq.
pub(super) fn live_part(after: u64) -> Part {
    Part {
        bound: Bound::After(after),
        end: u64::MAX,
        events: FRONT_PART_EVENTS,
        bytes: FRONT_PART_BYTES,
    }
}

/// Whether a client waits for it, and it is a search.
pub(super) fn is_search(read: &Read) -> bool {
    read.ticket.is_some() && matches!(read.kind, Kind::Search(_))
}

/// The rows of the last statement.
pub(super) fn rows_of(all: &mut Vec<Answer>) -> Vec<Row> {
    let last = all.pop().and_then(|mut answer| answer.statements.pop());
    last.unwrap_or_default()
}
