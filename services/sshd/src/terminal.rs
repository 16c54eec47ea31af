//! A session's terminal: a pseudo-terminal with the client's size and modes (RFC 4254,
//! sections 6.2, 6.7 and 8).
//!
//! Absent: modes that Linux has not, speeds, sizes in pixels.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use russh::Pty;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
    tcgetattr, tcgetpgrp, tcsetattr, tcsetwinsize,
};
use tokio::io::unix::AsyncFd;

/// Rows and columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    rows: u16,
    columns: u16,
}

impl Size {
    /// A size as clients send it. More than 65535 of anything is that many.
    pub(crate) fn new(rows: u32, columns: u32) -> Self {
        let clamp = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        Self { rows: clamp(rows), columns: clamp(columns) }
    }
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The value of `TERM`.
    pub(crate) term: String,
    /// Its size.
    pub(crate) size: Size,
    /// Its modes.
    pub(crate) modes: Vec<(Pty, u32)>,
}

/// The side of a pseudo-terminal that a person would sit at.
pub(crate) struct Master(AsyncFd<OwnedFd>);

/// A pseudo-terminal as `request` wants it: the person's side, the program's side, and its path.
///
/// # Errors
/// What opening or setting it says.
pub(crate) fn open(request: &Request) -> io::Result<(Master, OwnedFd, String)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())?;
    let mut attributes = tcgetattr(&slave)?;
    apply(&mut attributes, &request.modes);
    tcsetattr(&slave, OptionalActions::Now, &attributes)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    let master = Master(register(master)?);
    master.resize(request.size)?;
    Ok((master, slave, path))
}

#[expect(deprecated, reason = "its successor asks for a promise that an OwnedFd keeps by its type")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

impl Master {
    /// Gives the terminal another size; its programs get SIGWINCH.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(self.0.get_ref(), size)?)
    }

    /// The process group in the foreground.
    pub(crate) fn foreground(&self) -> Option<rustix::process::Pid> {
        tcgetpgrp(self.0.get_ref()).ok()
    }

    /// What programs wrote; 0 bytes once none has the terminal open any more.
    ///
    /// # Errors
    /// What read(2) says.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.0.readable().await?;
            let read = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref().as_fd(), &mut *buffer)?));
            match read {
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Ok(0);
                }
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Types `bytes`.
    ///
    /// # Errors
    /// What write(2) says.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut guard = self.0.writable().await?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref().as_fd(), bytes)?)) {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written?..).unwrap_or_default(),
                Err(_would_block) => {}
            }
        }
        Ok(())
    }
}

/// Sets what `modes` says, in the order given.
fn apply(attributes: &mut Termios, modes: &[(Pty, u32)]) {
    for (mode, value) in modes {
        let on = *value != 0;
        if let Some(index) = character(*mode) {
            // 255 is "none" (RFC 4254, section 8); 0 is Linux's.
            let code = u8::try_from(*value).unwrap_or(0);
            attributes.special_codes[index] = if code == u8::MAX { 0 } else { code };
        } else if let Some(flag) = input_mode(*mode) {
            attributes.input_modes.set(flag, on);
        } else if let Some(flag) = local_mode(*mode) {
            attributes.local_modes.set(flag, on);
        } else if let Some(flag) = output_mode(*mode) {
            attributes.output_modes.set(flag, on);
        }
    }
}

const fn character(mode: Pty) -> Option<SpecialCodeIndex> {
    Some(match mode {
        Pty::VINTR => SpecialCodeIndex::VINTR,
        Pty::VQUIT => SpecialCodeIndex::VQUIT,
        Pty::VERASE => SpecialCodeIndex::VERASE,
        Pty::VKILL => SpecialCodeIndex::VKILL,
        Pty::VEOF => SpecialCodeIndex::VEOF,
        Pty::VEOL => SpecialCodeIndex::VEOL,
        Pty::VEOL2 => SpecialCodeIndex::VEOL2,
        Pty::VSTART => SpecialCodeIndex::VSTART,
        Pty::VSTOP => SpecialCodeIndex::VSTOP,
        Pty::VSUSP => SpecialCodeIndex::VSUSP,
        Pty::VREPRINT => SpecialCodeIndex::VREPRINT,
        Pty::VWERASE => SpecialCodeIndex::VWERASE,
        Pty::VLNEXT => SpecialCodeIndex::VLNEXT,
        Pty::VDISCARD => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

const fn input_mode(mode: Pty) -> Option<InputModes> {
    Some(match mode {
        Pty::IGNPAR => InputModes::IGNPAR,
        Pty::PARMRK => InputModes::PARMRK,
        Pty::INPCK => InputModes::INPCK,
        Pty::ISTRIP => InputModes::ISTRIP,
        Pty::INLCR => InputModes::INLCR,
        Pty::IGNCR => InputModes::IGNCR,
        Pty::ICRNL => InputModes::ICRNL,
        Pty::IXON => InputModes::IXON,
        Pty::IXANY => InputModes::IXANY,
        Pty::IXOFF => InputModes::IXOFF,
        Pty::IMAXBEL => InputModes::IMAXBEL,
        Pty::IUTF8 => InputModes::IUTF8,
        _ => return None,
    })
}

const fn local_mode(mode: Pty) -> Option<LocalModes> {
    Some(match mode {
        Pty::ISIG => LocalModes::ISIG,
        Pty::ICANON => LocalModes::ICANON,
        Pty::ECHO => LocalModes::ECHO,
        Pty::ECHOE => LocalModes::ECHOE,
        Pty::ECHOK => LocalModes::ECHOK,
        Pty::ECHONL => LocalModes::ECHONL,
        Pty::NOFLSH => LocalModes::NOFLSH,
        Pty::TOSTOP => LocalModes::TOSTOP,
        Pty::IEXTEN => LocalModes::IEXTEN,
        Pty::ECHOCTL => LocalModes::ECHOCTL,
        Pty::ECHOKE => LocalModes::ECHOKE,
        _ => return None,
    })
}

const fn output_mode(mode: Pty) -> Option<OutputModes> {
    Some(match mode {
        Pty::OPOST => OutputModes::OPOST,
        Pty::ONLCR => OutputModes::ONLCR,
        Pty::OCRNL => OutputModes::OCRNL,
        Pty::ONOCR => OutputModes::ONOCR,
        Pty::ONLRET => OutputModes::ONLRET,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_become_settings_of_the_terminal() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let mut attributes = tcgetattr(&master).unwrap();
        apply(
            &mut attributes,
            &[
                (Pty::ECHO, 0),
                (Pty::IUTF8, 1),
                (Pty::ONLCR, 0),
                (Pty::VINTR, 7),
                (Pty::VQUIT, 255),
                (Pty::VEOF, 70_000),
                (Pty::TTY_OP_ISPEED, 38_400),
            ],
        );
        assert!(!attributes.local_modes.contains(LocalModes::ECHO));
        assert!(attributes.local_modes.contains(LocalModes::ICANON));
        assert!(attributes.input_modes.contains(InputModes::IUTF8));
        assert!(!attributes.output_modes.contains(OutputModes::ONLCR));
        for (index, code) in [
            (SpecialCodeIndex::VINTR, 7),
            (SpecialCodeIndex::VQUIT, 0),
            (SpecialCodeIndex::VEOF, 0),
        ] {
            assert_eq!(attributes.special_codes[index], code);
        }
    }

    #[test]
    fn sizes_are_clamped() {
        assert_eq!(Size::new(24, 80), Size { rows: 24, columns: 80 });
        assert_eq!(Size::new(70_000, u32::MAX), Size { rows: u16::MAX, columns: u16::MAX });
    }
}
