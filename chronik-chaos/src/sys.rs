//! The few system calls that no safe library offers: device requests. The only place with `unsafe`.
#![expect(
    unsafe_code,
    reason = "ioctl takes untyped arguments; every call here passes a value of the kernel's own type that outlives it"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `_IOR('X', 125, __u32)`.
const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d;
/// Stop at once: what is in the journal's memory is not written.
const EXT4_NO_LOG_FLUSH: u32 = 2;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_FLAGS_AUTOCLEAR: u32 = 4;
const SECTOR_BYTES: u32 = 4096;

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// Stops an ext4 file system as a power cut would: nothing that is only in memory reaches its device any more.
pub(crate) fn shut_down_ext4(mount_point: &Path) -> io::Result<()> {
    let dir = File::open(mount_point)?;
    let how = EXT4_NO_LOG_FLUSH;
    // SAFETY: the request reads one u32, which lives until the call returns.
    check(unsafe { libc::ioctl(dir.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const how) }).map(drop)
}

/// A block device over a file; it goes away by itself once nothing has it open or mounted.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    /// Keeps the device until it is mounted.
    _device: File,
}

/// Attaches a file to a free loop device; somebody else may take a free one first, so it tries again.
pub(crate) fn attach_loop(image: &Path) -> io::Result<LoopDevice> {
    const TRIES: u32 = 32;
    let backing = OpenOptions::new().read(true).write(true).open(image)?;
    let control = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/loop-control")?;
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..TRIES {
        // SAFETY: the request takes no argument.
        let number = check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(true).open(&path)?;
        match configure_loop(&device, backing.as_raw_fd()) {
            Ok(()) => {
                return Ok(LoopDevice {
                    path,
                    _device: device,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

fn configure_loop(device: &File, backing: RawFd) -> io::Result<()> {
    let config = LoopConfig {
        fd: backing.cast_unsigned(),
        block_size: SECTOR_BYTES,
        info: LoopInfo {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LOOP_FLAGS_AUTOCLEAR,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: the request reads one `struct loop_config`, laid out as the kernel's and alive until the call returns.
    check(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }).map(drop)
}

/// Opens a network device that hands whole IP packets to this process; it lives as long as the file.
pub(crate) fn open_tun(name: &str) -> io::Result<File> {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("the flags fit");
    // SAFETY: the request reads and writes one `struct ifreq`, alive until the call returns.
    check(unsafe {
        libc::ioctl(
            tun.as_raw_fd(),
            libc::TUNSETIFF as libc::Ioctl,
            &raw mut request,
        )
    })?;
    Ok(tun)
}

/// Gives an interface of this thread's network namespace an address and brings it up.
pub(crate) fn configure_interface(
    name: &str,
    address: Option<(Ipv4Addr, Ipv4Addr)>,
) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    if let Some((address, mask)) = address {
        let mut request = interface_request(name);
        request.ifr_ifru.ifru_addr = socket_address(address);
        interface_call(&socket, libc::SIOCSIFADDR as libc::Ioctl, &mut request)?;
        request.ifr_ifru.ifru_netmask = socket_address(mask);
        interface_call(&socket, libc::SIOCSIFNETMASK as libc::Ioctl, &mut request)?;
    }
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("the flags fit");
    interface_call(&socket, libc::SIOCSIFFLAGS as libc::Ioctl, &mut request)
}

fn interface_call(
    socket: &UdpSocket,
    request_code: libc::Ioctl,
    request: &mut libc::ifreq,
) -> io::Result<()> {
    // SAFETY: all requests used here read one `struct ifreq`, alive until the call returns.
    check(unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            request_code,
            std::ptr::from_mut(request),
        )
    })
    .map(drop)
}

fn interface_request(name: &str) -> libc::ifreq {
    assert!(
        name.len() < libc::IFNAMSIZ,
        "our own interface names are short"
    );
    // SAFETY: `struct ifreq` is plain numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed();
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let [a, b, c, d] = address.octets().map(u8::cast_signed);
    libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small number"),
        sa_data: [0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Leaves namespaces for new ones of the calling thread, or of its next children for process ids.
pub(crate) fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    // SAFETY: file descriptors and the working directory stay shared; nothing here relies on threads seeing one
    // another's namespaces.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// From now on, and in every program this process becomes, flushes to the disk succeed without happening.
pub(crate) fn lie_about_flushes() -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code: u16, jt: u8, k: u32| libc::sock_filter { code, jt, jf: 0, k };
    let calls = [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_syncfs];
    // The number of the call is the first word of what a filter sees.
    let mut filter = vec![step(LOAD, 0, 0)];
    for (place, call) in calls.iter().enumerate() {
        let to_the_lie = u8::try_from(calls.len() - place).expect("three calls");
        let call = u32::try_from(*call).expect("call numbers are small");
        filter.push(step(JUMP_IF_EQUAL, to_the_lie, call));
    }
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    // An error number of zero is a success that did nothing.
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("a short filter"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the first call takes numbers only; the second one reads a filter that lives until it returns.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        ))?;
    }
    Ok(())
}
