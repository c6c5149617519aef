//! The blocks of an order, 64 on a shelf. Shelves are shared with frozen copies: whoever changes a
//! block on a shared one copies that shelf first, 32 KiB. So to freeze a million entries costs a few
//! hundred pointers, and no change after it waits for more than one shelf.

use super::block::Block;
use std::sync::Arc;

const SHELF: usize = 64;
type Shelf = [Option<Box<Block>>; SHELF];

/// The shelves.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelves {
    shelves: Vec<Arc<Shelf>>,
    len: u32,
}

impl Shelves {
    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&Block> {
        self.shelves[number as usize / SHELF][number as usize % SHELF].as_deref()
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Block> {
        self.place(number).as_deref_mut()
    }

    pub(super) fn take(&mut self, number: u32) -> Option<Box<Block>> {
        self.place(number).take()
    }

    pub(super) fn put(&mut self, number: u32, block: Box<Block>) {
        *self.place(number) = Some(block);
    }

    /// Puts a block in a place of its own and tells its number.
    pub(super) fn push(&mut self, block: Box<Block>) -> u32 {
        let number = self.len;
        if number as usize / SHELF == self.shelves.len() {
            self.shelves.push(Arc::new([const { None }; SHELF]));
        }
        self.len += 1;
        self.put(number, block);
        number
    }

    /// Frees one shelf; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.shelves.pop().is_some()
    }

    /// Bytes held beside the blocks.
    pub(super) fn weight(&self) -> usize {
        self.shelves.len() * (size_of::<Shelf>() + 16) + self.shelves.capacity() * 8
    }

    /// Whether these are the very blocks of `other`, both being alive.
    pub(super) fn are(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Shelf>, &Arc<Shelf>)| Arc::ptr_eq(a, b);
        self.shelves.len() == other.shelves.len()
            && self.shelves.iter().zip(&other.shelves).all(same)
    }

    #[inline(always)]
    fn place(&mut self, number: u32) -> &mut Option<Box<Block>> {
        &mut Arc::make_mut(&mut self.shelves[number as usize / SHELF])[number as usize % SHELF]
    }
}
