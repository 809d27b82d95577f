//! What a request to an engine brought.

use super::error::ServerError;
use super::row::Row;
use super::wire::{Notice, Reply};

/// What a request to the engine brought.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Of each statement its rows.
    pub statements: Vec<Vec<Row>>,
    /// The tag of the last statement, as in `COMMIT`.
    pub tag: String,
    pub notices: Vec<Notice>,
}

impl Answer {
    /// The rows of the last statement that has any.
    pub(crate) fn rows(&self) -> &[Row] {
        let mut last = self.statements.iter().rev();
        last.find(|rows| !rows.is_empty())
            .map_or(&[], Vec::as_slice)
    }

    /// Whether it is that of a `COMMIT` which the engine has confirmed as it was told to.
    ///
    /// # Errors
    /// A sentence: it has not.
    pub(crate) fn confirm(&self) -> Result<(), String> {
        if self.tag != "COMMIT" {
            return Err("it has rolled the transaction back".to_owned());
        }
        match self.notices.iter().find(|notice| notice.code == "01000") {
            Some(notice) => Err(format!("the commit is not confirmed: {}", notice.message)),
            None => Ok(()),
        }
    }
}

/// Puts an answer together from its parts.
#[derive(Debug, Default)]
pub(crate) struct AnswerParts {
    answer: Answer,
    rows: Vec<Row>,
    failed: Option<ServerError>,
}

impl AnswerParts {
    /// Takes the next part; the answer, where that was the last.
    pub(crate) fn take(&mut self, reply: Reply) -> Option<Result<Answer, ServerError>> {
        match reply {
            Reply::Row(row) => self.rows.push(row),
            Reply::Done(tag) => {
                self.answer.statements.push(std::mem::take(&mut self.rows));
                self.answer.tag = tag;
            }
            Reply::Notice(notice) => self.answer.notices.push(notice),
            Reply::Failed(error) => {
                self.failed.get_or_insert(error);
            }
            Reply::Ready => {
                let AnswerParts { answer, failed, .. } = std::mem::take(self);
                return Some(failed.map_or(Ok(answer), Err));
            }
        }
        None
    }

    /// What the engine has refused, before it is ready again.
    pub(crate) fn failed(&self) -> Option<&ServerError> {
        self.failed.as_ref()
    }
}
