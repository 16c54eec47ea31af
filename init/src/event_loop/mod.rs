//! The one loop of PID 1: what the kernel reports becomes an `Event`, the
//! supervisor decides, its `Action`s are performed. There is no policy here.
//!
//! Each turn looks at the sources in an order that keeps cause before effect:
//! a program is known to be executed before its messages are read, and all
//! messages of a process are read before its end is told. Every source is
//! bounded per turn, so a storm of one kind does not starve the others.

mod actions;
mod clients;
mod sources;
mod spawn;
mod token;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use init_core::event::{Event, InstanceId, ShutdownKind};
use init_core::supervisor::Supervisor;
use init_core::time::Timestamp;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use token::Token;

use crate::boot_report::BootReport;
use crate::cgroup::Cgroups;
use crate::console::Console;
use crate::control::Control;
use crate::errno::explain;
use crate::instances::Instances;
use crate::notify::NotifySocket;
use crate::output::Outputs;
use crate::service::Identity;
use crate::sys::signal::SignalFd;
use crate::{clock, log};

/// How many events there is always room for.
const QUEUE_KEPT: usize = 16;

/// Most reports taken from epoll in one turn.
const REPORTS_PER_TURN: usize = 32;

/// Everything PID 1 holds while services run.
pub(crate) struct EventLoop<'a> {
    epoll: OwnedFd,
    signals: &'a SignalFd,
    console: &'a Console,
    supervisor: Supervisor,
    /// By `ServiceId`.
    identities: Vec<Identity>,
    cgroups: Option<Cgroups>,
    instances: Instances,
    outputs: Outputs,
    notify: Option<NotifySocket>,
    control: Option<Control>,
    report: BootReport,
    queue: VecDeque<Event>,
    /// When the last turn began to look for news.
    looked: Timestamp,
    /// The latest instances, whose programs may not be executed yet.
    starting: VecDeque<InstanceId>,
    /// There may be more dead children than one turn waits for.
    may_have_dead: bool,
    finish: Option<ShutdownKind>,
}

impl<'a> EventLoop<'a> {
    /// Opens what the loop watches. A socket that cannot be opened is missed,
    /// not fatal; without epoll there is no loop.
    pub(crate) fn new(
        supervisor: Supervisor,
        identities: Vec<Identity>,
        signals: &'a SignalFd,
        console: &'a Console,
        report: BootReport,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut this = Self {
            epoll,
            signals,
            console,
            supervisor,
            identities,
            cgroups: Cgroups::open(),
            instances: Instances::default(),
            outputs: Outputs::default(),
            notify: opened("readiness", NotifySocket::open()),
            control: opened("control", Control::open()),
            report,
            queue: VecDeque::new(),
            looked: Timestamp::ZERO,
            starting: VecDeque::new(),
            may_have_dead: true,
            finish: None,
        };
        this.watch_fixed()?;
        Ok(this)
    }

    fn watch_fixed(&mut self) -> Result<(), Errno> {
        self.watch(self.signals.as_fd(), Token::Signals, epoll::EventFlags::IN)?;
        if let Some(notify) = &self.notify {
            self.watch(notify.as_fd(), Token::Notify, epoll::EventFlags::IN)?;
        }
        if let Some(control) = &self.control {
            self.watch(control.listener(), Token::Listener, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    /// Runs until all services are down and the system is to end.
    pub(crate) fn run(mut self) -> ShutdownKind {
        // What arrived while there was no loop comes first: who asked for the
        // end in the meantime does not want services started.
        self.take_signals();
        if self.queue.is_empty() {
            self.queue.push_back(Event::Boot);
        }
        loop {
            self.decide();
            if let Some(kind) = self.finish {
                return kind;
            }
            self.turn();
        }
    }

    /// The system is to end.
    fn shut_down(&mut self, kind: ShutdownKind) {
        self.report.give_up();
        self.queue.push_back(Event::Shutdown { kind });
    }

    /// Feeds the supervisor until it has nothing more to say. Each event has its own time, for
    /// the actions before it may have taken long: a start is timed from its process on.
    fn decide(&mut self) {
        let mut actions = Vec::new();
        while let Some(event) = self.queue.pop_front() {
            let now = if event == Event::Tick { self.looked } else { clock::now() };
            self.supervisor.step_into(event, now, &mut actions);
            self.report.look(&self.supervisor);
            for action in actions.drain(..) {
                self.perform(action, now);
            }
        }
        // A boot or a shutdown makes it long; between them it holds one or two.
        self.queue.shrink_to(QUEUE_KEPT);
        self.report.publish(&self.supervisor);
    }

    /// Waits for reports and takes them, source by source.
    fn turn(&mut self) {
        let mut space = [MaybeUninit::uninit(); REPORTS_PER_TURN];
        let timeout = self.timeout();
        // EINTR cannot come, as every signal is blocked; ENOMEM passes.
        let reports = match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
            Ok((reports, _)) => reports,
            Err(_) => &mut [],
        };
        let now = clock::now();
        self.looked = now;
        let mut trees = Vec::new();
        let mut clients = Vec::new();
        let mut collector = None;
        for report in reports.iter() {
            match Token::decode(report.data.u64()) {
                Some(Token::Signals) => self.take_signals(),
                Some(Token::ExecStatus(instance)) => self.take_exec_status(instance),
                Some(Token::Tree(instance)) => trees.push(instance),
                Some(Token::Client(id)) => clients.push((id, report.flags)),
                Some(Token::Collector) => collector = Some(report.flags),
                Some(Token::Listener) => self.accept_clients(now),
                // Always read below, between waiting for children and telling of it.
                Some(Token::Notify) | None => {}
            }
        }
        self.take_dead();
        for instance in trees {
            self.take_empty_tree(instance);
        }
        if let Some(flags) = collector {
            self.serve_collector(flags);
        }
        for (id, flags) in clients {
            self.serve_client(id, flags, now);
        }
        self.drop_idle_clients(now);
        if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.queue.push_back(Event::Tick);
        }
    }

    /// How long nothing can happen by itself.
    fn timeout(&self) -> Option<Timespec> {
        let deadlines = [
            self.supervisor.next_deadline(),
            self.control.as_ref().and_then(Control::next_deadline),
            (self.may_have_dead || !self.queue.is_empty()).then_some(Timestamp::ZERO),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Timespec::try_from(next.since(clock::now())).ok()
    }

    fn watch(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        flags: epoll::EventFlags,
    ) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.encode()), flags)
    }
}

fn opened<T>(name: &str, result: Result<T, Errno>) -> Option<T> {
    result
        .map_err(|errno| {
            log::error(format_args!("cannot open the {name} socket: {}", explain(errno)))
        })
        .ok()
}
