//! Asking the servers: which of them, how often and how long.

use std::net::SocketAddr;
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::Rcode;
use services::network::dns::{Question, Refused, Wanted, ask_tcp, ask_udp};

/// How long the servers are waited for, each in turn, then all again. Programs ask a second
/// time after 5 s (resolv.conf(5)): by then all have had their second chance.
const ROUNDS: [Duration; 3] =
    [Duration::from_millis(800), Duration::from_millis(1600), Duration::from_millis(3200)];
/// Longest time for an answer by TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Servers that are asked.
const SERVERS_ASKED_MAX: usize = 3;

/// One try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Attempt {
    server: SocketAddr,
    timeout: Duration,
    /// Some servers answer in lower case: they are asked without it when it did not work.
    mixed_case: bool,
}

/// The tries in their order, beginning with the server `first`.
fn attempts(servers: &[SocketAddr], first: usize) -> Vec<Attempt> {
    let count = servers.len().min(SERVERS_ASKED_MAX);
    let ordered = servers.iter().cycle().skip(first % servers.len().max(1)).take(count);
    let ordered: Vec<SocketAddr> = ordered.copied().collect();
    let round = |(number, timeout): (usize, Duration)| {
        let attempt = move |server| Attempt { server, timeout, mixed_case: number == 0 };
        ordered.clone().into_iter().map(attempt)
    };
    ROUNDS.into_iter().enumerate().flat_map(round).collect()
}

/// The answer of some server, and that server's place among `servers`. One that says that it
/// cannot answer is passed over.
pub(crate) fn resolve(
    question: &Question,
    wanted: Wanted,
    servers: &[SocketAddr],
    first: usize,
) -> Option<(Vec<u8>, usize)> {
    for attempt in attempts(servers, first) {
        let wanted = Wanted { mixed_case: attempt.mixed_case, ..wanted };
        let Ok(message) = ask(&attempt, question, wanted) else { continue };
        let rcode = Message::from_slice(&message).map(|message| message.header().rcode());
        if matches!(rcode, Ok(Rcode::NOERROR | Rcode::NXDOMAIN)) {
            let place = servers.iter().position(|server| *server == attempt.server);
            return Some((message, place.unwrap_or(first)));
        }
    }
    None
}

fn ask(attempt: &Attempt, question: &Question, wanted: Wanted) -> Result<Vec<u8>, Refused> {
    let asked = ask_udp(attempt.server, question, wanted, attempt.timeout)?;
    match asked.is_truncated {
        false => Ok(asked.message),
        true => ask_tcp(attempt.server, question, wanted, TCP_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_its_turn_before_one_is_asked_again() {
        let server = |last: u8| SocketAddr::from(([192, 0, 2, last], 53));
        let servers = [server(1), server(2), server(3), server(4)];
        let order: Vec<SocketAddr> =
            attempts(&servers, 1).iter().map(|attempt| attempt.server).collect();
        let once = [server(2), server(3), server(4)];
        assert_eq!(order, [once, once, once].concat());
        let found = attempts(&servers[..1], 5);
        assert_eq!(found.len(), 3);
        assert!(found[0].mixed_case && !found[1].mixed_case);
        assert!(found[2].timeout > found[0].timeout);
        assert!(attempts(&[], 0).is_empty());
    }
}
