//! Which topic names are legal, by Kafka's rules.

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    #[error("a topic name must not be empty")]
    Empty,
    #[error("a topic name must not be '.' or '..'")]
    Dots,
    #[error("a topic name has at most {MAX_LEN} characters, this one has {0}")]
    TooLong(usize),
    #[error("a topic name is made of letters, digits, '.', '_' and '-'; {0:?} is none of them")]
    Character(char),
}

const MAX_LEN: usize = 249;

pub fn check(name: &str) -> Result<(), NameRefused> {
    match name {
        "" => return Err(NameRefused::Empty),
        "." | ".." => return Err(NameRefused::Dots),
        _ if name.len() > MAX_LEN => return Err(NameRefused::TooLong(name.len())),
        _ => {}
    }
    match name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
    {
        Some(character) => Err(NameRefused::Character(character)),
        None => Ok(()),
    }
}
