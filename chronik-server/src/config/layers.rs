//! The four sources of values, merged: default, file, environment, flag.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::definition::{Definition, ReadSection, definitions, find};
use super::value::{Value, ValueError};
use super::{Config, Environment, check, file, nearest};

/// Where configuration comes from, before any of it is read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file of the flag `--config`.
    pub file: Option<PathBuf>,
    /// The process environment.
    pub environment: Environment,
    /// Paths of keys with the texts of their flags.
    pub flags: Vec<(&'static str, String)>,
}

/// A valid configuration and what its author should be told.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Sentences to log once logging works.
    pub warnings: Vec<String>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// What holds for every key, in the order of the table.
    pub settings: Vec<Setting>,
}

/// What holds for a key, as it was written.
#[derive(Clone, Debug)]
pub struct Setting {
    pub definition: &'static Definition,
    pub text: String,
    pub origin: Origin,
}

/// Why no configuration came out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// One or more values are wrong; all are listed, so that one round mends them.
    #[error("{}", listed(problems))]
    Refused {
        /// What is wrong, in the order of the file or the table.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said.
    pub origin: Origin,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// Behind a flag.
    Flag {
        /// With its dashes.
        flag: String,
    },
}

impl Sources {
    /// Reads and merges all sources and checks the result.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::default();
        let file = self.file.or_else(|| file_of(&self.environment));
        if let Some(path) = &file {
            layers.take_file(path.clone())?;
        }
        layers.take_environment(&self.environment);
        layers.take_flags(self.flags);
        let settings = layers.settings();
        let (config, warnings) = layers.into_config()?;
        Ok(Loaded {
            config,
            warnings,
            file,
            settings,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => write!(formatter, "{}", self.message),
            origin => write!(formatter, "{origin}: {}", self.message),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(formatter, "default"),
            Self::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
            Self::Environment { variable } => write!(formatter, "environment {variable}"),
            Self::Flag { flag } => write!(formatter, "flag {flag}"),
        }
    }
}

/// Values by path, the strongest source winning.
#[derive(Debug, Default)]
pub(super) struct Layers {
    given: BTreeMap<&'static str, Given>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

/// A text somebody gave and where.
#[derive(Debug)]
struct Given {
    text: String,
    origin: Origin,
}

/// Hands typed values to the sections and remembers what could not be parsed.
pub(super) struct Reader<'layers> {
    given: &'layers BTreeMap<&'static str, Given>,
    problems: Vec<Problem>,
}

/// The configuration when nobody says anything.
pub(super) fn defaults() -> Config {
    let (config, _) = Layers::default()
        .into_config()
        .expect("the defaults of the table are valid together");
    config
}

impl Layers {
    /// Where the value of a key comes from.
    pub(super) fn origin_of(&self, path: &str) -> Origin {
        self.given
            .get(path)
            .map_or(Origin::Default, |given| given.origin.clone())
    }

    fn settings(&self) -> Vec<Setting> {
        let setting = |definition: &'static Definition| {
            let given = self.given.get(definition.path);
            let text = given.map_or(definition.default, |given| &given.text);
            Setting {
                definition,
                text: text.to_owned(),
                origin: self.origin_of(definition.path),
            }
        };
        definitions().map(setting).collect()
    }

    pub(super) fn take_text(&mut self, path: PathBuf, text: &str) {
        let parsed = file::parse(text);
        let at = |line| Origin::File {
            path: path.clone(),
            line,
        };
        for fault in parsed.faults {
            let (origin, message) = (at(fault.line), fault.message);
            self.problems.push(Problem { origin, message });
        }
        for assignment in parsed.assignments {
            self.give(assignment.definition, assignment.text, at(assignment.line));
        }
    }

    pub(super) fn take_environment(&mut self, environment: &Environment) {
        for (variable, text) in &environment.variables {
            match definition_of_variable(variable) {
                Some(definition) => self.take_variable(definition, variable, text),
                None if variable == FILE_VARIABLE => {}
                None => self.warnings.push(unknown_variable(variable)),
            }
        }
    }

    pub(super) fn take_flags(&mut self, flags: Vec<(&'static str, String)>) {
        for (path, text) in flags {
            let definition = find(path).expect("flags are made from the table");
            let flag = format!("--{}", definition.flag());
            self.give(definition, text, Origin::Flag { flag });
        }
    }

    pub(super) fn into_config(mut self) -> Result<(Config, Vec<String>), ConfigError> {
        let mut reader = Reader {
            given: &self.given,
            problems: Vec::new(),
        };
        let config = Config::read(&mut reader);
        let unparsed = reader.problems;
        self.problems.extend(unparsed);
        if self.problems.is_empty() {
            // Only values that stand for themselves are compared with each other.
            self.problems = check::problems(&config, &self);
        }
        if self.problems.is_empty() {
            self.warnings.extend(check::warnings(&config));
            return Ok((config, self.warnings));
        }
        self.problems.sort_by_key(|problem| match &problem.origin {
            Origin::File { line, .. } => *line,
            _ => usize::MAX,
        });
        Err(ConfigError::Refused {
            problems: self.problems,
        })
    }

    fn take_file(&mut self, path: PathBuf) -> Result<(), ConfigError> {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                self.take_text(path, &text);
                Ok(())
            }
            Err(source) => Err(ConfigError::FileUnreadable { path, source }),
        }
    }

    fn take_variable(&mut self, definition: &'static Definition, variable: &str, text: &OsString) {
        let origin = Origin::Environment {
            variable: variable.to_owned(),
        };
        match text.to_str() {
            Some(text) => self.give(definition, text.to_owned(), origin),
            None => self.problems.push(Problem {
                origin,
                message: "the value is not UTF-8".to_owned(),
            }),
        }
    }

    fn give(&mut self, definition: &'static Definition, text: String, origin: Origin) {
        self.given.insert(definition.path, Given { text, origin });
    }
}

impl Reader<'_> {
    /// The value of a key. A text that is no value is remembered as a problem, and the default stands in for it.
    pub(super) fn value<T: Value>(&mut self, path: &'static str) -> T {
        let definition = find(path).expect("a section reads only its own keys");
        if let Some(given) = self.given.get(path) {
            match parse(definition, &given.text) {
                Ok(value) => return value,
                Err(error) => self.problems.push(Problem {
                    origin: given.origin.clone(),
                    message: format!("`{path}` = \"{}\": {error}", given.text.escape_debug()),
                }),
            }
        }
        parse(definition, definition.default).expect("a test parses every default")
    }
}

/// The variable that names the file, which is not a key of the file.
const FILE_VARIABLE: &str = "CHRONIK_CONFIG";

fn file_of(environment: &Environment) -> Option<PathBuf> {
    environment
        .variables
        .iter()
        .find(|(variable, path)| variable == FILE_VARIABLE && !path.is_empty())
        .map(|(_, path)| path.into())
}

fn parse<T: Value>(definition: &Definition, text: &str) -> Result<T, ValueError> {
    let value = T::parse(text)?;
    let Some((low, high)) = definition.range else {
        return Ok(value);
    };
    let bound = |text| T::parse(text).expect("a test parses every bound");
    let too_low = value
        .compare(&bound(low))
        .is_some_and(|order| order.is_lt());
    let too_high = value
        .compare(&bound(high))
        .is_some_and(|order| order.is_gt());
    if too_low || too_high {
        return Err(ValueError::OutOfRange { low, high });
    }
    Ok(value)
}

fn definition_of_variable(variable: &str) -> Option<&'static Definition> {
    definitions().find(|definition| definition.variable() == variable)
}

fn unknown_variable(variable: &str) -> String {
    let known: Vec<String> = definitions().map(Definition::variable).collect();
    let hint = nearest::did_you_mean(variable, known.iter().map(String::as_str));
    format!("unknown environment variable {variable} is ignored; {hint}")
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
