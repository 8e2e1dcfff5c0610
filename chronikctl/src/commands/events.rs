//! `chronikctl events`: what happens, as it happens; another node is asked when the one that was asked goes away.

use std::time::Duration;

use chronik_admin::AdminError;
use chronik_admin::client::Client;
use chronik_admin::v1::{ClusterEvent, ClusterViewRequest, EventsRequest};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::duration;
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::output::{Format, Printer, ReaderGone, Tone, note, print};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Begin with what happened in this last while, as far as the node remembers
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// Only these kinds, such as LEADER_CHANGED
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only this group: meta, or TOPIC/PARTITION
    #[arg(short, long, value_name = "G")]
    group: Option<String>,
    /// End after so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<usize>,
    /// End after this while
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    span: Option<Duration>,
}

/// Between two attempts to find a node that answers.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Without `--for`, nobody waits so long.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Verdict, Failure> {
    let printer = &session.settings.printer;
    if matches!(printer.format, Format::Json | Format::Yaml) {
        let message = "events have no end, and -o json and yaml are one object";
        return Err(Failure::usage(message).hint("-o jsonl"));
    }
    let until = Instant::now() + args.span.unwrap_or(FOR_EVER);
    let within = args.since.map_or(0, |since| since.as_millis());
    let mut request = EventsRequest {
        within_ms: u64::try_from(within).unwrap_or(u64::MAX),
        after_ms: 0,
    };
    let mut left = args.count.unwrap_or(usize::MAX);
    let mut is_first = true;
    while left > 0 && Instant::now() < until {
        let stream = match open(session, request).await {
            Ok(stream) => stream,
            Err(failure) if is_first || !failure.error.retryable => return Err(failure),
            Err(failure) => {
                note(&format!("no answer: {}", failure.error.message));
                sleep(TRY_AGAIN).await;
                continue;
            }
        };
        if is_first && request.within_ms == 0 {
            request.after_ms = clock::wall_ms();
        }
        is_first = false;
        let mut stream = stream;
        while left > 0 {
            // A stream that ends or breaks is followed by the next one.
            let Ok(Some(Ok(event))) = timeout_at(until, stream.next()).await else {
                break;
            };
            request = EventsRequest {
                within_ms: 0,
                after_ms: request.after_ms.max(event.at_ms),
            };
            if !args.wants(&event) {
                continue;
            }
            left -= 1;
            if let Err(ReaderGone) = print(&line(printer, &event)) {
                return Ok(Verdict::Yes);
            }
        }
    }
    Ok(Verdict::Yes)
}

impl Args {
    fn wants(&self, event: &ClusterEvent) -> bool {
        let kinds = &self.kind;
        let is_kind = kinds.is_empty()
            || kinds
                .iter()
                .any(|kind| event.kind.eq_ignore_ascii_case(kind));
        let is_group = self.group.is_none() || self.group == event.group;
        is_kind && is_group
    }
}

type Stream = chronik_admin::client::Events;

/// Events from a node of the right cluster.
pub(crate) async fn open(session: &Session, request: EventsRequest) -> Result<Stream, Failure> {
    let question = |client: Client| async move {
        let mut cluster = client.cluster();
        let view = client.bounded(cluster.view(ClusterViewRequest {})).await?;
        let events = client.bounded(cluster.events(request)).await?;
        Ok::<_, AdminError>((view.cluster_id, events))
    };
    let (_, (cluster_id, events)) = session.ask(question).await?;
    session.check_cluster(&cluster_id)?;
    Ok(events)
}

fn line(printer: &Printer, event: &ClusterEvent) -> String {
    let time = clock::rfc3339(event.at_ms);
    match printer.format {
        Format::Jsonl => format!("{}\n", json!(event)),
        Format::Tsv => format!("{time}\t{}\t{}\n", event.kind, event.message),
        _ => {
            let kind = printer
                .paint
                .paint(tone(&event.kind), &format!("{:<15}", event.kind));
            format!("{time}  {kind} {}\n", event.message)
        }
    }
}

/// How serious an event is.
pub(crate) fn tone(kind: &str) -> Tone {
    match kind {
        "LEADER_LOST" | "NODE_SILENT" => Tone::Bad,
        "IN_SYNC_SHRUNK" | "NODE_LEFT" | "TOPIC_DELETED" => Tone::Warn,
        "IN_SYNC_GREW" | "NODE_BACK" | "NODE_JOINED" | "MOVE_DONE" => Tone::Good,
        _ => Tone::Plain,
    }
}
