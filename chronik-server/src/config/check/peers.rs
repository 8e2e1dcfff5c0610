//! Rules for the list of nodes: every node must be able to find every other one, and this one in particular.

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use crate::config::{Config, Peer};

/// Every rule that the list and this node's own addresses break.
pub(super) fn broken(config: &Config) -> Vec<Broken> {
    let rules = [
        repeated_ids(config),
        repeated_addresses(config),
        unusable_addresses(config),
        own_id(config),
        advertised(config),
        own_entry(config),
        reach(config),
    ];
    rules.into_iter().flatten().collect()
}

/// A number of nodes that is allowed and probably not meant.
pub(super) fn warning(config: &Config) -> Option<String> {
    let nodes = config.cluster.peers.len();
    match nodes {
        2 => Some(
            "`cluster.peers` names 2 nodes: the loss of either one stops both, so 1 node is as safe \
             and 3 nodes survive the loss of one"
                .to_owned(),
        ),
        _ if nodes > 0 && nodes.is_multiple_of(2) => Some(format!(
            "`cluster.peers` names {nodes} nodes, which survive no more losses than {} would",
            nodes - 1
        )),
        _ => None,
    }
}

fn repeated_ids(config: &Config) -> Option<Broken> {
    let mut known = BTreeMap::new();
    for peer in &config.cluster.peers {
        if let Some(first) = known.insert(peer.id, peer) {
            return list(format!(
                "`cluster.peers` gives the id {} to \"{first}\" and \"{peer}\"; every node needs an id of its own",
                peer.id
            ));
        }
    }
    None
}

fn repeated_addresses(config: &Config) -> Option<Broken> {
    let mut known = BTreeMap::new();
    for peer in &config.cluster.peers {
        if let Some(first) = known.insert(peer.endpoint.to_string(), peer) {
            return list(format!(
                "`cluster.peers` gives one address to \"{first}\" and \"{peer}\"; \
                 write the `peer.listen` port of each node"
            ));
        }
    }
    None
}

fn unusable_addresses(config: &Config) -> Option<Broken> {
    let unusable = |peer: &&Peer| peer.endpoint.is_wildcard() || peer.endpoint.port() == 0;
    let peer = config.cluster.peers.iter().find(unusable)?;
    list(format!(
        "`cluster.peers` names \"{peer}\", an address nobody can connect to; \
         write the host and port by which other nodes reach node {}, like \"{}@node-{}.example:9192\"",
        peer.id, peer.id, peer.id
    ))
}

fn own_id(config: &Config) -> Option<Broken> {
    let cluster = &config.cluster;
    if cluster.peers.is_empty() || config.own_peer().is_some() {
        return None;
    }
    let ids: BTreeSet<u32> = cluster.peers.iter().map(|peer| peer.id).collect();
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    list(format!(
        "`cluster.peers` names the nodes {}, but `node.id` is {}; \
         set `node.id` to one of them, or add this node to the list on every node",
        ids.join(", "),
        config.node.id
    ))
}

fn advertised(config: &Config) -> Option<Broken> {
    let peer = &config.peer;
    match &peer.advertised {
        Some(advertised) if advertised.is_wildcard() || advertised.port() == 0 => Some((
            "peer.advertised",
            format!(
                "`peer.advertised` = \"{advertised}\" is an address nobody can connect to; \
                 write the name by which other nodes reach this one, like \"node-1.example:9192\""
            ),
        )),
        _ => None,
    }
}

/// Others find this node by its entry in the list, so the entry must lead here.
fn own_entry(config: &Config) -> Option<Broken> {
    let own = config.own_peer()?;
    let listen = &config.peer.listen;
    match &config.peer.advertised {
        Some(advertised) if *advertised != own.endpoint => Some((
            "peer.advertised",
            format!(
                "`peer.advertised` = \"{advertised}\" differs from this node's entry \"{own}\" in `cluster.peers`; \
                 write the same address in both"
            ),
        )),
        None if listen.port() != own.endpoint.port() => Some((
            "peer.listen",
            format!(
                "`peer.listen` = \"{listen}\" is another port than this node's entry \"{own}\" in `cluster.peers`; \
                 write the same port, or set `peer.advertised` = \"{}\" if something forwards from there to here",
                own.endpoint
            ),
        )),
        _ => None,
    }
}

/// A node that listens on the loopback only cannot be reached from other machines.
fn reach(config: &Config) -> Option<Broken> {
    let own = config.own_peer()?;
    let listen = &config.peer.listen;
    let unreachable = config.cluster.peers.len() > 1
        && config.peer.advertised.is_none()
        && listen.is_loopback()
        && !own.endpoint.is_loopback();
    unreachable.then(|| {
        let message = format!(
            "`peer.listen` = \"{listen}\" takes connections from this machine only, \
             but `cluster.peers` tells other nodes \"{own}\"; write `peer.listen` = \"{}\"",
            listen.on_every_address()
        );
        ("peer.listen", message)
    })
}

fn list(message: String) -> Option<Broken> {
    Some(("cluster.peers", message))
}
