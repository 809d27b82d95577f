//! Resource and scope, written once for all records below them.

use std::borrow::Cow;

use super::payload::{close, is_empty_value};
use super::walk::Bad;
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::time::Time;
use crate::limits::NAME_MAX_BYTES;

/// The resource and the scope of the records that are read now.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// `service.name`.
    topic: Option<String>,
    host: Option<String>,
    instance: Option<String>,
    /// The resource's member of a payload, with the comma after it; empty where it says nothing.
    resource: Vec<u8>,
    /// The scope's, which comes before it. The two are joined in each payload, because a body may have millions of
    /// empty scopes below one large resource.
    scope: Vec<u8>,
    is_resource_deep: bool,
    is_scope_deep: bool,
}

impl Context {
    /// Whether its records are nested too deeply by what it says.
    pub(super) fn is_too_deep(&self) -> bool {
        self.is_resource_deep || self.is_scope_deep
    }

    /// Makes an event of the payload that has been written, or gives it up. `identity` is the attribute of that name.
    #[inline]
    pub(super) fn add(
        &self,
        time: Time,
        identity: Result<Option<Cow<[u8]>>, Bad>,
        records: &mut Records,
    ) -> Result<(), Bad> {
        let identity = identity.inspect_err(|_| records.abandon())?;
        // One that is too large is rejected there.
        let _ = records.finish(&Record {
            topic: self.topic.as_deref().map(Cow::Borrowed),
            source: self.source().map(Cow::Borrowed),
            time: Some(time),
            identity: identity.as_deref().map(String::from_utf8_lossy),
        });
        Ok(())
    }

    /// What the payloads of its records end with, in two parts.
    pub(super) fn tail(&self) -> [&[u8]; 2] {
        [&self.scope, &self.resource]
    }

    /// Bytes that each of its records takes of it.
    pub(super) fn repeated_bytes(&self) -> usize {
        let source = self.source().map_or(0, str::len).min(NAME_MAX_BYTES);
        self.scope.len() + self.resource.len() + source
    }

    /// What its records have as source.
    fn source(&self) -> Option<&str> {
        self.host.as_deref().or(self.instance.as_deref())
    }

    /// Begins another resource. Its attributes are written into what this gives.
    pub(super) fn begin_resource(&mut self) -> &mut Vec<u8> {
        (self.topic, self.host, self.instance) = (None, None, None);
        self.is_resource_deep = false;
        self.resource.clear();
        self.resource.extend_from_slice(b"\"resource\":{");
        &mut self.resource
    }

    /// Where further attributes of the resource are written.
    pub(super) fn resource(&mut self) -> &mut Vec<u8> {
        &mut self.resource
    }

    /// An attribute of the resource that is a string. Of several with one name the first counts.
    pub(super) fn note(&mut self, key: &[u8], text: &[u8]) {
        let member = match key {
            b"service.name" => &mut self.topic,
            b"host.name" => &mut self.host,
            b"service.instance.id" => &mut self.instance,
            _ => return,
        };
        if member.is_none() && !text.is_empty() {
            *member = Some(String::from_utf8_lossy(text).into_owned());
        }
    }

    pub(super) fn set_resource_deep(&mut self) {
        self.is_resource_deep = true;
    }

    pub(super) fn set_scope_deep(&mut self) {
        self.is_scope_deep = true;
    }

    pub(super) fn end_resource(&mut self) {
        close(&mut self.resource);
        end_member(&mut self.resource, b"\"resource\":".len(), 0);
    }

    /// Begins another scope of the same resource. Its members are written into what this gives.
    pub(super) fn begin_scope(&mut self) -> &mut Vec<u8> {
        self.is_scope_deep = false;
        self.scope.clear();
        self.scope.extend_from_slice(b"\"scope\":{");
        &mut self.scope
    }

    pub(super) fn end_scope(&mut self) {
        close(&mut self.scope);
        end_member(&mut self.scope, b"\"scope\":".len(), 0);
    }
}

/// Ends a member that begins at `start` with `key` bytes before its value: with a comma, or it is taken away
/// where it is empty.
pub(super) fn end_member(out: &mut Vec<u8>, key: usize, start: usize) {
    if is_empty_value(&out[start + key..]) {
        out.truncate(start);
    } else {
        out.push(b',');
    }
}
