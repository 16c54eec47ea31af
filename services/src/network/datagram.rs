//! UDP in IPv4 as bytes (RFC 768, RFC 791): for who speaks on a link that has no
//! address yet. Absent: options, fragments.

use std::net::{Ipv4Addr, SocketAddrV4};

const IP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const UDP_PROTOCOL: u8 = 17;
/// Routers a packet may pass.
const TIME_TO_LIVE: u8 = 64;

/// A packet with `message`; `None` if it is too long for one.
#[must_use]
pub fn encode(source: SocketAddrV4, destination: SocketAddrV4, message: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(UDP_HEADER_BYTES.checked_add(message.len())?).ok()?;
    let total = u16::try_from(IP_HEADER_BYTES).ok()?.checked_add(udp_length)?;
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0, 0, TIME_TO_LIVE, UDP_PROTOCOL, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(destination.ip().octets());
    let checksum = internet_checksum(&packet, 0);
    put(&mut packet, 10, checksum)?;
    packet.extend(source.port().to_be_bytes());
    packet.extend(destination.port().to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(message);
    let pseudo = u32::from(UDP_PROTOCOL) + u32::from(udp_length);
    let covered = [&packet[12..20], &packet[IP_HEADER_BYTES..]].concat();
    // A checksum of zero would mean that there is none.
    let checksum = match internet_checksum(&covered, pseudo) {
        0 => u16::MAX,
        checksum => checksum,
    };
    put(&mut packet, IP_HEADER_BYTES + 6, checksum)?;
    Some(packet)
}

fn put(packet: &mut [u8], at: usize, value: u16) -> Option<()> {
    packet.get_mut(at..at + 2)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// Source, destination and message of a packet. UDP's checksum is not looked at:
/// between guests of one host it is never filled in.
#[must_use]
pub fn decode(packet: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4, &[u8])> {
    let first = *packet.first()?;
    let header_length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_length < IP_HEADER_BYTES {
        return None;
    }
    let total = usize::from(number(packet, 2)?);
    let header = packet.get(..header_length)?;
    let is_fragment = number(packet, 6)? & 0x3fff != 0;
    if is_fragment || header.get(9) != Some(&UDP_PROTOCOL) || internet_checksum(header, 0) != 0 {
        return None;
    }
    let udp = packet.get(header_length..total)?;
    let source = SocketAddrV4::new(address(header, 12)?, number(udp, 0)?);
    let destination = SocketAddrV4::new(address(header, 16)?, number(udp, 2)?);
    let message = udp.get(UDP_HEADER_BYTES..usize::from(number(udp, 4)?))?;
    Some((source, destination, message))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The ones' complement of the ones' complement sum (RFC 1071), begun at `sum`.
fn internet_checksum(bytes: &[u8], mut sum: u32) -> u16 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    for pair in pairs {
        sum = sum.wrapping_add(u32::from(u16::from_be_bytes(*pair)));
    }
    sum = sum.wrapping_add(odd.first().map_or(0, |byte| u32::from(*byte) << 8));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 67);
    const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);

    #[test]
    fn packets_have_right_checksums() {
        for message in [&b"even"[..], b"odd", b""] {
            let packet = encode(SERVER, CLIENT, message).unwrap();
            assert_eq!(internet_checksum(&packet[..20], 0), 0);
            let covered = [&packet[12..20], &packet[20..]].concat();
            let length = u32::try_from(packet.len() - 20).unwrap();
            assert_eq!(internet_checksum(&covered, 17 + length), 0);
        }
        // The example of RFC 1071, 3.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&example, 0), !0xddf2);
    }

    #[test]
    fn only_whole_packets_are_taken() {
        let good = encode(SERVER, CLIENT, b"message").unwrap();
        let expected = Some((SERVER, CLIENT, &b"message"[..]));
        assert_eq!(decode(&good), expected);
        assert_eq!(decode(&[&good[..], b"padding"].concat()), expected);
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "{length}");
        }
        // Version, header length, fragment, protocol, header checksum, UDP length.
        for (at, value) in [(0, 0x65), (0, 0x44), (6, 0x20), (9, 6), (10, 0), (25, 255)] {
            let mut packet = good.clone();
            packet[at] = value;
            assert_eq!(decode(&packet), None, "{at}");
        }
        assert_eq!(encode(SERVER, CLIENT, &[0; 70_000]), None);
    }
}
