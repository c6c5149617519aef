//! The configuration in force, shared by all threads.
//!
//! Readers hold an `Arc` of an immutable [`Config`] and compare a generation number, one load, to
//! learn that there is a newer one. Writers are serialised, prepare a copy, have it applied, and
//! only then publish it: a reader sees all of a CONFIG SET or nothing.

use super::table::find;
use super::{Config, Param};
use crate::sync::{AtomicU64, Ordering};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

type Watcher = Box<dyn Fn(&Config, &Config) + Send + Sync>;

/// The configuration in force.
pub struct Live {
    current: RwLock<Arc<Config>>,
    /// Raised after each publication.
    generation: AtomicU64,
    /// Held while a change is prepared and applied, so that changes cannot overwrite each other.
    changing: Mutex<()>,
    /// Told of each change, after it is in force.
    watchers: RwLock<Vec<Watcher>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// Why CONFIG SET failed. Its text is Redis' error without the leading `ERR `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No such parameter.
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// A parameter was refused, by its grammar or when applied.
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Failed {
        /// The parameter.
        name: String,
        /// Why.
        reason: String,
    },
    /// Forbidden while data is being loaded: answered as `LOADING`.
    #[error("LOADING Redis is loading the dataset in memory")]
    Loading,
}

/// What the caller of a change is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    /// Protected parameters may be changed.
    pub protected: bool,
    /// Data is being loaded.
    pub loading: bool,
}

/// A change that could not be applied: the parameter's name, and why.
pub type Refusal = (String, String);

impl Live {
    /// Puts `config` in force.
    pub fn new(config: Config) -> Self {
        Self {
            current: RwLock::new(Arc::new(config)),
            generation: AtomicU64::new(1),
            changing: Mutex::new(()),
            watchers: RwLock::default(),
        }
    }

    /// Has `watcher` called with the old and the new configuration after each change, by the thread
    /// that makes it. It must not change the configuration itself, nor wait.
    pub fn watch(&self, watcher: impl Fn(&Config, &Config) + Send + Sync + 'static) {
        self.watchers.write().push(Box::new(watcher));
    }

    /// The configuration in force now.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read())
    }

    /// A number that differs from every earlier one once the configuration has changed.
    pub fn generation(&self) -> u64 {
        // Acquire: whoever sees the new number also finds the new configuration.
        self.generation.load(Ordering::Acquire)
    }

    /// Changes several parameters or none.
    ///
    /// `apply` is told the old and the new configuration and the rows that were named, and makes
    /// the change real (opens a port, resizes a table). If it refuses, it is called once more with
    /// old and new exchanged, to undo what it had begun; so it must act on differences only.
    pub fn set_many(
        &self,
        pairs: &[(&[u8], &[u8])],
        rights: Rights,
        mut apply: impl FnMut(&Config, &Config, &[&'static Param]) -> Result<(), Refusal>,
    ) -> Result<(), SetError> {
        let _one_at_a_time = self.changing.lock();
        let rows = check(pairs, rights)?;
        let old = self.get();
        let mut new = Config::clone(&old);
        for ((param, name), (_, text)) in rows.iter().zip(pairs) {
            param
                .set_text(&mut new, text)
                .map_err(|reason| SetError::Failed { name: (*name).into(), reason })?;
        }
        let changed: Vec<&'static Param> = rows.iter().map(|(param, _)| *param).collect();
        if let Err((name, reason)) = apply(&old, &new, &changed) {
            // What cannot be undone either stays as it is; the first failure is the one to report.
            let _ = apply(&new, &old, &changed);
            return Err(SetError::Failed { name, reason });
        }
        self.publish(&old, new);
        Ok(())
    }

    /// Changes the configuration from inside the server, without checks.
    pub fn update(&self, change: impl FnOnce(&mut Config)) {
        let _one_at_a_time = self.changing.lock();
        let old = self.get();
        let mut config = Config::clone(&old);
        change(&mut config);
        self.publish(&old, config);
    }

    fn publish(&self, old: &Config, new: Config) {
        let new = Arc::new(new);
        *self.current.write() = Arc::clone(&new);
        // Release: pairs with the load in `generation`.
        self.generation.fetch_add(1, Ordering::Release);
        for watcher in self.watchers.read().iter() {
            watcher(old, &new);
        }
    }
}

/// Finds the rows and refuses what may not be changed. The first fault is the one reported.
fn check(
    pairs: &[(&[u8], &[u8])],
    rights: Rights,
) -> Result<Vec<(&'static Param, &'static str)>, SetError> {
    let mut rows: Vec<(&'static Param, &'static str)> = Vec::with_capacity(pairs.len());
    for (given, _) in pairs {
        let given_text = || String::from_utf8_lossy(given).into_owned();
        let (param, name) = find(given).ok_or_else(|| SetError::Unknown(given_text()))?;
        let refuse = |reason: &str| SetError::Failed { name: given_text(), reason: reason.into() };
        if !param.live {
            return Err(refuse("can't set immutable config"));
        }
        if param.protected && !rights.protected {
            return Err(refuse("can't set protected config"));
        }
        if rights.loading && param.deny_loading {
            return Err(SetError::Loading);
        }
        if rows.iter().any(|(other, _)| *other == param) {
            return Err(refuse("duplicate parameter"));
        }
        rows.push((param, name));
    }
    Ok(rows)
}

/// A thread's own hold on the configuration: one load tells whether it is still in force.
#[derive(Debug)]
pub struct Cached {
    generation: u64,
    config: Arc<Config>,
}

impl Cached {
    /// Takes hold of the configuration in force.
    pub fn new(live: &Live) -> Self {
        // The number first: a change in between then shows as one more refresh, never as a missed
        // one.
        let generation = live.generation();
        Self { generation, config: live.get() }
    }

    /// Takes the newer configuration if there is one; says whether there was.
    pub fn refresh(&mut self, live: &Live) -> bool {
        let stale = self.generation != live.generation();
        if stale {
            *self = Self::new(live);
        }
        stale
    }

    /// The configuration held.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

impl std::ops::Deref for Cached {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(live: &Live, pairs: &[(&str, &str)]) -> Result<(), String> {
        let pairs: Vec<(&[u8], &[u8])> =
            pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        live.set_many(&pairs, Rights::default(), |_, _, _| Ok(())).map_err(|e| e.to_string())
    }

    #[test]
    fn all_or_nothing() {
        let live = Live::new(Config::default());
        let mut cached = Cached::new(&live);
        let failed = set(
            &live,
            &[
                ("maxmemory", "10mb"),
                ("maxmemory-clients", "200%"),
                ("client-query-buffer-limit", "x"),
            ],
        );
        assert_eq!(
            failed,
            Err("CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage \
                 argument must be less or equal to 100"
                .into())
        );
        assert!(!cached.refresh(&live));
        set(&live, &[("maxmemory", "10mb"), ("SAVE", "10 5 20 6")]).unwrap();
        assert!(cached.refresh(&live));
        assert_eq!((cached.maxmemory, cached.save.len()), (10 << 20, 2));
    }

    #[test]
    fn refusals_have_redis_texts() {
        let live = Live::new(Config::default());
        for (pairs, text) in [
            (
                &[("nosuch", "1"), ("daemonize", "yes")][..],
                "Unknown option or number of arguments for CONFIG SET - 'nosuch'",
            ),
            (
                &[("daemonize", "yes"), ("nosuch", "1")],
                "CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
            ),
            (
                &[("dir", "/")],
                "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
            ),
            (
                &[("maxmemory", "1"), ("maxmemory", "2")],
                "CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter",
            ),
            (
                &[("slave-read-only", "maybe")],
                "CONFIG SET failed (possibly related to argument 'slave-read-only') - argument must be \
                 'yes' or 'no'",
            ),
        ] {
            assert_eq!(set(&live, pairs), Err(text.into()));
        }
    }

    #[test]
    fn a_refused_application_is_undone() {
        let live = Live::new(Config::default());
        let mut ports = Vec::new();
        let result = live.set_many(
            &[(b"maxmemory", b"1mb"), (b"port", b"7000")],
            Rights::default(),
            |old, new, _| {
                ports.push((old.port, new.port));
                match new.port {
                    7000 => Err(("port".into(), "Unable to listen on this port".into())),
                    _ => Ok(()),
                }
            },
        );
        let text = "CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port";
        assert_eq!(result.map_err(|e| e.to_string()), Err(text.into()));
        assert_eq!(ports, [(6379, 7000), (7000, 6379)]);
        assert_eq!(live.get().maxmemory, 0);
    }
}
