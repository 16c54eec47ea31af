//! Tells the time as an NTP server of the first stratum does (RFC 5905, sections 7.3 and 9.2),
//! as far from this machine's own clock as it is told to.

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use services::network::ntp::{PACKET_BYTES, timestamp};
use services::problem::{Context, Result};

use crate::listen;

/// How far a clock is from this machine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offset {
    is_behind: bool,
    by: Duration,
}

/// A clock to tell: `ADDRESS:PORT=SECONDS[,SECONDS…]`. Every answer has the next offset, those
/// after the last one have the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    at: SocketAddr,
    /// Not empty.
    offsets: Vec<Offset>,
}

impl FromStr for Offset {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (is_behind, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let seconds = text.parse::<f64>().map_err(|_| ())?;
        let by = Duration::try_from_secs_f64(seconds).map_err(|_| ())?;
        Ok(Self { is_behind, by })
    }
}

impl FromStr for Clock {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (at, offsets) = text.split_once('=').ok_or(())?;
        let at = at.parse().map_err(|_| ())?;
        let offsets = offsets.split(',').map(str::parse).collect::<std::result::Result<_, ()>>()?;
        Ok(Self { at, offsets })
    }
}

impl Offset {
    /// This clock's time when the machine's is `now`; the machine's own where there is no such.
    fn apply(self, now: SystemTime) -> SystemTime {
        let moved =
            if self.is_behind { now.checked_sub(self.by) } else { now.checked_add(self.by) };
        moved.unwrap_or(now)
    }
}

/// The server of one clock.
pub(crate) struct Server {
    socket: UdpSocket,
    clock: Clock,
}

impl Server {
    /// Begins to listen.
    pub(crate) fn open(clock: Clock) -> Result<Self> {
        Ok(Self { socket: listen::datagrams(clock.at)?, clock })
    }

    /// Serves until something goes wrong.
    pub(crate) fn serve(self) -> Result<()> {
        let mut buffer = [0; 512];
        let mut answers = 0_usize;
        loop {
            let (length, client) =
                self.socket.recv_from(&mut buffer).context(|| "cannot receive".to_owned())?;
            let arrived = SystemTime::now();
            let last = self.clock.offsets.len().saturating_sub(1);
            let Some(offset) = self.clock.offsets.get(answers.min(last)) else { continue };
            let time = offset.apply(arrived);
            let question = buffer.get(..length).unwrap_or_default();
            // It is sent as soon as it is made: both times are one.
            let Some(answer) = answer(question, time, time) else { continue };
            answers += 1;
            let _ =
                writeln!(std::io::stderr(), "netpeer: told {client} the time of {}", self.clock.at);
            // A client that has gone meanwhile.
            let _ = self.socket.send_to(&answer, client);
        }
    }
}

/// The answer to a question that `arrived` and is answered at `left`, by the server's clock;
/// `None` to what is no question of a client.
fn answer(question: &[u8], arrived: SystemTime, left: SystemTime) -> Option<[u8; PACKET_BYTES]> {
    let question = question.get(..PACKET_BYTES)?;
    let first = *question.first()?;
    let (version, mode) = ((first >> 3) & 7, first & 7);
    if mode != 3 || !(1..=4).contains(&version) {
        return None;
    }
    let mut packet = [0; PACKET_BYTES];
    // No leap second, the client's version, mode 4 (server); stratum 1.
    packet[0] = (version << 3) | 4;
    packet[1] = 1;
    // The pause between questions is the client's; the clock is read to 2^-20 s.
    packet[2] = *question.get(2)?;
    packet[3] = (-20_i8).cast_unsigned();
    packet[12..16].copy_from_slice(b"LOCL");
    packet[16..24].copy_from_slice(&timestamp(arrived).to_be_bytes());
    // What the client wrote as its time of sending: by that it knows the answer to be its own.
    packet[24..32].copy_from_slice(question.get(40..48)?);
    packet[32..40].copy_from_slice(&timestamp(arrived).to_be_bytes());
    packet[40..48].copy_from_slice(&timestamp(left).to_be_bytes());
    Some(packet)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_750_000_000_000 + milliseconds)
    }

    fn question() -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = (4 << 3) | 3;
        packet[2] = 6;
        packet[40..].copy_from_slice(b"a secret");
        packet
    }

    #[test]
    fn an_answer_has_the_clients_number_and_the_servers_times() {
        let packet = answer(&question(), at(0), at(1)).unwrap();
        assert_eq!((packet[0], packet[1], packet[2]), ((4 << 3) | 4, 1, 6));
        assert_eq!(&packet[24..32], b"a secret");
        assert_eq!(packet[32..40], timestamp(at(0)).to_be_bytes());
        assert_eq!(packet[40..48], timestamp(at(1)).to_be_bytes());
        let mut long = question().to_vec();
        long.extend([7; 20]);
        assert_eq!(answer(&long, at(0), at(1)), Some(packet), "extensions are passed over");
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        for length in 0..PACKET_BYTES {
            assert_eq!(answer(&question()[..length], at(0), at(0)), None, "{length}");
        }
        for first in 0..=255 {
            let mut packet = question();
            packet[0] = first;
            let is_question = first & 7 == 3 && (1..=4).contains(&((first >> 3) & 7));
            assert_eq!(answer(&packet, at(0), at(0)).is_some(), is_question, "{first}");
        }
        assert_eq!(answer(&[0xff; 512], at(0), at(0)), None);
    }

    #[test]
    fn clocks_are_read_as_they_are_typed() {
        let clock: Clock = "10.77.0.1:124=3600,-0.3".parse().unwrap();
        assert_eq!(clock.at, "10.77.0.1:124".parse().unwrap());
        let times = clock.offsets.iter().map(|offset| offset.apply(at(0))).collect::<Vec<_>>();
        assert_eq!(times, [at(3_600_000), at(0) - Duration::from_millis(300)]);
        assert!("[2001:db8::1]:123=0".parse::<Clock>().is_ok());
        for wrong in ["", "1", "10.77.0.1:1", "10.77.0.1=1", "10.77.0.1:1=", "10.77.0.1:1=1,"] {
            assert!(wrong.parse::<Clock>().is_err(), "{wrong}");
        }
        for wrong in ["nan", "inf", "--1", "1e300", "x"] {
            assert!(wrong.parse::<Offset>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_offset_leads_out_of_time() {
        let far: Offset = "1e19".parse().unwrap();
        assert_eq!(far.apply(at(0)), at(0));
        let back: Offset = "-1e19".parse().unwrap();
        assert_eq!(back.apply(at(0)), at(0));
    }
}
