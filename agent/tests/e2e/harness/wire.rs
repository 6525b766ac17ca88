//! What goes over the wire, as a packet socket sees it.

use std::{collections::BTreeMap, num::NonZeroU32, os::fd::OwnedFd};

use anyhow::{Context as _, Result, ensure};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with,
    sockopt::set_socket_recv_buffer_size_force,
};

/// `ETH_P_ALL` of `linux/if_ether.h` in network byte order.
const EVERYTHING: u32 = (3u16.to_be()) as u32;
const ETHERNET: usize = 14;
const IPV4: u8 = 4;
const TCP: u8 = 6;

/// All frames of the network namespace in which it was opened.
pub(crate) struct Wire(OwnedFd);

/// The bytes of both directions of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) sent: Vec<u8>,
    pub(crate) received: Vec<u8>,
}

/// A segment with something in it.
struct Segment<'a> {
    from: u16,
    to: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// Payload by its place after the first byte seen.
#[derive(Default)]
struct Stream {
    first: Option<u32>,
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Wire {
    /// From now on.
    pub(crate) fn tap() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = NonZeroU32::new(EVERYTHING).map(Protocol::from_raw);
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, protocol)
            .context("no packet socket")?;
        // Nothing is read before the end; by default there is room for about a hundred packets.
        set_socket_recv_buffer_size_force(&socket, 16 << 20).context("no room for packets")?;
        Ok(Self(socket))
    }

    /// What was said until now between one client's port and the server's `port`: a packet is here before its reader is.
    pub(crate) fn talk(self, port: u16) -> Result<Talk> {
        let (mut sent, mut received) = (Stream::default(), Stream::default());
        let mut clients = std::collections::BTreeSet::new();
        let mut frame = vec![0; 1 << 17];
        while let Ok((size, _)) = recv(&self.0, &mut frame[..], RecvFlags::empty()) {
            let Some(segment) = frame.get(..size).and_then(Segment::parse) else {
                continue;
            };
            if segment.to == port {
                clients.insert(segment.from);
                sent.add(&segment);
            } else if segment.from == port {
                received.add(&segment);
            }
        }
        ensure!(clients.len() == 1, "{} connections", clients.len());
        Ok(Talk {
            sent: sent.bytes()?,
            received: received.bytes()?,
        })
    }
}

impl<'a> Segment<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET..)?;
        let first = *packet.first()?;
        if first >> 4 != IPV4 || *packet.get(9)? != TCP {
            return None;
        }
        // Short frames are padded.
        let packet = packet.get(..usize::from(number(packet, 2)?))?;
        let segment = packet.get(usize::from(first & 15) * 4..)?;
        let payload = segment.get(usize::from(*segment.get(12)? >> 4) * 4..)?;
        (!payload.is_empty()).then_some(Self {
            from: number(segment, 0)?,
            to: number(segment, 2)?,
            sequence: u32::from(number(segment, 4)?) << 16 | u32::from(number(segment, 6)?),
            payload,
        })
    }
}

impl Stream {
    fn add(&mut self, segment: &Segment<'_>) {
        let first = *self.first.get_or_insert(segment.sequence);
        let place = segment.sequence.wrapping_sub(first);
        self.pieces.insert(place, segment.payload.to_vec());
    }

    fn bytes(self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for (place, piece) in self.pieces {
            let known = all.len().checked_sub(place as usize);
            let known = known.context("the packet socket missed a packet")?;
            all.extend(piece.get(known..).unwrap_or_default());
        }
        Ok(all)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
