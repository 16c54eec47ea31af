//! Asking whether an address is taken (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use services::network::mac::Mac;

/// "Who has `address`?", asked by somebody who has no address (RFC 5227, 2.1.1).
pub(crate) fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(mac.0);
    packet.extend([0; 4]);
    packet.extend([0; 6]);
    packet.extend(address.octets());
    packet
}

/// Whether an ARP packet shows that somebody other than `mac` has `address`, or is
/// about to take it.
pub(crate) fn conflicts(packet: &[u8], mac: Mac, address: Ipv4Addr) -> bool {
    let is_ethernet = packet.get(..6) == Some(&[0, 1, 8, 0, 6, 4][..]);
    let sender_mac = packet.get(8..14).and_then(Mac::from_slice);
    let sender = packet.get(14..18);
    is_ethernet
        && sender_mac.is_some_and(|sender| sender != mac && sender != Mac([0; 6]))
        && sender == Some(&address.octets()[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    #[test]
    fn somebody_elses_claim_is_a_conflict() {
        let (mine, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let claim = |mac: Mac, address: Ipv4Addr| {
            let mut packet = probe(mac, SERVER);
            packet[7] = 2;
            packet[14..18].copy_from_slice(&address.octets());
            packet
        };
        assert!(conflicts(&claim(other, SERVER), mine, SERVER));
        assert!(!conflicts(&claim(mine, SERVER), mine, SERVER));
        assert!(!conflicts(&claim(other, Ipv4Addr::new(192, 0, 2, 9)), mine, SERVER));
        assert!(!conflicts(&probe(other, SERVER), mine, SERVER));
        assert!(!conflicts(b"short", mine, SERVER));
    }
}
