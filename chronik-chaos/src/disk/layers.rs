//! Builds, cuts and mounts again the two layers of one node's disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::sys;

/// Room for the inner image, its metadata and a journal.
const OUTER_EXTRA_BYTES: u64 = 96 << 20;
/// Long between commits of the journal and no hidden flushes, so that a cut loses as much as it may.
const OPTIONS: &str = "commit=300,noauto_da_alloc";
const BLOCK_BYTES: usize = 4096;
const FLUSHED: u8 = b'F';
const UNFLUSHED: u8 = b'U';

/// One node's disk.
#[derive(Debug)]
pub(crate) struct Layers {
    outer_image: PathBuf,
    outer: PathBuf,
    inner: PathBuf,
    inner_device: Option<(u32, u32)>,
}

impl Layers {
    /// Makes both layers under `dir` and mounts the inner one, of `bytes`, on `mount_point`.
    pub(crate) fn build(dir: &Path, mount_point: &Path, bytes: u64) -> io::Result<Layers> {
        let mut layers = Layers {
            outer_image: dir.join("outer.img"),
            outer: dir.join("outer"),
            inner: mount_point.to_owned(),
            inner_device: None,
        };
        fs::create_dir_all(&layers.outer)?;
        fs::create_dir_all(mount_point)?;
        // Sparse: only what the node really writes takes room on this machine.
        File::create(&layers.outer_image)?.set_len(bytes + OUTER_EXTRA_BYTES)?;
        make_ext4(&layers.outer_image)?;
        mount_image(&layers.outer_image, &layers.outer)?;
        let inner_image = File::create(layers.inner_image())?;
        fallocate(&inner_image, FallocateFlags::empty(), 0, bytes)?;
        make_ext4(&layers.inner_image())?;
        layers.mount_inner()?;
        // The kernel makes this folder; a node would take it for a stranger's.
        let _ = fs::remove_dir(mount_point.join("lost+found"));
        layers.plant_canary()?;
        layers.settle()?;
        Ok(layers)
    }

    /// The device that the node's writes go to.
    pub(crate) fn device(&self) -> Option<(u32, u32)> {
        self.inner_device
    }

    pub(crate) fn mount_point(&self) -> &Path {
        &self.inner
    }

    /// Flushes both layers: what was prepared before the first start is not what a cut shall lose.
    pub(crate) fn settle(&self) -> io::Result<()> {
        sync(&self.inner)?;
        sync(&self.outer)
    }

    /// The drive loses its cache and answers nothing any more. The node must be stopped by SIGSTOP before.
    pub(crate) fn cut_power(&self) -> io::Result<()> {
        sys::shut_down_ext4(&self.outer)
    }

    /// Every write of the node fails from now on, while the drive keeps what it has.
    pub(crate) fn fail_writes(&self) -> io::Result<()> {
        sys::shut_down_ext4(&self.inner)
    }

    /// After a cut, once the node is dead: both file systems as a machine finds them when it starts.
    pub(crate) fn restore_power(&mut self) -> io::Result<()> {
        unmount(&self.inner, UnmountFlags::empty())?;
        unmount(&self.outer, UnmountFlags::empty())?;
        mount_image(&self.outer_image, &self.outer)?;
        self.mount_inner()
    }

    /// After failed writes, once the node is dead.
    pub(crate) fn remount(&mut self) -> io::Result<()> {
        unmount(&self.inner, UnmountFlags::empty())?;
        self.mount_inner()
    }

    /// Puts one flushed block on the disk, while no node runs on it: a flush would save what a cut shall lose.
    pub(crate) fn plant_canary(&self) -> io::Result<()> {
        let canary = File::create(self.canary())?;
        (&canary).write_all(&[FLUSHED; BLOCK_BYTES])?;
        canary.sync_all()?;
        File::open(&self.inner)?.sync_all()
    }

    /// Overwrites the block past all caches of the node's machine, without a flush.
    pub(crate) fn stir_canary(&self) -> io::Result<()> {
        let direct = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(self.canary())?;
        let (buffer, at) = aligned_block(UNFLUSHED);
        direct.write_all_at(&buffer[at..at + BLOCK_BYTES], 0)
    }

    /// Whether the flushed block is there and the unflushed one is not: what a power cut does and a kill does not.
    pub(crate) fn canary_verdict(&self) -> Result<String, String> {
        let found = fs::read(self.canary())
            .map_err(|error| format!("the flushed canary is unreadable: {error}"))?;
        match found.first() {
            _ if found.len() != BLOCK_BYTES => Err("the flushed canary has lost its length".into()),
            Some(&FLUSHED) => {
                Ok("a flushed block survived, an unflushed direct write over it is gone".into())
            }
            Some(&UNFLUSHED) => Err("an unflushed write survived: this was no power cut".into()),
            _ => Err("the flushed canary is damaged".into()),
        }
    }

    fn canary(&self) -> PathBuf {
        self.inner.join(".canary")
    }

    fn inner_image(&self) -> PathBuf {
        self.outer.join("inner.img")
    }

    fn mount_inner(&mut self) -> io::Result<()> {
        mount_image(&self.inner_image(), &self.inner)?;
        let device = fs::metadata(&self.inner)?.dev();
        self.inner_device = Some((rustix::fs::major(device), rustix::fs::minor(device)));
        Ok(())
    }
}

/// A buffer with a block of one letter at an aligned place, which direct writes ask for.
fn aligned_block(letter: u8) -> (Vec<u8>, usize) {
    let buffer = vec![letter; 2 * BLOCK_BYTES];
    let at = buffer.as_ptr().align_offset(BLOCK_BYTES);
    (buffer, at)
}

fn mount_image(image: &Path, target: &Path) -> io::Result<()> {
    let device = sys::attach_loop(image)?;
    let options = std::ffi::CString::new(OPTIONS).expect("no zero byte in it");
    mount(
        &device.path,
        target,
        "ext4",
        MountFlags::NOATIME,
        Some(options.as_c_str()),
    )?;
    Ok(())
}

fn sync(dir: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(dir)?)?;
    Ok(())
}

fn make_ext4(image: &Path) -> io::Result<()> {
    let output = Command::new("mkfs.ext4")
        // No reserve for root, or a full disk still has room for it.
        .args([
            "-q",
            "-F",
            "-m",
            "0",
            "-b",
            "4096",
            "-E",
            "lazy_itable_init=1,nodiscard",
        ])
        .arg(image)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("mkfs.ext4 refused: {said}")))
}
