//! Texts, one behind the other in few blocks: a million of them is added without a million
//! allocations, and freed at once.

/// Some texts.
#[derive(Debug, Default)]
pub struct Arena {
    blocks: Vec<Vec<u8>>,
}

/// A text in an arena.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    block: u32,
    at: u32,
    len: u32,
}

/// Bytes of a block, unless a text is larger.
const BLOCK: usize = 256 * 1024;

impl Arena {
    /// Adds a text.
    pub fn add(&mut self, text: &[u8]) -> Text {
        let fits = |block: &&mut Vec<u8>| block.capacity() - block.len() >= text.len();
        if self.blocks.last_mut().filter(fits).is_none() {
            // The first blocks are small: most arenas are.
            let size = (1024 << (2 * self.blocks.len()).min(16)).min(BLOCK);
            self.blocks.push(Vec::with_capacity(size.max(text.len())));
        }
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[last];
        let at = block.len() as u32;
        block.extend_from_slice(text);
        Text { block: last as u32, at, len: text.len() as u32 }
    }

    /// A text that was added to this arena.
    pub fn get(&self, text: Text) -> &[u8] {
        &self.blocks[text.block as usize][text.at as usize..][..text.len as usize]
    }
}
