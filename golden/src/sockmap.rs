//! Sockets in a sockmap, as a service mesh puts them there: the kernel then has other functions below them than TCP's
//! (`net/ipv4/tcp_bpf.c`), and a program decides what becomes of each message that they send. This one lets all pass.

use std::{
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    sync::OnceLock,
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, setrlimit},
};

/// `enum bpf_cmd`, `enum bpf_map_type`, `enum bpf_prog_type`, `enum bpf_attach_type`: `include/uapi/linux/bpf.h`.
const MAP_CREATE: u32 = 0;
const MAP_UPDATE_ELEM: u32 = 2;
const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const SOCKMAP: u32 = 15;
const SK_MSG: u32 = 16;
const SK_MSG_VERDICT: u32 = 7;

/// Sockets that fit in, by descriptor.
const ENTRIES: u32 = 1024;
/// `r0 = SK_PASS; exit`.
const PASS: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];

/// Puts a connected socket in, unless it is; both of its directions go through the map then.
pub(crate) fn enter(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    static MAP: OnceLock<Result<OwnedFd, Errno>> = OnceLock::new();
    let map = MAP.get_or_init(create).as_ref().map_err(|error| *error)?;
    let (key, value) = (socket.as_raw_fd(), socket.as_raw_fd());
    let update = Update {
        map: map.as_raw_fd().cast_unsigned(),
        key: std::ptr::from_ref(&key) as u64,
        value: std::ptr::from_ref(&value) as u64,
        ..Update::default()
    };
    match bpf(MAP_UPDATE_ELEM, &update) {
        // It has the map's program already (`net/core/sock_map.c:sock_map_link`).
        Ok(_) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(error),
    }
}

fn create() -> Result<OwnedFd, Errno> {
    allow_maps();
    let map = descriptor(bpf(MAP_CREATE, &[SOCKMAP, 4, 4, ENTRIES])?);
    let load = Load {
        kind: SK_MSG,
        count: PASS.len() as u32,
        instructions: PASS.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    let program = descriptor(bpf(PROG_LOAD, &load)?);
    let (map_fd, program_fd) = (map.as_raw_fd(), program.as_raw_fd());
    bpf(
        PROG_ATTACH,
        &[
            map_fd.cast_unsigned(),
            program_fd.cast_unsigned(),
            SK_MSG_VERDICT,
            0,
        ],
    )?;
    Ok(map)
}

/// Before 5.11 the maps of all processes of a user count together, those of the agent too, against each one's own limit of locked
/// memory. Where it may not be raised, the kernel says what is missing when the map is made.
fn allow_maps() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let _ = setrlimit(Resource::Memlock, unlimited);
}

#[repr(C)]
#[derive(Default)]
struct Update {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

/// The rest of `union bpf_attr` is taken for zeros.
fn bpf<T>(command: u32, attributes: &T) -> Result<i32, Errno> {
    // SAFETY: the kernel reads as many bytes as it is told, which are the attributes'; what they point to lives through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if done < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(done as i32)
}

fn descriptor(number: i32) -> OwnedFd {
    // SAFETY: a new descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(number) }
}
