//! The protocols in which events come, and from where the identities of their records are.

/// A protocol that publishers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Publish,
    Otlp,
    Elasticsearch,
    Loki,
    Journald,
    Syslog,
    CloudEvents,
    Forward,
    Hec,
    Datadog,
    Gelf,
}

impl Protocol {
    /// All of them, in the order of their numbers.
    pub const ALL: [Protocol; 11] = [
        Protocol::Publish,
        Protocol::Otlp,
        Protocol::Elasticsearch,
        Protocol::Loki,
        Protocol::Journald,
        Protocol::Syslog,
        Protocol::CloudEvents,
        Protocol::Forward,
        Protocol::Hec,
        Protocol::Datadog,
        Protocol::Gelf,
    ];

    /// Its name in settings, answers, metrics and the table `rejected`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Publish => "publish",
            Protocol::Otlp => "otlp",
            Protocol::Elasticsearch => "elasticsearch",
            Protocol::Loki => "loki",
            Protocol::Journald => "journald",
            Protocol::Syslog => "syslog",
            Protocol::CloudEvents => "cloudevents",
            Protocol::Forward => "forward",
            Protocol::Hec => "hec",
            Protocol::Datadog => "datadog",
            Protocol::Gelf => "gelf",
        }
    }

    /// The protocol of this name.
    pub fn of_name(name: &str) -> Option<Protocol> {
        Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }
}

/// Where the identities of records came from, as counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityCounts {
    /// The protocol carries it.
    pub own: u64,
    /// A member of the record, which the query names.
    pub member: u64,
    /// A hash of the record.
    pub hash: u64,
    /// Made new: a retry is stored again.
    pub auto: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_place_and_a_name_of_its_own() {
        for (place, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(protocol as usize, place);
            assert_eq!(Protocol::of_name(protocol.name()), Some(protocol));
        }
        assert_eq!(Protocol::of_name("http"), None);
    }
}
