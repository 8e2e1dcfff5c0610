//! One connection to one broker: a request, then its answer.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chronik_admin::Code;
use chronik_admin::client::Bounds;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exit::Failure;

pub(super) struct Connection {
    address: String,
    stream: TcpStream,
    correlation_id: i32,
}

/// No answer that this program asks for is larger.
const MAX_ANSWER_BYTES: usize = 128 << 20;

impl Connection {
    pub(super) async fn open(address: &str, bounds: Bounds) -> Result<Connection, Failure> {
        let unreachable = |why: String| {
            Failure::new(
                Code::Unreachable,
                format!("{address} cannot be reached: {why}"),
            )
        };
        let dial = timeout(bounds.connect, TcpStream::connect(address)).await;
        let stream = dial
            .map_err(|_| unreachable(format!("no connection within {:?}", bounds.connect)))?
            .map_err(|error| unreachable(error.to_string()))?;
        // A request is one small packet: it must not wait for a second one.
        stream
            .set_nodelay(true)
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Connection {
            address: address.to_owned(),
            stream,
            correlation_id: 0,
        })
    }

    pub(super) async fn ask<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        bound: Duration,
    ) -> Result<R::Response, Failure> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("chronikctl")));
        let frame = frame(&header, version, request)
            .map_err(|error| Failure::usage(format!("the request cannot be written: {error}")))?;
        let lost = |error: std::io::Error| {
            Failure::new(
                Code::Unreachable,
                format!("{} hung up: {error}", self.address),
            )
        };
        let exchange = async {
            self.stream.write_all(&frame).await?;
            let len = self.stream.read_i32().await?;
            let len = usize::try_from(len)
                .ok()
                .filter(|len| *len <= MAX_ANSWER_BYTES);
            let len = len.ok_or(std::io::ErrorKind::InvalidData)?;
            let mut answer = vec![0; len];
            self.stream.read_exact(&mut answer).await?;
            Ok(Bytes::from(answer))
        };
        let answer = timeout(bound, exchange).await.map_err(|_| {
            let message = format!("{} did not answer within {bound:?}", self.address);
            Failure::new(Code::Deadline, message)
        })?;
        read::<R>(answer.map_err(lost)?, version, self.correlation_id).ok_or_else(|| {
            let message = format!("{} answers what cannot be understood", self.address);
            Failure::new(Code::Internal, message)
        })
    }
}

fn frame<R: Request>(
    header: &RequestHeader,
    version: i16,
    request: &R,
) -> Result<BytesMut, Box<dyn std::error::Error + Send + Sync>> {
    let mut body = BytesMut::new();
    header.encode(&mut body, R::header_version(version))?;
    request.encode(&mut body, version)?;
    let len = i32::try_from(body.len())?;
    let mut frame = BytesMut::with_capacity(body.len() + 4);
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The answer to this request, if it is one.
fn read<R: Request>(mut answer: Bytes, version: i16, correlation_id: i32) -> Option<R::Response> {
    let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).ok()?;
    if header.correlation_id != correlation_id {
        return None;
    }
    let response = R::Response::decode(&mut answer, version).ok()?;
    (!answer.has_remaining()).then_some(response)
}
