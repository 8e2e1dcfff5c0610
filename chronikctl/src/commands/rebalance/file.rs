//! Plans that were kept in a file.

use std::fs;
use std::path::Path;

use chronik_admin::v1::PlacementPlan;
use serde_json::Value;

use crate::exit::Failure;
use crate::session::Session;

/// A plan for the cluster that the context means.
pub(super) fn read(session: &Session, file: &Path) -> Result<PlacementPlan, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("{}: {why}", file.display()))
            .hint("chronikctl rebalance plan --save FILE")
    };
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let mut envelope: Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if envelope["kind"] != "PlacementPlan" || envelope["v"] != 1 {
        return Err(wrong("this is no plan of version 1".to_owned()));
    }
    let plan: PlacementPlan = serde_json::from_value(envelope["data"].take())
        .map_err(|error| wrong(error.to_string()))?;
    session.check_cluster(&plan.cluster_id)?;
    Ok(plan)
}
