//! The command line of an Apache Kafka node in a run: KRaft, broker and controller in one process, defaults.

use std::fs;
use std::path::Path;
use std::process::Command;

use chronik_local::foreign::run;
use chronik_local::kafka::LOGGING;
use chronik_local::{Launch, LocalError};

use super::Addresses;
use crate::scenario::ClusterSpec;

const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";
/// Several nodes share one machine here, so each gets less than the shipped gibibyte.
const HEAP: [&str; 2] = ["-Xmx512M", "-Xms512M"];

pub(super) fn launch(
    class_path: &str,
    dir: &Path,
    number: u32,
    addresses: &[Addresses],
    cluster: &ClusterSpec,
) -> Result<Launch, LocalError> {
    let properties = dir.join("server.properties");
    let logging = dir.join("log4j2.yaml");
    let data_dir = dir.join("data");
    write(&properties, &text(number, addresses, cluster, &data_dir))?;
    write(&logging, LOGGING)?;
    let logging = format!("-Dlog4j2.configurationFile={}", logging.display());
    let mut format = Command::new("java");
    format
        .args([
            &logging,
            "-cp",
            class_path,
            "kafka.tools.StorageTool",
            "format",
        ])
        .args(["-t", CLUSTER_ID, "-c"])
        .arg(&properties);
    run("kafka-storage format", &mut format)?;
    let mut args: Vec<std::ffi::OsString> = HEAP.map(Into::into).to_vec();
    args.extend([
        logging.into(),
        "-cp".into(),
        class_path.into(),
        "kafka.Kafka".into(),
    ]);
    args.push(properties.into());
    Ok(Launch {
        name: "kafka".into(),
        program: "java".into(),
        args,
        environment: Vec::new(),
        working_dir: dir.to_path_buf(),
        log: dir.join("kafka.log"),
    })
}

/// The shipped `config/server.properties` where it matters here, with as many replicas of inner topics as asked.
fn text(number: u32, addresses: &[Addresses], cluster: &ClusterSpec, data_dir: &Path) -> String {
    let own = addresses[number as usize - 1];
    let voters = addresses
        .iter()
        .zip(1..)
        .map(|(place, id)| format!("{id}@{}", place.peer));
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id={number}\n\
         controller.quorum.voters={}\n\
         listeners=PLAINTEXT://{kafka},CONTROLLER://{peer}\n\
         advertised.listeners=PLAINTEXT://{kafka}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         group.initial.rebalance.delay.ms=0\n\
         offsets.topic.replication.factor={rf}\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor={rf}\n\
         transaction.state.log.min.isr={isr}\n",
        voters.collect::<Vec<_>>().join(","),
        data_dir.display(),
        kafka = own.kafka,
        peer = own.peer,
        rf = cluster.rf,
        isr = cluster.min_isr,
    );
    for (key, value) in cluster
        .settings
        .iter()
        .filter(|(key, _)| key.starts_with("kafka:"))
    {
        text.push_str(&format!("{}={value}\n", &key["kafka:".len()..]));
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    fs::write(path, text).map_err(LocalError::file("write", path))
}
