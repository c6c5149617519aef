//! Room in an interpreter: values made without its memory limit, if there is enough of it (S3).

use super::MEMORY_LIMIT;
use crate::resp::Args;
use mlua::Lua;

/// What a value takes at most beside its bytes.
pub(super) const EACH: usize = 256;

/// What a list of these words takes at most.
pub(super) fn weight(words: Args<'_>) -> usize {
    words.iter().map(|word| word.len() + EACH).sum()
}

/// What an element of a reply takes at most for each of its bytes there, of which it has at least three.
pub(super) const EACH_BYTE: usize = 64;
/// Up to this many bytes [`roomy`] looks once whether there is memory.
const ROOM: usize = 8 << 20;

/// Makes values in an interpreter, `bytes` of them at most. Under a limit (S3) each is made under
/// Lua's own protection, which costs several times what the value does; so if there is room for all
/// of them the limit is lifted meanwhile.
pub(super) fn roomy<T>(
    lua: &Lua,
    bytes: usize,
    make: impl FnOnce() -> mlua::Result<T>,
) -> mlua::Result<T> {
    if bytes > ROOM || lua.used_memory() + ROOM > MEMORY_LIMIT {
        return make();
    }
    let _lifted = Lifted(lua, lua.set_memory_limit(0)?);
    make()
}

/// The limit comes back with the end of this, also when the work panics.
struct Lifted<'l>(&'l Lua, usize);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        if self.0.set_memory_limit(self.1).is_err() {
            tracing::error!("The memory limit of an interpreter cannot be set");
        }
    }
}
