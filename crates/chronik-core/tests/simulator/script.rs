//! Plays a script: one command a line, and what happens must be the indented lines below it.
//!
//! Nodes are numbered from 1. Nothing happens by itself: messages take 1 ms, a sync 0.5 ms, a tick 10 ms.

use std::fmt::Write as _;

use chronik_core::group::Change;

use crate::disk::Crash;
use crate::machine::Machine;
use crate::nemesis::Plan;
use crate::trace::Trace;
use crate::world::{Event, World};

pub(crate) fn check(script: &str) {
    let mut world = None;
    let mut played = String::new();
    for line in script.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(played, "{line}").expect("a string takes everything");
        let mut words = line.split_whitespace();
        match words.next() {
            None | Some("#") => continue,
            Some("nodes") => {
                let nodes = number(words.next());
                let voters = words.next().map_or(nodes, |word| number(Some(word)));
                world = Some(World::new(
                    Plan::quiet(nodes, voters),
                    Trace::telling(),
                    None,
                ));
            }
            Some(verb) => {
                let world = world.as_mut().expect("a script begins with its nodes");
                play(world, verb, &words.collect::<Vec<_>>());
                played.push_str(&world.trace.take_told());
            }
        }
    }
    assert!(played == script, "it went otherwise:\n{played}");
}

fn play(world: &mut World, verb: &str, words: &[&str]) {
    let first = words.first().copied();
    match verb {
        "run" => {
            let ticks = number(first) as u64;
            world.run_until(world.now + ticks * world.plan.tick_us);
        }
        "cut" => cut(world, first.expect("what to cut")),
        "heal" => world.network.heal(),
        "kill" => world.crash(node(first), Crash::Kill),
        "power-cut" => world.crash(node(first), Crash::PowerCut),
        "restart" => world.restart(node(first)),
        "stall" => world.nodes[node(first)].disk.stalled_until = u64::MAX,
        "flow" => flow(world, node(first)),
        "produce" => {
            let sequence = number(words.get(1).copied()) as i32;
            let sent = world.clients.by_hand(node(first), sequence);
            world.after(0, Event::Produce(Box::new(sent)));
            world.run_until(world.now);
        }
        "step-down" => step_down(world, node(first), words.get(1).copied()),
        "campaign" => told(world.with_now(node(first), 0, Machine::campaign)),
        "suspect" => {
            let leader = replica_on(world, node(words.get(1).copied()));
            told(world.with_now(node(first), 0, |replica| {
                replica.suspect(leader);
                replica.campaign();
            }));
        }
        "abdicate" => told(world.with_now(node(first), 0, Machine::abdicate)),
        "join" => _ = world.create(node(first), 0, Vec::new()),
        "change" => change(world, words),
        "pace" => pace(world, words),
        "release" => _ = world.release(node(first), 0),
        "trim" => world.trim(node(first), 0, number(words.get(1).copied()) as u64),
        "checkpoint" => world.checkpoint(node(first)),
        "read" => world.read(node(first), 0),
        other => panic!("there is no command {other}"),
    }
}

/// `1-2` cuts both ways, `1>2` one, `1` everything to and from it.
fn cut(world: &mut World, what: &str) {
    if let Some((from, to)) = what.split_once('>') {
        world.network.cut(node(Some(from)), node(Some(to)));
    } else if let Some((one, other)) = what.split_once('-') {
        let (one, other) = (node(Some(one)), node(Some(other)));
        world.network.cut(one, other);
        world.network.cut(other, one);
    } else {
        let lonely = node(Some(what));
        for other in (0..world.nodes.len()).filter(|other| *other != lonely) {
            world.network.cut(lonely, other);
            world.network.cut(other, lonely);
        }
    }
}

/// A stalled disk goes on.
fn flow(world: &mut World, node: usize) {
    world.nodes[node].disk.stalled_until = 0;
    let life = world.nodes[node].life;
    if !world.nodes[node].disk.is_idle() {
        world.after(500, Event::Synced { node, life });
    }
}

/// To the named node, or to the next one.
fn step_down(world: &mut World, leader: usize, to: Option<&str>) {
    let members = world.nodes[leader].hosted[&0].replica.group().members();
    let me = replica_on(world, leader);
    let to = match to {
        Some(to) => replica_on(world, node(Some(to))),
        None => {
            let other = members.voters.iter().find(|voter| **voter != me);
            *other.expect("somebody else could lead")
        }
    };
    let begun = world.with_now(leader, 0, |replica| replica.transfer(to));
    if let Some(Err(refused)) = begun {
        world.trace.tell(|| format!("refused: {refused}"));
    }
}

/// `change 1 voter 4 remove 2`: node 1 proposes.
fn change(world: &mut World, words: &[&str]) {
    let wishes = words[1..].chunks_exact(2).map(|wish| {
        let replica = replica_on(world, node(Some(wish[1])));
        match wish[0] {
            "voter" => Change::Voter(replica),
            "learner" => Change::Learner(replica),
            "remove" => Change::Remove(replica),
            other => panic!("there is no change {other}"),
        }
    });
    let wishes: Vec<Change> = wishes.collect();
    let leader = node(words.first().copied());
    if let Some(Err(refused)) = world.with_now(leader, 0, |replica| replica.change_members(&wishes))
    {
        world.trace.tell(|| format!("refused: {refused}"));
    }
}

/// `pace 1 4`: what node 4 lacks waits on node 1 until it is released. `pace 1`: nobody has to wait.
fn pace(world: &mut World, words: &[&str]) {
    let paced = words[1..].iter().map(|word| node(Some(word)));
    let paced: Vec<u64> = paced.map(|node| replica_on(world, node)).collect();
    let leader = node(words.first().copied());
    let now_ms = world.now / 1000;
    world.nodes[leader].throttle.limit(now_ms, Some(0));
    told(world.with_now(leader, 0, |replica| replica.pace(&paced)));
}

fn replica_on(world: &World, node: usize) -> u64 {
    let hosted = world.nodes[node].hosted.get(&0);
    hosted.map_or(node as u64 + 1, |hosted| hosted.id)
}

fn node(word: Option<&str>) -> usize {
    number(word) - 1
}

fn number(word: Option<&str>) -> usize {
    let word = word.expect("a number belongs here");
    word.parse().expect("a number belongs here")
}

fn told(done: Option<()>) {
    done.expect("the node is up");
}
