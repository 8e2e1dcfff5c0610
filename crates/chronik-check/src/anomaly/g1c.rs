//! G1c: transactions that read from each other in a circle. Only write-read edges count: interleaved writes are normal in Kafka.

use crate::finding::{Anomaly, Finding, Findings};
use std::collections::BTreeMap;

/// For each transaction the ones it read from, with the line of the read.
pub(crate) type Edges = BTreeMap<u64, BTreeMap<u64, u64>>;

pub(crate) fn judge(findings: &mut Findings, edges: &Edges) {
    for mut circle in strongly_connected(edges) {
        if circle.len() < 2 {
            continue;
        }
        circle.sort_unstable();
        let inner = circle.iter().flat_map(|reader| edges[reader].iter());
        let lines = inner
            .filter(|(writer, _)| circle.contains(writer))
            .map(|(_, line)| *line);
        let detail = format!("transactions {circle:?} read from each other");
        findings.report(Finding::new(Anomaly::CircularFlow, detail).lines(lines));
    }
}

/// Tarjan's components, without recursion, because a history chooses the depth.
fn strongly_connected(edges: &Edges) -> Vec<Vec<u64>> {
    #[derive(Clone, Copy)]
    struct Node {
        index: usize,
        low: usize,
        on_stack: bool,
    }
    let mut nodes: BTreeMap<u64, Node> = BTreeMap::new();
    let (mut stack, mut components) = (Vec::new(), Vec::new());
    let targets = |node: u64| -> Vec<u64> {
        edges
            .get(&node)
            .map(|to| to.keys().copied().collect())
            .unwrap_or_default()
    };
    for root in edges.keys().copied() {
        if nodes.contains_key(&root) {
            continue;
        }
        let mut path = Vec::new();
        let mut enter = Some(root);
        loop {
            if let Some(node) = enter.take() {
                let index = nodes.len();
                nodes.insert(
                    node,
                    Node {
                        index,
                        low: index,
                        on_stack: true,
                    },
                );
                stack.push(node);
                path.push((node, targets(node)));
            }
            let Some((node, open)) = path.last_mut() else {
                break;
            };
            let node = *node;
            if let Some(target) = open.pop() {
                match nodes.get(&target).copied() {
                    None => enter = Some(target),
                    Some(seen) if seen.on_stack => lower(
                        &mut nodes.get_mut(&node).expect("it was entered").low,
                        seen.index,
                    ),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            let done = nodes[&node];
            if let Some((parent, _)) = path.last() {
                lower(
                    &mut nodes.get_mut(parent).expect("it was entered").low,
                    done.low,
                );
            }
            if done.low == done.index {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    nodes.get_mut(&member).expect("it was entered").on_stack = false;
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                components.push(component);
            }
        }
    }
    components
}

fn lower(low: &mut usize, bound: usize) {
    *low = (*low).min(bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(pairs: &[(u64, u64)]) -> Vec<Vec<u64>> {
        let mut edges = Edges::new();
        for (reader, writer) in pairs {
            edges.entry(*reader).or_default().insert(*writer, 1);
        }
        let mut circles = strongly_connected(&edges);
        circles.retain(|circle| circle.len() > 1);
        circles.iter_mut().for_each(|circle| circle.sort_unstable());
        circles
    }

    #[test]
    fn finds_circles_and_nothing_else() {
        assert!(circles(&[(1, 2), (2, 3), (1, 3)]).is_empty());
        assert_eq!(circles(&[(1, 2), (2, 3), (3, 1), (3, 4)]), [[1, 2, 3]]);
        assert_eq!(circles(&[(1, 2), (2, 1), (3, 4), (4, 3), (2, 3)]).len(), 2);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let chain: Vec<(u64, u64)> = (0..200_000).map(|node| (node, node + 1)).collect();
        assert!(circles(&chain).is_empty());
    }
}
