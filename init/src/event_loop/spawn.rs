//! Starting an instance: cgroup, pipes, program, clone.

use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;

use init_core::description::{Output, ServiceDescription};
use init_core::event::{Event, InstanceId, ServiceId, SpawnError, SpawnStage};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use super::{EventLoop, Token};
use crate::cgroup::Cgroup;
use crate::console;
use crate::errno::{Failure, at, explain};
use crate::instances::Instance;
use crate::notify::NOTIFY_SOCKET;
use crate::service::Identity;
use crate::sys::process::{self, CStrings, Descriptors, PASSED_FD, Program};
use crate::{log, service};

/// How many children may be on the way to their programs at a time.
const STARTING_MAX: usize = 2;

/// A service that PID 1 has no description of.
const NO_SERVICE: Failure = (SpawnStage::User, Errno::NOENT);

impl EventLoop<'_> {
    /// Creates the instance's cgroup and main process, and queues what became of it.
    pub(super) fn spawn(&mut self, service: ServiceId, instance: InstanceId) {
        let mut cgroup = None;
        if let Err((stage, errno)) = self.try_spawn(service, instance, &mut cgroup) {
            if let (Some(cgroups), Some(cgroup)) = (&self.cgroups, &cgroup) {
                cgroups.remove(cgroup);
            }
            let error = SpawnError { stage, errno: errno.raw_os_error() };
            self.queue.push_back(Event::SpawnFailed { instance, error });
        }
    }

    /// Leaves a cgroup in `cgroup` that the failed instance does not need.
    fn try_spawn(
        &mut self,
        service: ServiceId,
        instance: InstanceId,
        cgroup: &mut Option<Cgroup>,
    ) -> Result<(), Failure> {
        let description = self.supervisor.description(service).ok_or(NO_SERVICE)?;
        *cgroup = self.create_cgroup(&description, instance)?;
        let passed = self.connect_collector(service).map_err(at(SpawnStage::Output))?;
        self.open_output(service, &description).map_err(at(SpawnStage::Output))?;
        let program = self.program(service, &description, passed.is_some())?;
        let descriptors = Descriptors {
            input: self.console.null.as_fd(),
            output: self.output(service, &description),
            passed: passed.as_ref().map(OwnedFd::as_fd),
            cgroup: cgroup.as_ref().map(Cgroup::directory),
        };
        let child = process::spawn(program, descriptors).map_err(at(SpawnStage::Clone))?;
        if let Some(pending) = &child.pending
            && let Err(errno) =
                self.watch(pending.as_fd(), Token::ExecStatus(instance), EventFlags::IN)
        {
            // It will be seen to be executed when it ends or says something.
            log::error(format_args!("cannot watch the start of a service: {}", explain(errno)));
        }
        let pid = child.pid;
        self.instances.insert(instance, child, cgroup.take());
        self.queue.push_back(Event::Spawned { instance, pid });
        self.wait_for_starts(instance);
        if self.outputs.has_pending() {
            self.send_pipes();
        }
        Ok(())
    }

    /// Lets children get on to their programs while PID 1 prepares the next
    /// one, but only so many: each of them keeps memory of PID 1's.
    fn wait_for_starts(&mut self, newest: InstanceId) {
        self.starting.push_back(newest);
        while self.starting.len() > STARTING_MAX {
            let Some(oldest) = self.starting.pop_front() else { return };
            let found = self.instances.get_mut(oldest);
            if found.is_some_and(Instance::wait_executed) {
                self.queue.push_back(Event::Executed { instance: oldest });
            }
        }
    }

    fn create_cgroup(
        &mut self,
        description: &ServiceDescription,
        instance: InstanceId,
    ) -> Result<Option<Cgroup>, Failure> {
        let Some(cgroups) = &mut self.cgroups else { return Ok(None) };
        cgroups.create(description.name.as_str(), instance.0, &description.limits).map(Some)
    }

    /// For the log collector: the end of the socket that brings it the pipes.
    fn connect_collector(&mut self, service: ServiceId) -> Result<Option<OwnedFd>, Errno> {
        if self.supervisor.log_collector() != Some(service) {
            return Ok(None);
        }
        self.disconnect_collector();
        let theirs = self.outputs.connect_collector()?;
        if let Some(ours) = self.outputs.socket() {
            self.watch(ours, Token::Collector, EventFlags::OUT)?;
        }
        Ok(Some(theirs))
    }

    /// Makes the pipe of a service whose output goes to the log collector.
    fn open_output(
        &mut self,
        service: ServiceId,
        description: &ServiceDescription,
    ) -> Result<(), Errno> {
        let has_collector =
            self.supervisor.log_collector().is_some_and(|collector| collector != service);
        let wants = description.output == Output::Log && description.terminal.is_none();
        if has_collector && wants {
            let owner = self.identity(service).and_then(Identity::user);
            self.outputs.open(service, description.name.as_str(), owner)
        } else {
            Ok(())
        }
    }

    /// Where the service's output goes.
    fn output(&self, service: ServiceId, description: &ServiceDescription) -> BorrowedFd<'_> {
        let output = match description.output {
            Output::Null => self.console.null.as_fd(),
            Output::Log | Output::Console => {
                self.outputs.write_end(service).unwrap_or(self.console.output.as_fd())
            }
        };
        // All instances share the open file, and one before may have left O_NONBLOCK on it: a
        // program that knows nothing of that loses what there is no room for.
        let _ = fcntl_setfl(output, OFlags::empty());
        output
    }

    fn identity(&self, service: ServiceId) -> Option<&Identity> {
        usize::try_from(service.0).ok().and_then(|index| self.identities.get(index))
    }

    fn program(
        &self,
        service: ServiceId,
        description: &ServiceDescription,
        is_collector: bool,
    ) -> Result<Program, Failure> {
        let identity = self.identity(service).ok_or(NO_SERVICE)?;
        let extra = extra_environment(description, is_collector);
        let terminal = description.terminal.as_deref().map(console::terminal_path);
        Ok(Program {
            argv: CStrings::new(description.command.iter().map(AsRef::<str>::as_ref)),
            environment: CStrings::new(identity.environment(&extra)),
            working_directory: CString::new(&*description.working_directory).unwrap_or_default(),
            terminal: terminal.map(|path| CString::new(path).unwrap_or_default()),
            credentials: identity.credentials().map_err(at(SpawnStage::User))?.cloned(),
            limits: service::limits(description),
            attributes: service::attributes(description.attributes),
        })
    }
}

/// What a service finds in its environment besides the base; the later wins.
fn extra_environment(description: &ServiceDescription, is_collector: bool) -> Vec<(&str, &str)> {
    let mut extra = vec![("NOTIFY_SOCKET", NOTIFY_SOCKET)];
    if is_collector {
        extra.push(("LOG_SOCKET", PASSED_FD_TEXT));
    }
    extra.extend(description.environment.iter().map(|(name, value)| (&**name, &**value)));
    extra
}

/// [`PASSED_FD`] as text.
const PASSED_FD_TEXT: &str = "3";
const _: () = assert!(PASSED_FD == 3);
