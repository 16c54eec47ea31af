//! The control socket under bad clients.

use std::io::{Read as _, Write as _};

use init_core::event::Operation;
use init_core::name::ServiceName;
use init_core::protocol::{Reply, Request};

use crate::guest::{Guest, Kind, receive, until};

const SLEEP: &str = "command = [\"/bin/sleep\", \"1000\"]\n";

#[test]
fn bad_clients_cost_only_themselves() {
    let Some(guest) =
        Guest::boot("bad_clients_cost_only_themselves", Kind::Ordinary, &[("one", SLEEP)])
    else {
        return;
    };
    // An unknown tag is answered, and the connection goes on.
    let mut stream = guest.connect();
    stream.write_all(&[2, 0, 0, 0, 1, 0xee]).unwrap();
    assert!(matches!(receive(&mut stream), Some(Reply::BadRequest(_))));
    stream.write_all(&Request::List.encode().unwrap()).unwrap();
    assert!(matches!(receive(&mut stream), Some(Reply::Services(_))));

    // A frame that is too long is answered, and the connection ends.
    let mut stream = guest.connect();
    stream.write_all(&u32::MAX.to_le_bytes()).unwrap();
    assert!(matches!(receive(&mut stream), Some(Reply::BadRequest(_))));
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);

    // Half frames, noise, and more of them than there are places.
    let mut state = 7_u32;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut stream = guest.connect();
        let noise: Vec<u8> = (0..50)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        // It may be refused in the middle.
        let _ = stream.write_all(&noise);
        clients.push(stream);
        let mut half = guest.connect();
        let request = Request::List.encode().unwrap();
        half.write_all(&request[..request.len() - 1]).unwrap();
        clients.push(half);
    }
    assert_eq!(guest.list().len(), 1);

    // A client that goes while its operation runs.
    let name = ServiceName::new("one").unwrap();
    let mut stream = guest.connect();
    let restart = Request::Operate { operation: Operation::Restart, name };
    stream.write_all(&restart.encode().unwrap()).unwrap();
    drop(stream);
    until("the service is up again", || guest.status("one").summary.state.is_up().then_some(()));
    drop(clients);
    assert_eq!(guest.list().len(), 1);
}

#[test]
fn operations_are_answered_when_they_are_done() {
    let slow =
        "command = [\"/bin/sh\", \"-c\", \"sleep 0.3\"]\ntype = \"oneshot\"\nautostart = false\n";
    let fails = "command = [\"/bin/false\"]\ntype = \"oneshot\"\nautostart = false\n";
    let Some(guest) = Guest::boot(
        "operations_are_answered_when_they_are_done",
        Kind::Ordinary,
        &[("slow", slow), ("fails", fails), ("one", SLEEP)],
    ) else {
        return;
    };
    assert_eq!(guest.operate(Operation::Start, "slow"), Reply::Done);
    assert_eq!(guest.status("slow").summary.state.as_str(), "completed");
    match guest.operate(Operation::Start, "fails") {
        Reply::Failed(summary) => assert_eq!(summary.reason_code, "exited"),
        other => panic!("{other:?}"),
    }
    let stranger = ServiceName::new("stranger").unwrap();
    assert_eq!(guest.operate(Operation::Stop, "stranger"), Reply::UnknownService(stranger));

    // Two requests at once are answered in their order.
    let mut stream = guest.connect();
    let name = ServiceName::new("slow").unwrap();
    let restart = Request::Operate { operation: Operation::Restart, name };
    let both = [restart.encode().unwrap(), Request::List.encode().unwrap()].concat();
    stream.write_all(&both).unwrap();
    assert_eq!(receive(&mut stream), Some(Reply::Done));
    assert!(matches!(receive(&mut stream), Some(Reply::Services(_))));
}
