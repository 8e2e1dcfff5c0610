//! A client that says exactly what a test wants: one request, one answer, no retries and no opinions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::support::Broker;

/// No answer of a test takes longer, not even that of a join.
const ANSWER_BOUND: Duration = Duration::from_secs(60);

pub(crate) struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    pub(crate) fn connect(broker: &Broker) -> Wire {
        Self::connect_to(broker.kafka_address())
    }

    pub(crate) fn connect_to(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a socket that is open");
        stream
            .set_read_timeout(Some(ANSWER_BOUND))
            .expect("a bound on reads");
        Wire {
            stream,
            correlation_id: 0,
        }
    }

    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    /// Sends without waiting; answers come in the same order.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("wire")));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .expect("a header");
        request
            .encode(&mut body, version)
            .expect("a request of this version");
        let len = i32::try_from(body.len()).expect("a small request");
        self.stream
            .write_all(&len.to_be_bytes())
            .expect("the broker reads");
        self.stream.write_all(&body).expect("the broker reads");
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("an answer");
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(len)).expect("a length")];
        self.stream.read_exact(&mut frame).expect("a whole answer");
        let mut frame = Bytes::from(frame);
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).expect("a header");
        R::Response::decode(&mut frame, version).expect("an answer of this version")
    }
}
