//! The order: an unrolled skiplist.
//!
//! ```text
//!   head ─────────────────────────────────► tower ──────────────► nil     towers: dense cells of 16 B
//!   head ────────────► tower ─────────────► tower ──► tower ────► nil     link = successor's separator,
//!    │                  │                    │         │                         successor, span
//!   block 42×(score,place)  block            block     block               512 bytes each
//! ```
//! Entries, a score and the place of a member, stand in blocks of 42; each block has a tower of
//! links. Towers live apart from the blocks in an array of their own: at a million members it is
//! 1.3 MB, so the way down stays in the cache and only the last step fetches a block.
//!
//! - **L1** Entries are in order of score, then of member's bytes, within and across blocks.
//! - **L2** A block is not empty, but for the head's when the list is empty.
//! - **L3** The span of a link is the number of entries from the start of its tower's block to the
//!   start of its successor's (or to the end of the list): rank is the sum of spans on the way down.
//! - **L4** The score in a link separates: no entry before the successor has a greater one, none from
//!   it on a smaller one. It need not be the first entry's: a removal leaves it as it was, and so
//!   need not find the links that lead to a block. On a tie the successor's first entry decides.
//! - **L5** `first` in a tower's head cell is the place of the first entry of its block.

use super::block::{Block, ENTRIES};
use super::members::Members;
use super::range::Cut;
use super::shelves::Shelves;
use crate::types::table::{PAGE, Pages};

/// One tower in 4 has a further level; 14 levels are good for 4^14 blocks, more than places.
pub(super) const LEVELS: usize = 14;
/// The tower that stands before all; as successor it means none.
pub(super) const HEAD: u32 = 0;
pub(super) const NIL: u32 = 0;
/// Below so many entries a block swallows its successor, if both together leave room for more.
const FEW: usize = ENTRIES / 4;
const MERGED: usize = ENTRIES * 3 / 4;

/// A tower is its head cell and its links, from the ground up.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Head: first place | block. Link: the separator's bits.
    word: u64,
    /// Head: the tower before, on the ground. Link: the successor.
    next: u32,
    /// Head: height. Link: span.
    span: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) separator: f64,
    pub(super) next: u32,
    pub(super) span: u32,
}

/// A way down: per level, the last tower not behind the goal and the rank it starts at.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) towers: [u32; LEVELS],
    starts: [u32; LEVELS],
    /// The goal's place in the block of `towers[0]`; may be just behind its end.
    pub(super) offset: usize,
}

impl Path {
    pub(super) const fn rank(&self) -> usize {
        self.starts[0] as usize + self.offset
    }
}

/// Ways taken at once by [`Order::ask_ahead`].
const LANES: usize = 12;

/// One of them.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    goal: Goal,
    tower: u32,
    /// The link to be looked at next, counted from 1.
    level: u32,
}

/// A score whose block will be looked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Goal {
    pub(super) score: f64,
    /// The block's scores will be looked at, too.
    pub(super) scores: bool,
}

/// The order of a set.
#[derive(Debug, Clone)]
pub(super) struct Order {
    cells: Pages<Cell>,
    blocks: Shelves,
    spare_blocks: Vec<u32>,
    /// By height, a tower out of use, in a list through `next`.
    spare_towers: [u32; LEVELS + 1],
    levels: usize,
    len: u32,
    live_blocks: usize,
    tail: u32,
    random: u64,
}

impl Order {
    pub(super) fn new(seed: u64) -> Self {
        let mut order = Self {
            cells: Pages::new(),
            blocks: Shelves::default(),
            spare_blocks: Vec::new(),
            spare_towers: [NIL; LEVELS + 1],
            levels: 1,
            len: 0,
            live_blocks: 0,
            tail: HEAD,
            random: seed | 1,
        };
        order.raise(LEVELS); // the first tower is number 0: the head
        order
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) const fn tail(&self) -> u32 {
        self.tail
    }

    #[cfg(test)]
    pub(super) const fn levels(&self) -> usize {
        self.levels
    }

    #[inline(always)]
    pub(super) fn link(&self, tower: u32, level: usize) -> Link {
        let cell = self.cells[tower + 1 + level as u32];
        Link { separator: f64::from_bits(cell.word), next: cell.next, span: cell.span }
    }

    /// The place of a tower's first entry.
    #[inline(always)]
    pub(super) fn first(&self, tower: u32) -> u32 {
        (self.cells[tower].word >> 32) as u32
    }

    /// The tower before, on the ground.
    pub(super) fn before(&self, tower: u32) -> u32 {
        self.cells[tower].next
    }

    #[cfg(test)]
    pub(super) fn height(&self, tower: u32) -> usize {
        self.cells[tower].span as usize
    }

    #[inline(always)]
    pub(super) fn block(&self, tower: u32) -> &Block {
        // Towers in use have their block.
        self.blocks.get(self.cells[tower].word as u32).unwrap_or(&Block::NONE)
    }

    /// The way to a cut.
    #[inline]
    pub(super) fn seek(&self, cut: &Cut<'_>, members: &Members) -> Path {
        let mut path = self.walk(|_, link| {
            cut.is_after_separator(link.separator, || self.first(link.next), members)
        });
        path.offset = cut.offset(self.block(path.towers[0]), members);
        path
    }

    /// The way to an entry that is there: its score, its member and the place of that.
    #[inline]
    pub(super) fn seek_entry(
        &self,
        (score, member, place): (f64, &[u8], u32),
        members: &Members,
    ) -> Path {
        let cut = Cut::AfterEntry(score, member);
        let mut path = self.walk(|_, link| {
            cut.is_after_separator(link.separator, || self.first(link.next), members)
        });
        let at = self.block(path.towers[0]).position(place);
        debug_assert!(
            at.is_some(),
            "Z1: the entry is in the block that leads to the cut behind it"
        );
        path.offset = at.unwrap_or_default();
        path
    }

    /// Asks for the blocks in which entries of these scores stand, or would. Several ways down are
    /// taken at once, a step each in turn, by score alone: where that leads astray nothing is lost but
    /// time.
    #[inline]
    pub(super) fn ask_ahead(&self, goals: &[Goal]) {
        let mut rest =
            goals.iter().map(|&goal| Lane { goal, tower: HEAD, level: self.levels as u32 });
        let (mut lanes, mut active) = ([Lane::default(); LANES], 0);
        for (lane, fresh) in lanes.iter_mut().zip(rest.by_ref()) {
            *lane = fresh;
            active += 1;
        }
        while active > 0 {
            let mut at = 0;
            while at < active {
                let lane = &mut lanes[at];
                let link = &self.cells[lane.tower + lane.level];
                let score = f64::from_bits(link.word);
                let passes = (link.next != NIL) & (score < lane.goal.score);
                lane.tower = if passes { link.next } else { lane.tower };
                lane.level -= u32::from(!passes);
                if lane.level == 0 {
                    self.block(lane.tower).prefetch(lane.goal.scores);
                    match rest.next() {
                        Some(fresh) => *lane = fresh,
                        None => {
                            active -= 1;
                            lanes[at] = lanes[active];
                            continue;
                        }
                    }
                }
                at += 1;
            }
        }
    }

    /// The way to the entry of a rank, or to the end.
    #[inline]
    pub(super) fn seek_rank(&self, rank: usize) -> Path {
        if rank < self.block(HEAD).len() {
            return Path { towers: [HEAD; LEVELS], starts: [0; LEVELS], offset: rank };
        }
        let mut path = self.walk(|start, link| (start + link.span) as usize <= rank);
        path.offset = (rank - path.starts[0] as usize).min(self.block(path.towers[0]).len());
        path
    }

    #[inline(always)]
    fn walk(&self, mut passes: impl FnMut(u32, &Link) -> bool) -> Path {
        let mut path = Path { towers: [HEAD; LEVELS], starts: [0; LEVELS], offset: 0 };
        let (mut tower, mut start) = (HEAD, 0);
        for level in (0..self.levels).rev() {
            loop {
                let link = self.link(tower, level);
                if link.next == NIL || !passes(start, &link) {
                    break;
                }
                (tower, start) = (link.next, start + link.span);
            }
            (path.towers[level], path.starts[level]) = (tower, start);
        }
        path
    }

    /// Puts an entry where `path` leads: the cut just before it.
    pub(super) fn insert(&mut self, mut path: Path, score: f64, place: u32) {
        let tower = path.towers[0];
        if self.block(tower).len() == ENTRIES {
            self.split(&mut path, score);
        }
        let (tower, offset) = (path.towers[0], path.offset);
        if let Some(block) = self.block_mut(tower) {
            block.insert(offset, score, place);
        }
        for level in 0..self.levels {
            self.link_mut(path.towers[level], level).span += 1;
        }
        self.len += 1;
        if offset == 0 {
            self.settle_first(tower);
        }
    }

    /// Takes `count` entries out, all in the block that `path` leads to, and shows their places.
    pub(super) fn remove(&mut self, path: &Path, count: usize, mut each: impl FnMut(u32)) {
        let tower = path.towers[0];
        let Some(block) = self.block_mut(tower) else { return };
        block.places()[path.offset..path.offset + count].iter().for_each(|&place| each(place));
        block.remove(path.offset, count);
        for level in 0..self.levels {
            self.link_mut(path.towers[level], level).span -= count as u32;
        }
        self.len -= count as u32;
        self.mend(path);
        if path.offset == 0 {
            self.settle_first(tower);
        }
    }

    /// Gives the entry that `path` leads to another score, if it keeps its place for certain.
    pub(super) fn move_in_place(&mut self, path: &Path, score: f64) -> bool {
        let Some(block) = self.block_mut(path.towers[0]) else { return false };
        block.rescore(path.offset, score)
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
        let tower = path.towers[0];
        if let Some(block) = self.block_mut(tower) {
            block.rename(path.offset, place);
        }
        if path.offset == 0 {
            self.settle_first(tower);
        }
    }

    /// Bytes held.
    pub(super) fn weight(&self) -> usize {
        self.cells.weight()
            + self.blocks.weight()
            + self.spare_blocks.capacity() * 4
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

    /// Makes room in the full block that `path` leads to, and leads it to the half that wants the
    /// new entry. Growth at either end of the list leaves full blocks behind.
    fn split(&mut self, path: &mut Path, score: f64) {
        let (left, offset) = (path.towers[0], path.offset);
        let next = self.link(left, 0).next;
        let half = match offset {
            0 if left == HEAD => 0,
            ENTRIES if next == NIL => ENTRIES,
            _ => ENTRIES / 2,
        };
        let height = self.random_height();
        let right = self.raise(height);
        let number = self.cells[right].word as u32;
        let Some(mut upper) = self.blocks.take(number) else { return };
        let mut separator = score;
        if let Some(block) = self.block_mut(left) {
            separator = block.scores().get(half).copied().unwrap_or(score);
            upper.append(block, half);
        }
        self.blocks.put(number, upper);
        while self.levels < height {
            *self.link_mut(HEAD, self.levels) = Cell { word: 0, next: NIL, span: self.len };
            self.levels += 1;
        }
        let start = path.starts[0] + half as u32;
        for level in 0..height {
            let ahead = start - path.starts[level];
            let link = self.link_mut(path.towers[level], level);
            let beyond = Cell { span: link.span - ahead, ..*link };
            *link = Cell { word: separator.to_bits(), next: right, span: ahead };
            *self.link_mut(right, level) = beyond;
        }
        self.cells[right].next = left;
        match next {
            NIL => self.tail = right,
            next => self.cells[next].next = right,
        }
        self.settle_first(right);
        if offset > half || half == ENTRIES {
            path.towers[..height].fill(right);
            path.starts[..height].fill(start);
            path.offset = offset - half;
        }
    }

    /// After a removal: no empty block (L2), and no two sparse ones side by side.
    fn mend(&mut self, path: &Path) {
        let tower = path.towers[0];
        let (len, next) = (self.block(tower).len(), self.link(tower, 0).next);
        if next != NIL {
            let both = len + self.block(next).len();
            if len == 0 || (len < FEW && both <= MERGED) {
                let number = self.cells[next].word as u32;
                let Some(mut swallowed) = self.blocks.take(number) else { return };
                if let Some(block) = self.block_mut(tower) {
                    block.append(&mut swallowed, 0);
                }
                self.settle_first(tower);
                self.unlink(next, path);
            }
        } else if len == 0 && tower != HEAD {
            let path = self.walk(|_, link| link.next != tower);
            self.unlink(tower, &path);
        }
    }

    /// Takes out a tower and its block; `path` leads to the one before it.
    fn unlink(&mut self, tower: u32, path: &Path) {
        let Cell { word, next: before, span: height } = self.cells[tower];
        for level in 0..height as usize {
            let gone = *self.link_mut(tower, level);
            let link = self.link_mut(path.towers[level], level);
            *link = Cell { span: link.span + gone.span, ..gone };
        }
        match self.link(before, 0).next {
            NIL => self.tail = before,
            next => self.cells[next].next = before,
        }
        drop(self.blocks.take(word as u32));
        self.live_blocks -= 1;
        self.spare_blocks.push(word as u32);
        self.cells[tower].next = self.spare_towers[height as usize];
        self.spare_towers[height as usize] = tower;
        while self.levels > 1 && self.link(HEAD, self.levels - 1).next == NIL {
            self.levels -= 1;
        }
    }

    /// A new tower with an empty block, linked nowhere.
    fn raise(&mut self, height: usize) -> u32 {
        let fresh = Box::new(Block::EMPTY);
        self.live_blocks += 1;
        let block = match self.spare_blocks.pop() {
            Some(number) => {
                self.blocks.put(number, fresh);
                number
            }
            None => self.blocks.push(fresh),
        };
        let blank = Cell { word: 0, next: NIL, span: 0 };
        let tower = match self.spare_towers[height] {
            NIL => {
                // A tower does not straddle pages, so that one look at the page serves it all.
                while self.cells.len() as usize % PAGE + height + 1 > PAGE {
                    self.cells.push(blank);
                }
                let tower = self.cells.push(blank);
                (0..height).for_each(|_| _ = self.cells.push(blank));
                tower
            }
            spare => {
                self.spare_towers[height] = self.cells[spare].next;
                spare
            }
        };
        self.cells[tower] = Cell { word: u64::from(block), next: HEAD, span: height as u32 };
        tower
    }

    fn settle_first(&mut self, tower: u32) {
        let first = self.block(tower).places().first().copied().unwrap_or(0);
        let cell = &mut self.cells[tower];
        cell.word = u64::from(first) << 32 | u64::from(cell.word as u32);
    }

    fn link_mut(&mut self, tower: u32, level: usize) -> &mut Cell {
        &mut self.cells[tower + 1 + level as u32]
    }

    fn block_mut(&mut self, tower: u32) -> Option<&mut Block> {
        self.blocks.get_mut(self.cells[tower].word as u32)
    }

    /// One in four towers has a second level, one in sixteen a third.
    fn random_height(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let bits = self.random.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        (1 + bits.trailing_zeros() as usize / 2).min(LEVELS)
    }
}
