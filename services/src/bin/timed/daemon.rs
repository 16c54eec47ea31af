//! Asks the servers, does what [`crate::discipline`] says, writes down what came of it, waits.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};
use services::log_record::format_timestamp;
use services::notify::notify;
use services::people::accounts;
use services::privileges::become_user;
use services::problem::{Context, Result, warn};
use services::signals::Termination;
use services::{problem, whole_file};

use crate::ask::{Failed, ask_all};
use crate::clock::{Clocks, build_time};
use crate::discipline::{Action, Discipline};
use crate::packet::{Rejected, Sample};
use crate::select;
use crate::settings::Settings;
use crate::{Arguments, PROGRAM};

/// The socket for `timectl`, and what it shows.
const CONTROL: &str = "control";
const STATUS: &str = "status.json";

/// What came of asking one server.
type Asked = std::result::Result<Sample, String>;

/// A server and what is known of it.
struct Server {
    host: String,
    port: u16,
    /// It does not want to be asked.
    is_denied: bool,
    last: Option<Asked>,
}

struct Daemon<'a> {
    arguments: &'a Arguments,
    clocks: Clocks,
    least: SystemTime,
    discipline: Discipline,
    servers: Vec<Server>,
    control: UnixDatagram,
    /// When the clock was last known to be right.
    synchronised: Option<SystemTime>,
    chosen: Option<usize>,
    steps: u32,
}

/// Keeps the clock right until it is asked to end.
pub(crate) fn run(arguments: &Arguments, settings: &Settings) -> Result<()> {
    let least = build_time();
    let clocks = Clocks::open(&arguments.rtc, arguments.dry_run);
    let moved = clocks.not_before(least).context(|| "cannot set the clock".to_owned())?;
    if let Some(behind) = moved {
        let seconds = behind.as_secs();
        warn(PROGRAM, format_args!("the clock was {seconds} s before the image was built: moved"));
    }
    let control = prepare(arguments)?;
    let _state = State { directory: &arguments.state };
    become_user(&arguments.user, CapabilitySet::SYS_TIME)?;
    let termination = Termination::catch().context(|| "cannot catch signals".to_owned())?;
    let server = |(host, port): &(String, u16)| Server {
        host: host.clone(),
        port: *port,
        is_denied: false,
        last: None,
    };
    let mut daemon = Daemon {
        arguments,
        clocks,
        least,
        discipline: Discipline::new(settings),
        servers: settings.servers.iter().map(server).collect(),
        control,
        synchronised: None,
        chosen: None,
        steps: 0,
    };
    daemon.write_status(None)?;
    notify("READY=1").context(|| "cannot tell PID 1 that the daemon is ready".to_owned())?;
    loop {
        let pause = daemon.round();
        daemon.write_status(Some(pause))?;
        if !daemon.wait(&termination, pause)? {
            return daemon.end();
        }
    }
}

/// Makes the directory and the socket for `timectl`, and gives them to the user.
fn prepare(arguments: &Arguments) -> Result<UnixDatagram> {
    let directory = &arguments.state;
    let path = directory.join(CONTROL);
    let make = || {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        // Left by one that was killed.
        for name in [CONTROL, STATUS] {
            match fs::remove_file(directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let control = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let users = accounts::users().unwrap_or_default();
        let user = users.iter().find(|user| user.name == arguments.user);
        if let (true, Some(user)) = (rustix::process::getuid().is_root(), user) {
            for place in [directory, &path] {
                chown(place, Some(user.uid), Some(user.gid))?;
            }
        }
        Ok(control)
    };
    make().context(|| format!("cannot prepare `{}`", directory.display()))
}

/// What `timectl` finds while the daemon runs, and not after it.
struct State<'a> {
    directory: &'a Path,
}

impl Drop for State<'_> {
    fn drop(&mut self) {
        for name in [STATUS, CONTROL] {
            if let Err(error) = fs::remove_file(self.directory.join(name))
                && error.kind() != io::ErrorKind::NotFound
            {
                warn(PROGRAM, format_args!("cannot remove `{name}`: {error}"));
            }
        }
    }
}

impl Daemon<'_> {
    /// Asks all servers and acts. Returns how long to wait then.
    fn round(&mut self) -> Duration {
        let whom =
            |server: &Server| (!server.is_denied).then(|| (server.host.clone(), server.port));
        let results = ask_all(self.servers.iter().map(whom).collect());
        let mut samples = Vec::new();
        for (place, (server, result)) in self.servers.iter_mut().zip(results).enumerate() {
            let Some(result) = result else { continue };
            server.is_denied |= matches!(result, Err(Failed::Rejected(Rejected::Denied)));
            if matches!(result, Err(Failed::Rejected(Rejected::TooOften))) {
                self.discipline.slow_down();
            }
            let result = result.map_err(|failed| failed.text());
            let result = result.and_then(|sample| plausible(sample, self.least));
            samples.extend(result.as_ref().ok().map(|sample| (place, *sample)));
            server.last = Some(result);
        }
        let only: Vec<Sample> = samples.iter().map(|(_, sample)| *sample).collect();
        let Some((place, sample)) = select::best(&only).and_then(|best| samples.get(best)) else {
            self.chosen = None;
            return self.discipline.failed();
        };
        self.chosen = Some(*place);
        let (action, pause) = self.discipline.agreed(sample);
        if let Err(error) = self.act(action, sample) {
            warn(PROGRAM, format_args!("cannot set the clock: {error}"));
        }
        pause
    }

    fn act(&mut self, action: Action, sample: &Sample) -> io::Result<()> {
        match action {
            Action::Step(offset_ns) => {
                self.clocks.step(offset_ns)?;
                self.steps += 1;
                let seconds = Duration::from_nanos(offset_ns.unsigned_abs()).as_secs_f64();
                let way = if offset_ns < 0 { "back" } else { "forward" };
                warn(PROGRAM, format_args!("the clock was set {way} by {seconds:.3} s"));
                self.clocks.slew(0, sample.distance_ns, self.discipline.poll_log2())?;
                // The kernel would do it within minutes; who pulls the plug does not wait.
                if let Err(error) = self.clocks.keep() {
                    warn(PROGRAM, format_args!("cannot set the hardware clock: {error}"));
                }
            }
            Action::Slew(offset_ns) => {
                let poll_log2 = self.discipline.poll_log2();
                self.clocks.slew(offset_ns, sample.distance_ns, poll_log2)?;
            }
            Action::Doubt => return Ok(()),
        }
        self.synchronised = Some(SystemTime::now());
        Ok(())
    }

    /// Waits; false if it is time to end. A datagram from `timectl` ends the pause.
    fn wait(&mut self, termination: &Termination, pause: Duration) -> Result<bool> {
        let deadline = Instant::now() + pause;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut sources = [
                PollFd::new(termination, PollFlags::IN),
                PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
            ];
            let timeout = left.try_into().ok();
            match poll(&mut sources, timeout.as_ref()) {
                Ok(0) => return Ok(true),
                Ok(_) if sources[0].revents().contains(PollFlags::IN) => return Ok(false),
                Ok(_) => {
                    if self.serve() {
                        return Ok(true);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(problem::Problem::new(format!("cannot wait: {error}")));
                }
            }
        }
    }

    /// Does what a datagram from `timectl` says. Whether that is to ask the servers now.
    fn serve(&self) -> bool {
        let mut message = [0; 16];
        let Ok((length, from)) = self.control.recv_from(&mut message) else { return false };
        match message.get(..length) {
            Some(b"sync") => true,
            // Somebody has set the clock, and the hardware's is open here and nowhere else.
            Some(b"keep") => {
                let kept = self.clocks.keep_on_request();
                let answer = kept.map_or_else(|error| error.to_string(), |()| "kept".to_owned());
                // Who has gone does not care.
                let _ = self.control.send_to_addr(answer.as_bytes(), &from);
                false
            }
            _ => false,
        }
    }

    /// What is known goes to the hardware clock, for the next start.
    fn end(&self) -> Result<()> {
        match self.synchronised {
            Some(_) => self.clocks.keep().context(|| "cannot set the hardware clock".to_owned()),
            None => Ok(()),
        }
    }

    fn write_status(&self, pause: Option<Duration>) -> Result<()> {
        let servers = self.servers.iter().enumerate().map(|(place, server)| {
            let sample = server.last.as_ref().and_then(|last| last.as_ref().ok());
            json!({
                "server": server.host,
                "port": server.port,
                "chosen": self.chosen == Some(place),
                "offset_us": sample.map(|sample| sample.offset_ns / 1000),
                "delay_us": sample.map(|sample| sample.delay_ns / 1000),
                "error_us": sample.map(|sample| sample.distance_ns / 1000),
                "stratum": sample.map(|sample| sample.stratum),
                "problem": server.last.as_ref().and_then(|last| last.as_ref().err()),
            })
        });
        let status = json!({
            "last_synchronised": self.synchronised.map(format_timestamp),
            "not_before": format_timestamp(self.least),
            "steps": self.steps,
            "next_question_in_s": pause.map(|pause| pause.as_secs()),
            "servers": servers.collect::<Vec<Value>>(),
        });
        let path = self.arguments.state.join(STATUS);
        whole_file::write(&path, format!("{status:#}\n").as_bytes(), 0o644)
            .context(|| format!("cannot write `{}`", path.display()))
    }
}

/// Refuses a time before `least`, when the image was built.
fn plausible(sample: Sample, least: SystemTime) -> Asked {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let least = least.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ns = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match ns(now) + i128::from(sample.offset_ns) < ns(least) {
        true => Err("its time is before this image was built".to_owned()),
        false => Ok(sample),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_clock_that_cannot_be_set_leaves_the_system_clock_right() {
        let second = Duration::from_secs(1);
        let settings = Settings {
            servers: Vec::new(),
            poll_min: second,
            poll_max: second,
            step_threshold: second,
        };
        let arguments = Arguments {
            config: "time.toml".into(),
            state: "state".into(),
            user: "time".into(),
            rtc: "rtc".into(),
            dry_run: true,
            check: false,
        };
        let mut daemon = Daemon {
            arguments: &arguments,
            clocks: Clocks::with_broken_hardware(),
            least: UNIX_EPOCH,
            discipline: Discipline::new(&settings),
            servers: Vec::new(),
            control: UnixDatagram::unbound().unwrap(),
            synchronised: None,
            chosen: None,
            steps: 0,
        };
        let sample = Sample { offset_ns: 1, delay_ns: 1, distance_ns: 1, stratum: 1 };
        daemon.act(Action::Step(1), &sample).unwrap();
        assert!(daemon.synchronised.is_some() && daemon.steps == 1);
    }
}
