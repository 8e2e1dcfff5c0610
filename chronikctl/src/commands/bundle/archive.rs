//! Gzipped tape archives, in the form that POSIX calls ustar: written whole or not at all, read with a bound.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::clock;

const BLOCK: usize = 512;
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const MAGIC: std::ops::Range<usize> = 257..262;
/// A file that unfolds to more is none of ours.
const MAX_UNFOLDED_BYTES: u64 = 512 << 20;

/// Under a temporary name, which becomes its own once everything is on disk.
pub(super) fn write(path: &Path, contents: &[(String, Vec<u8>)]) -> io::Result<u64> {
    let part = path.with_extension("part");
    let mut out = GzEncoder::new(File::create(&part)?, Compression::default());
    for (name, content) in contents {
        out.write_all(&header(name, content.len()))?;
        out.write_all(content)?;
        out.write_all(&vec![0; padding(content.len())])?;
    }
    // Two empty blocks are the end.
    out.write_all(&[0; 2 * BLOCK])?;
    let file = out.finish()?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(file.metadata()?.len())
}

/// Every file of an archive, by its name.
pub(super) fn read(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut unfolded = Vec::new();
    let folded = GzDecoder::new(File::open(path)?);
    folded.take(MAX_UNFOLDED_BYTES).read_to_end(&mut unfolded)?;
    files(&unfolded)
}

fn files(mut archive: &[u8]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut files = BTreeMap::new();
    loop {
        let (header, rest) = archive
            .split_at_checked(BLOCK)
            .ok_or_else(|| broken("it ends in the middle"))?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(files);
        }
        let is_sound = &header[MAGIC] == b"ustar" && number(&header[SUM]) == Some(sum(header));
        if !is_sound {
            return Err(broken("it is no tape archive"));
        }
        let len = number(&header[SIZE]).ok_or_else(|| broken("a file has no length"))?;
        let (content, rest) = rest
            .split_at_checked(len)
            .ok_or_else(|| broken("it ends in the middle"))?;
        let name = String::from_utf8_lossy(&header[NAME]);
        files.insert(name.trim_end_matches('\0').to_owned(), content.to_vec());
        archive = rest
            .get(padding(len)..)
            .ok_or_else(|| broken("it ends in the middle"))?;
    }
}

/// The block in front of a file.
fn header(name: &str, len: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    field(NAME.start, name.as_bytes());
    field(100, b"0000644\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(SIZE.start, format!("{len:011o}\0").as_bytes());
    let seconds = clock::wall_ms() / 1000;
    field(136, format!("{seconds:011o}\0").as_bytes());
    field(156, b"0");
    field(MAGIC.start, b"ustar\x0000");
    let sum = format!("{:06o}\0 ", sum(&block));
    block[SUM].copy_from_slice(sum.as_bytes());
    block
}

/// It is made with blanks in its own place.
fn sum(header: &[u8]) -> usize {
    let bytes = header.iter().enumerate();
    let counted = bytes.map(|(place, byte)| match SUM.contains(&place) {
        true => usize::from(b' '),
        false => usize::from(*byte),
    });
    counted.sum()
}

fn number(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(['\0', ' ']);
    usize::from_str_radix(digits, 8).ok()
}

fn padding(len: usize) -> usize {
    len.next_multiple_of(BLOCK) - len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle.tar.gz");
        let contents = [
            ("manifest.json".to_owned(), b"{}".to_vec()),
            ("node-1/metrics.txt".to_owned(), vec![b'x'; 3 * BLOCK]),
            ("empty".to_owned(), Vec::new()),
        ];
        write(&path, &contents).unwrap();
        assert_eq!(read(&path).unwrap(), contents.clone().into_iter().collect());
        let mut unfolded = Vec::new();
        let folded = GzDecoder::new(File::open(&path).unwrap());
        folded.take(u64::MAX).read_to_end(&mut unfolded).unwrap();
        for cut in [0, BLOCK, BLOCK + 1, 2 * BLOCK + 7] {
            assert!(files(&unfolded[..cut]).is_err(), "{cut}");
        }
        unfolded[3] ^= 1;
        assert!(files(&unfolded).is_err());
        std::fs::write(&path, "no archive").unwrap();
        assert!(read(&path).is_err());
    }
}
