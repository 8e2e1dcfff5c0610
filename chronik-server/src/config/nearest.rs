//! The valid word somebody probably meant.

/// The candidate with the fewest differences from what was written, unless it is a different word altogether.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(differences, candidate)| *differences * 2 <= candidate.len().max(written.len()))
        .min_by_key(|(differences, _)| *differences)
        .map(|(_, candidate)| candidate)
}

/// The same as a half sentence for an error.
pub(super) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(written, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => "`chronik-server config default` shows every key".to_owned(),
    }
}
