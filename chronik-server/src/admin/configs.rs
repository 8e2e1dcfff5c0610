//! Settings of topics, and of nodes next to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    ConfigAlterRequest, ConfigDescribeRequest, ConfigDiff, ConfigDiffRequest, NodeConfig,
    NodeConfigRequest, Setting, SettingDiff, TopicConfig,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::Topic;
use chronik_core::catalog::topic_config::{self, ROWS, Row};
use tracing::info;

use super::desk::Desk;
use super::placement::{not_ordered, refused};
use super::topics::find;

const ALTER_TIMEOUT: Duration = Duration::from_secs(4);
/// What every node has for itself alone.
const OWN: [&str; 9] = [
    "admin.listen",
    "kafka.advertised",
    "kafka.listen",
    "log.level",
    "node.data_dir",
    "node.id",
    "node.rack",
    "peer.advertised",
    "peer.listen",
];

impl Desk {
    pub(super) async fn config_describe(
        &self,
        request: ConfigDescribeRequest,
    ) -> Result<TopicConfig, AdminError> {
        let view = self.rooms()?.broker.view();
        let topic = find(&view.catalog, &request.topic)?;
        self.topic_config(topic)
    }

    pub(super) async fn config_diff(
        &self,
        request: ConfigDiffRequest,
    ) -> Result<ConfigDiff, AdminError> {
        let question = Question::Config(NodeConfigRequest::default());
        let mut configs = vec![self.node_config_here()];
        let mut silent_nodes = Vec::new();
        for (node, heard) in self.ask_others(question).await? {
            match heard.answer {
                Ok(Answer::Config(config)) => configs.push(config),
                _ => silent_nodes.push(node.0),
            }
        }
        configs.sort_unstable_by_key(|config| config.node_id);
        let mut settings = compare(&configs);
        settings.retain(|setting| request.all || setting.differs);
        Ok(ConfigDiff {
            cluster_id: self.rooms()?.broker.view().catalog.cluster_id.to_string(),
            nodes: configs.iter().map(|config| config.node_id).collect(),
            silent_nodes,
            settings,
        })
    }

    pub(super) async fn config_alter(
        &self,
        request: ConfigAlterRequest,
    ) -> Result<TopicConfig, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let rooms = self.rooms()?;
        let view = rooms.broker.view();
        let topic = find(&view.catalog, &request.topic)?;
        let mut changed = Topic::clone(topic);
        let changes = changes(&request)?;
        for (name, value) in &changes {
            match value {
                Some(value) => {
                    _ = changed
                        .configs
                        .insert(name.as_str().into(), value.as_str().into())
                }
                None => _ = changed.configs.remove(name.as_str()),
            }
        }
        if !request.dry_run && changed.configs != topic.configs {
            let altered = rooms.broker.set_configs(topic.id, changes, ALTER_TIMEOUT);
            altered.await.map_err(not_ordered)?.map_err(refused)?;
            info!(
                request = request.request_id,
                topic = request.topic,
                "an operator changes the settings of a topic"
            );
        }
        let config = self.topic_config(&changed)?;
        Ok(TopicConfig {
            dry_run: request.dry_run,
            ..config
        })
    }

    fn topic_config(&self, topic: &Topic) -> Result<TopicConfig, AdminError> {
        let broker = &self.rooms()?.broker;
        let setting = |row: &Row| {
            let set = topic.configs.get(row.name);
            let default = broker.default_of(row);
            Setting {
                name: row.name.to_owned(),
                value: set.map_or_else(|| default.clone(), ToString::to_string),
                default,
                from: if set.is_some() { "topic" } else { "default" }.to_owned(),
                change: "nothing".to_owned(),
                about: row.sentence.to_owned(),
            }
        };
        Ok(TopicConfig {
            topic: topic.name.to_string(),
            settings: ROWS.iter().map(setting).collect(),
            dry_run: false,
        })
    }
}

/// What is to change, if all of it may be.
fn changes(request: &ConfigAlterRequest) -> Result<Vec<(String, Option<String>)>, AdminError> {
    let invalid = |message: String| {
        let hint = format!("chronikctl config get --topic {}", request.topic);
        AdminError::new(Code::InvalidArgument, message).hint(hint)
    };
    for (name, value) in &request.set {
        topic_config::check(name, value).map_err(|refused| invalid(refused.to_string()))?;
    }
    let is_known = |name: &String| ROWS.iter().any(|row| row.name == name);
    if let Some(name) = request.reset.iter().find(|name| !is_known(name)) {
        return Err(invalid(format!("topics have no config {name:?} here")));
    }
    if let Some(name) = request
        .reset
        .iter()
        .find(|name| request.set.contains_key(*name))
    {
        return Err(invalid(format!("{name} is both set and reset")));
    }
    if request.set.is_empty() && request.reset.is_empty() {
        return Err(invalid("there is nothing to change".to_owned()));
    }
    let set = request.set.iter();
    let set = set.map(|(name, value)| (name.clone(), Some(value.clone())));
    let reset = request.reset.iter().map(|name| (name.clone(), None));
    Ok(set.chain(reset).collect())
}

fn compare(configs: &[NodeConfig]) -> Vec<SettingDiff> {
    let names = configs.iter().flat_map(|config| &config.settings);
    let names: BTreeSet<&str> = names.map(|setting| setting.name.as_str()).collect();
    let diff = |name: &str| {
        let values = configs.iter().filter_map(|config| {
            let mut settings = config.settings.iter();
            let setting = settings.find(|setting| setting.name == name)?;
            Some((config.node_id, setting.value.clone()))
        });
        let values: BTreeMap<u64, String> = values.collect();
        let distinct: BTreeSet<&String> = values.values().collect();
        let is_everywhere = values.len() == configs.len();
        SettingDiff {
            name: name.to_owned(),
            differs: !OWN.contains(&name) && (distinct.len() > 1 || !is_everywhere),
            values,
        }
    };
    names.into_iter().map(diff).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SECTIONS;

    fn config(node_id: u64, pairs: &[(&str, &str)]) -> NodeConfig {
        let settings = pairs.iter().map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            ..Setting::default()
        });
        NodeConfig {
            node_id,
            settings: settings.collect(),
        }
    }

    fn differing(configs: &[NodeConfig]) -> Vec<String> {
        let differs = compare(configs).into_iter().filter(|diff| diff.differs);
        differs.map(|diff| diff.name).collect()
    }

    #[test]
    fn what_a_node_has_for_itself_alone_is_no_difference() {
        let one = config(1, &[("node.id", "1"), ("raft.tick", "250ms")]);
        let two = config(2, &[("node.id", "2"), ("raft.tick", "250ms")]);
        assert!(differing(&[one.clone(), two]).is_empty());
        let drift = config(2, &[("node.id", "2"), ("raft.tick", "1s")]);
        assert_eq!(differing(&[one.clone(), drift]), ["raft.tick"]);
        // A node of another version may not know a setting.
        assert_eq!(differing(&[one, config(2, &[])]), ["raft.tick"]);
    }

    #[test]
    fn keys_of_single_nodes_exist() {
        let known = SECTIONS.iter().flat_map(|section| section.definitions);
        let known: Vec<&str> = known.map(|definition| definition.path).collect();
        for key in OWN {
            assert!(known.contains(&key), "{key}");
        }
    }

    #[test]
    fn changes_that_make_no_sense_are_refused() {
        let request = |set: &[(&str, &str)], reset: &[&str]| ConfigAlterRequest {
            topic: "orders".to_owned(),
            set: set
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            reset: reset.iter().map(ToString::to_string).collect(),
            ..ConfigAlterRequest::default()
        };
        assert_eq!(
            changes(&request(&[("retention.ms", "1")], &["cleanup.policy"])).unwrap(),
            [
                ("retention.ms".to_owned(), Some("1".to_owned())),
                ("cleanup.policy".to_owned(), None)
            ]
        );
        for senseless in [
            request(&[], &[]),
            request(&[("retention.ms", "soon")], &[]),
            request(&[("colour", "blue")], &[]),
            request(&[], &["colour"]),
            request(&[("retention.ms", "1")], &["retention.ms"]),
        ] {
            let refusal = changes(&senseless).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidArgument, "{senseless:?}");
        }
    }
}
