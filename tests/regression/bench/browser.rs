//! Opens pages in the headless browser that `CHRONIK_TEST_BROWSER` names; without it pages are only read.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::choice;

/// Wide enough for two columns of charts, long enough for all of them.
const SIZE: &str = "1500,2600";

/// A page opens without a word on the browser's console, and a picture of it lies beside it.
pub(super) fn assert_opens(page: &Path) {
    let Some(browser) = choice("CHRONIK_TEST_BROWSER") else {
        return;
    };
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let picture = page.with_extension("png");
    let ended = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--enable-logging=stderr", "--hide-scrollbars"])
        .arg(format!("--window-size={SIZE}"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser starts");
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && picture.is_file(), "{log}");
    let words: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(words.is_empty(), "{}: {words:?}", page.display());
    println!("picture of {}: {}", page.display(), picture.display());
}
