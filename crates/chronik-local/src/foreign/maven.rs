//! Java artifacts from Maven Central, copied into one folder per set.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{install_once, require, run};
use crate::error::LocalError;
use crate::paths::target_dir;

/// `group:artifact:version`, without anything transitive left out.
pub type Coordinate<'a> = (&'a str, &'a str, &'a str);

/// Copies the artifacts and everything they need at run time; returns the class path `dir/*`.
pub fn class_path(name: &str, artifacts: &[Coordinate<'_>]) -> Result<String, LocalError> {
    require_java()?;
    let dir = target_dir().join("foreign").join(name);
    let pom = pom(artifacts);
    install_once(&dir, &pom, || copy_dependencies(&dir, &pom))?;
    Ok(format!("{}/jars/*", dir.display()))
}

/// Compiles the `.java` files of a folder against a class path; returns the folder of the classes.
pub fn compile(name: &str, sources: &[PathBuf], class_path: &str) -> Result<PathBuf, LocalError> {
    let dir = target_dir().join("foreign").join(name);
    let mut recipe = class_path.to_owned();
    for source in sources {
        let text = std::fs::read_to_string(source).map_err(LocalError::file("read", source))?;
        recipe.push_str(&text);
    }
    let classes = dir.join("classes");
    install_once(&dir, &recipe, || {
        let mut javac = Command::new("javac");
        javac.args([
            "--release",
            "11",
            "-Xlint:-options",
            "-cp",
            class_path,
            "-d",
        ]);
        javac.arg(&classes).args(sources);
        run("javac", &mut javac).map(drop)
    })?;
    Ok(classes)
}

/// Java 17 and Maven, or the command that installs them.
pub fn require_java() -> Result<(), LocalError> {
    const NEXT_STEP: &str = "apt-get install -y openjdk-17-jdk-headless maven";
    require("java", NEXT_STEP)?;
    require("javac", NEXT_STEP)?;
    require("mvn", NEXT_STEP)
}

fn copy_dependencies(dir: &Path, pom: &str) -> Result<(), LocalError> {
    let pom_path = dir.join("pom.xml");
    std::fs::write(&pom_path, pom).map_err(LocalError::file("write", &pom_path))?;
    let mut maven = Command::new("mvn");
    maven
        .current_dir(dir)
        .args(["-B", "-q", "dependency:copy-dependencies"])
        .args(["-DoutputDirectory=jars", "-DincludeScope=runtime"]);
    run("mvn dependency:copy-dependencies", &mut maven).map(drop)
}

fn pom(artifacts: &[Coordinate<'_>]) -> String {
    let mut dependencies = String::new();
    for (group, artifact, version) in artifacts {
        dependencies.push_str(&format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        ));
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>chronik</groupId><artifactId>foreign</artifactId><version>1</version>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_is_in_the_pom() {
        let pom = pom(&[("g", "one", "1.0"), ("g", "two", "2.0")]);
        assert!(pom.contains("<artifactId>one</artifactId><version>1.0</version>"));
        assert!(pom.contains("<artifactId>two</artifactId><version>2.0</version>"));
    }
}
