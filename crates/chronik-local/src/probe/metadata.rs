//! What a node says of its cluster: brokers, topics, and who leads which partition.

use std::io;
use std::net::SocketAddr;

use super::ask;

/// The cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub brokers: Vec<Broker>,
    /// None while there is no controller.
    pub controller: Option<i32>,
    pub topics: Vec<Topic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Kafka's error number; 0 is none.
    pub error: i16,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    /// Kafka's error number; 0 is none.
    pub error: i16,
    /// None while nobody leads.
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// Asks for all topics, or for those that are named; asking creates none.
pub fn metadata(address: SocketAddr, topics: Option<&[&str]>) -> io::Result<Metadata> {
    const METADATA: u16 = 3;
    /// The oldest version that says not to create topics.
    const VERSION: u16 = 4;
    let mut body = Vec::new();
    match topics {
        None => body.extend((-1i32).to_be_bytes()),
        Some(names) => {
            put_len(&mut body, names.len());
            for name in names {
                let len = i16::try_from(name.len()).expect("topics have short names");
                body.extend(len.to_be_bytes());
                body.extend(name.as_bytes());
            }
        }
    }
    let may_create = 0;
    body.push(may_create);
    let answer = ask(address, METADATA, VERSION, &body)?;
    parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Metadata {
    /// The partitions of a topic; none if it is unknown.
    pub fn partitions(&self, topic: &str) -> &[Partition] {
        let topic = self.topics.iter().find(|known| known.name == topic);
        topic.map_or(&[], |topic| &topic.partitions)
    }

    /// Whether every partition of every topic has a leader.
    pub fn is_led(&self) -> bool {
        let mut partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.all(|partition| partition.leader.is_some())
    }
}

fn parse(answer: &[u8]) -> Option<Metadata> {
    let mut reader = Reader(answer);
    let _throttle_time_ms = reader.i32()?;
    let brokers = reader.array(|reader| {
        let (id, host, port) = (reader.i32()?, reader.text()?, reader.i32()?);
        let _rack = reader.text()?;
        Some(Broker { id, host, port })
    })?;
    let _cluster_id = reader.text()?;
    let controller = known(reader.i32()?);
    let topics = reader.array(|reader| {
        let (error, name) = (reader.i16()?, reader.text()?);
        let _is_internal = reader.take::<1>()?;
        let partitions = reader.array(partition)?;
        Some(Topic {
            name,
            error,
            partitions,
        })
    })?;
    Some(Metadata {
        brokers,
        controller,
        topics,
    })
}

fn partition(reader: &mut Reader<'_>) -> Option<Partition> {
    Some(Partition {
        error: reader.i16()?,
        index: reader.i32()?,
        leader: known(reader.i32()?),
        replicas: reader.array(Reader::i32)?,
        in_sync: reader.array(Reader::i32)?,
    })
}

/// -1 stands for nobody.
fn known(id: i32) -> Option<i32> {
    (id >= 0).then_some(id)
}

fn put_len(body: &mut Vec<u8>, len: usize) {
    let len = i32::try_from(len).expect("a probe asks for few topics");
    body.extend(len.to_be_bytes());
}

struct Reader<'answer>(&'answer [u8]);

impl Reader<'_> {
    fn take<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// Text; nothing where there is none.
    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.i16()?).unwrap_or(0);
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(taken).into_owned())
    }

    fn array<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = usize::try_from(self.i32()?).unwrap_or(0);
        (0..len).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        let mut answer = Vec::new();
        answer.extend([0; 4]);
        answer.extend([0, 0, 0, 1]);
        answer.extend([0, 0, 0, 2]);
        answer.extend(b"\x00\x01h");
        answer.extend(9092i32.to_be_bytes());
        answer.extend((-1i16).to_be_bytes());
        answer.extend(b"\x00\x01c");
        answer.extend((-1i32).to_be_bytes());
        answer.extend([0, 0, 0, 1]);
        answer.extend([0, 0]);
        answer.extend(b"\x00\x01t\x00");
        answer.extend([0, 0, 0, 1]);
        answer.extend([0, 5]);
        answer.extend([0, 0, 0, 3]);
        answer.extend((-1i32).to_be_bytes());
        answer.extend([0, 0, 0, 1, 0, 0, 0, 2]);
        answer.extend([0, 0, 0, 0]);
        answer
    }

    #[test]
    fn an_answer_is_understood() {
        let metadata = parse(&answer()).unwrap();
        assert_eq!(metadata.brokers[0].host, "h");
        assert_eq!(metadata.controller, None);
        let partition = &metadata.partitions("t")[0];
        assert_eq!((partition.index, partition.error), (3, 5));
        assert_eq!(
            (partition.leader, &partition.replicas[..]),
            (None, &[2][..])
        );
        assert!(!metadata.is_led());
        assert!(metadata.partitions("u").is_empty());
    }

    #[test]
    fn an_answer_that_is_cut_is_none() {
        let answer = answer();
        assert!((0..answer.len()).all(|len| parse(&answer[..len]).is_none()));
    }
}
