//! Questions to a running node, asked over plain sockets with a bound on every step.

mod create;
mod metadata;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub use create::create_topic;
pub use metadata::{Broker, Metadata, Partition, Topic, metadata};

const ANSWER_BOUND: Duration = Duration::from_secs(2);
/// More than the metadata of thousands of partitions; a longer answer is not one.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Whether a Kafka broker answers an ApiVersions request now.
pub fn serves_kafka(address: SocketAddr) -> bool {
    ask_api_versions(address).is_ok()
}

/// The body of a `GET` when the status is 200; `None` otherwise.
pub fn http_ok(address: SocketAddr, path: &str) -> Option<String> {
    let (status, body) = http(address, path).ok()?;
    (status == 200).then_some(body)
}

/// Status and body of a `GET`.
pub fn http(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    http_answer(address, &format!("GET {path} HTTP/1.1\r\n"), "")
}

/// Status and body of a `POST` of some JSON.
pub fn http_post(address: SocketAddr, path: &str, json: &str) -> io::Result<(u16, String)> {
    let (kind, length) = ("Content-Type: application/json", json.len());
    let head = format!("POST {path} HTTP/1.1\r\n{kind}\r\nContent-Length: {length}\r\n");
    http_answer(address, &head, json)
}

/// `head` lacks only what every request says.
fn http_answer(address: SocketAddr, head: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = connect(address)?;
    // In one piece: a server may answer and close as soon as it has seen the first line.
    let request = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parts = || {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    };
    parts().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn ask_api_versions(address: SocketAddr) -> io::Result<()> {
    const API_VERSIONS: u16 = 18;
    let answer = ask(address, API_VERSIONS, 0, &[])?;
    let has_no_error = answer.get(..2) == Some(&[0, 0]);
    if has_no_error {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Sends one request to a Kafka broker and returns the body of its answer.
fn ask(address: SocketAddr, api: u16, version: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    ask_within(ANSWER_BOUND, address, api, version, body)
}

fn ask_within(
    bound: Duration,
    address: SocketAddr,
    api: u16,
    version: u16,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    const CORRELATION_ID: [u8; 4] = [0, 0, 0, 7];
    const CLIENT_ID: &[u8] = b"\x00\x05probe";
    let mut request = Vec::from([0; 4]);
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION_ID);
    request.extend(CLIENT_ID);
    request.extend(body);
    let length = u32::try_from(request.len() - 4).expect("a probe is short");
    request[..4].copy_from_slice(&length.to_be_bytes());
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(bound))?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(CORRELATION_ID.len()..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    let body = answer.split_off(CORRELATION_ID.len());
    match answer == CORRELATION_ID {
        true => Ok(body),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_BOUND)?;
    stream.set_read_timeout(Some(ANSWER_BOUND))?;
    stream.set_write_timeout(Some(ANSWER_BOUND))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn an_api_versions_answer_means_serving() {
        let address = answering(b"\0\0\0\x0a\0\0\0\x07\0\0\0\0\0\0");
        assert!(serves_kafka(address));
    }

    #[test]
    fn an_error_or_another_protocol_does_not() {
        assert!(!serves_kafka(answering(
            b"\0\0\0\x0a\0\0\0\x07\0\x23\0\0\0\0"
        )));
        assert!(!serves_kafka(answering(b"HTTP/1.1 400 Bad Request\r\n")));
    }

    #[test]
    fn http_bodies_are_returned_only_for_200() {
        let ready = answering(b"HTTP/1.1 200 OK\r\n\r\nready\n");
        assert_eq!(http_ok(ready, "/readyz").as_deref(), Some("ready\n"));
        let waiting = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\nrecovering");
        assert_eq!(http_ok(waiting, "/readyz"), None);
        let taken = answering(b"HTTP/1.1 202 Accepted\r\n\r\n{}");
        assert_eq!(
            http_post(taken, "/v1/x", "{}").unwrap(),
            (202, "{}".to_owned())
        );
    }
}
