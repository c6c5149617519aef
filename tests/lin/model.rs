//! What a server with one thread and no bugs would do with a few string keys.

/// Keys are numbers below [`KEYS`].
pub const KEYS: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Get(usize),
    Set(usize, Vec<u8>),
    SetNx(usize, Vec<u8>),
    GetSet(usize, Vec<u8>),
    GetDel(usize),
    Incr(usize),
    Append(usize, Vec<u8>),
    Del(usize, usize),
    /// An expiry far ahead, which changes nothing that the other commands show.
    ExpireLater(usize),
    /// An expiry in the past, which removes the key.
    ExpireNow(usize),
    MSet(usize, usize, Vec<u8>),
    MGet,
    Rename(usize, usize),
    /// Source, target, REPLACE.
    Copy(usize, usize, bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Ok,
    Nil,
    /// Which error it was does not matter here.
    Error,
    Int(i64),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
}

pub type State = [Option<Vec<u8>>; KEYS];

fn bulk(value: Option<&Vec<u8>>) -> Reply {
    value.map_or(Reply::Nil, |value| Reply::Bulk(value.clone()))
}

fn int(value: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == value).then_some(number)
}

impl Op {
    /// Runs the command: changes `state` and returns the reply.
    pub fn run(&self, state: &mut State) -> Reply {
        match self {
            Self::Get(key) => bulk(state[*key].as_ref()),
            Self::Set(key, value) => {
                state[*key] = Some(value.clone());
                Reply::Ok
            }
            Self::SetNx(key, value) => {
                let free = state[*key].is_none();
                state[*key].get_or_insert_with(|| value.clone());
                Reply::Int(i64::from(free))
            }
            Self::GetSet(key, value) => bulk(state[*key].replace(value.clone()).as_ref()),
            Self::GetDel(key) => bulk(state[*key].take().as_ref()),
            Self::Incr(key) => match state[*key].as_ref().map_or(Some(0), |value| int(value)) {
                Some(number) => {
                    state[*key] = Some((number + 1).to_string().into_bytes());
                    Reply::Int(number + 1)
                }
                None => Reply::Error,
            },
            Self::Append(key, more) => {
                let value = state[*key].get_or_insert_default();
                value.extend_from_slice(more);
                Reply::Int(value.len() as i64)
            }
            Self::Del(a, b) => {
                let gone = [*a, *b].map(|key| i64::from(state[key].take().is_some()));
                Reply::Int(gone[0] + gone[1])
            }
            Self::ExpireLater(key) => Reply::Int(i64::from(state[*key].is_some())),
            Self::ExpireNow(key) => Reply::Int(i64::from(state[*key].take().is_some())),
            Self::MSet(a, b, value) => {
                state[*a] = Some(value.clone());
                state[*b] = Some(value.clone());
                Reply::Ok
            }
            Self::MGet => Reply::Array(state.iter().map(|value| bulk(value.as_ref())).collect()),
            Self::Rename(from, to) => match state[*from].take() {
                Some(value) => {
                    state[*to] = Some(value);
                    Reply::Ok
                }
                None => Reply::Error,
            },
            Self::Copy(from, to, replace) => {
                let can = state[*from].is_some() && (*replace || state[*to].is_none());
                if can {
                    state[*to] = state[*from].clone();
                }
                Reply::Int(i64::from(can))
            }
        }
    }

    /// The words to send.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let name = |key: &usize| format!("key:{key}").into_bytes();
        let text = |word: &str| word.as_bytes().to_vec();
        match self {
            Self::Get(key) => vec![text("GET"), name(key)],
            Self::Set(key, value) => vec![text("SET"), name(key), value.clone()],
            Self::SetNx(key, value) => vec![text("SETNX"), name(key), value.clone()],
            Self::GetSet(key, value) => vec![text("GETSET"), name(key), value.clone()],
            Self::GetDel(key) => vec![text("GETDEL"), name(key)],
            Self::Incr(key) => vec![text("INCR"), name(key)],
            Self::Append(key, value) => vec![text("APPEND"), name(key), value.clone()],
            Self::Del(a, b) => vec![text("DEL"), name(a), name(b)],
            Self::ExpireLater(key) => vec![text("EXPIRE"), name(key), text("10000")],
            Self::ExpireNow(key) => vec![text("PEXPIRE"), name(key), text("-1")],
            Self::MSet(a, b, value) => {
                vec![text("MSET"), name(a), value.clone(), name(b), value.clone()]
            }
            Self::MGet => {
                let keys = (0..KEYS).map(|key| name(&key));
                std::iter::once(text("MGET")).chain(keys).collect()
            }
            Self::Rename(from, to) => vec![text("RENAME"), name(from), name(to)],
            Self::Copy(from, to, replace) => {
                let mut words = vec![text("COPY"), name(from), name(to)];
                words.extend(replace.then(|| text("REPLACE")));
                words
            }
        }
    }

    /// A random command; `unique` makes its value one of its kind.
    pub fn random(random: u64, unique: u64) -> Self {
        let pick = |shift: u32| (random >> shift) as usize % KEYS;
        let (a, b) = (pick(8), pick(16));
        let value = unique.to_string().into_bytes();
        match random % 22 {
            0..4 => Self::Get(a),
            4 | 5 => Self::Set(a, value),
            6 => Self::SetNx(a, value),
            7 => Self::GetSet(a, value),
            8 => Self::GetDel(a),
            9..12 => Self::Incr(a),
            12 | 13 => Self::Append(a, value[value.len() - 1..].to_vec()),
            14 => Self::Del(a, b),
            15 => Self::ExpireLater(a),
            16 => Self::ExpireNow(a),
            17 => Self::MSet(a, (a + 1) % KEYS, value),
            18 | 19 => Self::MGet,
            20 => Self::Rename(a, b),
            _ => Self::Copy(a, (a + 1) % KEYS, b == 0),
        }
    }
}
