//! What is measured, against what, and what is expected of it.

use crate::inprocess::{Form, Loop};
use crate::kind::Kind;
use crate::load::events::IdOrder;

/// Connections that send one event, or none, a request.
const MANY: usize = 64;
/// Connections that send batches.
const FEW: usize = 4;
/// Connections where it is the latency that is asked for.
const ONE: usize = 1;
/// Rows that a database holds where a scenario is about one that is not small.
const MILLION: u64 = 1_000_000;

/// One line of the results, or several where there are several baselines.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub subject: Subject,
    pub baselines: &'static [Baseline],
}

/// What a scenario measures.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// The server under this load.
    Server {
        kind: Kind,
        connections: usize,
        /// Events stored before the first round.
        events_before: u64,
    },
    /// The server under messages of syslog over TCP.
    Syslog { connections: usize },
    /// SQLite alone.
    Loop(Loop),
}

/// What a scenario is compared with, and the least ratio that is expected.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    pub against: Against,
    pub target: f64,
}

#[derive(Clone, Copy, Debug)]
pub enum Against {
    /// nginx that answers the same requests with a constant.
    Nginx,
    /// A loop that writes into SQLite in this process.
    Loop(Loop),
    /// nginx that answers the same requests with a constant, and then the loop, one after the other: what answering
    /// and appending take where nothing is saved by doing both in one process.
    NginxThenLoop(Loop),
    /// The same server under other traffic, over as many connections. Rounds alternate, so both find
    /// the database as large.
    SameServer(Kind),
    /// A server with a database of its own, under other traffic over as many connections.
    OtherServer(Kind),
}

/// All of them, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "health",
        subject: server(Kind::Health, MANY, 0),
        baselines: &[nginx(0.9)],
    },
    Scenario {
        name: "single-ordered",
        subject: server(Kind::SingleOrdered, MANY, 0),
        baselines: &[answer_and_append(IdOrder::Ordered)],
    },
    Scenario {
        name: "single-random",
        subject: server(Kind::SingleRandom, MANY, 0),
        baselines: &[answer_and_append(IdOrder::Random)],
    },
    Scenario {
        name: "same-again",
        subject: server(Kind::Same, MANY, 0),
        baselines: &[nginx(0.7)],
    },
    Scenario {
        name: "batch-ordered",
        subject: server(Kind::BatchOrdered, FEW, 0),
        baselines: &[Baseline {
            against: Against::Loop(sqlite(Form::InsertOrIgnore, IdOrder::Ordered, 1_000, 0)),
            target: 0.6,
        }],
    },
    Scenario {
        name: "batch-random",
        subject: server(Kind::BatchRandom, FEW, MILLION),
        baselines: &[
            Baseline {
                against: Against::Loop(sqlite(Form::AppendOnly, IdOrder::Random, 1_000, MILLION)),
                target: 0.7,
            },
            Baseline {
                against: Against::Loop(sqlite(
                    Form::InsertOrIgnore,
                    IdOrder::Random,
                    1_000,
                    MILLION,
                )),
                target: 6.0,
            },
        ],
    },
    Scenario {
        name: "half-near",
        subject: server(Kind::HalfNear, FEW, 0),
        baselines: &[ALL_NEW],
    },
    Scenario {
        name: "half-far",
        subject: server(Kind::HalfFar, FEW, MILLION),
        baselines: &[ALL_NEW],
    },
    Scenario {
        name: "topics-1000",
        subject: server(Kind::ThousandTopics, FEW, 0),
        baselines: &[FIVE_TOPICS],
    },
    Scenario {
        name: "topics-100000",
        subject: server(Kind::ManyTopics, FEW, 0),
        baselines: &[FIVE_TOPICS],
    },
    Scenario {
        name: "ingest-otlp",
        subject: server(Kind::Otlp, FEW, 0),
        baselines: &[NDJSON],
    },
    Scenario {
        name: "ingest-bulk",
        subject: server(Kind::Bulk, FEW, 0),
        baselines: &[NDJSON],
    },
    Scenario {
        name: "ingest-loki",
        subject: server(Kind::Loki, FEW, 0),
        baselines: &[NDJSON],
    },
    Scenario {
        name: "ingest-syslog",
        subject: Subject::Syslog { connections: FEW },
        baselines: &[Baseline {
            against: Against::OtherServer(Kind::BatchRandom),
            target: 0.6,
        }],
    },
    Scenario {
        name: "rare-topic",
        subject: server(Kind::RareTopic, ONE, MILLION),
        baselines: &[],
    },
    in_process(
        "loop-append-1000",
        sqlite(Form::AppendOnly, IdOrder::Ordered, 1_000, 0),
    ),
    in_process(
        "loop-append-64",
        sqlite(Form::AppendOnly, IdOrder::Ordered, 64, 0),
    ),
    in_process(
        "loop-topic-1000",
        sqlite(Form::AppendWithTopicIndex, IdOrder::Ordered, 1_000, 0),
    ),
    in_process(
        "loop-topic-64",
        sqlite(Form::AppendWithTopicIndex, IdOrder::Ordered, 64, 0),
    ),
    in_process(
        "loop-ignore-ordered-1000",
        sqlite(Form::InsertOrIgnore, IdOrder::Ordered, 1_000, 0),
    ),
    in_process(
        "loop-ignore-ordered-64",
        sqlite(Form::InsertOrIgnore, IdOrder::Ordered, 64, 0),
    ),
    in_process(
        "loop-ignore-random-1000",
        sqlite(Form::InsertOrIgnore, IdOrder::Random, 1_000, 0),
    ),
    in_process(
        "loop-ignore-random-64",
        sqlite(Form::InsertOrIgnore, IdOrder::Random, 64, 0),
    ),
];

/// What a duplicate costs is seen beside the same batches without one, in the same database. Near
/// repeats are found in memory; far ones, spread over the whole database, each read what is stored.
const ALL_NEW: Baseline = Baseline {
    against: Against::SameServer(Kind::BatchRandom),
    target: 0.8,
};

const FIVE_TOPICS: Baseline = Baseline {
    against: Against::OtherServer(Kind::BatchRandom),
    target: 0.7,
};

/// What a protocol of shippers costs is seen beside the same payloads sent to `/publish`.
const NDJSON: Baseline = Baseline {
    against: Against::OtherServer(Kind::Ndjson),
    target: 0.6,
};

const fn server(kind: Kind, connections: usize, events_before: u64) -> Subject {
    Subject::Server {
        kind,
        connections,
        events_before,
    }
}

/// The bound of a server that answers as nginx does and commits what its connections have sent as a loop does.
const fn answer_and_append(order: IdOrder) -> Baseline {
    Baseline {
        against: Against::NginxThenLoop(sqlite(Form::AppendOnly, order, MANY as u64, 0)),
        target: 0.95,
    }
}

const fn nginx(target: f64) -> Baseline {
    Baseline {
        against: Against::Nginx,
        target,
    }
}

const fn sqlite(form: Form, order: IdOrder, batch: u64, rows_before: u64) -> Loop {
    Loop {
        form,
        order,
        batch,
        rows_before,
    }
}

const fn in_process(name: &'static str, what: Loop) -> Scenario {
    Scenario {
        name,
        subject: Subject::Loop(what),
        baselines: &[],
    }
}
