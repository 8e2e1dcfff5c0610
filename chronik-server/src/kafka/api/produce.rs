//! Produce: checks every batch once, hands all of them over in arrival order, and answers when they are safe.

mod request;
mod response;

pub(in crate::kafka) use request::ProduceRequest;
pub(in crate::kafka) fn start(_: crate::kafka::call::Call, _: ProduceRequest) -> crate::kafka::dispatch::Reply { unreachable!() }
