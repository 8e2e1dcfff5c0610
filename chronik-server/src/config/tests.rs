//! What the configuration accepts, refuses, and says about it.

use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::definition::definitions;
use super::layers::Layers;
use super::*;

/// Loads from the text of a file, variables and flags.
fn load(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<(Config, Vec<String>), ConfigError> {
    let mut layers = Layers::default();
    layers.take_text("chronik.toml".into(), file);
    layers.take_environment(&Environment {
        variables: variables
            .iter()
            .map(|(name, text)| ((*name).to_owned(), OsString::from(text)))
            .collect(),
        no_color: false,
        chaos: chaos::Orders::default(),
    });
    layers.take_flags(
        flags
            .iter()
            .map(|(path, text)| (*path, (*text).to_owned()))
            .collect(),
    );
    layers.into_config()
}

fn refusal(file: &str) -> String {
    load(file, &[], &[])
        .expect_err("the file should be refused")
        .to_string()
}

fn accepted(file: &str) -> Config {
    load(file, &[], &[]).expect("the file is valid").0
}

#[test]
fn every_default_and_bound_parses() {
    let config = Config::default();
    assert_eq!(config.kafka.listen.to_string(), "127.0.0.1:9092");
    for definition in definitions() {
        let Some((low, high)) = definition.range else {
            continue;
        };
        for bound in [low, high] {
            let result = load("", &[], &[(definition.path, bound)]);
            let out_of_range = result
                .err()
                .is_some_and(|error| error.to_string().contains("must lie between"));
            assert!(!out_of_range, "{} = {bound}", definition.path);
        }
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = "[topic]\ndefault_partitions = 5\n";
    let variables = [("CHRONIK_TOPIC_DEFAULT_PARTITIONS", "6")];
    let flags = [("topic.default_partitions", "7")];
    let partitions = |result: Result<(Config, Vec<String>), ConfigError>| {
        result.expect("valid").0.topic.default_partitions
    };
    assert_eq!(partitions(load("", &[], &[])), 4);
    assert_eq!(partitions(load(file, &[], &[])), 5);
    assert_eq!(partitions(load(file, &variables, &[])), 6);
    assert_eq!(partitions(load(file, &variables, &flags)), 7);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_key() {
    assert_eq!(
        refusal("# head\n[kafka]\nlisten = \"127.0.0.1:1\"\nadvertized = \"a:1\"\n"),
        "chronik.toml, line 4: unknown key `kafka.advertized`; did you mean `kafka.advertised`?"
    );
    assert_eq!(
        refusal("[kafak]\nlisten = \"127.0.0.1:1\"\n"),
        "chronik.toml, line 2: unknown key `kafak.listen`; did you mean `kafka.listen`?"
    );
    assert_eq!(
        refusal("\n[kafak]\n"),
        "chronik.toml, line 2: unknown section `kafak`; did you mean `kafka`?"
    );
    assert!(refusal("zzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 1").contains("config default"));
}

#[test]
fn dotted_keys_and_sections_are_the_same() {
    let dotted = accepted("kafka.listen = \"127.0.0.1:1\"\n");
    assert_eq!(dotted, accepted("[kafka]\nlisten = \"127.0.0.1:1\"\n"));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let refusal = refusal("[raft]\ntick = \"250\"\n[node]\nid = -1\nname = \"a\"\n");
    assert_eq!(
        refusal.lines().collect::<Vec<_>>(),
        [
            "chronik.toml, line 2: `raft.tick` = \"250\": a unit is missing: write 250ms",
            "chronik.toml, line 4: `node.id` = \"-1\": expected a whole number, not negative, like 8",
            "chronik.toml, line 5: unknown key `node.name`; did you mean `node.rack`?",
        ]
    );
}

#[test]
fn a_syntax_error_names_its_line() {
    assert!(refusal("[node]\nid = 1\nid = 2\n").starts_with("chronik.toml, line 3: "));
    assert!(refusal("[node\n").starts_with("chronik.toml, line 1: "));
}

#[test]
fn a_wrong_value_names_its_flag_or_variable() {
    let from_flag = load("", &[], &[("wal.io", "fast")]).expect_err("no such mode");
    assert_eq!(
        from_flag.to_string(),
        "flag --wal-io: `wal.io` = \"fast\": expected auto, direct or buffered"
    );
    let from_variable = load("", &[("CHRONIK_NODE_ID", "one")], &[]).expect_err("no number");
    assert!(
        from_variable
            .to_string()
            .starts_with("environment CHRONIK_NODE_ID: `node.id` = \"one\": ")
    );
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let (_, warnings) = load("", &[("CHRONIK_KAFKA_LISTN", "x")], &[]).expect("only a warning");
    assert_eq!(
        warnings,
        [
            "unknown environment variable CHRONIK_KAFKA_LISTN is ignored; did you mean `CHRONIK_KAFKA_LISTEN`?"
        ]
    );
}

#[test]
fn quantities_carry_units() {
    let config = accepted("[wal]\nsegment_size = \"64 MiB\"\nlinger_max = \"2ms\"\n");
    assert_eq!(config.wal.segment_size, Size(64 << 20));
    assert_eq!(config.wal.linger_max, Duration::from_millis(2));
    assert!(refusal("[wal]\nsegment_size = \"64MB\"\n").contains("unknown unit `MB`"));
    assert!(refusal("[wal]\nsegment_size = 67108864\n").contains("a unit is missing"));
    assert!(refusal("[wal]\nlinger_max = \"-1ms\"\n").contains("expected a duration"));
    assert!(refusal("[cache]\ntail_bytes = \"99999999999999TiB\"\n").contains("expected a size"));
}

#[test]
fn values_are_written_as_they_are_read() {
    assert_eq!(Size(4096).to_string(), "4KiB");
    assert_eq!(Size(0).to_string(), "0B");
    assert_eq!(Size((1 << 20) + 1).to_string(), "1048577B");
    let door = accepted("[kafka]\nlisten = \"[::1]:9092\"\n").kafka.listen;
    assert_eq!(door.to_string(), "[::1]:9092");
}

#[test]
fn rules_between_keys_name_the_value_to_write() {
    let cases = [
        (
            "[raft]\nheartbeat_ticks = 3\n",
            "`raft.election_ticks` = 8 is less than four times",
        ),
        (
            "[cluster]\nmin_insync_replicas = 2\n",
            "line 2: `cluster.min_insync_replicas` = 2 exceeds",
        ),
        (
            "[cluster]\ndefault_replication_factor = 3\n",
            "there is 1; write 1",
        ),
        (
            "[kafka]\nlisten = \"0.0.0.0:9092\"\n",
            "set `kafka.advertised`",
        ),
        (
            "[kafka]\nadvertised = \"[::]:9092\"\n",
            "an address nobody can connect to",
        ),
        (
            "[admin]\nlisten = \"localhost:9092\"\n",
            "collides with `kafka.listen`",
        ),
        (
            "[raft]\nsuspect_after = \"200ms\"\n",
            "line 2: `raft.suspect_after` = 200ms is less than three times `raft.peer_ping` = 100ms: \
             one late sign of life would depose leaders; write at least 300ms",
        ),
        ("[wal]\nsegment_size = \"8388609B\"\n", "write 8196KiB"),
        (
            "[wal]\nframe_max = \"64MiB\"\nsegment_size = \"64MiB\"\n",
            "at least two frames",
        ),
        (
            "[limits]\nrequest_bytes = \"1MiB\"\n",
            "cannot hold one request",
        ),
    ];
    for (file, expected) in cases {
        let refusal = refusal(file);
        assert!(refusal.contains(expected), "{file}: {refusal}");
    }
}

#[test]
fn a_list_of_nodes_must_lead_everybody_to_everybody() {
    let cases = [
        (
            "[cluster]\npeers = [\"2@b:1\", \"3@c:1\"]\n",
            "line 2: `cluster.peers` names the nodes 2, 3, but `node.id` is 1; set `node.id` to one of them",
        ),
        (
            "[cluster]\npeers = [\"1@a:1\", \"2@b:1\", \"2@c:1\"]\n",
            "gives the id 2 to \"2@b:1\" and \"2@c:1\"",
        ),
        (
            "[cluster]\npeers = [\"1@a:1\", \"2@a:1\"]\n",
            "gives one address to \"1@a:1\" and \"2@a:1\"",
        ),
        (
            "[cluster]\npeers = [\"1@a:1\", \"2@0.0.0.0:1\"]\n",
            "by which other nodes reach node 2, like \"2@node-2.example:9192\"",
        ),
        (
            "[peer]\nadvertised = \"0.0.0.0:9192\"\n",
            "line 2: `peer.advertised` = \"0.0.0.0:9192\" is an address nobody can connect to",
        ),
        (
            "[peer]\nadvertised = \"a:9\"\n[cluster]\npeers = [\"1@b:9\", \"2@c:9\"]\n",
            "line 2: `peer.advertised` = \"a:9\" differs from this node's entry \"1@b:9\"",
        ),
        (
            "[cluster]\npeers = [\"1@127.0.0.1:9\", \"2@127.0.0.1:8\"]\n",
            "`peer.listen` = \"127.0.0.1:9192\" is another port than this node's entry \"1@127.0.0.1:9\"",
        ),
        (
            "[cluster]\npeers = [\"1@a:9192\", \"2@b:9192\"]\n",
            "write `peer.listen` = \"0.0.0.0:9192\"",
        ),
    ];
    for (file, expected) in cases {
        let refusal = refusal(file);
        assert!(refusal.contains(expected), "{file}: {refusal}");
    }
}

#[test]
fn three_nodes_replicate_three_times_and_need_a_majority() {
    let three = accepted(
        "[peer]\nlisten = \"0.0.0.0:9192\"\n[cluster]\npeers = [\"1@a:9192\", \"2@b:9192\", \"3@c:9192\"]\n",
    );
    assert_eq!(three.cluster.replication_factor(), 3);
    assert_eq!(three.cluster.in_sync_minimum(), 2);
    assert_eq!(three.peer_address().to_string(), "a:9192");
    let one = Config::default();
    assert_eq!(one.cluster.replication_factor(), 1);
    assert_eq!(one.cluster.in_sync_minimum(), 1);
    assert_eq!(one.peer_address().to_string(), "127.0.0.1:9192");
}

#[test]
fn numbers_that_help_nobody_are_warned_about() {
    let two = "[cluster]\npeers = [\"1@localhost:9192\", \"2@localhost:9193\"]\n";
    let (_, warnings) = load(two, &[], &[]).expect("valid");
    assert!(
        warnings.len() == 1 && warnings[0].contains("names 2 nodes"),
        "{warnings:?}"
    );
    let factor = [("cluster.default_replication_factor", "2")];
    let (_, warnings) = load(two, &[], &factor).expect("valid");
    assert!(
        warnings[0].contains("survives no more failures than 1"),
        "{warnings:?}"
    );
    let three = "[cluster]\nmin_insync_replicas = 3\npeers = [\"1@localhost:9192\", \"2@localhost:1\", \"3@localhost:2\"]\n";
    let (_, warnings) = load(three, &[], &[]).expect("valid");
    assert!(
        warnings[0].contains("while one node is away"),
        "{warnings:?}"
    );
}

#[test]
fn a_free_port_may_be_asked_for_everywhere() {
    let flags = [
        ("kafka.listen", "127.0.0.1:0"),
        ("peer.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
    ];
    load("", &[], &flags).expect("free ports do not collide");
}

#[test]
fn log_filters_are_severities_or_directives() {
    for filter in ["debug", "off", "info,chronik_server::raft=debug"] {
        load("", &[], &[("log.level", filter)]).expect("a filter");
    }
    for filter in ["inof", "", "info,", "=debug", "a=b"] {
        load("", &[], &[("log.level", filter)]).expect_err("no filter");
    }
}

#[test]
fn the_default_file_uncommented_gives_the_defaults() {
    let file: String = docs::default_file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(assignment) if !assignment.starts_with(' ') => format!("{assignment}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(file.contains("\nlisten = \"127.0.0.1:9092\"\n"), "{file}");
    assert_eq!(accepted(&file), Config::default());
}

#[test]
fn documents_are_the_same_every_time_and_mention_every_key() {
    assert_eq!(docs::reference(), docs::reference());
    for definition in definitions() {
        assert!(docs::reference().contains(&format!("| `{}` |", definition.path)));
        let explanation = docs::explain(definition.path).expect("every key is explained");
        assert!(explanation.contains(&definition.variable()));
        assert!(definition.sentence.ends_with('.'), "{}", definition.path);
    }
    assert!(docs::explain("raft").is_some_and(|text| text.contains("raft.tick")));
    assert!(docs::explain("raft.tock").is_none());
}

#[test]
fn the_command_line_has_a_flag_for_every_key() {
    cli::command().debug_assert();
    let arguments = ["chronik-server", "--wal-io", "direct", "--node-id=7"];
    let invocation = cli::parse(arguments.map(OsString::from), Environment::default());
    let Ok(cli::Invocation::Serve(sources)) = invocation else {
        panic!("the arguments ask to serve");
    };
    let config = sources.load().expect("valid").config;
    assert_eq!((config.wal.io, config.node.id), (IoMode::Direct, 7));
}

#[test]
fn the_command_line_refuses_with_the_nearest_word() {
    let refuse = |arguments: &[&str]| {
        let arguments = arguments.iter().map(OsString::from);
        let error = cli::parse(arguments, Environment::default()).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refuse(&["chronik-server", "--kafka-lisen", "a:1"]).contains("--kafka-listen"));
    let unknown_key = refuse(&["chronik-server", "config", "explain", "raft.election_tick"]);
    assert!(
        unknown_key.contains("`raft.election_ticks`"),
        "{unknown_key}"
    );
}

proptest! {
    #[test]
    fn no_file_and_no_value_panics(file in any_file(), path in any_path(), text in "\\PC{0,24}") {
        let _ = load(&file, &[("CHRONIK_RAFT_TICK", &text)], &[(path, &text)]);
    }

    #[test]
    fn any_bytes_are_a_file_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&String::from_utf8_lossy(&bytes), &[], &[]);
    }
}

/// Files that look like configuration more often than chance would have it.
fn any_file() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z_.\"\\[\\]= ]{0,30}",
        Just("[raft]".to_owned()),
        Just("[[raft]]".to_owned()),
        (any_path(), "\\PC{0,12}").prop_map(|(path, text)| format!("{path} = \"{text}\"")),
        (any_path(), "[-+0-9a-fxoe._:TZ\\[\\]{}, ]{0,20}")
            .prop_map(|(path, text)| format!("{path} = {text}")),
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

fn any_path() -> impl Strategy<Value = &'static str> {
    let paths: Vec<&'static str> = definitions().map(|definition| definition.path).collect();
    proptest::sample::select(paths)
}
