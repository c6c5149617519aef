//! Claiming: entries that are pending with one consumer pass to another.

use super::group::{Owner, Pending};
use super::tree::Seeker;
use super::{Entry, Id, Stream, own};

/// How entries are claimed.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// For whom.
    pub owner: Owner,
    /// Those given out less than so many milliseconds ago stay; 0 is none.
    pub idle: i64,
    /// The time of this command, Unix milliseconds.
    pub now: i64,
    /// When they shall count as given out.
    pub delivered: i64,
    /// How often they shall count as given out, if that is said.
    pub count: Option<u64>,
    /// Else: once more than before.
    pub counts: bool,
    /// Also those that nobody has pending.
    pub force: bool,
}

impl Claim {
    /// What the entry becomes, if it may be claimed.
    fn take(&self, before: Option<&Pending>) -> Option<Pending> {
        let count = match before {
            Some(pending) => {
                let idle = self.now.wrapping_sub(pending.delivered);
                if self.idle > 0 && idle < self.idle {
                    return None;
                }
                pending.count
            }
            None if self.force => 1,
            None => return None,
        };
        let count = self.count.unwrap_or(count.wrapping_add(u64::from(self.counts)));
        Some(Pending { owner: self.owner, delivered: self.delivered, count })
    }
}

/// What a sweep through a group's pending entries came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// The pending entry to go on with; none at the end.
    pub next: Option<Id>,
    /// Entries that had been deleted: they are pending no more.
    pub gone: Vec<Id>,
}

impl Stream {
    /// Claims one entry of a group. None if it may not be claimed; if that is because it was deleted,
    /// it is pending no more.
    pub fn claim(&mut self, group: &[u8], id: Id, claim: &Claim) -> Option<Entry<'_>> {
        let group = own(&mut self.groups, group)?;
        let Some(entry) = self.tree.get(id) else {
            group.acknowledge(id);
            return None;
        };
        let pending = claim.take(group.find(id))?;
        group.assign(id, pending);
        Some(entry)
    }

    /// Claims what may be claimed among the pending entries of a group from `from` on: looks at no
    /// more than `looks`, claims or removes no more than `most`, and shows `each` those claimed.
    pub fn sweep(
        &mut self,
        group: &[u8],
        (from, looks, most): (Id, usize, usize),
        claim: &Claim,
        mut each: impl FnMut(Entry<'_>),
    ) -> Swept {
        let mut swept = Swept::default();
        let Some(group) = own(&mut self.groups, group) else { return swept };
        let mut seeker = Seeker::new(&self.tree);
        let (mut left, mut at) = (most, Some(from));
        for _ in 0..looks {
            if left == 0 {
                break;
            }
            let here = at.and_then(|at| group.pending(at, Id::MAX).next());
            let Some((id, pending)) = here.map(|(id, pending)| (id, *pending)) else { break };
            at = id.next();
            let Some(entry) = seeker.find(id) else {
                group.acknowledge(id);
                swept.gone.push(id);
                left -= 1;
                continue;
            };
            if let Some(pending) = claim.take(Some(&pending)) {
                group.assign(id, pending);
                each(entry);
                left -= 1;
            }
        }
        swept.next = at.and_then(|at| group.pending(at, Id::MAX).next()).map(|(id, _)| id);
        swept
    }
}
