//! All connected clients, for CLIENT LIST, KILL, PAUSE and the limits that look across workers.

/// One client as other threads see it.
#[derive(Debug, Default)]
pub struct Client {
    /// Unique, never reused.
    pub id: u64,
}
