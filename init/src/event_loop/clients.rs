//! The control clients' requests, and the answers that can be given at once.

use alloc::boxed::Box;

use init_core::event::{ClientId, Event, ServiceId};
use init_core::protocol::{Reply, Request};
use init_core::time::Timestamp;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::BorrowedFd;

use super::{EventLoop, Token};
use crate::errno::explain;
use crate::log;

/// Most clients let in in one turn.
const ACCEPTED_PER_TURN: usize = 16;

impl EventLoop<'_> {
    pub(super) fn accept_clients(&mut self, now: Timestamp) {
        for _ in 0..ACCEPTED_PER_TURN {
            let Some(control) = &mut self.control else { return };
            let Some((watch, evicted)) = control.accept(now) else { return };
            let data = epoll::EventData::new_u64(Token::Client(watch.id).encode());
            if let Err(errno) = epoll::add(&self.epoll, watch.socket, data, watch.interest) {
                // It is dropped as idle.
                log::warning(format_args!("cannot watch a control client: {}", explain(errno)));
            }
            if let Some(id) = evicted {
                self.queue.push_back(Event::ClientGone { client: ClientId(id) });
            }
        }
    }

    pub(super) fn serve_client(&mut self, id: u64, flags: EventFlags, now: Timestamp) {
        let Some(control) = &mut self.control else { return };
        control.serve(id, flags, now);
        while let Some(request) = self.control.as_mut().and_then(|control| control.next_request(id))
        {
            if let Some(reply) = self.answer(id, request) {
                self.reply(id, &reply, now);
            }
        }
        self.settle_client(id);
    }

    /// The answer to a request; `None` if it comes later.
    fn answer(&mut self, id: u64, request: Request) -> Option<Reply> {
        match request {
            Request::List => Some(Reply::Services(self.supervisor.list())),
            Request::Status { name } => Some(
                match self.supervisor.find(name.as_str()).and_then(|id| self.supervisor.status(id))
                {
                    Some(status) => Reply::Service(Box::new(status)),
                    None => Reply::UnknownService(name),
                },
            ),
            Request::Operate { operation, name } => match self.supervisor.find(name.as_str()) {
                Some(service) => {
                    let client = Some(ClientId(id));
                    self.queue.push_back(Event::Command { client, operation, service });
                    None
                }
                None => Some(Reply::UnknownService(name)),
            },
            Request::Shutdown { kind } => {
                log::info(format_args!("a control client asks for {kind:?}"));
                self.shut_down(kind);
                Some(Reply::Done)
            }
        }
    }

    /// An operation has ended.
    pub(super) fn reply_to_operation(
        &mut self,
        client: ClientId,
        service: ServiceId,
        succeeded: bool,
        now: Timestamp,
    ) {
        let reply = match self.supervisor.summary(service) {
            Some(summary) if !succeeded => Reply::Failed(Box::new(summary)),
            _ => Reply::Done,
        };
        self.reply(client.0, &reply, now);
        // The client may have sent its next request long ago.
        self.serve_client(client.0, EventFlags::empty(), now);
    }

    pub(super) fn drop_idle_clients(&mut self, now: Timestamp) {
        while let Some(id) = self.control.as_mut().and_then(|control| control.drop_idle(now)) {
            self.queue.push_back(Event::ClientGone { client: ClientId(id) });
        }
    }

    fn reply(&mut self, id: u64, reply: &Reply, now: Timestamp) {
        if let Some(control) = &mut self.control {
            control.reply(id, reply, now);
        }
    }

    /// Watches for what the client needs next, or forgets it.
    fn settle_client(&mut self, id: u64) {
        let Some(control) = &mut self.control else { return };
        match control.settle(id) {
            Some(watch) => modify(&self.epoll, watch.socket, Token::Client(id), watch.interest),
            None => self.queue.push_back(Event::ClientGone { client: ClientId(id) }),
        }
    }

    pub(super) fn modify(&self, fd: BorrowedFd<'_>, token: Token, interest: EventFlags) {
        modify(&self.epoll, fd, token, interest);
    }

    pub(super) fn unwatch(&self, fd: BorrowedFd<'_>) {
        // Not watched is what is wanted.
        let _ = epoll::delete(&self.epoll, fd);
    }
}

fn modify(epoll: &rustix::fd::OwnedFd, fd: BorrowedFd<'_>, token: Token, interest: EventFlags) {
    let data = epoll::EventData::new_u64(token.encode());
    if let Err(errno) = epoll::modify(epoll, fd, data, interest) {
        log::error(format_args!("cannot watch {token:?}: {}", explain(errno)));
    }
}
