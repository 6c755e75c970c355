//! The chain on disk: what was sealed and what became final, appended as it happens. A process that is killed loses at most
//! the record that it was writing; reading it again is running the blocks again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use codec::{Decode, Encode};
use runtime::{Hash, Header};

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Record {
    /// The first one: which chain it is.
    Genesis(Hash),
    /// On top of its parent; what was above that has lost.
    Block(Header, Vec<Vec<u8>>),
    Final(u32),
}

/// Longer than any block can be.
const MOST_BYTES: u32 = 16 << 20;

pub struct BlockLog {
    file: File,
}

impl BlockLog {
    /// With what is in it. A record that is cut off at the end is removed.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<Record>)> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("blocks");
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, whole) = parse(&bytes);
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file }, records))
    }

    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let body = record.encode();
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        // In one piece, so that it is whole or cut off.
        self.file.write_all(&[&length.to_le_bytes(), body.as_slice()].concat())
    }
}

/// The records, and how many bytes are those of whole ones.
fn parse(bytes: &[u8]) -> (Vec<Record>, u64) {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((record, after)) = next(rest) {
        records.push(record);
        rest = after;
    }
    (records, (bytes.len() - rest.len()) as u64)
}

fn next(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_le_bytes(*length);
    if length > MOST_BYTES {
        return None;
    }
    let (mut body, rest) = rest.split_at_checked(length as usize)?;
    Some((Record::decode(&mut body).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_cut_off_is_forgotten_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, records) = BlockLog::open(folder.path()).unwrap();
        assert_eq!(records, []);
        let genesis = Record::Genesis(Hash::repeat_byte(3));
        log.append(&genesis).unwrap();
        log.append(&Record::Final(1)).unwrap();
        drop(log);
        let path = folder.path().join("blocks");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let (mut log, records) = BlockLog::open(folder.path()).unwrap();
        assert_eq!(records, std::slice::from_ref(&genesis));
        log.append(&Record::Final(2)).unwrap();
        drop(log);
        assert_eq!(BlockLog::open(folder.path()).unwrap().1, [genesis, Record::Final(2)]);
    }

    #[test]
    fn what_is_no_log_is_read_as_nothing() {
        for bytes in [&[][..], &[1], &[0xff; 40], &[1, 0, 0, 0, 9]] {
            assert_eq!(parse(bytes), (vec![], 0));
        }
    }
}
