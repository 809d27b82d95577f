//! The body of a 422 answer: a list that names each fault and where it is.

use std::borrow::Cow;

use serde::Serialize;

use crate::http::Response;
use crate::limits::ERRORS_MAX;

/// One step on the way to a fault: the name of a member or the index of an element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LocPart {
    Name(Cow<'static, str>),
    Index(u32),
}

impl From<&'static str> for LocPart {
    fn from(name: &'static str) -> LocPart {
        LocPart::Name(Cow::Borrowed(name))
    }
}

impl From<u32> for LocPart {
    fn from(index: u32) -> LocPart {
        LocPart::Index(index)
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Where it is, from `"body"` or `"query"` inwards. Indices count from 0.
    pub loc: Vec<LocPart>,
    /// What is wrong, for a person.
    pub msg: Cow<'static, str>,
    /// `"missing"` for a member that is required and absent, `"unknown_member"` for one of the query that
    /// the route does not know, else `"value_error"`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Detail {
    /// A value that breaks a rule.
    pub fn value_error(loc: Vec<LocPart>, msg: impl Into<Cow<'static, str>>) -> Detail {
        Detail {
            loc,
            msg: msg.into(),
            kind: "value_error",
        }
    }

    /// A required member that is absent.
    pub fn missing(loc: Vec<LocPart>) -> Detail {
        Detail {
            loc,
            msg: Cow::Borrowed("field required"),
            kind: "missing",
        }
    }

    /// A member of the query that the route does not know.
    pub fn unknown_member(name: String, msg: String) -> Detail {
        Detail {
            loc: vec![LocPart::from("query"), LocPart::Name(name.into())],
            msg: msg.into(),
            kind: "unknown_member",
        }
    }
}

/// At most [`ERRORS_MAX`] faults, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Vec<Detail>);

impl Details {
    /// A fault of the query parameter `name`.
    pub fn query(name: impl Into<Cow<'static, str>>, msg: impl Into<Cow<'static, str>>) -> Details {
        let loc = vec![LocPart::from("query"), LocPart::Name(name.into())];
        Details(vec![Detail::value_error(loc, msg)])
    }

    /// A fault of the query as a whole.
    pub fn whole_query(msg: impl Into<Cow<'static, str>>) -> Details {
        Details(vec![Detail::value_error(vec![LocPart::from("query")], msg)])
    }

    /// A fault of the body as a whole.
    pub fn body(msg: impl Into<Cow<'static, str>>) -> Details {
        Details(vec![Detail::value_error(vec![LocPart::from("body")], msg)])
    }

    /// Adds a fault; what comes after the first [`ERRORS_MAX`] is dropped.
    pub fn push(&mut self, detail: Detail) {
        if self.0.len() < ERRORS_MAX {
            self.0.push(detail);
        }
    }

    pub fn as_slice(&self) -> &[Detail] {
        &self.0
    }

    /// Appends the whole body of a 422 answer, `{"detail":[…]}`, to `out`.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"detail\":");
        self.write_array(out);
        out.push(b'}');
    }

    /// Appends only the list, `[…]`, to `out`.
    pub fn write_array(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, &self.0)
            .expect("writing to memory does not fail, and no key is anything but a string");
    }
}

/// The 422 answer.
pub(crate) fn unprocessable(details: &Details) -> Response {
    let mut body = Vec::new();
    details.write_body(&mut body);
    Response::json(422, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(details: &Details) -> String {
        let mut out = Vec::new();
        details.write_body(&mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn has_the_shape_that_the_contract_shows() {
        let mut details = Details::default();
        assert_eq!(body_of(&details), r#"{"detail":[]}"#);
        let at = |member| {
            vec![
                "body".into(),
                "events".into(),
                3.into(),
                LocPart::from(member),
            ]
        };
        details.push(Detail::value_error(
            at("timestamp"),
            "timestamp must be in ISO 8601 format",
        ));
        details.push(Detail::missing(at("source")));
        assert_eq!(
            body_of(&details),
            concat!(
                r#"{"detail":[{"loc":["body","events",3,"timestamp"],"#,
                r#""msg":"timestamp must be in ISO 8601 format","type":"value_error"},"#,
                r#"{"loc":["body","events",3,"source"],"msg":"field required","type":"missing"}]}"#
            )
        );
    }

    #[test]
    fn query_and_body_faults_are_located_and_escaped() {
        assert_eq!(
            body_of(&Details::query("limit", "not \"a\"\nnumber")),
            r#"{"detail":[{"loc":["query","limit"],"msg":"not \"a\"\nnumber","type":"value_error"}]}"#
        );
        assert_eq!(
            body_of(&Details::body(String::from("no"))),
            r#"{"detail":[{"loc":["body"],"msg":"no","type":"value_error"}]}"#
        );
    }

    #[test]
    fn holds_the_first_hundred() {
        let mut details = Details::default();
        for index in 0..150u32 {
            details.push(Detail::missing(vec![index.into()]));
        }
        assert_eq!(details.as_slice().len(), ERRORS_MAX);
        assert_eq!(details.as_slice()[99].loc, [LocPart::Index(99)]);
    }
}
