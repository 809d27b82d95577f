//! Who may pass: tokens, the names that `Host` may have, and whether the server takes requests at all.

use super::reply::shutting_down;
use crate::api::access;
use crate::api::hosts::AllowedHosts;
use crate::api::route::{self, Route};
use crate::http::{Refusal, Request, Response};
use crate::tokens::Tokens;

#[derive(Default)]
pub(super) struct Gate {
    /// Without them everything is open.
    tokens: Option<Tokens>,
    /// Without them requests may have any `Host`.
    hosts: Option<AllowedHosts>,
    /// The server stops: new requests are refused.
    pub(super) draining: bool,
}

impl Gate {
    /// Refuses a request by its head alone, whatever it asks for.
    pub(super) fn refuse(&self, request: &Request, route: Option<&Route>) -> Option<Response> {
        let shape = route::error_shape(request, route);
        if let Err(refusal) = self.authorize(request, route) {
            return Some(refusal.shaped(shape));
        }
        if let Err(refusal) = self.check_host(request) {
            return Some(refusal.shaped(shape));
        }
        self.draining.then(|| shutting_down().shaped(shape))
    }

    pub(super) fn set_tokens(&mut self, tokens: Tokens) {
        self.tokens = Some(tokens);
    }

    pub(super) fn set_allowed_hosts(&mut self, names: Option<Vec<String>>) {
        self.hosts = names.map(AllowedHosts::new);
    }

    fn check_host(&self, request: &Request) -> Result<(), Box<Refusal>> {
        self.hosts
            .as_ref()
            .map_or(Ok(()), |hosts| hosts.check(request))
    }

    pub(super) fn authorize(
        &self,
        request: &Request,
        route: Option<&Route>,
    ) -> Result<(), Box<Refusal>> {
        let Some(tokens) = &self.tokens else {
            return Ok(());
        };
        access::authorize(request, route, tokens).map_err(|mut refusal| {
            refusal.close |= self.draining;
            refusal
        })
    }

    /// [`authorize`](Self::authorize) for a request that is complete. One with a body has passed the precheck.
    pub(super) fn authorize_complete(
        &self,
        request: &Request,
        route: Option<&Route>,
    ) -> Result<(), Box<Refusal>> {
        self.authorize(request, route)?;
        match request.has_body() {
            true => Ok(()),
            false => self.check_host(request),
        }
    }
}
