//! The order: a tree that counts.
//!
//! ```text
//!                 root  32×(separator, child, count)                     nodes: 512 bytes
//!              ┌────┴───────────┐
//!            node              node       …
//!        ┌────┴───┬─────┐    ┌───┴───┐
//!      block ─► block ─► … ─► block ─► …  42×(score, place)              blocks: 512 bytes
//! ```
//! Entries, a score and the place of a member, stand in blocks of 42. The nodes above them are few (a
//! million members: 0.8 MB), so the way down stays in the cache and only the last step fetches a
//! block; and each node is one comparison of all its separators at once. So a way down takes a third
//! of the instructions of the unrolled skiplist that stood here before, and no guess of a branch.
//!
//! - **L1** Entries are in order of score, then of member's bytes, within and across blocks.
//! - **L2** A block is not empty, but for the first when the set is empty; nor is a node.
//! - **L3** The count of a child is the number of entries below it: rank is the sum of the counts before
//!   the way down.
//! - **L4** A separator separates: no entry before its child has a greater score, none from there on a
//!   smaller one. It need not be the first entry's: a removal leaves it as it was. On a tie the
//!   child's first entry decides.
//! - **L5** `first` in a leaf is the place of the first entry of its block.
//! - **L6** The first block is number 0 for ever.

use super::block::{Block, ENTRIES};
use super::members::Members;
use super::node::{Child, FAN, Node};
use super::range::Cut;
use super::shelves::Shelves;
use crate::types::table::{AHEAD, Pages};

/// Levels of nodes, more than there can be: nodes side by side have twelve children on average at
/// least, and blocks ten entries, of which there are less than 2^31.
const DEPTH: usize = 12;
/// The first block; as a neighbour it means none.
pub(super) const HEAD: u32 = 0;
pub(super) const NIL: u32 = 0;
/// Below so many entries a block is joined with a neighbour, if both together leave room for more.
const FEW: usize = ENTRIES / 4;
const JOINED: usize = ENTRIES * 3 / 4;
/// The same for the children of nodes.
const FEW_CHILDREN: usize = FAN / 4;
const JOINED_CHILDREN: usize = FAN * 3 / 4;

/// What is known of a block beside it.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    first: u32,
    next: u32,
    before: u32,
}

/// A way down: per level the node, and which of its children comes next.
#[derive(Debug)]
pub(super) struct Path {
    nodes: [u32; DEPTH],
    slots: [u8; DEPTH],
    /// The block that it leads to.
    pub(super) leaf: u32,
    /// The goal's place in that block; may be just behind its end.
    pub(super) offset: usize,
}

impl Path {
    fn slot(&self, level: usize) -> (u32, usize) {
        (self.nodes[level], usize::from(self.slots[level]))
    }
}

/// A score whose block will be looked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Goal {
    pub(super) score: f64,
    /// The block's scores will be looked at, too.
    pub(super) scores: bool,
}

/// Goals of a batch: where each element stands, and where it is to stand.
pub(super) const GOALS: usize = 2 * AHEAD;

/// The order of a set.
#[derive(Debug, Clone)]
pub(super) struct Order {
    nodes: Pages<Node>,
    spare_nodes: Vec<u32>,
    root: u32,
    /// Levels of nodes.
    depth: usize,
    /// By the number of a block.
    leaves: Pages<Leaf>,
    blocks: Shelves,
    spare_blocks: Vec<u32>,
    live_blocks: usize,
    tail: u32,
    len: u32,
}

impl Order {
    pub(super) fn new() -> Self {
        let mut order = Self {
            nodes: Pages::new(),
            spare_nodes: Vec::new(),
            root: 0,
            depth: 1,
            leaves: Pages::new(),
            blocks: Shelves::default(),
            spare_blocks: Vec::new(),
            live_blocks: 0,
            tail: HEAD,
            len: 0,
        };
        let first = order.raise(NIL, NIL);
        order.root = order.keep(Node::of(Child { separator: 0.0, number: first, count: 0 }));
        order
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) const fn tail(&self) -> u32 {
        self.tail
    }

    /// The block behind one.
    #[inline(always)]
    pub(super) fn next(&self, leaf: u32) -> u32 {
        self.leaves[leaf].next
    }

    /// The block before one.
    #[inline(always)]
    pub(super) fn before(&self, leaf: u32) -> u32 {
        self.leaves[leaf].before
    }

    #[inline(always)]
    pub(super) fn block(&self, leaf: u32) -> &Block {
        // Leaves in use have their block.
        self.blocks.get(leaf).unwrap_or(&Block::NONE)
    }

    /// The root, and the levels of nodes.
    #[cfg(test)]
    pub(super) fn root(&self) -> (&Node, usize) {
        (&self.nodes[self.root], self.depth)
    }

    #[cfg(test)]
    pub(super) fn node(&self, number: u32) -> &Node {
        &self.nodes[number]
    }

    /// The place of the first entry below a child that has so many levels of nodes.
    #[inline]
    pub(super) fn first(&self, child: u32, levels: usize) -> u32 {
        let leaf = (0..levels).fold(child, |at, _| self.nodes[at].child(0));
        self.leaves[leaf].first
    }

    /// The way to a cut.
    #[inline]
    pub(super) fn seek(&self, cut: &Cut<'_>, members: &Members) -> Path {
        let mut path = self.way(cut, members);
        path.offset = cut.offset(self.block(path.leaf), members);
        path
    }

    /// The way to an entry that is there: its score, its member and the place of that.
    #[inline]
    pub(super) fn seek_entry(
        &self,
        (score, member, place): (f64, &[u8], u32),
        members: &Members,
    ) -> Path {
        let mut path = self.way(&Cut::AfterEntry(score, member), members);
        let at = self.block(path.leaf).position(place);
        debug_assert!(
            at.is_some(),
            "Z1: the entry is in the block that leads to the cut behind it"
        );
        path.offset = at.unwrap_or_default();
        path
    }

    #[inline(always)]
    fn way(&self, cut: &Cut<'_>, members: &Members) -> Path {
        self.descend(|node, levels| {
            cut.child(node, |slot| self.first(node.child(slot), levels), members)
        })
    }

    /// Goes down; `choose` is shown each node, and how many levels of nodes are below its children.
    #[inline(always)]
    fn descend(&self, mut choose: impl FnMut(&Node, usize) -> usize) -> Path {
        let (mut nodes, mut slots, mut at) = ([0; DEPTH], [0; DEPTH], self.root);
        for (level, (number, way)) in nodes.iter_mut().zip(&mut slots).take(self.depth).enumerate()
        {
            let node = &self.nodes[at];
            let slot = choose(node, self.depth - 1 - level);
            (*number, *way) = (at, slot as u8);
            at = node.child(slot);
        }
        Path { nodes, slots, leaf: at, offset: 0 }
    }

    /// How many entries there are before what a path leads to.
    #[inline]
    pub(super) fn rank(&self, path: &Path) -> usize {
        let above = (0..self.depth).map(|level| {
            let (node, slot) = path.slot(level);
            self.nodes[node].before(slot)
        });
        above.sum::<usize>() + path.offset
    }

    /// Asks for the blocks in which entries of these scores stand, or would. All ways down are taken
    /// at once, level by level, by score alone: where that leads astray nothing is lost but time.
    #[inline]
    pub(super) fn ask_ahead(&self, goals: &[Goal]) {
        let mut ways = [self.root; GOALS];
        for _ in 0..self.depth {
            for (way, goal) in ways.iter_mut().zip(goals) {
                let node = &self.nodes[*way];
                *way = node.child(node.below(goal.score));
            }
        }
        for (way, goal) in ways.iter().zip(goals) {
            self.block(*way).prefetch(goal.scores);
        }
    }

    /// The way to the entry of a rank, or to the end.
    #[inline]
    pub(super) fn seek_rank(&self, rank: usize) -> Path {
        let mut rest = rank;
        let mut path = self.descend(|node, _| {
            let mut slot = 0;
            while slot + 1 < node.len() && rest >= node.count(slot) {
                rest -= node.count(slot);
                slot += 1;
            }
            slot
        });
        path.offset = rest.min(self.block(path.leaf).len());
        path
    }

    /// Puts an entry where `path` leads: the cut just before it.
    pub(super) fn insert(&mut self, mut path: Path, score: f64, place: u32) {
        if self.block(path.leaf).len() == ENTRIES {
            self.split(&mut path, score);
        }
        if let Some(block) = self.blocks.get_mut(path.leaf) {
            block.insert(path.offset, score, place);
        }
        self.count(&path, 1);
        self.len += 1;
        if path.offset == 0 {
            self.leaves[path.leaf].first = place;
        }
    }

    /// Takes `count` entries out, all in the block that `path` leads to, and shows their places.
    pub(super) fn remove(&mut self, path: &Path, count: usize, mut each: impl FnMut(u32)) {
        let Some(block) = self.blocks.get_mut(path.leaf) else { return };
        block.places()[path.offset..path.offset + count].iter().for_each(|&place| each(place));
        block.remove(path.offset, count);
        let len = block.len();
        self.count(path, -(count as i32));
        self.len -= count as u32;
        if path.offset == 0 {
            self.settle_first(path.leaf);
        }
        if len < FEW {
            self.mend(path, len);
        }
    }

    /// Gives the entry that `path` leads to another score, if it keeps its place for certain.
    pub(super) fn move_in_place(&mut self, path: &Path, score: f64) -> bool {
        let fits = self.block(path.leaf).fits(path.offset, score);
        if fits && let Some(block) = self.blocks.get_mut(path.leaf) {
            block.rescore(path.offset, score);
        }
        fits
    }

    /// Moves an entry from one score to another.
    #[inline]
    pub(super) fn shift(
        &mut self,
        members: &Members,
        (member, place): (&[u8], u32),
        old: f64,
        score: f64,
    ) {
        let path = self.seek_entry((old, member, place), members);
        if !self.move_in_place(&path, score) {
            self.remove(&path, 1, |_| ());
            let path = self.seek(&Cut::BeforeEntry(score, member), members);
            self.insert(path, score, place);
        }
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn take(&mut self, members: &Members, (score, member, place): (f64, &[u8], u32)) {
        let path = self.seek_entry((score, member, place), members);
        self.remove(&path, 1, |_| ());
    }

    /// The member of an entry is in another place from now on.
    pub(super) fn rename(
        &mut self,
        members: &Members,
        (score, member, old): (f64, &[u8], u32),
        place: u32,
    ) {
        let path = self.seek_entry((score, member, old), members);
        if let Some(block) = self.blocks.get_mut(path.leaf) {
            block.rename(path.offset, place);
        }
        if path.offset == 0 {
            self.leaves[path.leaf].first = place;
        }
    }

    /// Bytes held.
    pub(super) fn weight(&self) -> usize {
        self.nodes.weight()
            + self.leaves.weight()
            + self.blocks.weight()
            + (self.spare_blocks.capacity() + self.spare_nodes.capacity()) * 4
            + self.live_blocks * size_of::<Block>()
    }

    /// Frees some blocks; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.blocks.shed()
    }

    /// Whether this is `other`, and nothing has changed in it since one was cloned from the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.len == other.len && self.blocks.are(&other.blocks)
    }

    /// So many entries more where a path leads (L3).
    #[inline]
    fn count(&mut self, path: &Path, more: i32) {
        for level in 0..self.depth {
            let (node, slot) = path.slot(level);
            let count = self.nodes[node].count_mut(slot);
            *count = count.wrapping_add_signed(more);
        }
    }

    /// Makes room in the full block that `path` leads to, and leads it to the half that wants the
    /// new entry. Growth at either end of the order leaves full blocks behind.
    fn split(&mut self, path: &mut Path, score: f64) {
        let (left, offset, next) = (path.leaf, path.offset, self.next(path.leaf));
        let half = match offset {
            0 if left == HEAD => 0,
            ENTRIES if next == NIL => ENTRIES,
            _ => ENTRIES / 2,
        };
        let right = self.raise(left, next);
        let Some(mut upper) = self.blocks.take(right) else { return };
        let mut separator = score;
        if let Some(block) = self.blocks.get_mut(left) {
            separator = block.scores().get(half).copied().unwrap_or(score);
            upper.append(block, half);
        }
        self.blocks.put(right, upper);
        self.leaves[left].next = right;
        match next {
            NIL => self.tail = right,
            next => self.leaves[next].before = right,
        }
        self.settle_first(right);
        let goes_on = offset > half || half == ENTRIES;
        if goes_on {
            (path.leaf, path.offset) = (right, offset - half);
        }
        let count = (ENTRIES - half) as u32;
        let ends = next == NIL;
        self.adopt(
            path,
            self.depth - 1,
            Child { separator, number: right, count },
            (goes_on, ends),
        );
    }

    /// The child that `path` leads to at this level has given some of its entries to a new one, which
    /// follows it: puts that in the node, which may have to be split in its turn. Says the flag
    /// `goes_on`, the path is led to the new one; says `ends`, there is none behind that.
    fn adopt(
        &mut self,
        path: &mut Path,
        level: usize,
        child: Child,
        (goes_on, ends): (bool, bool),
    ) {
        let (number, slot) = path.slot(level);
        let node = &mut self.nodes[number];
        *node.count_mut(slot) -= child.count;
        if node.len() < FAN {
            node.insert(slot + 1, child);
            path.slots[level] += u8::from(goes_on);
            return;
        }
        let half = if ends { FAN } else { FAN / 2 };
        let (separator, right) = if half == FAN {
            (child.separator, Node::of(child))
        } else {
            let (separator, mut right) = node.split_off(half);
            match slot.checked_sub(half) {
                Some(slot) => right.insert(slot + 1, child),
                None => node.insert(slot + 1, child),
            }
            (separator, right)
        };
        let behind = if half == FAN { goes_on } else { slot >= half };
        let to = slot + usize::from(goes_on) - if behind { half } else { 0 };
        let count = right.total();
        let fresh = self.keep(right);
        (path.nodes[level], path.slots[level]) = (if behind { fresh } else { number }, to as u8);
        let upper = Child { separator, number: fresh, count };
        if level > 0 {
            return self.adopt(path, level - 1, upper, (behind, ends));
        }
        let whole = self.nodes[number].total();
        let mut root = Node::of(Child { separator, number, count: whole });
        root.insert(1, upper);
        self.root = self.keep(root);
        self.depth += 1;
        path.nodes.copy_within(..DEPTH - 1, 1);
        path.slots.copy_within(..DEPTH - 1, 1);
        (path.nodes[0], path.slots[0]) = (self.root, u8::from(behind));
    }

    /// After a removal that left few entries in the block where `path` leads: no empty block (L2), and
    /// as a rule no two sparse ones side by side.
    fn mend(&mut self, path: &Path, len: usize) {
        if len == 0 && path.leaf != HEAD {
            return self.unlink(path);
        }
        let (node, slot) = path.slot(self.depth - 1);
        let node = &self.nodes[node];
        if len == 0 {
            if self.len > 0 {
                self.join(self.seek_rank(0), path); // L6
            }
            return;
        }
        let slot = if slot + 1 < node.len() { slot } else { slot.wrapping_sub(1) };
        if slot < node.len() && node.count(slot) + node.count(slot + 1) <= JOINED {
            let (left, right) = (node.child(slot), node.child(slot + 1));
            let lead = |slot: usize, leaf: u32| {
                let mut slots = path.slots;
                slots[self.depth - 1] = slot as u8;
                Path { nodes: path.nodes, slots, leaf, offset: 0 }
            };
            self.join(lead(slot + 1, right), &lead(slot, left));
        }
    }

    /// Appends the entries of a block to those of the one before it, and takes it out.
    fn join(&mut self, from: Path, to: &Path) {
        let Some(mut block) = self.blocks.take(from.leaf) else { return };
        let count = block.len() as i32;
        if let Some(before) = self.blocks.get_mut(to.leaf) {
            before.append(&mut block, 0);
        }
        self.count(&from, -count);
        self.count(to, count);
        self.settle_first(to.leaf);
        // If another node begins with that block, what separates the node must be behind these entries
        // now (L4).
        let bottom = self.depth - 1;
        let above = (0..bottom).rev().find(|&level| from.slots[level] > 0);
        if from.slots[bottom] == 0
            && let Some(level) = above
            && let Some(&first) = self.block(self.next(from.leaf)).scores().first()
        {
            let (node, slot) = from.slot(level);
            self.nodes[node].separate(slot, first);
        }
        self.unlink(&from);
    }

    /// Takes out a block without entries, and nodes that have no child then.
    fn unlink(&mut self, path: &Path) {
        let Leaf { next, before, .. } = self.leaves[path.leaf];
        self.leaves[before].next = next;
        match next {
            NIL => self.tail = before,
            next => self.leaves[next].before = before,
        }
        drop(self.blocks.take(path.leaf));
        self.live_blocks -= 1;
        self.spare_blocks.push(path.leaf);
        let mut level = self.depth - 1;
        loop {
            let (number, slot) = path.slot(level);
            let node = &mut self.nodes[number];
            node.remove(slot);
            if node.len() > 0 || level == 0 {
                break;
            }
            self.spare_nodes.push(number);
            level -= 1;
        }
        while level > 0 && self.join_nodes(path, level) {
            level -= 1;
        }
        while self.depth > 1 && self.nodes[self.root].len() == 1 {
            self.spare_nodes.push(self.root);
            self.root = self.nodes[self.root].child(0);
            self.depth -= 1;
        }
    }

    /// Joins the node of this level with a neighbour if it has few children. False if not.
    fn join_nodes(&mut self, path: &Path, level: usize) -> bool {
        let (above, slot) = path.slot(level - 1);
        let parent = &self.nodes[above];
        let slot = if slot + 1 < parent.len() { slot } else { slot.wrapping_sub(1) };
        let Some(separator) = parent.separator(slot.wrapping_add(1)) else { return false };
        let (left, right) = (parent.child(slot), parent.child(slot + 1));
        let both = self.nodes[left].len() + self.nodes[right].len();
        if self.nodes[path.nodes[level]].len() >= FEW_CHILDREN || both > JOINED_CHILDREN {
            return false;
        }
        let moved = self.nodes[right].clone();
        self.nodes[left].append(separator, &moved);
        self.spare_nodes.push(right);
        let parent = &mut self.nodes[above];
        *parent.count_mut(slot) += parent.count(slot + 1) as u32;
        parent.remove(slot + 1);
        true
    }

    /// A new empty block between two, neither of which knows it yet.
    fn raise(&mut self, before: u32, next: u32) -> u32 {
        let (fresh, leaf) = (Box::new(Block::EMPTY), Leaf { first: 0, next, before });
        self.live_blocks += 1;
        match self.spare_blocks.pop() {
            Some(number) => {
                self.blocks.put(number, fresh);
                self.leaves[number] = leaf;
                number
            }
            None => {
                self.leaves.push(leaf);
                self.blocks.push(fresh)
            }
        }
    }

    /// Gives a node a number.
    fn keep(&mut self, node: Node) -> u32 {
        match self.spare_nodes.pop() {
            Some(number) => {
                self.nodes[number] = node;
                number
            }
            None => self.nodes.push(node),
        }
    }

    fn settle_first(&mut self, leaf: u32) {
        let first = self.block(leaf).places().first().copied().unwrap_or(0);
        self.leaves[leaf].first = first;
    }
}
