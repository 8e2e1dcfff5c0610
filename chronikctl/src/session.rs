//! One command's conversation with a cluster: finds a node that answers, and makes sure that it is the right cluster.

use std::future::Future;
use std::time::Duration;

use chronik_admin::client::Client;
use chronik_admin::{AdminError, Code};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

use crate::config::{self, Settings};
use crate::context::Kind;
use crate::exit::Failure;
use crate::kafka::Kafka;

/// Settings, and ways to the cluster.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    /// The command that does what is done here, where no command line says it.
    pub(crate) instead: Option<String>,
}

/// The next address is tried when one has not answered for so long.
const STAGGER: Duration = Duration::from_millis(150);

impl Session {
    pub(crate) fn new(settings: Settings) -> Session {
        Session {
            settings,
            instead: None,
        }
    }

    /// Asks the nodes of the context until one answers; a silent one costs little while others are there.
    pub(crate) async fn ask<T, F>(
        &self,
        question: impl Fn(Client) -> F,
    ) -> Result<(Client, T), Failure>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        let context = &self.settings.context;
        if context.kind == Kind::Kafka {
            let message = format!(
                "context {} has no admin API: its type is kafka",
                context.name
            );
            return Err(
                Failure::usage(message).hint("chronikctl context add NAME --admin HOST:PORT")
            );
        }
        let bounds = self.settings.bounds;
        let attempt = |(place, address): (usize, &String)| {
            let (address, question) = (address.clone(), &question);
            async move {
                sleep(STAGGER * u32::try_from(place).unwrap_or(u32::MAX)).await;
                let client = Client::connect(&address, bounds).await?;
                let answer = question(client.clone()).await?;
                Ok::<_, AdminError>((client, answer))
            }
        };
        let mut attempts: FuturesUnordered<_> =
            context.admin.iter().enumerate().map(attempt).collect();
        let mut refusals: Vec<AdminError> = Vec::new();
        while let Some(outcome) = attempts.next().await {
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.retryable => return Err(error.into()),
                Err(error) => refusals.push(error),
            }
        }
        Err(combine(refusals, &context.admin))
    }

    /// Refuses the answer of another cluster than the context's, and remembers a cluster that is seen first.
    pub(crate) fn check_cluster(&self, cluster_id: &str) -> Result<(), Failure> {
        let context = &self.settings.context;
        match &context.cluster_id {
            Some(pinned) if pinned != cluster_id && !cluster_id.is_empty() => {
                let name = &context.name;
                let message = format!(
                    "context {name} is for cluster {pinned}, but cluster {cluster_id} answers"
                );
                Err(Failure::new(Code::WrongCluster, message)
                    .hint(format!("chronikctl context show {name}")))
            }
            None if !context.is_given && !cluster_id.is_empty() => self.pin(cluster_id),
            _ => Ok(()),
        }
    }

    /// Kafka's protocol, at the context's addresses or where the admin API says that clients are served.
    pub(crate) async fn kafka(&self) -> Result<Kafka, Failure> {
        let context = &self.settings.context;
        let bootstrap = match context.bootstrap.is_empty() {
            false => context.bootstrap.clone(),
            true => {
                let view = |client: Client| async move {
                    let mut cluster = client.cluster();
                    let call = cluster.view(chronik_admin::v1::ClusterViewRequest {});
                    client.bounded(call).await
                };
                let (_, view) = self.ask(view).await?;
                let nodes = view.nodes.into_iter().filter(|node| node.reachable);
                nodes.map(|node| node.kafka_address).collect()
            }
        };
        Kafka::connect(&bootstrap, self.settings.bounds).await
    }

    /// The same, of the cluster that the context means.
    pub(crate) async fn own_kafka(&self) -> Result<Kafka, Failure> {
        let kafka = self.kafka().await?;
        self.check_cluster(&kafka.cluster_id)?;
        Ok(kafka)
    }

    fn pin(&self, cluster_id: &str) -> Result<(), Failure> {
        let file = &self.settings.paths.contexts;
        let mut contexts = config::read_contexts(file)?;
        match contexts.contexts.get_mut(&self.settings.context.name) {
            Some(context) if context.cluster_id.is_none() => {
                context.cluster_id = Some(cluster_id.to_owned());
                contexts.write(file)
            }
            _ => Ok(()),
        }
    }
}

/// One failure that says what every node said.
fn combine(mut refusals: Vec<AdminError>, addresses: &[String]) -> Failure {
    let hint = "is it running? chronikctl cluster up starts one here; chronikctl context show says where this looks";
    match refusals.len() {
        0 => Failure::usage("the context has no admin address").hint("chronikctl context show"),
        1 => {
            let mut only = refusals.remove(0);
            if only.hint.is_empty() {
                only.hint = hint.to_owned();
            }
            only.into()
        }
        _ => {
            // A node that answers, if only that it is not ready, tells more than one that does not.
            let place = refusals
                .iter()
                .position(|error| error.code != Code::Unreachable);
            let code = place.map_or(Code::Unreachable, |place| refusals[place].code);
            let said: Vec<&str> = refusals
                .iter()
                .map(|error| error.message.as_str())
                .collect();
            let count = addresses.len();
            let message = format!("none of {count} nodes answered: {}", said.join("; "));
            Failure::new(code, message).hint(hint)
        }
    }
}
