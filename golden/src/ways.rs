//! Every way in which a program can move bytes through a stream socket.

use std::{
    io::{self, IoSlice, IoSliceMut, Write as _},
    os::fd::{AsFd, OwnedFd},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{MemfdFlags, memfd_create, sendfile},
    io::{Errno, read, readv, write, writev},
    net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recv, recvmsg, send, sendmsg},
    pipe::{SpliceFlags, pipe, splice},
};

use crate::wider;

/// How bytes are read: each has a listener of its own, since it has to be known before the request.
pub(crate) const READS: [&str; 7] = ["read", "recv", "readv", "recvmsg", "peek", "bytes", "nonblocking"];
/// How bytes are written.
pub(crate) const WRITES: [&str; 8] = [
    "write",
    "send",
    "writev",
    "sendmsg",
    "bytes",
    "nonblocking",
    "sendfile",
    "splice",
];

/// Bytes of a body that does not fit into a socket's buffers at once.
pub(crate) const LARGE: usize = 6 * 1024 * 1024;

/// Reads some bytes; none at the end.
pub(crate) fn read_some(socket: impl AsFd, way: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 64 * 1024];
    let count = loop {
        match read_once(socket.as_fd(), way, &mut bytes) {
            Err(Errno::AGAIN) => wait(&socket, PollFlags::IN)?,
            Err(Errno::INTR) => {}
            other => break other.with_context(|| format!("reading by {way}"))?,
        }
    };
    bytes.truncate(count);
    Ok(bytes)
}

fn read_once(socket: impl AsFd, way: &str, bytes: &mut [u8]) -> Result<usize, Errno> {
    if let Some(done) = wider::read(socket.as_fd(), way, bytes) {
        return done;
    }
    match way {
        "recv" => Ok(recv(socket, bytes, RecvFlags::empty())?.0),
        "nonblocking" => Ok(recv(socket, bytes, RecvFlags::DONTWAIT)?.0),
        "bytes" => read(socket, &mut bytes[..1]),
        "peek" => {
            recv(&socket, &mut bytes[..16], RecvFlags::PEEK)?;
            read(socket, bytes)
        }
        "readv" => {
            let (first, rest) = bytes.split_at_mut(5);
            let (second, third) = rest.split_at_mut(40);
            readv(
                socket,
                &mut [
                    IoSliceMut::new(first),
                    IoSliceMut::new(second),
                    IoSliceMut::new(third),
                ],
            )
        }
        "recvmsg" => {
            let (first, second) = bytes.split_at_mut(17);
            let mut parts = [IoSliceMut::new(first), IoSliceMut::new(second)];
            let mut control = RecvAncillaryBuffer::default();
            Ok(recvmsg(socket, &mut parts, &mut control, RecvFlags::empty())?.bytes)
        }
        _ => read(socket, bytes),
    }
}

/// Writes all bytes.
pub(crate) fn write_all(socket: impl AsFd, way: &str, bytes: &[u8]) -> Result<()> {
    match way {
        "sendfile" => send_file(socket, bytes),
        "splice" => spliced(socket, bytes),
        "bytes" => bytes
            .chunks(1)
            .try_for_each(|byte| write_parts(&socket, "write", byte)),
        _ => write_parts(&socket, way, bytes),
    }
    .with_context(|| format!("writing by {way}"))
}

fn write_parts(socket: &impl AsFd, way: &str, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match write_once(socket, way, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::AGAIN) => wait(socket, PollFlags::OUT)?,
            Err(Errno::INTR) => {}
            Err(error) => bail!(error),
        }
    }
    Ok(())
}

fn write_once(socket: &impl AsFd, way: &str, bytes: &[u8]) -> Result<usize, Errno> {
    if let Some(done) = wider::write(socket.as_fd(), way, bytes) {
        return done;
    }
    let (first, second) = bytes.split_at(bytes.len().min(9));
    let (second, third) = second.split_at(second.len().min(30));
    let parts = [IoSlice::new(first), IoSlice::new(second), IoSlice::new(third)];
    match way {
        "send" => send(socket, bytes, SendFlags::empty()),
        "nonblocking" => send(socket, bytes, SendFlags::DONTWAIT),
        "writev" => writev(socket, &parts),
        "sendmsg" => sendmsg(
            socket,
            &parts,
            &mut SendAncillaryBuffer::default(),
            SendFlags::empty(),
        ),
        _ => write(socket, bytes),
    }
}

/// The head from memory, so that it can be seen; the rest from a file.
fn send_file(socket: impl AsFd, bytes: &[u8]) -> Result<()> {
    let body = body_of(bytes);
    write_parts(&socket, "write", &bytes[..body])?;
    let file = file_with(&bytes[body..])?;
    let mut offset = 0;
    while (offset as usize) < bytes.len() - body {
        if sendfile(&socket, &file, Some(&mut offset), bytes.len())? == 0 {
            bail!("the file is shorter than what was written to it");
        }
    }
    Ok(())
}

fn spliced(socket: impl AsFd, bytes: &[u8]) -> Result<()> {
    let body = body_of(bytes);
    write_parts(&socket, "write", &bytes[..body])?;
    let (reader, writer) = pipe()?;
    for part in bytes[body..].chunks(4096) {
        write_parts(&writer, "write", part)?;
        let mut left = part.len();
        while left > 0 {
            left -= splice(&reader, None, &socket, None, left, SpliceFlags::empty())?;
        }
    }
    Ok(())
}

/// Where a message's body begins.
fn body_of(message: &[u8]) -> usize {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or(message.len(), |end| end + 4)
}

fn file_with(bytes: &[u8]) -> Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("body", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

fn wait(socket: &impl AsFd, event: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, event)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
