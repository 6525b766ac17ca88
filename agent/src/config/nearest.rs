//! The valid name that a mistyped one was probably meant to be.

/// The candidate with the fewest edits from `name`; `None` only if there are no candidates.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_fewest_edits_win() {
        let tiers = ["auto", "fentry", "kprobe", "tracepoint"];
        assert_eq!(nearest("fentri", tiers), Some("fentry"));
        assert_eq!(nearest("tracepiont", tiers), Some("tracepoint"));
        assert_eq!(nearest("kprobes", tiers), Some("kprobe"));
        assert_eq!(nearest("x", []), None);
    }
}
