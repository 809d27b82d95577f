//! One connection to an engine, and requests over it.

use std::sync::Arc;
use std::time::Duration;

use super::error::EngineError;
use super::socket::Socket;
use crate::client::interrupt::Interrupt;
use crate::limits::{CLIENT_BUFFER_BYTES, ENGINE_SILENCE_MS};
use crate::postgres::statement::Statement;
use crate::postgres::url::{EngineUrl, Host};
use crate::postgres::{Answer, AnswerParts, Param, Reply, Wire};

/// An open connection to the host of an engine that takes writes.
pub(crate) struct Engine {
    socket: Socket,
    wire: Wire,
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

    /// Runs a statement.
    pub(crate) fn run(&mut self, statement: &Statement) -> Result<Answer, EngineError> {
        match &statement.params[..] {
            [] => self.query(&statement.sql),
            params => self.execute(&statement.sql, params),
        }
    }

    /// Sends the message of termination, as far as the socket takes it now.
    pub(crate) fn close(mut self) {
        self.wire.terminate();
        let _ = self.socket.write(&self.wire.take_output());
    }

    /// Sends what waits and reads to the end of the answer.
    fn answer(&mut self) -> Result<Answer, EngineError> {
        let mut parts = AnswerParts::default();
        self.send()?;
        loop {
            match self.wire.next().map_err(EngineError::Lost)? {
                // Before the connection is ready nothing but its end follows; and it may be missing.
                Some(Reply::Failed(error))
                    if error.is_about_credentials() || error.is_without_database() =>
                {
                    return Err(EngineError::Refused(error));
                }
                Some(reply) => {
                    if let Some(answer) = parts.take(reply) {
                        return answer.map_err(EngineError::Refused);
                    }
                }
                None => {
                    // An answer to a question about the user may have to be sent.
                    self.send()?;
                    if let Err(error) = self.receive() {
                        // Its last message says more than that it has gone.
                        let failed = parts.failed().cloned();
                        return Err(failed.map_or(error, EngineError::Refused));
                    }
                }
            }
        }
    }

    fn send(&mut self) -> Result<(), EngineError> {
        self.socket.send(&self.wire.take_output())
    }

    fn receive(&mut self) -> Result<(), EngineError> {
        let most = Duration::from_millis(ENGINE_SILENCE_MS);
        let count = self.socket.receive(&mut self.buffer, most)?;
        self.wire.receive(&self.buffer[..count]);
        Ok(())
    }
}
