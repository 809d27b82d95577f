//! One client of one server: requests over HTTP, each tried once or until it succeeds.

use std::cell::Cell;
use std::io::{stderr, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::{Deserialize, DeserializeOwned};
use ureq::config::Config;
use ureq::http::{header, HeaderValue, Method, Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, BodyReader};

use super::backoff::{Backoff, RetryDecision};
use super::error::{Error, ErrorResponse};
use super::interrupt::Interrupt;
use super::settings::{Address, ClientArgs, GiveUp};
use super::transport::SocketConnector;
use crate::api::read::DATABASE_FIELD;
use crate::limits::CLIENT_ANSWER_MAX_BYTES;
use crate::text::escaped;

/// A client of one server.
pub struct Client {
    agent: Agent,
    address: Address,
    /// What is written before each target.
    base: String,
    authorization: Option<HeaderValue>,
    interrupt: Arc<Interrupt>,
    loses_answer: Arc<AtomicBool>,
    give_up: GiveUp,
    report: Box<dyn Fn(&str)>,
    retries: Cell<u64>,
}

impl Client {
    /// A client that gives up as the arguments say, or else as the command does by default.
    ///
    /// # Errors
    /// One sentence: the token cannot be read.
    pub fn new(
        arguments: &ClientArgs,
        give_up: GiveUp,
        interrupt: Arc<Interrupt>,
    ) -> Result<Client, String> {
        let authorization = arguments.token()?.map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.expect("a token is visible ASCII");
            value.set_sensitive(true);
            value
        });
        let (base, unix): (String, Option<PathBuf>) = match &arguments.server {
            Address::Url(url) => (url.clone(), None),
            Address::Unix(path) => ("http://127.0.0.1".to_owned(), Some(path.clone())),
        };
        let loses_answer = Arc::new(AtomicBool::new(false));
        let connector = SocketConnector {
            unix,
            timeout: arguments.timeout,
            interrupt: interrupt.clone(),
            loses_answer: loses_answer.clone(),
        };
        let config = Config::builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("logagg/", env!("CARGO_PKG_VERSION")))
            .build();
        #[cfg(feature = "tls")]
        let connector = {
            use ureq::unversioned::transport::{Connector, RustlsConnector};
            connector.chain(RustlsConnector::default())
        };
        Ok(Client {
            agent: Agent::with_parts(config, connector, DefaultResolver::default()),
            address: arguments.server.clone(),
            base,
            authorization,
            interrupt,
            loses_answer,
            give_up: arguments.give_up_after.unwrap_or(give_up),
            // If it cannot be shown, the client goes on nevertheless.
            report: Box::new(|sentence| drop(writeln!(stderr(), "logagg: {sentence}"))),
            retries: Cell::new(0),
        })
    }

    /// Reports events such as retries with `report`, in place of a line on standard error.
    pub fn report_with(&mut self, report: impl Fn(&str) + 'static) {
        self.report = Box::new(report);
    }

    /// Reports an event such as a retry, as a sentence.
    pub fn report(&self, sentence: &str) {
        (self.report)(sentence);
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// When it gives up, as the arguments or the command say.
    pub fn give_up(&self) -> GiveUp {
        self.give_up
    }

    /// How often something has been tried again.
    pub fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// One `GET`. `target` is the path and the query, percent-encoded.
    pub fn get(&self, target: &str) -> Result<Vec<u8>, Error> {
        self.answer(self.request(Method::GET, target, &[], b"")?)
    }

    /// The id of the server's database; none if the server does not say it. Needs no token.
    pub fn database_id(&self) -> Result<Option<String>, Error> {
        let response = self.request(Method::GET, "/health", &[], b"")?;
        let id = id_of(&response);
        // Read to its end, the connection is kept.
        self.answer(response)?;
        Ok(id)
    }

    /// One `GET` whose answer is JSON of this form.
    pub fn json<T: DeserializeOwned>(&self, target: &str) -> Result<T, Error> {
        let body = self.get(target)?;
        self.read_json(&body)
    }

    /// What an answer holds, as JSON of this form.
    pub fn read_json<'a, T: Deserialize<'a>>(&self, body: &'a [u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| self.unexpected(&error.to_string()))
    }

    /// One `POST`. A signal meanwhile waits for its answer, for a moment.
    pub fn post(&self, target: &str, content_type: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.change(Method::POST, target, content_type, body)
    }

    /// One `PUT` of JSON. A signal meanwhile waits for its answer, for a moment.
    pub fn put(&self, target: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.change(Method::PUT, target, "application/json", body)
    }

    /// One `DELETE`. A signal meanwhile waits for its answer, for a moment.
    pub fn delete(&self, target: &str) -> Result<(), Error> {
        let delete = || self.answer(self.request(Method::DELETE, target, &[], b"")?);
        self.interrupt.with_grace(delete).map(drop)
    }

    fn change(
        &self,
        method: Method,
        target: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let headers = [("content-type", content_type)];
        let change = || self.answer(self.request(method, target, &headers, body)?);
        self.interrupt.with_grace(change)
    }

    /// One `POST` whose connection is closed on purpose as soon as it has been sent. Whether it was carried
    /// out is not known then, and an error only where it was not sent.
    pub fn post_unanswered(
        &self,
        target: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(), Error> {
        self.loses_answer.store(true, Ordering::Relaxed);
        let result = self.post(target, content_type, body);
        let was_lost = !self.loses_answer.swap(false, Ordering::Relaxed);
        match result {
            Err(Error::Lost(_)) if was_lost => Ok(()),
            result => result.map(drop),
        }
    }

    /// One `GET` whose answer is read as it comes.
    pub fn stream(&self, target: &str, accept: &str) -> Result<BodyStream<'_>, Error> {
        let response = self.request(Method::GET, target, &[("accept", accept)], b"")?;
        Ok(BodyStream {
            client: self,
            database_id: id_of(&response),
            reader: response.into_body().into_reader(),
        })
    }

    /// Tries until it succeeds, fails for good, or it is time to give up.
    pub fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut backoff = Backoff::new(self.give_up);
        loop {
            match attempt() {
                Ok(value) => {
                    self.recovered(&mut backoff);
                    return Ok(value);
                }
                Err(error) => self.retry_or_fail(&mut backoff, error)?,
            }
        }
    }

    /// Handles a failure: pauses, or returns it where nothing else is to be tried.
    pub fn retry_or_fail(&self, backoff: &mut Backoff, error: Error) -> Result<(), Error> {
        let sentence = error.to_string();
        let now = Instant::now();
        match backoff.failed(error, now) {
            RetryDecision::Fail(error) => Err(error),
            RetryDecision::Pause(pause) => {
                if backoff.must_tell(now) {
                    self.report(&format!("{sentence}; trying again"));
                }
                self.interrupt.sleep(pause)?;
                self.retries.set(self.retries.get() + 1);
                Ok(())
            }
        }
    }

    /// Handles a success that may have ended failures.
    pub fn recovered(&self, backoff: &mut Backoff) {
        if let (_, true) = backoff.succeeded() {
            self.report(&format!("{} answers again", self.address));
        }
    }

    /// Sends a request and reads the head of its answer, which must be one of success and say where its body ends.
    fn request(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        self.interrupt.check()?;
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let response = match method {
            Method::POST | Method::PUT => request
                .body(body)
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            _ => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
        };
        let response = response.map_err(|error| self.failure(error))?;
        let head = response.headers();
        let has_end = head.contains_key(header::TRANSFER_ENCODING)
            || head.contains_key(header::CONTENT_LENGTH)
            || response.status().as_u16() == 204;
        if response.status().is_success() && has_end {
            return Ok(response);
        }
        if response.status().is_success() {
            return Err(self.unexpected("its answer has no recognisable end"));
        }
        let retry_after = head.get(header::RETRY_AFTER).and_then(|value| {
            let seconds = value.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        Err(Error::Refused(Box::new(ErrorResponse {
            status: response.status().as_u16(),
            retry_after,
            body: self.answer(response)?,
        })))
    }

    /// The whole body.
    fn answer(&self, mut response: Response<Body>) -> Result<Vec<u8>, Error> {
        let body = response.body_mut().with_config();
        let limited = body.limit(CLIENT_ANSWER_MAX_BYTES);
        limited.read_to_vec().map_err(|error| self.failure(error))
    }

    /// What a failure of the HTTP library means.
    fn failure(&self, error: ureq::Error) -> Error {
        if let Err(stop) = self.interrupt.check() {
            return Error::Stopped(stop);
        }
        let address = &self.address;
        match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.unexpected(&error.to_string())
            }
            ureq::Error::Io(error) => {
                let reason = error.to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default();
                Error::Lost(format!("no answer from {address}: {reason}"))
            }
            // The connection ended within a chunk's framing.
            ureq::Error::BodyStalled => {
                Error::Lost(format!("no answer from {address}: it broke off"))
            }
            ureq::Error::HostNotFound => {
                Error::Lost(format!("no answer from {address}: the name is not known"))
            }
            other => self.unexpected(&other.to_string()),
        }
    }

    /// The error that an answer is not one of a server of this kind.
    pub fn unexpected(&self, reason: &str) -> Error {
        let reason = escaped(reason);
        Error::Unexpected(format!(
            "{} does not answer as logagg does: {reason}",
            self.address
        ))
    }
}

/// The id of the database that an answer is of.
fn id_of(response: &Response<Body>) -> Option<String> {
    let id = response.headers().get(DATABASE_FIELD)?;
    Some(id.to_str().ok()?.to_owned())
}

/// An answer that is read as it comes.
pub struct BodyStream<'c> {
    client: &'c Client,
    /// The id of the database that it comes from, where the server says it.
    database_id: Option<String>,
    reader: BodyReader<'static>,
}

impl BodyStream<'_> {
    /// The id of the database that it comes from, where the server says it.
    pub fn database_id(&self) -> Option<&str> {
        self.database_id.as_deref()
    }

    /// Waits for the next bytes; 0 only where the answer has come whole.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let result = self.reader.read(into).map_err(ureq::Error::from);
        result.map_err(|error| self.client.failure(error))
    }
}
