//! The command line of an Apache Kafka node: KRaft, broker and controller in one process, as shipped.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::LocalError;
use crate::foreign::{maven, run};
use crate::host::Host;
use crate::node::Node;
use crate::ports::free_port;
use crate::process::Launch;

/// The current release, from Maven Central.
pub const VERSION: &str = "4.3.0";

/// A JVM on a busy two-core machine.
const READY_BOUND: Duration = Duration::from_secs(120);
/// `KAFKA_HEAP_OPTS` of the shipped `kafka-server-start.sh`.
const SERVER_HEAP: [&str; 2] = ["-Xmx1G", "-Xms1G"];
/// `KAFKA_HEAP_OPTS` of the shipped performance tools.
const TOOL_HEAP: &str = "-Xmx512M";
/// `KAFKA_JVM_PERFORMANCE_OPTS` of the shipped `kafka-run-class.sh`.
const PERFORMANCE: [&str; 7] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
struct Doors {
    kafka: SocketAddr,
    controller: SocketAddr,
}

impl Doors {
    fn free() -> Result<Self, LocalError> {
        Ok(Self {
            kafka: (Ipv4Addr::LOCALHOST, free_port()?).into(),
            controller: (Ipv4Addr::LOCALHOST, free_port()?).into(),
        })
    }

    /// Broker and controller use the ports that Chronik has for clients and peers.
    fn on(host: &Host) -> Self {
        let doors = host.doors();
        Self {
            kafka: doors.kafka,
            controller: doors.peer,
        }
    }
}

/// How to start a node: a folder of its own and settings by their names in `server.properties`.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    dir: PathBuf,
    settings: Vec<(String, String)>,
}

impl KafkaOptions {
    /// `dir` holds configuration, data and log; it must exist and be empty.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            settings: Vec::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Formats the data directory, starts the node on free loopback ports and waits until it serves.
    pub fn start(&self) -> Result<Node, LocalError> {
        let doors = Doors::free()?;
        let mut node = self.node(1, &[doors], None)?;
        node.begin()?;
        Ok(node)
    }

    /// So many nodes, each broker and controller, formatted, on free loopback ports, with folders `node-1` and so on.
    /// Internal topics have as many replicas as there are nodes, up to three. None of them runs yet.
    pub fn cluster(&self, nodes: usize) -> Result<Cluster, LocalError> {
        let doors: Result<Vec<Doors>, LocalError> = (0..nodes).map(|_| Doors::free()).collect();
        self.cluster_of(&doors?, &[])
    }

    /// As [`Self::cluster`], a node on each of these hosts.
    pub fn cluster_on(&self, hosts: &[Host]) -> Result<Cluster, LocalError> {
        let doors: Vec<Doors> = hosts.iter().map(Doors::on).collect();
        self.cluster_of(&doors, hosts)
    }

    /// Nodes beyond the last host are where this process is.
    fn cluster_of(&self, doors: &[Doors], hosts: &[Host]) -> Result<Cluster, LocalError> {
        let node = |id: usize| {
            let mut options = self.clone();
            options.dir = self.dir.join(format!("node-{id}"));
            fs::create_dir_all(&options.dir).map_err(LocalError::file("create", &options.dir))?;
            options.node(id, doors, hosts.get(id - 1))
        };
        let nodes: Result<Vec<Node>, LocalError> = (1..=doors.len()).map(node).collect();
        Ok(Cluster::new(nodes?))
    }

    /// A node that is formatted and does not run yet; `doors` are those of all nodes, this one's at `id - 1`.
    fn node(&self, id: usize, doors: &[Doors], host: Option<&Host>) -> Result<Node, LocalError> {
        let class_path = class_path()?;
        let data_dir = self.dir.join("data");
        let properties = self.dir.join("server.properties");
        let logging = self.dir.join("log4j2.yaml");
        write(&properties, &self.properties(id, doors, &data_dir))?;
        write(&logging, LOGGING)?;
        format(&class_path, &properties, &logging, doors.len())?;
        let mut args: Vec<OsString> = Vec::new();
        args.extend(SERVER_HEAP.map(OsString::from));
        args.extend(PERFORMANCE.map(OsString::from));
        args.push(logging_flag(&logging).into());
        args.extend(["-cp".into(), class_path.into(), "kafka.Kafka".into()]);
        args.push(properties.into());
        let mut launch = Launch {
            name: format!("kafka {id}"),
            program: "java".into(),
            args,
            environment: Vec::new(),
            working_dir: self.dir.clone(),
            log: self.dir.join("kafka.log"),
        };
        if let Some(host) = host {
            host.settle(&mut launch);
        }
        let kafka = doors[id - 1].kafka;
        Ok(Node::new(launch, kafka, None, data_dir, READY_BOUND))
    }

    /// The values of the shipped `config/server.properties`, with ports and folder of our own.
    fn properties(&self, id: usize, doors: &[Doors], data_dir: &Path) -> String {
        let Doors { kafka, controller } = doors[id - 1];
        let quorum = quorum(doors);
        let factor = doors.len().min(3);
        let in_sync = factor.min(2);
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             {quorum}\n\
             listeners=PLAINTEXT://{kafka},CONTROLLER://{controller}\n\
             inter.broker.listener.name=PLAINTEXT\n\
             advertised.listeners=PLAINTEXT://{kafka},CONTROLLER://{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             num.network.threads=3\n\
             num.io.threads=8\n\
             socket.send.buffer.bytes=102400\n\
             socket.receive.buffer.bytes=102400\n\
             socket.request.max.bytes=104857600\n\
             log.dirs={}\n\
             num.partitions=1\n\
             num.recovery.threads.per.data.dir=2\n\
             offsets.topic.replication.factor={factor}\n\
             share.coordinator.state.topic.replication.factor={factor}\n\
             share.coordinator.state.topic.min.isr={in_sync}\n\
             transaction.state.log.replication.factor={factor}\n\
             transaction.state.log.min.isr={in_sync}\n\
             log.retention.hours=168\n\
             log.segment.bytes=1073741824\n\
             log.retention.check.interval.ms=300000\n",
            data_dir.display()
        );
        for (key, value) in &self.settings {
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }
}

/// The class path of broker and tools.
pub fn class_path() -> Result<String, LocalError> {
    maven::class_path(
        &format!("kafka-{VERSION}"),
        &[
            ("org.apache.kafka", "kafka_2.13", VERSION),
            ("org.apache.kafka", "kafka-tools", VERSION),
            // Kafka ships this binding with its broker; its absence would make logging unrealistically cheap.
            ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
        ],
    )
}

/// One of Kafka's own tools, as its shell script would start it; `dir` is for its logging configuration.
pub fn tool(dir: &Path, class: &str) -> Result<Command, LocalError> {
    let logging = dir.join("tool-log4j2.yaml");
    write(&logging, LOGGING)?;
    let mut command = Command::new("java");
    command
        .arg(TOOL_HEAP)
        .args(PERFORMANCE)
        .arg(logging_flag(&logging))
        .args(["-cp", &class_path()?, class]);
    Ok(command)
}

/// What Kafka and its tools log: warnings, to stderr.
pub const LOGGING: &str = "\
Configuration:
  Appenders:
    Console:
      name: STDERR
      target: SYSTEM_ERR
      PatternLayout:
        pattern: \"[%d] %p %m (%c)%n\"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDERR
";

fn logging_flag(file: &Path) -> String {
    format!("-Dlog4j2.configurationFile={}", file.display())
}

/// Who votes on the cluster's metadata. One node may be formatted as a quorum of its own; several are listed.
fn quorum(doors: &[Doors]) -> String {
    match doors {
        [one] => format!("controller.quorum.bootstrap.servers={}", one.controller),
        several => {
            let voters = several.iter().zip(1..);
            let voters: Vec<String> = voters
                .map(|(doors, id)| format!("{id}@{}", doors.controller))
                .collect();
            format!("controller.quorum.voters={}", voters.join(","))
        }
    }
}

fn format(
    class_path: &str,
    properties: &Path,
    logging: &Path,
    nodes: usize,
) -> Result<(), LocalError> {
    let standalone = (nodes == 1).then_some("--standalone");
    let mut tool = Command::new("java");
    tool.args([
        &logging_flag(logging),
        "-cp",
        class_path,
        "kafka.tools.StorageTool",
    ])
    .arg("format")
    .args(standalone)
    .args(["-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"])
    .arg(properties);
    run("kafka-storage format", &mut tool).map(drop)
}

fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    fs::write(path, text).map_err(LocalError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_shipped_ones_so_that_they_win() {
        let options = KafkaOptions::new("/nowhere").with("num.partitions", "4");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let doors = Doors {
            kafka: address,
            controller: address,
        };
        let text = options.properties(1, &[doors], Path::new("/data"));
        let shipped = text.find("num.partitions=1").unwrap();
        let ours = text.find("num.partitions=4").unwrap();
        assert!(shipped < ours);
    }
}
