//! `chronikctl rebalance throttle`: how fast replicas on the move may be copied, from now on.

use chronik_admin::client::Client;
use chronik_admin::v1::{Expect, Limit, Throttle, ThrottleRequest};

use super::{known, status};
use crate::cli::{Consent, Rate, rate};
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone, bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Bytes in a second that each node sends at most, such as 50MiB/s; or none
    #[arg(value_parser = rate)]
    rate: Rate,
    #[command(flatten)]
    consent: Consent,
}

impl Args {
    /// What another face of this program gives.
    pub(super) fn new(rate: Rate, consent: Consent) -> Args {
        Args { rate, consent }
    }
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (client, list) = status::fetch(session, None).await?;
    let (present, wanted) = (list.throttle_bytes_per_second, args.rate.0);
    let action = format!("throttle moves: {}", in_words(wanted));
    let mut plan = Plan::new(session, &list.cluster_id, action);
    plan.look_with = "chronikctl rebalance status".to_owned();
    plan.change(format!("{} -> {}", in_words(present), in_words(wanted)));
    plan.change("it holds for all moves, until it is changed again");
    let request = |dry_run: bool| ThrottleRequest {
        bytes_per_second: wanted,
        expect: Some(Expect {
            cluster_id: Some(list.cluster_id.clone()),
            term: None,
        }),
        dry_run,
        request_id: plan.request_id.clone(),
        expected: Some(Limit {
            bytes_per_second: present,
        }),
    };
    // What makes no sense is refused before anybody is asked.
    set(&client, request(true)).await?;
    let act = async {
        let set = set(&client, request(false)).await?;
        let mut answer = Answer::of("Throttle", &list.cluster_id, &set);
        let line = format!("moves are throttled: {}", in_words(set.bytes_per_second));
        answer.headlines.push((Tone::Strong, line));
        known::everywhere(session, set.catalog_version, answer).await
    };
    let consent = &args.consent;
    mutate::carry_out(session, consent, plan.clone(), act).await
}

async fn set(client: &Client, request: ThrottleRequest) -> Result<Throttle, Failure> {
    let mut placement = client.placement();
    Ok(client.bounded(placement.throttle(request)).await?)
}

/// A limit as people say it.
pub(crate) fn in_words(limit: Option<u64>) -> String {
    match limit {
        Some(rate) => format!("{}/s from each node", bytes(rate)),
        None => "no limit".to_owned(),
    }
}
