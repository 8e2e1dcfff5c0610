//! Frames in tonic's words: encoded by hand into the stream's own buffer, decoded out of the buffer they arrived in.

use bytes::{Buf, BufMut};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::frame::Frame;
use super::limits::FRAME_BYTES;

/// A frame and how many bytes it took.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) frame: Frame,
    pub(super) bytes: usize,
}

/// The format of every stream between nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameCodec;

impl Codec for FrameCodec {
    type Encode = Frame;
    type Decode = Received;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for FrameCodec {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let len = frame.encoded_len();
        out.reserve(len);
        let room = out.remaining_mut();
        frame.encode(out);
        debug_assert_eq!(room - out.remaining_mut(), len, "frames know their length");
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // One frame is handed to HTTP/2 at once: fewer, larger writes.
        BufferSettings::new(FRAME_BYTES, FRAME_BYTES)
    }
}

impl Decoder for FrameCodec {
    type Item = Received;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Received>, Status> {
        let len = bytes.remaining();
        let frame = Frame::decode(bytes.copy_to_bytes(len))
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Some(Received { frame, bytes: len }))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(FRAME_BYTES, FRAME_BYTES)
    }
}
