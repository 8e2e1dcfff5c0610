//! Who may use a data directory, and what the others are told.

use tempfile::TempDir;

use super::*;

/// An empty place and a configuration that uses it.
fn place() -> (TempDir, Config) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut config = Config::default();
    config.node.data_dir = directory.path().join("some/data");
    (directory, config)
}

fn refusal(config: &Config) -> DataDirError {
    DataDir::open(config).expect_err("the directory should be refused")
}

fn meta_of(config: &Config) -> PathBuf {
    config.node.data_dir.join(identity::FILE)
}

#[test]
fn birth_is_once() {
    let (_place, config) = place();
    let (held, born) = DataDir::open(&config).expect("made");
    drop(held);
    let (held, found) = DataDir::open(&config).expect("opened again");
    assert_eq!(born, found);
    assert_eq!((born.node_id, born.incarnation), (1, 1));
    assert_eq!(held.path(), config.node.data_dir);
    let (_other_place, config) = self::place();
    let (_, other) = DataDir::open(&config).expect("made");
    assert_ne!(
        (born.cluster_id, born.node_uuid),
        (other.cluster_id, other.node_uuid)
    );
}

#[test]
fn a_directory_in_use_names_its_user() {
    let (_place, config) = place();
    let _held = DataDir::open(&config).expect("made");
    let refusal = refusal(&config);
    let this_pid = std::process::id();
    assert!(matches!(&refusal, DataDirError::InUse { pid: Some(pid), .. } if *pid == this_pid));
    assert!(refusal.to_string().contains(&format!("(pid {this_pid})")));
}

#[test]
fn another_node_or_cluster_is_refused_with_the_way_out() {
    let (_place, mut config) = place();
    config.cluster.id = Some("green".to_owned());
    drop(DataDir::open(&config).expect("made"));
    config.cluster.id = Some("blue".to_owned());
    assert!(
        refusal(&config)
            .to_string()
            .contains("set `cluster.id` to green")
    );
    config.cluster.id = None;
    config.node.id = 2;
    assert!(refusal(&config).to_string().contains("set `node.id` to 1"));
    config.node.id = 1;
    DataDir::open(&config).expect("its owner again");
}

#[test]
fn a_newer_format_is_refused_whatever_else_it_says() {
    let (_place, config) = place();
    drop(DataDir::open(&config).expect("made"));
    fs::write(meta_of(&config), "format = 2\nowner = []\n").expect("written");
    assert!(matches!(
        refusal(&config),
        DataDirError::NewerFormat {
            found: 2,
            known: 1,
            ..
        }
    ));
}

#[test]
fn damage_is_never_taken_for_birth() {
    let (_place, config) = place();
    drop(DataDir::open(&config).expect("made"));
    let whole = fs::read_to_string(meta_of(&config)).expect("text");
    // The last line may end anywhere, since half a number is a number; its absence shows only in the line before.
    let last_line = whole.trim_end().rfind('\n').expect("several lines");
    for length in 0..=last_line {
        fs::write(meta_of(&config), &whole[..length]).expect("written");
        assert!(
            matches!(refusal(&config), DataDirError::Damaged { .. }),
            "{length}"
        );
    }
}

#[test]
fn a_log_without_identity_is_not_overwritten() {
    let (_place, config) = place();
    drop(DataDir::open(&config).expect("made"));
    fs::create_dir(config.node.data_dir.join(LOG_FOLDER)).expect("made");
    fs::write(config.node.data_dir.join(LOG_FOLDER).join("1.seg"), "x").expect("written");
    fs::remove_file(meta_of(&config)).expect("removed");
    assert!(matches!(
        refusal(&config),
        DataDirError::IdentityMissing { .. }
    ));
}

#[test]
fn names_with_quotes_survive() {
    let (_place, mut config) = place();
    config.cluster.id = Some("a\"b\\c".to_owned());
    drop(DataDir::open(&config).expect("made"));
    DataDir::open(&config).expect("the same cluster");
}
