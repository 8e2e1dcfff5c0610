//! One connection to one broker, one request at a time, and an honest word about what became of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::codec::{Encoder, WireFault};

/// Larger than any answer our own fetches ask for.
const ANSWER_BYTES_MAX: usize = 32 << 20;
const CLIENT_ID: &str = "chronik-chaos";

/// What became of a request that was not answered. The difference decides whether a batch may be in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallFailed {
    /// No byte left this machine.
    #[error("nothing was sent")]
    NotSent(#[source] io::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke after something was sent")]
    Disconnected(#[source] io::Error),
    #[error("the answer cannot be read")]
    Answer(#[from] WireFault),
}

/// A connection that is used until the first trouble.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    correlation: i32,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, bound: Duration) -> Result<Self, CallFailed> {
        let stream = TcpStream::connect_timeout(&address, bound).map_err(CallFailed::NotSent)?;
        stream.set_nodelay(true).map_err(CallFailed::NotSent)?;
        Ok(Self {
            stream,
            correlation: 0,
        })
    }

    /// Sends a request and waits for its answer; afterwards the connection is in step only if this succeeded.
    pub(crate) fn call(
        &mut self,
        api: i16,
        version: i16,
        body: &[u8],
        bound: Duration,
    ) -> Result<Vec<u8>, CallFailed> {
        let deadline = Instant::now() + bound;
        self.send(api, version, body, deadline)?;
        self.answer(deadline)
    }

    /// Sends a request that has no answer (`acks=0`) or whose answer is asked for later.
    fn send(
        &mut self,
        api: i16,
        version: i16,
        body: &[u8],
        deadline: Instant,
    ) -> Result<(), CallFailed> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut request = Encoder::default();
        request
            .i32(0)
            .i16(api)
            .i16(version)
            .i32(self.correlation)
            .text(CLIENT_ID);
        request.bytes.extend_from_slice(body);
        let len = i32::try_from(request.bytes.len() - 4).expect("our own requests are small");
        request.bytes[..4].copy_from_slice(&len.to_be_bytes());
        let mut written = 0;
        while written < request.bytes.len() {
            let step = left(deadline)
                .and_then(|left| self.stream.set_write_timeout(Some(left)))
                .and_then(|()| self.stream.write(&request.bytes[written..]));
            match step {
                Ok(0) => return Err(broken(written, io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(written, error)),
            }
        }
        Ok(())
    }

    fn answer(&mut self, deadline: Instant) -> Result<Vec<u8>, CallFailed> {
        let mut head = [0; 8];
        self.read_exact(&mut head, deadline)?;
        let [a, b, c, d, e, f, g, h] = head;
        let len = i32::from_be_bytes([a, b, c, d]);
        let correlation = i32::from_be_bytes([e, f, g, h]);
        let body_len = usize::try_from(len).unwrap_or(0).wrapping_sub(4);
        if body_len > ANSWER_BYTES_MAX || correlation != self.correlation {
            return Err(WireFault::Length(len.into()).into());
        }
        let mut body = vec![0; body_len];
        self.read_exact(&mut body, deadline)?;
        Ok(body)
    }

    fn read_exact(&mut self, into: &mut [u8], deadline: Instant) -> Result<(), CallFailed> {
        let mut filled = 0;
        while filled < into.len() {
            let step = left(deadline)
                .and_then(|left| self.stream.set_read_timeout(Some(left)))
                .and_then(|()| self.stream.read(&mut into[filled..]));
            match step {
                Ok(0) => {
                    return Err(CallFailed::Disconnected(
                        io::ErrorKind::UnexpectedEof.into(),
                    ));
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(1, error)),
            }
        }
        Ok(())
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

fn broken(written: usize, error: io::Error) -> CallFailed {
    match error.kind() {
        _ if written == 0 => CallFailed::NotSent(error),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallFailed::Timeout,
        _ => CallFailed::Disconnected(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// For what comes.
    const BOUND: Duration = Duration::from_secs(30);
    /// For what never comes.
    const SILENCE: Duration = Duration::from_millis(200);

    fn broker(answer: &'static [u8], stays: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            // Holds the connection until the client goes away.
            while stays && stream.read(&mut request).is_ok_and(|count| count > 0) {}
        });
        address
    }

    fn call(address: SocketAddr) -> Result<Vec<u8>, CallFailed> {
        Connection::open(address, BOUND)?.call(18, 0, b"", BOUND)
    }

    #[test]
    fn an_answer_is_returned_without_its_head() {
        let body = call(broker(b"\0\0\0\x06\0\0\0\x01ok", true)).unwrap();
        assert_eq!(body, b"ok");
    }

    #[test]
    fn silence_hanging_up_and_a_closed_port_are_three_different_things() {
        // Only the answer is cut short: the request has to leave.
        let mut connection = Connection::open(broker(b"", true), BOUND).unwrap();
        connection.send(18, 0, b"", Instant::now() + BOUND).unwrap();
        let silence = connection.answer(Instant::now() + SILENCE);
        assert!(matches!(silence, Err(CallFailed::Timeout)));
        assert!(matches!(
            call(broker(b"\0\0", false)),
            Err(CallFailed::Disconnected(_))
        ));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(call(closed), Err(CallFailed::NotSent(_))));
    }

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let answered = call(broker(b"\0\0\0\x06\0\0\0\x09ok", true));
        assert!(matches!(answered, Err(CallFailed::Answer(_))));
    }
}
