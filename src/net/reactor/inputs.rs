//! Sockets that do not speak HTTP: they are read, and closed, in the phases in which clients of HTTP are. What they
//! read in one turn shares its commit.
//!
//! No sender can be asked to send again, so such a socket is read only while the store can commit, and continues by
//! itself.

use super::{Lifecycle, Platform, Reactor};
use crate::app::service::Service;
use crate::app::SocketCompletion;
use crate::ingest::SocketProtocol;
use crate::limits;
use crate::net::connection::{key_of, ReadOutcome};
use crate::net::input::{Input, InputKind, Wait};
use crate::net::inputs::{DroppedLog, INPUT};
use crate::net::platform::Socket;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// Serves a socket that receives datagrams, from the first turn on.
    ///
    /// # Errors
    /// The socket cannot be added to the poll.
    pub fn add_datagrams(
        &mut self,
        socket: P::Socket,
        protocol: SocketProtocol,
        is_unix: bool,
    ) -> std::io::Result<()> {
        self.add_input(socket, protocol, InputKind::Datagrams, is_unix)
    }

    /// Adds a connection.
    pub(super) fn admit_input(&mut self, socket: P::Socket, protocol: SocketProtocol) {
        let is_unix = socket.peer().is_none();
        match self.add_input(socket, protocol, InputKind::Stream, is_unix) {
            Ok(()) => {
                self.inputs.connections += 1;
                self.app.set_connections(self.connections());
            }
            Err(e) => log::warn!("a connection cannot be added to the poll: {e}"),
        }
    }

    fn add_input(
        &mut self,
        mut socket: P::Socket,
        protocol: SocketProtocol,
        kind: InputKind,
        is_unix: bool,
    ) -> std::io::Result<()> {
        let entry = self.inputs.slab.vacant_entry();
        let key = entry.key();
        self.platform.register(&mut socket, key | INPUT)?;
        self.generation = self.generation.wrapping_add(1);
        let app = self.app.node().ok_or(std::io::ErrorKind::Unsupported)?;
        let decoder = app.decoder(protocol, socket.peer().into(), is_unix, self.now);
        entry.insert(Input::new(socket, kind, protocol, self.generation, decoder));
        if kind == InputKind::Datagrams {
            self.inputs.datagrams.push(key);
        }
        self.inputs.want_service(key);
        Ok(())
    }

    /// A new turn. Messages are given up that wait for datagrams, where the poll has found none.
    pub(super) fn begin_turn_of_inputs(&mut self) {
        let now = self.now;
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        inputs.budget = limits::SOCKETS_EVENTS_PER_TURN;
        while let Some((_, key)) = inputs.next_deadline().filter(|(at, _)| *at <= now.mono_ms) {
            inputs.slab[key].expire(key, app, now);
            inputs.account(key);
        }
        if inputs.dropped.asked_at.is_some_and(|at| at <= now.mono_ms) {
            inputs.dropped.asked_at = None;
            for key in &inputs.datagrams {
                let dropped = inputs.slab[*key].ask_dropped();
                inputs.dropped.count += u64::from(dropped);
                app.metrics().datagrams_dropped(dropped.into());
            }
        }
    }

    /// The phase *serve*: reads each socket that is ready, within its budget.
    pub(super) fn serve_inputs(&mut self) {
        self.inputs.wake(self.app.takes_records());
        let ready = std::mem::take(&mut self.inputs.ready);
        for (at, key) in ready.iter().enumerate() {
            if self.inputs.budget == 0 {
                // The others go first in the next turn.
                self.inputs.ready.splice(..0, ready[at..].iter().copied());
                break;
            }
            let Some(input) = self.inputs.slab.get_mut(*key) else {
                continue;
            };
            input.on_ready_list = false;
            if !input.closing {
                self.serve_input(*key);
            }
        }
        if self.inputs.ready.is_empty() {
            self.inputs.ready = ready;
            self.inputs.ready.clear();
        }
    }

    fn serve_input(&mut self, key: usize) {
        let now = self.now;
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        let spare = inputs.spares.pop();
        let input = &mut inputs.slab[key];
        input.lend(spare.unwrap_or_default());
        // What was read before goes first.
        if input.send(app, now) && app.takes_records() {
            input.decode_unread(key, app, now);
        }
        if !input.has_to_send() {
            match input.kind {
                InputKind::Stream => self.read_stream(key),
                InputKind::Datagrams => self.receive_datagrams(key),
            }
        }
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        let input = &mut inputs.slab[key];
        input.send_records(key, app, now);
        let (spare, brought) = (input.give_back(), input.take_brought());
        inputs.budget = inputs.budget.saturating_sub(brought);
        inputs.keep(spare);
        inputs.account(key);
        self.after_input(key);
    }

    fn read_stream(&mut self, key: usize) {
        let now = self.now;
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        for _ in 0..limits::SOCKET_READS_PER_TURN {
            let room = inputs.room(&inputs.slab[key], limits::SOCKET_READ_BYTES);
            let input = &mut inputs.slab[key];
            if !input.may_be_read() || !app.takes_records() {
                return;
            }
            if room == 0 {
                return inputs.wait(key, Wait::Memory);
            }
            match input.read(&mut self.read_buffer[..room], key, app, now) {
                ReadOutcome::Progress => inputs.account(key),
                ReadOutcome::Drained => return,
                // What came before it broke was sent nevertheless.
                ReadOutcome::Broken => return input.end(key, app, now),
            }
        }
    }

    fn receive_datagrams(&mut self, key: usize) {
        let now = self.now;
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        let input = &mut inputs.slab[key];
        for _ in 0..limits::DATAGRAMS_PER_TURN {
            if !input.may_be_read() || !app.takes_records() {
                return;
            }
            let (outcome, dropped) = input.receive(&mut self.read_buffer, key, app, now);
            inputs.dropped.count += u64::from(dropped);
            app.metrics().datagrams_dropped(dropped.into());
            if outcome == ReadOutcome::Drained {
                let at = now.mono_ms + limits::DROPPED_ASKED_MS;
                inputs.dropped.asked_at.get_or_insert(at);
                return;
            }
        }
    }

    /// After a socket was served, or what it brought was committed: decides what comes next.
    fn after_input(&mut self, key: usize) {
        let Self { inputs, app, .. } = self;
        let Some(app) = app.node() else {
            return;
        };
        inputs.want_flush(key);
        let input = &mut inputs.slab[key];
        let may_go_on = (input.readable && !input.has_ended) || input.has_to_send();
        if may_go_on && input.is_acknowledged() && !input.has_ended && app.has_failed() {
            input.fail();
        }
        if input.is_done() && !input.closing {
            input.closing = true;
            inputs.closing.push(key);
        } else if may_go_on && input.waits.is_none() {
            if app.takes_records() {
                inputs.want_service(key);
            } else {
                inputs.wait(key, Wait::Store);
            }
        }
    }

    /// The phase *flush*: acknowledgements.
    pub(super) fn flush_inputs(&mut self) {
        while let Some(key) = self.inputs.flush.pop() {
            let Some(input) = self.inputs.slab.get_mut(key) else {
                continue;
            };
            input.on_flush_list = false;
            if input.write().is_err() {
                input.forget_output();
            }
            self.after_input(key);
        }
    }

    /// The server stops: what has arrived is still taken, for a while, and nothing after it.
    pub(super) fn end_inputs(&mut self) {
        let now = self.now;
        let is_over = match self.lifecycle {
            Lifecycle::Serving => return,
            Lifecycle::Draining(until) => {
                now.mono_ms + limits::DRAIN_MS >= until + limits::LAST_READS_MS
            }
        };
        let inputs = &self.inputs;
        let has_ended = |input: &Input<P::Socket>| input.has_ended || (input.readable && !is_over);
        let keys = inputs.slab.iter().filter(|(_, input)| !has_ended(input));
        let keys: Vec<usize> = keys.map(|(key, _)| key).collect();
        for key in keys {
            let Self { inputs, app, .. } = self;
            let Some(app) = app.node() else {
                return;
            };
            inputs.slab[key].end(key, app, now);
            inputs.account(key);
            self.after_input(key);
        }
    }

    /// The phase *deliver*: what was committed, and what was not.
    pub(super) fn deliver_inputs(&mut self) {
        let mut completions = std::mem::take(&mut self.inputs.completions);
        if let Some(app) = self.app.node() {
            app.take_socket_completions(&mut completions);
        }
        for SocketCompletion { ticket, result } in completions.drain(..) {
            let key = key_of(ticket);
            let input = self.inputs.slab.get_mut(key);
            let Some(input) = input.filter(|input| input.ticket(key) == ticket) else {
                continue;
            };
            if let Some(spare) = input.has_committed(result) {
                self.inputs.keep(spare);
            }
            self.inputs.account(key);
            self.after_input(key);
        }
        self.inputs.completions = completions;
    }

    /// The phase *close*.
    pub(super) fn close_inputs(&mut self) {
        while let Some(key) = self.inputs.closing.pop() {
            let Some(input) = self.inputs.slab.try_remove(key) else {
                continue;
            };
            self.inputs.held -= input.held;
            self.inputs.connections -= 1;
            self.app.set_connections(self.connections());
        }
        self.log_dropped();
    }

    /// Logs, from time to time, that the kernel has dropped datagrams.
    fn log_dropped(&mut self) {
        let DroppedLog {
            count, logged_at, ..
        } = &mut self.inputs.dropped;
        let is_due = logged_at.is_none_or(|at| at + limits::DROPPED_TOLD_MS <= self.now.mono_ms);
        if *count > 0 && (is_due || self.lifecycle != Lifecycle::Serving) {
            log::warn!("the kernel has dropped {count} datagrams: they came faster than they could be stored");
            *count = 0;
            *logged_at = Some(self.now.mono_ms);
        }
    }
}
