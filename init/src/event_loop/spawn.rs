//! Starting an instance: cgroup, pipes, plan, clone.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use init_core::description::{Output, ServiceDescription};
use init_core::event::{InstanceId, ServiceId, SpawnError, SpawnStage};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{EventLoop, Token};
use crate::cgroup::Cgroup;
use crate::console;
use crate::notify::NOTIFY_SOCKET;
use crate::service;
use crate::sys::process::{self, CStrings, Child, PASSED_FD, Plan, Standard};

/// An error number and where it belongs.
type Failure = (SpawnStage, Errno);

/// Says at which stage an error number came.
fn at(stage: SpawnStage) -> impl Fn(Errno) -> Failure {
    move |errno| (stage, errno)
}

impl EventLoop<'_> {
    /// Creates the instance's cgroup and main process, and returns its id.
    pub(super) fn spawn(
        &mut self,
        service: ServiceId,
        instance: InstanceId,
    ) -> Result<u32, SpawnError> {
        let mut cgroup = None;
        let result = self.try_spawn(service, instance, &mut cgroup);
        if let (Err(_), Some(cgroups), Some(cgroup)) = (&result, &self.cgroups, &cgroup) {
            cgroups.remove(cgroup);
        }
        result.map_err(|(stage, errno)| SpawnError { stage, errno: errno.raw_os_error() })
    }

    /// Leaves a cgroup in `cgroup` that the failed instance does not need.
    fn try_spawn(
        &mut self,
        service: ServiceId,
        instance: InstanceId,
        cgroup: &mut Option<Cgroup>,
    ) -> Result<u32, Failure> {
        *cgroup = self.create_cgroup(service, instance).map_err(at(SpawnStage::Cgroup))?;
        let passed = self.connect_collector(service).map_err(at(SpawnStage::Output))?;
        self.open_output(service).map_err(at(SpawnStage::Output))?;
        let (status_read, status_write) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(at(SpawnStage::Output))?;
        self.watch(status_read.as_fd(), Token::ExecStatus(instance), EventFlags::IN)
            .map_err(at(SpawnStage::Output))?;
        let directory = cgroup.as_ref().map(Cgroup::directory);
        let passed = passed.as_ref().map(OwnedFd::as_fd);
        let child = self.clone_child(service, directory, passed, status_write.as_fd())?;
        let pid = child.pid;
        self.instances.insert(instance, child, cgroup.take(), status_read);
        if self.outputs.has_pending() {
            self.send_pipes();
        }
        Ok(pid)
    }

    fn create_cgroup(
        &mut self,
        service: ServiceId,
        instance: InstanceId,
    ) -> Result<Option<Cgroup>, Errno> {
        let description = self.supervisor.description(service).ok_or(Errno::NOENT)?;
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
    fn open_output(&mut self, service: ServiceId) -> Result<(), Errno> {
        let Some(description) = self.supervisor.description(service) else { return Ok(()) };
        let has_collector =
            self.supervisor.log_collector().is_some_and(|collector| collector != service);
        let wants = description.output == Output::Log && description.terminal.is_none();
        if has_collector && wants {
            self.outputs.open(service, description.name.as_str())
        } else {
            Ok(())
        }
    }

    fn clone_child(
        &self,
        service: ServiceId,
        cgroup: Option<BorrowedFd<'_>>,
        passed: Option<BorrowedFd<'_>>,
        status: BorrowedFd<'_>,
    ) -> Result<Child, Failure> {
        let unknown = (SpawnStage::User, Errno::NOENT);
        let description = self.supervisor.description(service).ok_or(unknown)?;
        let index = usize::try_from(service.0).unwrap_or(usize::MAX);
        let identity = self.identities.get(index).ok_or(unknown)?;
        let terminal = description
            .terminal
            .as_deref()
            .map(|name| CString::new(console::terminal_path(name)).unwrap_or_default());
        let output = match description.output {
            Output::Null => self.console.null.as_fd(),
            Output::Log | Output::Console => {
                self.outputs.write_end(service).unwrap_or(self.console.output.as_fd())
            }
        };
        let argv = CStrings::new(description.command.iter().map(AsRef::<str>::as_ref));
        let environment =
            CStrings::new(identity.environment(&extra_environment(description, passed.is_some())));
        process::spawn(&Plan {
            argv: &argv,
            environment: &environment,
            working_directory: &CString::new(&*description.working_directory).unwrap_or_default(),
            standard: match &terminal {
                Some(path) => Standard::Terminal(path),
                None => Standard::Descriptors(self.console.null.as_fd(), output),
            },
            passed,
            credentials: identity.credentials().map_err(at(SpawnStage::User))?,
            limits: &service::limits(description),
            cgroup,
            status,
        })
        .map_err(at(SpawnStage::Clone))
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
