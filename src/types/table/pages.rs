//! A growing array that is never copied as a whole: pages of equal size behind a list of pages.
//!
//! A `Vec` of a million buckets would copy tens of megabytes when it grows, and everyone who waits
//! for the key would wait with it. Here only the first page grows by doubling, which keeps small
//! sets small; the longest copy is half a page.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Items of a page.
pub(in crate::types) const PAGE: usize = 1 << SHIFT;
const SHIFT: u32 = 10;

/// The array.
#[derive(Debug, Clone)]
pub(in crate::types) struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    pub(in crate::types) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    pub(in crate::types) fn len(&self) -> u32 {
        let full = self.pages.len().saturating_sub(1) * PAGE;
        (full + self.pages.last().map_or(0, Vec::len)) as u32
    }

    /// Appends an item and tells its number.
    pub(in crate::types) fn push(&mut self, item: T) -> u32 {
        let number = self.len();
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => page.push(item),
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(item);
                self.pages.push(page);
            }
            None => self.pages.push(vec![item]),
        }
        number
    }

    /// Bytes held.
    pub(in crate::types) fn weight(&self) -> usize {
        let later = self.pages.len().saturating_sub(1) * PAGE;
        let items = self.pages.first().map_or(0, Vec::capacity) + later;
        items * size_of::<T>() + self.pages.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, number: u32) -> &T {
        &self.pages[(number >> SHIFT) as usize][number as usize % PAGE]
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    #[inline(always)]
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.pages[(number >> SHIFT) as usize][number as usize % PAGE]
    }
}

/// The same, for arrays that are copied: copies share pages, and whoever changes one that is shared
/// copies it first, 64 KiB at most.
#[derive(Debug, Clone)]
pub(in crate::types) struct SharedPages<T> {
    pages: Vec<Arc<Vec<T>>>,
}

impl<T: Clone> SharedPages<T> {
    pub(in crate::types) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    pub(in crate::types) fn len(&self) -> u32 {
        let full = self.pages.len().saturating_sub(1) * PAGE;
        (full + self.pages.last().map_or(0, |page| page.len())) as u32
    }

    /// Appends an item and tells its number.
    pub(in crate::types) fn push(&mut self, item: T) -> u32 {
        let number = self.len();
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => {
                let page = Arc::make_mut(page);
                if page.len() == page.capacity() {
                    page.reserve_exact(page.len().min(PAGE - page.len()));
                }
                page.push(item);
            }
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(item);
                self.pages.push(Arc::new(page));
            }
            None => self.pages.push(Arc::new(vec![item])),
        }
        number
    }

    /// Takes the last item off.
    pub(in crate::types) fn pop(&mut self) -> Option<T> {
        let page = self.pages.last_mut()?;
        let item = Arc::make_mut(page).pop();
        if page.is_empty() {
            self.pages.pop();
        }
        item
    }

    /// Bytes held.
    pub(in crate::types) fn weight(&self) -> usize {
        let later = self.pages.len().saturating_sub(1) * PAGE;
        let items = self.pages.first().map_or(0, |page| page.capacity()) + later;
        items * size_of::<T>()
            + self.pages.len() * (size_of::<Vec<T>>() + 16)
            + self.pages.capacity() * size_of::<Arc<Vec<T>>>()
    }
}

impl<T> Index<u32> for SharedPages<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, number: u32) -> &T {
        &self.pages[(number >> SHIFT) as usize][number as usize % PAGE]
    }
}

impl<T: Clone> IndexMut<u32> for SharedPages<T> {
    #[inline(always)]
    fn index_mut(&mut self, number: u32) -> &mut T {
        let page = &mut self.pages[(number >> SHIFT) as usize];
        &mut Arc::make_mut(page)[number as usize % PAGE]
    }
}
