//! A node of the order's tree: up to 32 children, which are nodes as well or, at the bottom, blocks.
//!
//! - **N1** The first `len` children and counts mean something, and `len - 1` separators, each that of
//!   the child after it. The other separators are infinite, so that all of them can be compared
//!   without a look at `len`, nor any wait for one comparison before the next.

/// Children of a node: what 512 bytes hold.
pub(super) const FAN: usize = 32;

#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Node {
    separators: [f64; FAN - 1],
    children: [u32; FAN],
    counts: [u32; FAN],
    len: u32,
}

const _: () = assert!(size_of::<Node>() == 512);

/// A child and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    /// Between it and the one before.
    pub(super) separator: f64,
    pub(super) number: u32,
    /// How many entries it holds.
    pub(super) count: u32,
}

impl Node {
    /// A node with one child.
    pub(super) fn of(child: Child) -> Self {
        let mut node = Self {
            separators: [f64::INFINITY; FAN - 1],
            children: [0; FAN],
            counts: [0; FAN],
            len: 1,
        };
        (node.children[0], node.counts[0]) = (child.number, child.count);
        node
    }

    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    pub(super) fn child(&self, slot: usize) -> u32 {
        self.children[slot]
    }

    /// What separates a child from the one before it; none for the first, nor behind the last.
    #[inline(always)]
    pub(super) fn separator(&self, slot: usize) -> Option<f64> {
        if slot < self.len() { self.separators.get(slot.checked_sub(1)?).copied() } else { None }
    }

    /// Puts another separator before a child that is not the first.
    pub(super) fn separate(&mut self, slot: usize, separator: f64) {
        self.separators[slot - 1] = separator;
    }

    #[inline(always)]
    pub(super) fn count(&self, slot: usize) -> usize {
        self.counts[slot] as usize
    }

    #[inline(always)]
    pub(super) fn count_mut(&mut self, slot: usize) -> &mut u32 {
        &mut self.counts[slot]
    }

    /// How many entries there are before a child.
    #[inline(always)]
    pub(super) fn before(&self, slot: usize) -> usize {
        self.counts[..slot].iter().sum::<u32>() as usize
    }

    /// How many entries there are.
    pub(super) fn total(&self) -> u32 {
        self.counts[..self.len()].iter().sum()
    }

    /// The last child with a separator less than this score, or the first.
    #[inline(always)]
    pub(super) fn below(&self, score: f64) -> usize {
        self.passed(|separator| separator < score)
    }

    /// The last child with a separator less or equal, or the first.
    #[inline(always)]
    pub(super) fn up_to(&self, score: f64) -> usize {
        self.passed(|separator| separator <= score).min(self.len() - 1)
    }

    /// How many separators pass, which are the first ones: one in four is looked at, then three
    /// between two of those. There is no branch to be guessed wrong.
    #[inline(always)]
    fn passed(&self, passes: impl Fn(f64) -> bool) -> usize {
        const STEP: usize = 4;
        let all = &self.separators;
        let far: usize = (1..FAN / STEP).map(|i| usize::from(passes(all[i * STEP - 1]))).sum();
        let from = far * STEP;
        let near: usize = (0..STEP - 1)
            .map(|i| usize::from(all.get(from + i).is_some_and(|&own| passes(own))))
            .sum();
        from + near
    }

    /// Puts a child behind another one; there is room.
    pub(super) fn insert(&mut self, slot: usize, child: Child) {
        let len = self.len();
        self.separators.copy_within(slot - 1..len - 1, slot);
        self.children.copy_within(slot..len, slot + 1);
        self.counts.copy_within(slot..len, slot + 1);
        self.separators[slot - 1] = child.separator;
        (self.children[slot], self.counts[slot]) = (child.number, child.count);
        self.len += 1;
    }

    /// Takes a child out.
    pub(super) fn remove(&mut self, slot: usize) {
        let len = self.len();
        if len > 1 {
            self.separators.copy_within(slot.max(1)..len - 1, slot.max(1) - 1);
            self.separators[len - 2] = f64::INFINITY;
        }
        self.children.copy_within(slot + 1..len, slot);
        self.counts.copy_within(slot + 1..len, slot);
        self.len -= 1;
    }

    /// Takes the children from `half` on into a node of their own; also what separates it from this.
    pub(super) fn split_off(&mut self, half: usize) -> (f64, Self) {
        let (len, separator) = (self.len(), self.separators[half - 1]);
        let first = Child { separator, number: self.children[half], count: self.counts[half] };
        let mut upper = Self::of(first);
        let rest = len - half;
        upper.separators[..rest - 1].copy_from_slice(&self.separators[half..len - 1]);
        upper.children[..rest].copy_from_slice(&self.children[half..len]);
        upper.counts[..rest].copy_from_slice(&self.counts[half..len]);
        upper.len = rest as u32;
        self.separators[half - 1..].fill(f64::INFINITY);
        self.len = half as u32;
        (separator, upper)
    }

    /// Appends the children of the node behind this; `separator` is between them.
    pub(super) fn append(&mut self, separator: f64, upper: &Self) {
        let (len, rest) = (self.len(), upper.len());
        self.separators[len - 1] = separator;
        self.separators[len..len + rest - 1].copy_from_slice(&upper.separators[..rest - 1]);
        self.children[len..len + rest].copy_from_slice(&upper.children[..rest]);
        self.counts[len..len + rest].copy_from_slice(&upper.counts[..rest]);
        self.len += upper.len;
    }
}
