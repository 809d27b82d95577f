//! One connection as a state machine: bytes of the engine in, replies out; statements in, bytes for the engine out.
//!
//! Statements are unnamed and nothing is kept of a session, so that a pooler may be in between.

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256, SCRAM_SHA_256};
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use postgres_protocol::message::frontend;
use postgres_protocol::IsNull;

use super::error::ServerError;
use super::param::Param;
use super::row::Row;
use crate::limits::ENGINE_MESSAGE_MAX_BYTES;

/// What the engine says without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// SQLSTATE.
    pub code: String,
    pub message: String,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Row(Row),
    /// A statement is done; its tag, as in `COMMIT`.
    Done(String),
    Notice(Notice),
    /// The statement, or the connection, is refused.
    Failed(ServerError),
    /// The answer has ended, and another statement may be sent.
    Ready,
}

/// The state of one connection.
pub(crate) struct Wire {
    input: BytesMut,
    output: BytesMut,
    user: String,
    password: Option<String>,
    scram: Option<ScramSha256>,
}

/// Why the bytes of a peer, or a statement, make no sense.
fn broken(what: impl std::fmt::Display) -> String {
    format!("it does not speak PostgreSQL's protocol: {what}")
}

impl Wire {
    /// A connection whose first bytes wait to be sent.
    ///
    /// # Errors
    /// A sentence: a name holds a zero byte.
    pub(crate) fn open(user: &str, password: Option<&str>, database: &str) -> Result<Wire, String> {
        let mut output = BytesMut::new();
        let parameters = [
            ("user", user),
            ("database", database),
            ("client_encoding", "UTF8"),
            ("application_name", "logagg"),
        ];
        frontend::startup_message(parameters, &mut output).map_err(|error| error.to_string())?;
        Ok(Wire {
            input: BytesMut::new(),
            output,
            user: user.to_owned(),
            password: password.map(str::to_owned),
            scram: None,
        })
    }

    /// What waits to be sent.
    pub(crate) fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// Takes what has been received.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Sends statements without parameters, separated by semicolons.
    pub(crate) fn query(&mut self, sql: &str) -> Result<(), String> {
        frontend::query(sql, &mut self.output).map_err(|error| error.to_string())
    }

    /// Sends one statement with parameters.
    pub(crate) fn execute(&mut self, sql: &str, params: &[Param]) -> Result<(), String> {
        let out = &mut self.output;
        let oids = params.iter().map(|param| param.oid);
        frontend::parse("", sql, oids, out).map_err(|error| error.to_string())?;
        let write = |param: &Param, out: &mut BytesMut| match &param.value {
            None => Ok(IsNull::Yes),
            Some(value) => {
                out.extend_from_slice(value);
                Ok(IsNull::No)
            }
        };
        // Parameters are binary, columns of rows are text.
        frontend::bind("", "", [1], params, write, [0], out)
            .map_err(|_| "a statement is larger than the protocol can say".to_owned())?;
        frontend::execute("", 0, out).map_err(|error| error.to_string())?;
        frontend::sync(out);
        Ok(())
    }

    /// Says good-bye.
    pub(crate) fn terminate(&mut self) {
        frontend::terminate(&mut self.output);
    }

    /// The next reply of what has been received; none if more must be received. There may be more to send then.
    ///
    /// # Errors
    /// A sentence: the peer does not speak the protocol.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, String> {
        loop {
            let header = Header::parse(&self.input).map_err(broken)?;
            let is_long = header.is_some_and(|header| header.len() > ENGINE_MESSAGE_MAX_BYTES);
            if is_long {
                return Err(broken("a message is too long"));
            }
            let Some(message) = Message::parse(&mut self.input).map_err(broken)? else {
                return Ok(None);
            };
            match message {
                Message::DataRow(body) => {
                    let buffer = body.buffer_bytes();
                    let columns = body
                        .ranges()
                        .map(|range| Ok(range.map(|at| buffer.slice(at))));
                    return Ok(Some(Reply::Row(Row(columns.collect().map_err(broken)?))));
                }
                Message::CommandComplete(body) => {
                    let tag = body.tag().map_err(broken)?;
                    return Ok(Some(Reply::Done(tag.to_owned())));
                }
                Message::NoticeResponse(body) => {
                    let ServerError { code, message } = fields(body.fields())?;
                    return Ok(Some(Reply::Notice(Notice { code, message })));
                }
                Message::ErrorResponse(body) => {
                    return Ok(Some(Reply::Failed(fields(body.fields())?)));
                }
                Message::ReadyForQuery(_) => return Ok(Some(Reply::Ready)),
                message => {
                    if let Some(error) = self.authenticate(message)? {
                        return Ok(Some(Reply::Failed(error)));
                    }
                }
            }
        }
    }

    /// Answers a message about who asks. All others that come here say nothing that is needed.
    fn authenticate(&mut self, message: Message) -> Result<Option<ServerError>, String> {
        let refused = |message: &str| {
            Ok(Some(ServerError {
                code: "28000".to_owned(),
                message: message.to_owned(),
            }))
        };
        let needs_password = matches!(
            message,
            Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                | Message::AuthenticationSasl(_)
        );
        let password = self.password.clone().unwrap_or_default();
        if needs_password && password.is_empty() {
            return refused("it asks for a password, and none is set");
        }
        let out = &mut self.output;
        match message {
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(password.as_bytes(), out).map_err(broken)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(self.user.as_bytes(), password.as_bytes(), body.salt());
                frontend::password_message(hash.as_bytes(), out).map_err(broken)?;
            }
            Message::AuthenticationSasl(body) => {
                let mut mechanisms = body.mechanisms();
                let is_known = mechanisms
                    .any(|mechanism| Ok(mechanism == SCRAM_SHA_256))
                    .map_err(broken)?;
                if !is_known {
                    return refused("it asks for a way to authenticate that is not known here");
                }
                let binding = ChannelBinding::unsupported();
                let scram = ScramSha256::new(password.as_bytes(), binding);
                frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out)
                    .map_err(broken)?;
                self.scram = Some(scram);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = self.scram.as_mut().ok_or_else(|| broken("SASL"))?;
                scram.update(body.data()).map_err(broken)?;
                frontend::sasl_response(scram.message(), out).map_err(broken)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let mut scram = self.scram.take().ok_or_else(|| broken("SASL"))?;
                // It cannot prove that it knows the password: it is another server.
                scram.finish(body.data()).map_err(broken)?;
            }
            Message::AuthenticationGss
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential
            | Message::AuthenticationSspi
            | Message::AuthenticationGssContinue(_) => {
                return refused("it asks for a way to authenticate that is not known here");
            }
            _ => {}
        }
        Ok(None)
    }
}

/// The code and the sentence of an error or a notice.
fn fields(mut fields: ErrorFields<'_>) -> Result<ServerError, String> {
    let mut error = ServerError {
        code: String::new(),
        message: String::new(),
    };
    while let Some(field) = fields.next().map_err(broken)? {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.code = value,
            b'M' => error.message = value,
            _ => {}
        }
    }
    Ok(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[tag], &length[..], body].concat()
    }

    #[test]
    fn an_answer_in_pieces_is_read_as_one() {
        let mut wire = Wire::open("u", None, "d").unwrap();
        let bytes = [
            message(b'R', &[0, 0, 0, 0]),
            message(b'Z', b"I"),
            message(b'D', &[0, 2, 0, 0, 0, 1, b'7', 255, 255, 255, 255]),
            message(b'N', b"SWARNING\0C01000\0Mnot replicated\0\0"),
            message(b'C', b"COMMIT\0"),
            message(b'E', b"SERROR\0C40001\0Mtry again\0\0"),
        ]
        .concat();
        let mut replies = Vec::new();
        for byte in bytes {
            wire.receive(&[byte]);
            while let Some(reply) = wire.next().unwrap() {
                replies.push(reply);
            }
        }
        assert!(matches!(replies[0], Reply::Ready));
        let Reply::Row(row) = &replies[1] else {
            panic!("{replies:?}")
        };
        assert_eq!((row.value(0), row.text(1)), (Some(7_u64), None));
        assert!(matches!(&replies[2], Reply::Notice(notice) if notice.code == "01000"));
        assert!(matches!(&replies[3], Reply::Done(tag) if tag == "COMMIT"));
        assert!(matches!(&replies[4], Reply::Failed(error) if error.code == "40001"));
        assert_eq!(replies.len(), 5);
    }

    #[test]
    fn what_is_no_engine_is_refused_in_bounded_memory() {
        let mut wire = Wire::open("u", None, "d").unwrap();
        wire.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(wire.next().is_err());
        let mut wire = Wire::open("u", None, "d").unwrap();
        wire.receive(&[b'D', 0x7f, 0xff, 0xff, 0xff]);
        assert!(wire.next().is_err());
        assert!(Wire::open("u\0", None, "d").is_err());
    }

    #[test]
    fn a_password_that_is_missing_is_said() {
        let mut wire = Wire::open("u", None, "d").unwrap();
        wire.receive(&message(b'R', &[0, 0, 0, 3]));
        let Ok(Some(Reply::Failed(error))) = wire.next() else {
            panic!("not refused")
        };
        assert!(error.is_about_credentials());
    }
}
