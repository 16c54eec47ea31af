//! The codec against its document, and against bytes that are no frames.

use super::*;

fn guest_frames() -> Vec<GuestFrame> {
    vec![
        GuestFrame::Hello { version: VERSION, settled: true },
        GuestFrame::Hello { version: 7, settled: false },
        GuestFrame::Stdout(b"hello\n\0\xff".to_vec()),
        GuestFrame::Stdout(Vec::new()),
        GuestFrame::Stderr(vec![b'x'; PAYLOAD_LENGTH_MAX]),
        GuestFrame::Exit(ExitStatus::Code(255)),
        GuestFrame::Exit(ExitStatus::Signal { signal: Signal(64), core_dumped: false }),
        GuestFrame::Exit(ExitStatus::Signal { signal: Signal::KILL, core_dumped: true }),
        GuestFrame::Failed("no such thing".to_owned()),
    ]
}

/// xorshift64*, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % limit).unwrap()
    }
}

#[test]
fn frames_survive_the_way_through_bytes_in_any_pieces() {
    let frames = guest_frames();
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().unwrap()).collect();
    for piece_length in [1, 2, 3, 5, 4096, bytes.len()] {
        let mut decoder = Decoder::<GuestFrame>::new();
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece_length) {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, frames, "in pieces of {piece_length}");
    }
    for frame in [HostFrame::Run { command: "echo μ".to_owned() }, HostFrame::PowerOff] {
        let mut decoder = Decoder::new();
        decoder.push(&frame.encode().unwrap());
        assert_eq!(decoder.next_frame(), Ok(Some(frame)));
        assert_eq!(decoder.next_frame(), Ok(None));
    }
}

#[test]
fn the_bytes_are_those_of_the_document() {
    assert_eq!(
        HostFrame::Run { command: "ls".to_owned() }.encode().unwrap(),
        [0x81, 2, 0, 0, 0, b'l', b's']
    );
    assert_eq!(
        GuestFrame::Hello { version: 1, settled: true }.encode().unwrap(),
        *b"\x01\x10\x00\x00\x00keelson-exec\n\x01\x00\x01"
    );
    assert_eq!(
        GuestFrame::Exit(ExitStatus::Signal { signal: Signal(11), core_dumped: true })
            .encode()
            .unwrap(),
        [4, 2, 0, 0, 0, 2, 11]
    );
}

#[test]
fn a_frame_that_is_too_long_is_neither_sent_nor_taken() {
    let long = HostFrame::Run { command: "x".repeat(PAYLOAD_LENGTH_MAX + 1) };
    assert_eq!(long.encode(), Err(FrameError::TooLong(PAYLOAD_LENGTH_MAX + 1)));
    let mut decoder = Decoder::<HostFrame>::new();
    decoder.push(&[KIND_RUN, 1, 0, 1, 0]);
    assert_eq!(decoder.next_frame(), Err(FrameError::TooLong(PAYLOAD_LENGTH_MAX + 1)));
}

#[test]
fn bad_frames_are_named_and_end_the_session() {
    let table: &[(&[u8], FrameError)] = &[
        (&[0x00, 0, 0, 0, 0], FrameError::UnknownKind(0)),
        (&[KIND_STDOUT, 0, 0, 0, 0], FrameError::UnknownKind(KIND_STDOUT)),
        (&[KIND_POWER_OFF, 1, 0, 0, 0, 9], FrameError::Malformed(KIND_POWER_OFF)),
        (&[KIND_RUN, 1, 0, 0, 0, 0xff], FrameError::Malformed(KIND_RUN)),
        (&[KIND_RUN, 1, 0, 0, 0, 0], FrameError::Malformed(KIND_RUN)),
    ];
    for (bytes, error) in table {
        let mut decoder = Decoder::<HostFrame>::new();
        decoder.push(bytes);
        assert_eq!(decoder.next_frame(), Err(*error));
        decoder.push(&HostFrame::PowerOff.encode().unwrap());
        assert_eq!(decoder.next_frame(), Err(*error));
    }
    for payload in [&[0_u8][..], &[3, 0], &[1, 0], &[1, 65], &[0, 1, 2], &[]] {
        assert_eq!(
            GuestFrame::from_parts(KIND_EXIT, payload),
            Err(FrameError::Malformed(KIND_EXIT))
        );
    }
}

#[test]
fn the_host_finds_the_hello_behind_the_rest_of_an_older_session() {
    let hello = GuestFrame::Hello { version: VERSION, settled: true };
    for remains in [&b""[..], b"half a fra", b"\x01", b"\x01\x10\x00\x00\x00keelson-exe"] {
        let mut bytes = remains.to_vec();
        bytes.extend(hello.encode().unwrap());
        bytes.extend(GuestFrame::Exit(ExitStatus::Code(3)).encode().unwrap());
        let mut decoder = Decoder::from_hello();
        let mut seen = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            seen.extend(decoder.next_frame().unwrap());
        }
        assert_eq!(seen, [hello.clone(), GuestFrame::Exit(ExitStatus::Code(3))]);
    }
}

#[test]
fn random_bytes_neither_panic_nor_pile_up() {
    let mut random = Random(0x6b65_656c_736f_6e31);
    for _ in 0..2_000 {
        let mut guest = Decoder::<HostFrame>::new();
        let mut host = Decoder::<GuestFrame>::new();
        let mut seeking = Decoder::from_hello();
        for _ in 0..8 {
            let length = random.below(64);
            let mut bytes: Vec<u8> =
                (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            if let Some(first) = bytes.first_mut().filter(|_| random.0.is_multiple_of(2)) {
                *first = [KIND_RUN, KIND_STDOUT, KIND_EXIT, KIND_HELLO][random.below(4)];
            }
            guest.push(&bytes);
            host.push(&bytes);
            seeking.push(&bytes);
            while let Ok(Some(_)) = guest.next_frame() {}
            while let Ok(Some(_)) = host.next_frame() {}
            assert_eq!(seeking.next_frame(), Ok(None));
            assert!(seeking.buffer.len() < 32, "what cannot be a hello is dropped");
        }
    }
}
