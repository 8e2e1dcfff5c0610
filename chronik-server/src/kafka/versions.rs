//! Which versions of which API this node shows and serves: one row per API, and a row only where a handler exists.

use std::ops::RangeInclusive;

use kafka_protocol::messages::ApiKey;

/// One API of the served protocol.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) api: ApiKey,
    /// What ApiVersions tells.
    pub(super) shown: RangeInclusive<i16>,
    /// What is really answered. Only produce differs: librdkafka stops compressing unless it sees version 0.
    pub(super) served: RangeInclusive<i16>,
}

pub(super) static ROWS: &[Row] = &[
    Row {
        api: ApiKey::Produce,
        shown: 0..=12,
        served: 3..=12,
    },
    row(ApiKey::Fetch, 4..=17),
    row(ApiKey::ListOffsets, 1..=9),
    row(ApiKey::Metadata, 0..=12),
    row(ApiKey::OffsetCommit, 2..=9),
    row(ApiKey::OffsetFetch, 1..=9),
    row(ApiKey::FindCoordinator, 0..=5),
    row(ApiKey::JoinGroup, 0..=9),
    row(ApiKey::Heartbeat, 0..=4),
    row(ApiKey::LeaveGroup, 0..=5),
    row(ApiKey::SyncGroup, 0..=5),
    row(ApiKey::DescribeGroups, 0..=6),
    row(ApiKey::ListGroups, 0..=5),
    row(ApiKey::ApiVersions, 0..=4),
    row(ApiKey::CreateTopics, 2..=7),
    row(ApiKey::DeleteTopics, 1..=6),
    row(ApiKey::DeleteRecords, 0..=2),
    row(ApiKey::InitProducerId, 0..=5),
    row(ApiKey::OffsetForLeaderEpoch, 2..=4),
    row(ApiKey::DescribeAcls, 1..=3),
    row(ApiKey::CreateAcls, 1..=3),
    row(ApiKey::DeleteAcls, 1..=3),
    row(ApiKey::DescribeConfigs, 1..=4),
    row(ApiKey::AlterConfigs, 0..=2),
    row(ApiKey::DescribeLogDirs, 1..=4),
    row(ApiKey::CreatePartitions, 0..=3),
    row(ApiKey::DeleteGroups, 0..=2),
    row(ApiKey::ElectLeaders, 0..=2),
    row(ApiKey::IncrementalAlterConfigs, 0..=1),
    row(ApiKey::AlterPartitionReassignments, 0..=0),
    row(ApiKey::ListPartitionReassignments, 0..=0),
    row(ApiKey::OffsetDelete, 0..=0),
    row(ApiKey::DescribeQuorum, 0..=2),
    row(ApiKey::DescribeCluster, 0..=1),
    row(ApiKey::UnregisterBroker, 0..=0),
];

/// The row of an API key from the wire.
pub(super) fn find(key: i16) -> Option<&'static Row> {
    let found = ROWS.binary_search_by_key(&key, |row| row.api as i16).ok()?;
    Some(&ROWS[found])
}

const fn row(api: ApiKey, versions: RangeInclusive<i16>) -> Row {
    Row {
        api,
        shown: *versions.start()..=*versions.end(),
        served: versions,
    }
}
