//! What every command owes, by what it says of itself.
//!
//! | if it | then it owes |
//! |---|---|
//! | is there | an answer for people, and a file that shows it |
//! | answers a kind | the same in JSON, which fits the published schema |
//! | asks a cluster | exit 3 where nobody answers, 11 where another cluster answers than the one that is pinned |
//! | wants names | a line with a wrong one, which fails and says what was wrong |
//! | changes a cluster | a plan with `--dry-run`; exit 4 without a terminal and when somebody says no, or does not type the name of a protected context; 11 in contexts that are protected or read-only; nothing is changed in any of these. What was done is in the journal as it was typed |
//! | expects a state | a line with a state that has passed, and exit 12 |

use serde_json::Value;

use super::play::{Person, Scene, Stage};

/// Orders that carry what they were planned for: each is refused once that has passed.
const EXPECTS_A_STATE: [&str; 4] = [
    "raft step-down",
    "raft transfer",
    "rebalance apply",
    "topic delete",
];
/// Words that only this machine knows make no difference to a cluster.
const MONITOR: &str = "check";
/// Records are no plan: they are sent as they come.
const DATA: &str = "produce";

/// What one command still owes.
pub(super) fn unpaid(stage: &Stage, command: &Value, scenes: &[Scene]) -> Vec<String> {
    let debtor = Debtor {
        stage,
        command,
        path: command["path"].as_str().expect("a path"),
        scenes,
    };
    let Some(first) = scenes.first() else {
        return vec![format!("{}: no line is typed", debtor.path)];
    };
    let mut faults = Vec::new();
    faults.extend(debtor.shows_an_answer(first));
    faults.extend(debtor.answers_in_json());
    faults.extend(debtor.names_are_checked());
    faults.extend(debtor.old_states_are_refused());
    if command["needs"] != "nothing" {
        faults.extend(debtor.needs_somebody(first));
        faults.extend(debtor.needs_the_right_one(first));
        if debtor.changes_a_cluster() {
            faults.extend(debtor.asks_first(first));
        }
    }
    let path = debtor.path;
    let named = faults.into_iter().map(|fault| format!("{path}: {fault}"));
    named.collect()
}

struct Debtor<'a> {
    stage: &'a Stage,
    command: &'a Value,
    path: &'a str,
    scenes: &'a [Scene],
}

impl Debtor<'_> {
    fn shows_an_answer(&self, first: &Scene) -> Vec<String> {
        let mut faults = Vec::new();
        if !first.line.starts_with(&format!("chronikctl {}", self.path)) {
            faults.push(format!("the first line is `{}`", first.line));
        }
        let says_something = !first.stdout.is_empty() || self.path == "man";
        if first.code != 0 || !says_something || first.line.contains(" -o ") {
            faults.push(format!(
                "`{}` is no answer for people: {first:?}",
                first.line
            ));
        }
        faults
    }

    fn answers_in_json(&self) -> Vec<String> {
        let Some(kind) = self.command["kind"].as_str() else {
            return Vec::new();
        };
        let is_json =
            |scene: &&Scene| scene.line.contains("-o json") || scene.line.contains("-f json");
        let mut shown = self
            .scenes
            .iter()
            .filter(is_json)
            .filter(|scene| scene.code != 2);
        if !shown.any(|scene| parse(&scene.stdout).is_some_and(|json| json["kind"] == kind)) {
            return vec![format!("no line shows {kind} in JSON")];
        }
        let json = self.scenes.iter().filter(is_json);
        json.filter_map(|scene| self.misfit(scene)).collect()
    }

    /// What an answer in JSON does not share with its published schema.
    fn misfit(&self, scene: &Scene) -> Option<String> {
        let line = &scene.line;
        let Some(json) = parse(&scene.stdout) else {
            return Some(format!("`{line}` is no JSON: {scene:?}"));
        };
        let kind = json["kind"].as_str()?;
        let schema = self.stage.play(&format!("chronikctl schema {kind}"));
        let schema = parse(&schema.stdout).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a sound schema");
        let errors = validator.iter_errors(&json).map(|error| error.to_string());
        let errors: Vec<String> = errors.collect();
        (!errors.is_empty()).then(|| format!("`{line}` does not fit {kind}: {errors:?}"))
    }

    fn names_are_checked(&self) -> Option<String> {
        if !self.wants_names() {
            return None;
        }
        let is_checked = |scene: &&Scene| {
            let says_why = !scene.stderr.is_empty() || scene.stdout.contains("\"error\"");
            matches!(scene.code, 1 | 2 | 11) && says_why
        };
        match self.scenes.iter().find(is_checked) {
            Some(_) => None,
            None => Some("no line has a wrong name".to_owned()),
        }
    }

    fn old_states_are_refused(&self) -> Option<String> {
        let owes = EXPECTS_A_STATE.contains(&self.path);
        let mut stale = self.scenes.iter().filter(|scene| scene.code == 12);
        (owes && stale.next().is_none()).then(|| "no line expects an old state".to_owned())
    }

    fn needs_somebody(&self, first: &Scene) -> Option<String> {
        let scene = self.in_context("nowhere", &first.line);
        self.failed(&scene, "nobody answers", 3, "UNREACHABLE")
    }

    fn needs_the_right_one(&self, first: &Scene) -> Option<String> {
        let scene = self.in_context("other", &first.line);
        let code = if self.path == MONITOR { 3 } else { 11 };
        self.failed(&scene, "another cluster answers", code, "WRONG_CLUSTER")
    }

    /// Without consent nothing is changed, and the exit code says why.
    fn asks_first(&self, first: &Scene) -> Vec<String> {
        let mut faults = Vec::new();
        let with_consent = first.line.clone();
        let bare = with_consent.replace(" --yes", "");
        if self.path == DATA {
            let frozen = self.in_context("frozen", &with_consent);
            faults.extend(self.failed(&frozen, "a read-only context", 11, "BLOCKED"));
            return faults;
        }
        if first.changes.is_empty() {
            faults.push(format!("`{}` changes nothing", first.line));
        }
        let trial = self.stage.play(&format!("{bare} --dry-run -o json"));
        let kind = parse(&trial.stdout).map(|json| json["kind"].clone());
        if trial.code != 0 || kind != Some("Plan".into()) || !trial.changes.is_empty() {
            faults.push(format!("--dry-run is no plan: {trial:?}"));
        }
        let unasked = self.stage.play(&format!("{bare} -o json"));
        faults.extend(self.failed(&unasked, "there is no terminal", 4, "BLOCKED"));
        for no in ["n\n", "\n", "no way\n"] {
            let declined = self.stage.play_for(&bare, Person::Types(no));
            if declined.code != 4 || !declined.changes.is_empty() {
                faults.push(format!("{no:?} does not decline: {declined:?}"));
            }
        }
        let agreed = self.stage.play_for(&bare, Person::Types("y\n"));
        if agreed.code != first.code || agreed.changes != first.changes {
            faults.push(format!("y does not do it: {agreed:?}"));
        }
        let told = self.newest_in_the_journal();
        if told != Some((bare.clone(), format!("exit {}", first.code))) {
            faults.push(format!("the journal says {told:?} of `{bare}`"));
        }
        // A protected context wants its own name.
        for (typed, is_enough) in [("y\n", false), ("test\n", false), ("guarded\n", true)] {
            let line = format!("{bare} -c guarded");
            let asked = self.stage.play_for(&line, Person::Types(typed));
            let is_done = asked.code == first.code && asked.changes == first.changes;
            let is_refused = asked.code == 4 && asked.changes.is_empty();
            if !(if is_enough { is_done } else { is_refused }) {
                faults.push(format!("{typed:?} in a protected context: {asked:?}"));
            }
        }
        let guarded = self.in_context("guarded", &with_consent);
        faults.extend(self.failed(&guarded, "a protected context", 11, "BLOCKED"));
        let frozen = self.in_context("frozen", &with_consent);
        faults.extend(self.failed(&frozen, "a read-only context", 11, "BLOCKED"));
        faults
    }

    /// What was typed last and how it ended.
    fn newest_in_the_journal(&self) -> Option<(String, String)> {
        let journal = parse(&self.stage.play("chronikctl journal -o json").stdout)?;
        let newest = journal["data"]["entries"].as_array()?.last()?.clone();
        let words = newest["command"].as_array()?.iter().skip(1);
        let typed = words.filter_map(Value::as_str);
        let typed = std::iter::once("chronikctl").chain(typed);
        let outcome = newest["outcome"].as_str()?.to_owned();
        Some((typed.collect::<Vec<_>>().join(" "), outcome))
    }

    /// The same line in another context, in JSON where there is such a form.
    fn in_context(&self, context: &str, line: &str) -> Scene {
        let form = match self.path {
            MONITOR => "-f json",
            "events" | "consume" => "-o jsonl",
            "tui" => "",
            _ => "-o json",
        };
        let line = line.split(" | ").next().unwrap_or_default();
        self.stage.play(&format!("{line} -c {context} {form}"))
    }

    fn failed(&self, scene: &Scene, why: &str, code: i32, word: &str) -> Option<String> {
        let json = parse(&scene.stdout).unwrap_or_default();
        let says_it = match self.path {
            MONITOR => json["data"]["status"] == "UNKNOWN",
            "tui" => scene.stderr.starts_with("error: "),
            _ => json["error"]["code"] == word && fits_error(self.stage, &json),
        };
        let is_so = scene.code == code && says_it && scene.changes.is_empty();
        (!is_so).then(|| format!("{why}, and not exit {code} with {word}: {scene:?}"))
    }

    fn changes_a_cluster(&self) -> bool {
        self.command["impact"] != "read"
    }

    /// Whether what is typed behind it can be wrong.
    fn wants_names(&self) -> bool {
        const FREE: [&str; 9] = [
            "api",
            "bundle create",
            "check",
            "completions",
            "journal",
            "man",
            "produce",
            "schema",
            "tui",
        ];
        let flags = self.command["flags"].as_array().expect("flags");
        let is_name = |flag: &Value| flag["required"] == true || flag["long"].is_null();
        flags.iter().any(is_name) && !FREE.contains(&self.path)
    }
}

fn fits_error(stage: &Stage, json: &Value) -> bool {
    let schema = stage.play("chronikctl schema Error");
    let schema = parse(&schema.stdout).expect("a schema");
    jsonschema::is_valid(&schema, json)
}

/// One object, or the only line of a stream.
fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
