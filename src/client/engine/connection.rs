//! One connection to an engine, and requests over it.

use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;

use super::error::EngineError;
use super::socket::Socket;
use crate::client::interrupt::Interrupt;
use crate::limits::{CLIENT_BUFFER_BYTES, ENGINE_SILENCE_MS};
use crate::postgres::url::{EngineUrl, Host};
use crate::postgres::{Notice, Param, Reply, Row, ServerError, Wire};

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
}

/// An open connection to the host of an engine that takes writes.
pub(crate) struct Engine {
    socket: Socket,
    wire: Wire,
    interrupt: Arc<Interrupt>,
    buffer: Vec<u8>,
}

impl Engine {
    /// Connects to the first host that takes writes.
    ///
    /// # Errors
    /// That of the last host, or of the first one that does not let this user in.
    pub(crate) fn connect(
        url: &EngineUrl,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Engine, EngineError> {
        let mut last = EngineError::Lost("no host is named".to_owned());
        for host in &url.hosts {
            match Engine::connect_to(url, host, interrupt) {
                Ok(engine) => return Ok(engine),
                Err(EngineError::Lost(what)) => last = EngineError::Lost(format!("{host}: {what}")),
                Err(EngineError::Refused(error)) if !error.is_about_credentials() => {
                    last = EngineError::Refused(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn connect_to(
        url: &EngineUrl,
        host: &Host,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Engine, EngineError> {
        let password = url.password.as_ref().map(|password| password.as_str());
        let wire = Wire::open(&url.user, password, &url.database).map_err(EngineError::Lost)?;
        let mut engine = Engine {
            socket: Socket::connect(host, interrupt)?,
            wire,
            interrupt: interrupt.clone(),
            buffer: vec![0; CLIENT_BUFFER_BYTES],
        };
        engine.answer()?;
        let state = engine.query("SHOW transaction_read_only")?;
        let is_standby = state.rows().first().and_then(|row| row.text(0)) == Some("on");
        match is_standby {
            true => Err(EngineError::Lost(
                "it is a standby and takes no writes".to_owned(),
            )),
            false => Ok(engine),
        }
    }

    /// Runs statements without parameters, separated by semicolons.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Answer, EngineError> {
        self.wire.query(sql).map_err(EngineError::Lost)?;
        self.answer()
    }

    /// Runs one statement with parameters.
    pub(crate) fn execute(&mut self, sql: &str, params: &[Param]) -> Result<Answer, EngineError> {
        self.wire.execute(sql, params).map_err(EngineError::Lost)?;
        self.answer()
    }

    /// Sends the message of termination, as far as the socket takes it now.
    pub(crate) fn close(mut self) {
        self.wire.terminate();
        let _ = self.socket.write(&self.wire.take_output());
    }

    /// Sends what waits and reads to the end of the answer.
    fn answer(&mut self) -> Result<Answer, EngineError> {
        let mut answer = Answer::default();
        let mut rows = Vec::new();
        let mut failed: Option<ServerError> = None;
        self.send()?;
        loop {
            match self.wire.next().map_err(EngineError::Lost)? {
                Some(Reply::Row(row)) => rows.push(row),
                Some(Reply::Done(tag)) => {
                    answer.statements.push(std::mem::take(&mut rows));
                    answer.tag = tag;
                }
                Some(Reply::Notice(notice)) => answer.notices.push(notice),
                Some(Reply::Failed(error)) => {
                    // Before the connection is ready nothing but its end follows; and it may be missing.
                    if error.is_about_credentials() || error.is_without_database() {
                        return Err(EngineError::Refused(error));
                    }
                    failed = failed.or(Some(error));
                }
                Some(Reply::Ready) => {
                    return failed.map_or(Ok(answer), |error| Err(EngineError::Refused(error)));
                }
                None => {
                    // An answer to a question about the user may have to be sent.
                    self.send()?;
                    if let Err(error) = self.receive() {
                        // Its last message says more than that it has gone.
                        return Err(failed.map_or(error, EngineError::Refused));
                    }
                }
            }
        }
    }

    fn send(&mut self) -> Result<(), EngineError> {
        let output = self.wire.take_output();
        let mut sent = 0;
        while sent < output.len() {
            match self.socket.write(&output[sent..])? {
                Some(count) => sent += count,
                None => self.wait(PollFlags::OUT)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), EngineError> {
        loop {
            match self.socket.read(&mut self.buffer)? {
                Some(0) => return Err(EngineError::Lost("it ended the connection".to_owned())),
                Some(count) => {
                    self.wire.receive(&self.buffer[..count]);
                    return Ok(());
                }
                None => self.wait(PollFlags::IN)?,
            }
        }
    }

    fn wait(&self, flags: PollFlags) -> Result<(), EngineError> {
        let most = Duration::from_millis(ENGINE_SILENCE_MS);
        let fd = self.socket.as_fd();
        match self.interrupt.wait(fd, flags, Some(most))? {
            true => Ok(()),
            false => Err(EngineError::Lost(format!(
                "it was silent for {} s",
                most.as_secs()
            ))),
        }
    }
}
