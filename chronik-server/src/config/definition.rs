//! The shape of one key's definition, and the macro that turns the table into types.

use super::layers::Reader;
use super::value::Kind;

/// One key: everything the parser, the help and the documentation need to know.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// `section.key`.
    pub path: &'static str,
    /// The part of the path before the dot.
    pub section: &'static str,
    /// The part of the path after the dot.
    pub key: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// The value when nobody gives one, as it would be written in a file.
    pub default: &'static str,
    /// Smallest and largest value, both allowed.
    pub range: Option<(&'static str, &'static str)>,
    /// What a change of the value needs to take effect.
    pub change: ChangeNeeds,
    /// What it is for.
    pub sentence: &'static str,
}

/// One section of the table.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name, the first part of its keys' paths.
    pub name: &'static str,
    /// What it is about.
    pub sentence: &'static str,
    /// Its keys, in the order of the table.
    pub definitions: &'static [Definition],
}

/// What a change of a key needs to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeNeeds {
    /// A new value holds from the next start on.
    Restart,
    /// The first value is kept in the data; another one is refused or ignored later.
    Birth,
}

impl ChangeNeeds {
    /// The rule as a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Birth => "birth",
        }
    }

    /// The rule as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Restart => "A change takes effect at the next start.",
            Self::Birth => "Fixed when the data is first written.",
        }
    }
}

impl Definition {
    /// The environment variable of this key.
    pub fn variable(&self) -> String {
        format!("CHRONIK_{}_{}", self.section, self.key).to_uppercase()
    }

    /// The flag of this key, without its leading dashes.
    pub fn flag(&self) -> String {
        format!("{}-{}", self.section, self.key).replace('_', "-")
    }

    /// The default as shown to people, for whom an empty text needs a word.
    pub fn default_shown(&self) -> &'static str {
        if self.default.is_empty() {
            "none"
        } else {
            self.default
        }
    }
}

/// All keys in the order of the table.
pub(super) fn definitions() -> impl Iterator<Item = &'static Definition> {
    super::SECTIONS
        .iter()
        .flat_map(|section| section.definitions)
}

/// The definition of a path, if there is one.
pub(super) fn find(path: &str) -> Option<&'static Definition> {
    definitions().find(|definition| definition.path == path)
}

/// A section's struct can be read from the merged layers.
pub(super) trait ReadSection: Sized {
    fn read(reader: &mut Reader<'_>) -> Self;
}

/// Turns the table into one struct per section, the whole configuration, and the list of definitions.
macro_rules! config_table {
    ($(
        $(#[doc = $section_sentence:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $sentence:literal])+
                $key:ident: $type:ty = $default:literal
                    $(, range $low:literal to $high:literal)?, change $change:ident;
            )+
        }
    )+) => {
        /// The whole configuration, validated.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[doc = $section_sentence])+ pub $section: $Section,)+
        }

        /// Every section with its keys, in the order of the documentation.
        pub const SECTIONS: &[Section] = &[$(
            Section {
                name: stringify!($section),
                sentence: concat!($($section_sentence),+).trim_ascii(),
                definitions: &[$(
                    Definition {
                        path: concat!(stringify!($section), ".", stringify!($key)),
                        section: stringify!($section),
                        key: stringify!($key),
                        kind: <$type as value::Value>::KIND,
                        default: $default,
                        range: config_table!(@range $($low $high)?),
                        change: ChangeNeeds::$change,
                        sentence: concat!($($sentence),+).trim_ascii(),
                    },
                )+],
            },
        )+];

        impl definition::ReadSection for Config {
            fn read(reader: &mut layers::Reader<'_>) -> Self {
                Self {
                    $($section: definition::ReadSection::read(reader),)+
                }
            }
        }

        $(
            $(#[doc = $section_sentence])+
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Section {
                $($(#[doc = $sentence])+ pub $key: $type,)+
            }

            impl definition::ReadSection for $Section {
                fn read(reader: &mut layers::Reader<'_>) -> Self {
                    Self {
                        $($key: reader.value(concat!(stringify!($section), ".", stringify!($key))),)+
                    }
                }
            }
        )+
    };
    (@range) => { None };
    (@range $low:literal $high:literal) => { Some(($low, $high)) };
}

pub(super) use config_table;
