//! The same answer in every form, letter by letter.

use serde_json::json;

use super::*;

fn answer() -> Answer {
    let rows = vec![
        json!({"node": 1, "state": "ready"}),
        json!({"node": 12, "state": "gone"}),
    ];
    let columns = [
        Column::number("node"),
        Column::text("state"),
        Column::text("note").wide(),
    ];
    let mut table = Table::new(&columns);
    table.row(vec![
        1.into(),
        Cell::toned(Tone::Good, "ready"),
        "a\tb".into(),
    ]);
    table.row(vec![
        12.into(),
        Cell::toned(Tone::Bad, "gone"),
        Cell::none(),
    ]);
    Answer {
        rows: Rows::Of("nodes"),
        headlines: vec![(Tone::Strong, "cluster c".to_owned())],
        tables: vec![table],
        footers: vec![(Tone::Plain, "2 nodes".to_owned())],
        ..Answer::of("NodeList", "c", &json!({ "nodes": rows }))
    }
}

fn printer(format: Format) -> Printer {
    Printer {
        format,
        headers: true,
        ..Printer::default()
    }
}

fn text(printer: &Printer) -> String {
    printer.render(&answer()).unwrap()
}

#[test]
fn people_get_aligned_columns_without_trailing_blanks() {
    let expected = "cluster c\n\nNODE  STATE\n   1  ready\n  12  gone\n\n2 nodes\n";
    assert_eq!(text(&printer(Format::Table)), expected);
    assert!(text(&printer(Format::Wide)).contains("NODE  STATE  NOTE\n"));
}

#[test]
fn a_narrow_screen_cuts_lines_and_colours_do_not_count() {
    let narrow = Printer {
        width: Some(8),
        paint: Paint { is_on: true },
        ..printer(Format::Table)
    };
    let text = text(&narrow);
    assert!(
        text.contains("\x1b[1mNODE\x1b[0m\x1b[1m  ST\x1b[0m\n"),
        "{text:?}"
    );
}

#[test]
fn scripts_get_rows() {
    let expected = "node\tstate\tnote\n1\tready\ta b\n12\tgone\t-\n";
    assert_eq!(text(&printer(Format::Tsv)), expected);
    let lines = text(&printer(Format::Jsonl));
    assert_eq!(
        lines,
        "{\"node\":1,\"state\":\"ready\"}\n{\"node\":12,\"state\":\"gone\"}\n"
    );
}

#[test]
fn columns_are_chosen_by_name_and_unknown_ones_refused() {
    let chosen = Printer {
        columns: vec!["STATE".to_owned()],
        headers: false,
        ..printer(Format::Table)
    };
    assert_eq!(text(&chosen), "ready\ngone\n");
    let unknown = Printer {
        columns: vec!["colour".to_owned()],
        ..printer(Format::Tsv)
    };
    let failure = unknown.render(&answer()).unwrap_err();
    assert_eq!(
        (failure.code(), failure.error.hint.as_str()),
        (2, "--columns node,state,note")
    );
}

#[test]
fn yaml_is_read_as_the_same_tree() {
    let value =
        json!({"kind": "X", "v": 1, "list": [{"a": "true"}, []], "text": "a: b", "none": null});
    let expected =
        "kind: X\nlist:\n  -\n    a: \"true\"\n  - []\nnone: null\ntext: \"a: b\"\nv: 1\n";
    assert_eq!(yaml::document(&value), expected);
}

#[test]
fn figures_are_short() {
    assert_eq!(bytes(7), "7 B");
    assert_eq!(bytes(1536), "1.5 KiB");
    assert_eq!(bytes(200 << 20), "200 MiB");
    let spans: Vec<String> = [12, 3_400, 310_000, 7_380_000, 349_200_000]
        .map(duration_ms)
        .to_vec();
    assert_eq!(spans, ["12ms", "3.4s", "5m10s", "2h03m", "4d01h"]);
}
