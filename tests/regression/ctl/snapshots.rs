//! Snapshots of a real cluster: made, looked at, damaged, copied, and used for a wiped node and for a lost cluster.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use chronik_local::wait;
use serde_json::{Value, json};

use super::{ALL, CHANGE_BOUND, Ended, Three, run};

impl Three {
    /// The files that a listing or a creation names, as `NODE/NUMBER` with what is said of them.
    pub(super) fn snapshots(&self, arguments: &[&str]) -> Vec<(String, Value)> {
        let list = self.data(&[arguments, &["-o", "json"]].concat());
        let nodes = list["nodes"].as_array().expect("nodes").iter();
        let files = nodes.flat_map(|node| {
            let files = node["snapshots"].as_array().expect("files").iter();
            files.map(|file| {
                let name = format!("{}/{}", node["node_id"], file["snapshot_id"]);
                (name, file.clone())
            })
        });
        files.collect()
    }

    /// The body of an answer of the HTTP mirror, byte by byte.
    fn download(&self, asked: usize, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.admin(asked)).expect("the door is open");
        // An answer of HTTP/1.0 has no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it is asked");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        answer.split_off(head.expect("a head") + 4)
    }

    fn peers(&self) -> String {
        let view = self.data(&["status", "-o", "json"]);
        let nodes = view["nodes"].as_array().expect("nodes").iter();
        let peers = nodes.map(|node| {
            let address = node["peer_address"].as_str().expect("an address");
            format!("{}@{address}", node["node_id"])
        });
        peers.collect::<Vec<_>>().join(",")
    }

    fn restore(&self, id: usize, file: &str, peers: &str, more: &[&str]) -> Ended {
        let data_dir = self.cluster.node(id).data_dir().display().to_string();
        let node = id.to_string();
        let line = ["snapshot", "restore", file, "--data-dir", &data_dir];
        let line = [&line[..], &["--node", &node, "--peers", peers], more].concat();
        run(self.command().args(line), &self.dir)
    }

    fn wipe(&mut self, id: usize) {
        self.cluster.node_mut(id).kill().expect("it ends");
        self.cluster.node_mut(id).wipe().expect("it is empty");
    }

    fn records(&self) -> String {
        let consumed = self.run(&["consume", "orders", "-o", "jsonl"]);
        assert_eq!(consumed.code, 0, "{consumed:?}");
        consumed.stdout
    }

    fn await_keeping_up(&self) {
        let caught_up = self.run(&["wait", "caught-up", "--within", "60s"]);
        assert_eq!(caught_up.code, 0, "{caught_up:?}");
        let healthy = self.run(&["wait", "healthy", "--within", "60s"]);
        assert_eq!(healthy.code, 0, "{healthy:?}");
    }

    fn life_of(&self, id: usize) -> u64 {
        let node = self.data(&["node", "describe", &id.to_string(), "-o", "json"]);
        let life = node["status"]["incarnation"].as_u64();
        life.expect("a number")
    }

    fn log(&self, id: usize) -> String {
        fs::read_to_string(self.cluster.node(id).log()).expect("a log")
    }
}

#[test]
fn nodes_and_clusters_come_back_from_snapshots() {
    let mut three = Three::with_topic("orders");
    let lines = three.dir.path().join("lines");
    fs::write(&lines, "one\ntwo\nthree\n").unwrap();
    let file = lines.display().to_string();
    assert_eq!(three.run(&["produce", "orders", "--file", &file]).code, 0);
    let seek = [
        "group", "seek", "billing", "--topic", "orders", "--to", "2", "--yes",
    ];
    assert_eq!(three.run(&seek).code, 0);

    // Every replica has it all before each node writes down what it has.
    three.await_keeping_up();
    let planned = three.data(&["snapshot", "create", "--dry-run", "-o", "json"]);
    assert_eq!(planned["changes"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        three.run(&["snapshot", "create"]).code,
        4,
        "nobody said yes"
    );
    let made = three.snapshots(&["snapshot", "create", "--yes"]);
    let groups: Vec<&Value> = made.iter().map(|(_, file)| &file["groups"]).collect();
    // The metadata group, the topic, and eight partitions of offsets.
    assert_eq!(groups, [10, 10, 10]);
    let of_group = three.snapshots(&[
        "raft", "snapshot", "--group", "orders/0", "--node", "3", "-y",
    ]);
    assert_eq!(of_group[0].1["group"], "orders/0");
    let listed = three.snapshots(&["snapshot", "list"]);
    assert_eq!(listed.len(), 4);
    assert!(made.iter().all(|file| listed.contains(file)));

    let name = &made[1].0;
    let content = three.data(&["snapshot", "inspect", name, "-o", "json"]);
    assert_eq!(
        (&content["topics"], &content["consumer_groups"]),
        (&json!(2), &json!(1))
    );
    let orders = content["groups"].as_array().unwrap().iter();
    let orders = orders.filter(|group| group["name"] == "orders/0");
    assert_eq!(
        orders.map(|group| &group["end_offset"]).collect::<Vec<_>>(),
        [3]
    );
    let verified = three.data(&["snapshot", "verify", name, "-o", "json"]);
    assert_eq!(
        (&verified["sound"], &verified["sha256"]),
        (&json!(true), &made[1].1["sha256"])
    );
    let copy = three.dir.path().join("copy.snap").display().to_string();
    let copied = three.data(&["snapshot", "download", name, "--to", &copy, "-o", "json"]);
    assert_eq!(copied["sha256"], made[1].1["sha256"]);
    assert_eq!(three.run(&["snapshot", "verify", &copy]).code, 0);
    let (node, id) = name.split_once('/').unwrap();
    let by_http = format!("/v1/snapshots/download?node_id={node}&snapshot_id={id}");
    assert_eq!(three.download(1, &by_http), fs::read(&copy).unwrap());
    let again = three.run(&["snapshot", "download", name, "--to", &copy, "-o", "json"]);
    assert_eq!(again.refusal(), (1, "ALREADY_EXISTS".to_owned()));

    let (third, _) = &made[2];
    damage(&three, 3, third);
    let damaged = three.run(&["snapshot", "verify", third, "-o", "json"]);
    assert_eq!(
        (damaged.code, &damaged.json()["data"]["sound"]),
        (10, &json!(false))
    );
    let listed = three.snapshots(&["snapshot", "list", "--node", "3"]);
    assert_eq!(listed[0].1["state"], "damaged");
    assert_eq!(three.run(&["snapshot", "delete", third, "--yes"]).code, 0);
    let gone = three.run(&["snapshot", "delete", third, "--yes", "-o", "json"]);
    assert_eq!(gone.refusal(), (1, "NOT_FOUND".to_owned()));

    a_wiped_node_comes_back(&mut three, &copy);
    a_lost_cluster_comes_back(&mut three, &copy);
    three.finish();
}

fn a_wiped_node_comes_back(three: &mut Three, copy: &str) {
    let peers = three.peers();
    let before = three.records();
    let life = three.life_of(2);
    let used = three.restore(2, copy, &peers, &["--yes", "-o", "json"]);
    assert_eq!(used.refusal(), (11, "BLOCKED".to_owned()));
    assert!(used.stdout.contains("IN_USE"), "{used:?}");
    three.wipe(2);
    // What happens meanwhile is not in the snapshot.
    assert_eq!(
        three
            .ask(&[1, 3], &["topic", "create", "later", "-r", "3", "--yes"])
            .code,
        0
    );
    let silent = three.ask(&[1, 3], &["snapshot", "list"]);
    assert!(
        silent.code == 0 && silent.stdout.contains("UNREACHABLE"),
        "{silent:?}"
    );
    let planned = three
        .restore(2, copy, &peers, &["--dry-run", "-o", "json"])
        .data();
    assert!(
        planned["changes"].to_string().contains("new incarnation"),
        "{planned}"
    );
    let restored = three
        .restore(2, copy, &peers, &["--yes", "-o", "json"])
        .data();
    assert_eq!(restored["groups"], 10);
    three.cluster.node_mut(2).begin().expect("it comes back");
    three.await_keeping_up();
    assert!(
        three
            .log(2)
            .contains("the node begins with the state of a snapshot")
    );
    assert_eq!(three.life_of(2), life + 1);
    // It leads, so what is read now is what it has.
    let transfer = [
        "raft", "transfer", "--group", "orders/0", "--to", "2", "--yes",
    ];
    let led_by_it = || {
        let moved = three.run(&transfer);
        // It may lead already: it is one of those that should.
        (moved.code == 0 || moved.stderr.contains("LEADS_ALREADY")).then_some(())
    };
    wait::until("the restored node leads", CHANGE_BOUND, led_by_it).unwrap();
    assert_eq!(three.records(), before);
}

fn a_lost_cluster_comes_back(three: &mut Three, copy: &str) {
    let (peers, old) = (three.peers(), three.data(&["status", "-o", "json"]));
    ALL.into_iter().for_each(|id| three.wipe(id));
    let flags = ["--new-cluster", "--yes", "-o", "json"];
    let restored = three.restore(1, copy, &peers, &flags).data();
    assert!(
        restored["changes"]
            .to_string()
            .contains("all records are lost")
    );
    let begin = |three: &mut Three| {
        three.cluster.node_mut(1).spawn().unwrap();
        three.cluster.node_mut(1).await_listening().unwrap();
        let is_registered = || {
            let status = three.ask(&[1], &["status", "-o", "json"]);
            let status = (status.code == 0).then(|| status.data())?;
            (status["nodes"][0]["status"]["incarnation"] == 1).then_some(status)
        };
        wait::until(
            "the first node is in its cluster",
            CHANGE_BOUND,
            is_registered,
        )
        .unwrap()
    };
    let new = begin(three);
    assert_eq!(new["cluster_id"], restored["cluster_id"]);
    assert_ne!(new["cluster_id"], old["cluster_id"]);
    // From here on its log has everything.
    three.cluster.node_mut(1).kill().unwrap();
    begin(three);
    assert!(
        !three
            .cluster
            .node(1)
            .data_dir()
            .join("restored.snap")
            .exists()
    );
    three.cluster.spawn(&[2, 3]).unwrap();
    three.cluster.await_ready(&ALL).unwrap();
    three.await_keeping_up();
    assert_eq!(three.records(), "");
    let group = three.data(&["group", "describe", "billing", "-o", "json"]);
    assert_eq!(group["partitions"][0]["committed"], 2, "{group}");
    let next = three.dir.path().join("next");
    fs::write(&next, "four\n").unwrap();
    let file = next.display().to_string();
    assert_eq!(three.run(&["produce", "orders", "--file", &file]).code, 0);
    let records: Value = serde_json::from_str(three.records().trim()).expect("one record");
    assert_eq!(
        (&records["offset"], &records["value"]),
        (&json!(3), &json!("four"))
    );
}

/// Changes one byte in the middle of a snapshot on a node's disk.
fn damage(three: &Three, id: usize, name: &str) {
    let number = name.split_once('/').expect("NODE/NUMBER").1;
    let folder: &Path = three.cluster.node(id).data_dir();
    let file = folder.join("snapshots").join(format!("{number}.snap"));
    let mut bytes = fs::read(&file).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("it is written over");
}
