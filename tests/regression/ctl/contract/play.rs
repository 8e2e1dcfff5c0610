//! A stage: two clusters that are made up, a folder of a user who knows them, and the tool.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chronik_local::wait;
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::super::RUN_BOUND;
use super::text;
use super::world::{Doors, Health, World};
use super::{admin, kafka};
use crate::support::{chronikctl, server, test_dir};

/// Where lines are typed.
pub(super) struct Stage {
    dir: TempDir,
    whole: Arc<World>,
    hurt: Arc<World>,
    /// What is different in every run, with its name.
    names: BTreeMap<String, String>,
    _runtime: Runtime,
}

/// A line that was typed, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) line: String,
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// What was changed in a cluster, by the names of the methods.
    pub(super) changes: Vec<String>,
}

/// Whom a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    /// There is no terminal.
    Absent,
    /// Somebody sits at one, and types this.
    Types(&'static str),
}

/// The cluster that all contexts but one are pinned to.
pub(super) const CLUSTER: &str = "made-up-cluster";
/// Nobody listens there, and no test is given this port.
const NOWHERE: &str = "127.0.0.9:1";
/// What `produce` reads.
const INPUT: &str = "first\nsecond\n";

impl Stage {
    pub(super) fn open() -> Stage {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let dir = test_dir();
        let mut names = BTreeMap::new();
        let whole = perform(&runtime, Health::Whole, &mut names);
        let hurt = perform(&runtime, Health::Hurt, &mut names);
        names.insert(dir.path().display().to_string(), "/HOME".to_owned());
        let stage = Stage {
            dir,
            whole,
            hurt,
            names,
            _runtime: runtime,
        };
        stage.furnish();
        stage
    }

    /// Types a line where there is no terminal.
    pub(super) fn play(&self, line: &str) -> Scene {
        self.play_for(line, Person::Absent)
    }

    /// Types a line. What stands after a bar is how many lines of the answer are kept.
    pub(super) fn play_for(&self, line: &str, person: Person) -> Scene {
        self.whole.reset();
        self.hurt.reset();
        let (typed, kept) = match line.split_once(" | head -") {
            Some((typed, count)) => (typed, count.parse().expect("a number of lines")),
            None => (line, usize::MAX),
        };
        let words = text::words(typed);
        let (program, arguments) = words.split_first().expect("a program");
        assert_eq!(program, "chronikctl", "{line}");
        let said = TempDir::new_in(self.dir.path()).expect("a folder for what is said");
        let (out, err) = (said.path().join("out"), said.path().join("err"));
        let mut command = self.command();
        command
            .args(arguments)
            .stdout(File::create(&out).expect("a file"));
        let terminal = sit_down(&mut command, person, &err);
        let mut child = command.spawn().expect("the tool starts");
        drop(command);
        let heard = terminal.map(|terminal| converse(terminal, person));
        let code = end_of(&mut child, line);
        let stderr = match heard {
            Some(heard) => heard.join().expect("a listener"),
            None => fs::read_to_string(&err).expect("text"),
        };
        let stdout = fs::read_to_string(&out).expect("text");
        let kept: String = stdout.split_inclusive('\n').take(kept).collect();
        Scene {
            line: line.to_owned(),
            code,
            stdout: kept,
            stderr,
            changes: [self.whole.changes(), self.hurt.changes()].concat(),
        }
    }

    /// A scene as a golden file tells it.
    pub(super) fn told(&self, scene: &Scene) -> String {
        let mut told = format!("{}{}\n", text::PROMPT, scene.line);
        told.push_str(&text::settled(&scene.stdout, &self.names));
        if !scene.stderr.is_empty() {
            told.push_str("--- standard error\n");
            told.push_str(&text::settled(&scene.stderr, &self.names));
        }
        told.push_str(&format!("--- exit {}\n\n", scene.code));
        told
    }

    fn command(&self) -> Command {
        let mut command = Command::new(chronikctl());
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("USER", "somebody")
            .env(
                "PATH",
                server().parent().expect("the folder of the programs"),
            )
            .current_dir(self.dir.path());
        command
    }

    /// Contexts, and files that lines name.
    fn furnish(&self) {
        let path = |name: &str| self.dir.path().join(name);
        fs::create_dir_all(path(".config/chronik")).expect("a folder");
        let nowhere = NOWHERE.to_owned();
        let slow = self.whole.doors[0].slow.clone();
        let admin = self.whole.addresses(|doors| &doors.admin);
        let kafka = self.whole.addresses(|doors| &doors.kafka);
        let hurt_admin = self.hurt.addresses(|doors| &doors.admin);
        let hurt_kafka = self.hurt.addresses(|doors| &doors.kafka);
        let contexts = [
            ("test", &admin, &kafka, CLUSTER, ""),
            ("hurt", &hurt_admin, &hurt_kafka, CLUSTER, ""),
            ("other", &admin, &kafka, "another-cluster", ""),
            ("guarded", &admin, &kafka, CLUSTER, "protect = true"),
            ("frozen", &admin, &kafka, CLUSTER, "read_only = true"),
        ];
        let mut text = "current = \"test\"\n".to_owned();
        for (name, admin, kafka, cluster, more) in contexts {
            text += &format!(
                "[contexts.{name}]\ntype = \"chronik\"\nadmin = {admin:?}\nbootstrap = {kafka:?}\n\
                 cluster_id = \"{cluster}\"\n{more}\n"
            );
        }
        text += &format!("[contexts.plain]\ntype = \"kafka\"\nbootstrap = {kafka:?}\n");
        for (name, address) in [("nowhere", &nowhere), ("slow", &slow)] {
            text +=
                &format!("[contexts.{name}]\nadmin = [{address:?}]\nbootstrap = [{address:?}]\n");
        }
        fs::write(path(".config/chronik/config.toml"), text).expect("contexts");
        fs::write(path("input.txt"), INPUT).expect("input");
        // One is for another layout, of the other everything is there.
        let plan = |from: [u64; 2], to: [u64; 2]| {
            serde_json::json!({
                "kind": "PlacementPlan", "v": 1,
                "data": {
                    "cluster_id": CLUSTER, "catalog_version": 20, "goal": "balance",
                    "moves": [{ "group": "orders/0", "from": from, "to": to }], "copies": 1,
                },
            })
        };
        let (old, done) = (plan([2, 3], [1, 3]), plan([2, 3], [1, 2]));
        fs::write(path("old-plan.json"), old.to_string()).expect("a plan");
        fs::write(path("done-plan.json"), done.to_string()).expect("a plan");
        fs::create_dir_all(path(".local/state/chronik")).expect("a folder");
        let entry = serde_json::json!({
            "ts": "2025-11-28T12:00:00.000Z", "who": "somebody", "context": "test",
            "cluster_id": CLUSTER, "request_id": "made-up-request",
            "command": ["chronikctl", "raft", "step-down", "--group", "meta", "--yes"],
            "outcome": "exit 0",
        });
        let journal = path(".local/state/chronik/journal.jsonl");
        let mut journal = OpenOptions::new()
            .create(true)
            .append(true)
            .open(journal)
            .expect("a journal");
        writeln!(journal, "{entry}").expect("an entry");
    }
}

/// Opens the doors of one cluster.
fn perform(runtime: &Runtime, health: Health, names: &mut BTreeMap<String, String>) -> Arc<World> {
    let _guard = runtime.enter();
    let word = match health {
        Health::Whole => "A",
        Health::Hurt => "H",
    };
    let mut doors = Vec::new();
    let mut listeners = Vec::new();
    for node in 1..=3 {
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.set_nonblocking(true).expect("no waiting");
            let address = listener.local_addr().expect("an address").to_string();
            (
                tokio::net::TcpListener::from_std(listener).expect("a listener"),
                address,
            )
        };
        let (admin, kafka, slow) = (listen(), listen(), listen());
        for (letter, address) in [("ADM", &admin.1), ("KAF", &kafka.1), ("SLO", &slow.1)] {
            let name = format!("127.0.0.1:{letter}{word}{node}");
            names.insert(address.clone(), name);
        }
        doors.push(Doors {
            admin: admin.1,
            kafka: kafka.1,
            slow: slow.1,
        });
        listeners.push((node, admin.0, kafka.0, slow.0));
    }
    let world = Arc::new(World::new(health, doors));
    for (node, admin, kafka, slow) in listeners {
        runtime.spawn(admin::serve(world.clone(), node, admin));
        runtime.spawn(kafka::serve(world.clone(), node, kafka));
        // Whoever connects there hears nothing.
        runtime.spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = slow.accept().await {
                held.push(stream);
            }
        });
    }
    world
}

/// Gives a command its standard input and standard error: a terminal if somebody sits there.
fn sit_down(command: &mut Command, person: Person, err: &std::path::Path) -> Option<OwnedFd> {
    if person == Person::Absent {
        command.stdin(Stdio::null());
        command.stderr(File::create(err).expect("a file"));
        return None;
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal of ours");
    unlockpt(&master).expect("a terminal that opens");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let name = name.into_string().expect("text");
    let terminal = || {
        let mut options = OpenOptions::new();
        // It is nobody's controlling terminal, whoever runs the tests.
        let flags = OFlags::NOCTTY.bits().cast_signed();
        options.read(true).write(true).custom_flags(flags);
        options.open(&name).expect("the other end")
    };
    command.stdin(terminal()).stderr(terminal());
    Some(master)
}

/// Types an answer, and hears what is said until the other side hangs up.
fn converse(terminal: OwnedFd, person: Person) -> std::thread::JoinHandle<String> {
    let Person::Types(answer) = person else {
        unreachable!("nobody sits there");
    };
    std::thread::spawn(move || {
        // A terminal keeps what is typed before anybody asks.
        rustix::io::write(&terminal, answer.as_bytes()).expect("a terminal takes it");
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = rustix::io::read(&terminal, &mut buffer) {
            heard.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&heard).replace("\r\n", "\n")
    })
}

fn end_of(child: &mut Child, line: &str) -> i32 {
    let ended = wait::until("the end of the tool", RUN_BOUND, || {
        child.try_wait().expect("a child of ours")
    });
    if ended.is_err() {
        _ = child.kill();
    }
    let status = ended.unwrap_or_else(|late| panic!("{line}: {late}"));
    status.code().expect("no signal ended it")
}
