//! The lines of a bulk body: actions, each with the line of its document.
//!
//! Pure, and without memory of its own: a body may hold millions of actions. What makes a whole request fail is an
//! error here; what a document holds is not looked at.

use std::borrow::Cow;

use crate::ingest::json;

/// What an action asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Index,
    Create,
    Update,
    Delete,
}

impl Operation {
    /// As actions and items name it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Index => "index",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        match name {
            "index" => Some(Operation::Index),
            "create" => Some(Operation::Create),
            "update" => Some(Operation::Update),
            "delete" => Some(Operation::Delete),
            _ => None,
        }
    }
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    pub operation: Operation,
    /// Not empty.
    pub index: Option<Cow<'a, str>>,
    /// Not empty.
    pub id: Option<Cow<'a, str>>,
}

/// An action and the line that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub action: Action<'a>,
    /// Without its line end. Of `delete`, which has no document, the line of the action.
    pub document: &'a [u8],
}

/// The entries of a body, in order.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    body: &'a [u8],
    at: usize,
    /// How many lines have been read since the start.
    lines: usize,
}

impl<'a> Entries<'a> {
    /// From the start of a body.
    pub fn of(body: &'a [u8]) -> Self {
        Self::at(body, 0)
    }

    /// Continues at an offset that [`offset`](Self::offset) gave of the same body.
    pub(super) fn at(body: &'a [u8], offset: usize) -> Self {
        Self {
            body,
            at: offset,
            lines: 0,
        }
    }

    /// Where the next action is looked for.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The next line, without LF or CR LF.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.body.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        self.lines += 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// What is wrong with the action, and in which line.
    pub fn read(&mut self) -> Result<Option<Entry<'a>>, String> {
        let line = loop {
            match self.line() {
                Some(line) if line.trim_ascii().is_empty() => {}
                Some(line) => break line,
                None => return Ok(None),
            }
        };
        let number = self.lines;
        let malformed = |what: String| format!("Malformed action/metadata line [{number}], {what}");
        let action = Action::parse(line).map_err(malformed)?;
        let document = match action.operation {
            Operation::Delete => line,
            Operation::Index | Operation::Create | Operation::Update => {
                let document = self.line();
                document.ok_or_else(|| malformed("its document is missing".to_owned()))?
            }
        };
        Ok(Some(Entry { action, document }))
    }
}

impl<'a> Action<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        json::check(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let named = json::members(text).find_map(|(key, value)| {
            let operation = Operation::of_name(&json::string(key)?)?;
            Some((operation, value))
        });
        let Some((operation, members)) = named else {
            return Err("expected [create], [delete], [index] or [update]".to_owned());
        };
        if !members.starts_with('{') {
            return Err(format!("[{}] must be an object", operation.name()));
        }
        let [index, id, op_type] = json::pick(members, ["_index", "_id", "op_type"]);
        let is_create = op_type.and_then(json::string).as_deref() == Some("create");
        Ok(Self {
            operation: match operation {
                Operation::Index if is_create => Operation::Create,
                other => other,
            },
            index: simple("_index", index)?,
            id: simple("_id", id)?,
        })
    }
}

/// A string, or a number or truth value as it is written. Null and an empty string are none.
fn simple<'a>(name: &str, value: Option<&'a str>) -> Result<Option<Cow<'a, str>>, String> {
    let text = match value {
        None | Some("null") => return Ok(None),
        Some(text) => text,
    };
    let simple = match text.as_bytes().first() {
        Some(b'{' | b'[') => None,
        Some(b'"') => json::string(text),
        _ => Some(Cow::Borrowed(text)),
    };
    let simple = simple.ok_or_else(|| format!("expected a simple value for field [{name}]"))?;
    Ok(Some(simple).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<(Operation, String, String, String)>, String> {
        let mut entries = Entries::of(body.as_bytes());
        let mut found = Vec::new();
        while let Some(Entry { action, document }) = entries.read()? {
            let text = |text: Option<Cow<str>>| text.unwrap_or_default().into_owned();
            let document = String::from_utf8(document.to_vec()).unwrap();
            found.push((
                action.operation,
                text(action.index),
                text(action.id),
                document,
            ));
        }
        Ok(found)
    }

    #[test]
    fn lines_end_in_each_way() {
        let body = "\r\n\n{\"index\":{\"_index\":\"a\",\"_id\":7}}\r\n{\"n\":1}\r\n \t\n\
                    {\"create\":{\"_id\":\"\\u0062\"},\"pipeline\":\"x\"}\n\n\
                    {\"delete\":{\"_id\":\"c\"}}\n{\"update\":{\"_id\":null}}\n{}\n\
                    {\"x\":1,\"index\":{\"op_type\":\"create\",\"_type\":\"t\"}}\nlast";
        let entry = |operation, index: &str, id: &str, document: &str| {
            (
                operation,
                index.to_owned(),
                id.to_owned(),
                document.to_owned(),
            )
        };
        let expected = [
            entry(Operation::Index, "a", "7", "{\"n\":1}"),
            entry(Operation::Create, "", "b", ""),
            entry(Operation::Delete, "", "c", "{\"delete\":{\"_id\":\"c\"}}"),
            entry(Operation::Update, "", "", "{}"),
            entry(Operation::Create, "", "", "last"),
        ];
        assert_eq!(read(body).unwrap(), expected);
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read("\n \r\n").unwrap(), []);
    }

    #[test]
    fn wrong_actions_are_named_with_their_line() {
        for (body, part) in [
            ("x\n{}\n", "line [1], it is not JSON"),
            (
                "\n{\"index\":{}}\n{}\n{\"x\":{}}\n{}\n",
                "line [4], expected [create]",
            ),
            ("[]\n{}\n", "line [1], expected [create]"),
            ("{}\n{}\n", "expected [create]"),
            ("{\"index\":{}} x\n{}\n", "not JSON"),
            ("{\"index\":null}\n{}\n", "[index] must be an object"),
            ("{\"index\":{\"_id\":{}}}\n{}\n", "field [_id]"),
            ("{\"index\":{\"_index\":[]}}\n{}\n", "field [_index]"),
            ("{\"index\":{\"_id\":\"\\ud800\"}}\n{}\n", "field [_id]"),
            ("{\"index\":{}}\n", "line [1], its document is missing"),
            ("{\"create\":{}}", "its document is missing"),
            ("{\"update\":{}}", "its document is missing"),
            ("\u{feff}{\"index\":{}}\n{}\n", "not JSON"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
        let mut entries = Entries::of(b"{\"index\":{\"_id\":\"\xff\"}}\n{}\n");
        assert!(entries.read().unwrap_err().contains("not UTF-8"));
    }
}
