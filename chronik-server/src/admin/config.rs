//! What a node was configured with.

use chronik_admin::AdminError;
use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{NodeConfig, NodeConfigRequest, Setting};

use super::desk::{Desk, ask_there};
use crate::config::{self, Origin};

/// The one key that operators change while the node runs.
const LOG_LEVEL: &str = "log.level";

impl Desk {
    pub(super) async fn node_config(
        &self,
        request: NodeConfigRequest,
    ) -> Result<NodeConfig, AdminError> {
        let Some(node) = self.other(request.node_id)? else {
            return Ok(self.node_config_here());
        };
        ask_there!(self, node, Config(request) -> Config)
    }

    pub(super) fn node_config_here(&self) -> NodeConfig {
        let settings = self.about.settings.iter().map(|setting| self.told(setting));
        NodeConfig {
            node_id: self.about.node.0,
            settings: settings.collect(),
        }
    }

    fn told(&self, setting: &config::Setting) -> Setting {
        let definition = setting.definition;
        let told = Setting {
            name: definition.path.to_owned(),
            value: setting.text.clone(),
            default: definition.default.to_owned(),
            from: word(&setting.origin).to_owned(),
            change: definition.change.word().to_owned(),
            about: definition.sentence.to_owned(),
        };
        if definition.path != LOG_LEVEL {
            return told;
        }
        let level = self.log.level();
        let from = match level == told.value {
            true => told.from,
            false => "operator".to_owned(),
        };
        Setting {
            value: level,
            from,
            change: "nothing".to_owned(),
            ..told
        }
    }
}

fn word(origin: &Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::File { .. } => "file",
        Origin::Environment { .. } => "environment",
        Origin::Flag { .. } => "flag",
    }
}
