//! The blocks of a stream in order, and ranges of them that outlive the stripe.
//!
//! - **R1** The key of a block is its `first`; blocks do not overlap; none is without a live entry.
//! - **R2** A block is written to only while nobody shares it: a [`Range`] never changes.

use super::block::{Block, Entry, Limit};
use super::id::Id;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    blocks: BTreeMap<Id, Arc<Block>>,
    /// Bytes of all blocks.
    weight: usize,
}

/// What a block takes in the tree, whose nodes are half full when names only rise.
const NODE: usize = 48;

impl Tree {
    /// Bytes of blocks and tree.
    pub(super) fn weight(&self) -> usize {
        self.weight + self.blocks.len() * NODE
    }

    #[cfg(test)]
    pub(super) fn each(&self) -> impl Iterator<Item = (&Id, &Arc<Block>)> {
        self.blocks.iter()
    }

    #[cfg(test)]
    pub(super) const fn block_weight(&self) -> usize {
        self.weight
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Adds an entry behind all others. `texts` are names and values, `added` bytes in all.
    #[inline]
    pub(super) fn push<'t>(
        &mut self,
        id: Id,
        texts: impl Iterator<Item = &'t [u8]> + Clone,
        added: usize,
        limit: Limit,
    ) {
        if let Some(mut last) = self.blocks.last_entry()
            && last.get().admits(added, limit)
        {
            self.weight -= last.get().weight(); // before a copy, which has less room
            let block = Arc::make_mut(last.get_mut());
            block.push(id, texts);
            self.weight += block.weight();
            return;
        }
        self.begin(id, texts, added);
    }

    /// The next block: at once as large as the last became, which gives its spare room back.
    #[cold]
    fn begin<'t>(&mut self, id: Id, texts: impl Iterator<Item = &'t [u8]> + Clone, added: usize) {
        let mut room = 0;
        if let Some(mut last) = self.blocks.last_entry() {
            room = last.get().used().min(MOST_AHEAD);
            if let Some(block) = Arc::get_mut(last.get_mut()) {
                self.weight -= block.weight();
                block.seal();
                self.weight += block.weight();
            }
        }
        // Two bytes are what a text takes beside itself, at most, up to four KiB.
        let mut block = Block::begin(id, room.max(added + 16), texts.clone());
        block.push(id, texts);
        self.weight += block.weight();
        self.blocks.insert(id, Arc::new(block));
    }

    /// The block that holds `id` if any does.
    fn around(&self, id: Id) -> Option<&Arc<Block>> {
        let (_, block) = self.blocks.range(..=id).next_back()?;
        (id <= block.last).then_some(block)
    }

    /// The entry `id`.
    pub(super) fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.around(id)?.find(id)
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.get(id).is_some()
    }

    /// Makes room for names that follow `last`, where deleted entries may still stand.
    pub(super) fn forget_beyond(&mut self, last: Id) {
        if let Some(mut block) = self.blocks.last_entry()
            && block.get().last > last
        {
            self.weight -= block.get().weight();
            let block = Arc::make_mut(block.get_mut());
            block.forget_gone();
            self.weight += block.weight();
        }
    }

    /// Deletes an entry. False if there is none.
    pub(super) fn delete(&mut self, id: Id) -> bool {
        // Looked for first, lest a shared block be copied for nothing.
        if !self.contains(id) {
            return false;
        }
        let Some((&key, block)) = self.blocks.range_mut(..=id).next_back() else { return false };
        if block.live == 1 {
            self.remove(key);
            return true;
        }
        self.weight -= block.weight();
        let block = Arc::make_mut(block);
        block.delete(id);
        self.weight += block.weight();
        true
    }

    fn remove(&mut self, key: Id) {
        if let Some(block) = self.blocks.remove(&key) {
            self.weight -= block.weight();
        }
    }

    /// The first block.
    pub(super) fn first_block(&self) -> Option<&Block> {
        self.blocks.first_key_value().map(|(_, block)| &**block)
    }

    /// Takes the first block away.
    pub(super) fn pop(&mut self) -> Option<Arc<Block>> {
        let (_, block) = self.blocks.pop_first()?;
        self.weight -= block.weight();
        Some(block)
    }

    /// [`Block::trim`] of the first block, which must keep an entry, or go.
    pub(super) fn trim_first(&mut self, wants: impl FnMut(usize, Id) -> bool) -> usize {
        let Some(mut first) = self.blocks.first_entry() else { return 0 };
        self.weight -= first.get().weight();
        let block = Arc::make_mut(first.get_mut());
        let count = block.trim(wants);
        if block.live == 0 {
            first.remove();
        } else {
            self.weight += block.weight();
        }
        count
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<Id> {
        self.ends(false)
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<Id> {
        self.ends(true)
    }

    fn ends(&self, back: bool) -> Option<Id> {
        let mut blocks = self.blocks.values();
        let block = if back { blocks.next_back() } else { blocks.next() }?;
        let mut at = if back { block.places().1 } else { block.places().0 };
        step(block, &mut at, back).map(|entry| entry.id)
    }

    /// At most `most` entries from `from` to `to`, both included, to be read at any time.
    pub(super) fn range(&self, from: Id, to: Id, most: usize, back: bool) -> Range {
        let mut range = Range { blocks: Vec::new(), at: 0, block: 0, from, to, back, left: 0 };
        if from > to || most == 0 {
            return range;
        }
        let start = self.blocks.range(..=from).next_back().map_or(from, |(key, _)| *key);
        let mut blocks = self.blocks.range(start..=to).map(|(_, block)| block);
        while range.left < most
            && let Some(block) = if back { blocks.next_back() } else { blocks.next() }
        {
            let count = block.count(from, to, most - range.left);
            if count > 0 {
                range.left += count;
                range.blocks.push((Arc::clone(block), count));
            }
        }
        range.enter();
        range
    }
}

/// Blocks are not allocated larger than this before they are.
const MOST_AHEAD: usize = 64 * 1024;

/// The next entry that is not deleted, from `at` on, which moves behind it; or before `at`.
#[inline]
fn step<'b>(block: &'b Block, at: &mut usize, back: bool) -> Option<Entry<'b>> {
    loop {
        let entry = if back {
            let entry = block.entry_before(*at)?;
            *at = entry.place();
            entry
        } else {
            let (entry, next) = block.entry(*at)?;
            *at = next;
            entry
        };
        if !entry.is_gone() {
            return Some(entry);
        }
    }
}

/// Entries as they were at one moment, whatever became of the stream since (R2).
#[derive(Debug)]
pub struct Range {
    /// Each with how many of its entries there are to be read.
    blocks: Vec<(Arc<Block>, usize)>,
    /// The block to be read, and where in it.
    block: usize,
    at: usize,
    from: Id,
    to: Id,
    back: bool,
    left: usize,
}

impl Range {
    /// How many entries are left.
    pub const fn len(&self) -> usize {
        self.left
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// How many entries there are in each block, if `self` has not been read yet.
    pub fn counts(&self) -> impl Iterator<Item = usize> {
        self.blocks.iter().map(|(_, count)| *count)
    }

    /// The same from its beginning, if `self` has not been read yet.
    pub fn again(&self) -> Self {
        let Self { block, at, from, to, back, left, .. } = *self;
        Self { blocks: self.blocks.clone(), block, at, from, to, back, left }
    }

    /// To the first entry of the next block.
    fn enter(&mut self) {
        let Some((block, _)) = self.blocks.get(self.block) else { return };
        self.at = if self.back {
            // Behind the last entry that is not beyond `to`.
            self.to.next().map_or(block.places().1, |behind| block.seek(behind))
        } else {
            block.seek(self.from)
        };
    }

    /// The next entry.
    #[inline]
    pub fn next_entry(&mut self) -> Option<Entry<'_>> {
        self.left = self.left.checked_sub(1)?;
        if self.blocks.get(self.block)?.1 == 0 {
            self.block += 1;
            self.enter();
        }
        let (block, left) = self.blocks.get_mut(self.block)?;
        *left = left.saturating_sub(1);
        step(block, &mut self.at, self.back)
    }
}

/// Finds entries whose names ascend, each at little more than the cost of a step.
#[derive(Debug)]
pub(super) struct Seeker<'s> {
    tree: &'s Tree,
    block: Option<&'s Block>,
    at: usize,
}

impl<'s> Seeker<'s> {
    pub(super) const fn new(tree: &'s Tree) -> Self {
        Self { tree, block: None, at: 0 }
    }

    /// The entry `id`, if it is there; each call names a higher one.
    pub(super) fn find(&mut self, id: Id) -> Option<Entry<'s>> {
        if self.block.is_none_or(|block| block.last < id) {
            let block: &'s Block = self.tree.around(id)?;
            self.block = Some(block);
            self.at = block.seek(id);
        }
        let block = self.block?;
        while let Some((entry, next)) = block.entry(self.at)
            && entry.id <= id
        {
            self.at = next;
            if entry.id == id {
                return (!entry.is_gone()).then_some(entry);
            }
        }
        None
    }
}
