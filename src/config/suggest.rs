//! Did you mean: the known name nearest to a wrong one.

use super::table::PARAMS;

/// The parameter name that differs least from `wrong`, if any is near enough to be meant.
pub(super) fn nearest(wrong: &str) -> Option<&'static str> {
    // Names are short; a long word is no typing error of any, and would only cost time.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    let names = PARAMS.iter().filter(|p| !p.hidden).flat_map(|p| p.names());
    let (distance, name) = names.map(|name| (distance(&wrong, name), name)).min()?;
    (distance <= 1 + wrong.len() / 5).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Three rows of the usual table: the one before the last serves swaps.
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("maxmemroy"), Some("maxmemory"));
        assert_eq!(nearest("max_clients"), Some("maxclients"));
        assert_eq!(nearest("io-thread"), Some("io-threads"));
        assert_eq!(nearest("cluster-enabled"), None);
        assert_eq!(nearest(""), None);
    }
}
