//! Intersection, union and difference of sets in any form.
//!
//! Which sets are walked and which are asked is chosen by size, as Redis chooses; the results are the
//! same either way, but one of them may take a thousand times as long.

use super::{Draft, Limits, Member, View};

/// Calls `f` with the members that all of `sets` have, until it returns false.
pub fn intersect(sets: &[View<'_>], mut f: impl FnMut(Member<'_>) -> bool) {
    let mut sets: Vec<(usize, &View<'_>)> = sets.iter().map(|set| (set.len(), set)).collect();
    sets.sort_by_key(|(len, _)| *len); // few candidates, and the likeliest to lack one asked first
    let Some(((_, smallest), others)) = sets.split_first() else { return };
    smallest.all(|member| !others.iter().all(|(_, set)| set.has(&member)) || f(member));
}

/// All members of `sets`.
pub fn unite(sets: &[View<'_>], limits: Limits) -> Draft {
    let most = sets.iter().map(View::len).max().unwrap_or(0);
    let mut draft = Draft::sized(limits, most);
    sets.iter().for_each(|set| set.each(|member| _ = draft.insert(&member)));
    draft
}

/// Calls `f` with the members of the first of `sets` that no other has.
pub fn subtract(sets: &[View<'_>], limits: Limits, mut f: impl FnMut(Member<'_>)) {
    let Some((first, others)) = sets.split_first() else { return };
    let mut others: Vec<(usize, &View<'_>)> = others.iter().map(|set| (set.len(), set)).collect();
    if asking_is_cheaper(first.len(), others.iter().map(|(len, _)| *len)) {
        others.sort_by_key(|(len, _)| std::cmp::Reverse(*len)); // the likeliest to have it first
        first.each(|member| {
            if !others.iter().any(|(_, set)| set.has(&member)) {
                f(member);
            }
        });
    } else {
        let mut draft = Draft::of(*first, limits);
        for (_, set) in others {
            set.all(|member| {
                draft.remove(&member);
                !draft.is_empty()
            });
        }
        draft.each(f);
    }
}

/// Whether to ask all others about each member of the first set, or to copy it and remove theirs.
/// Asking counts half: it makes no copy, and often ends early.
pub fn asking_is_cheaper(first: usize, others: impl ExactSizeIterator<Item = usize>) -> bool {
    let asking = first.saturating_mul(others.len() + 1) / 2;
    asking <= others.fold(first, usize::saturating_add)
}
