//! Fetch: whole committed batches from an offset on, waiting for them if the client wants to.

mod request;
mod response;

pub(in crate::kafka) use request::FetchRequest;
pub(in crate::kafka) async fn handle(_: crate::kafka::call::Call, _: FetchRequest) -> crate::kafka::dispatch::Outcome { unreachable!() }
