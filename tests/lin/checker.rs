//! Is there an order of all commands, in agreement with real time, in which a server with one thread
//! would have given the same replies? (Wing and Gong's search, with Lowe's memory of configurations
//! that led nowhere.)
//!
//! A client sends its commands one after the other, so a set of commands done is told by a number per
//! client. A command may come next if no command that is still to come had ended before it began.
//! All keys are one object, so commands on several are checked as such.

use super::model::{Op, Reply, State};
use std::collections::HashSet;

/// A command, when it was sent, when its reply was there, and what that was.
#[derive(Debug, Clone)]
pub struct Event {
    pub op: Op,
    pub reply: Reply,
    pub began: u64,
    pub ended: u64,
}

/// The configurations at which the search got furthest, as a text; `Ok` if an order was found.
pub fn check(clients: &[Vec<Event>]) -> Result<(), String> {
    let mut dead: HashSet<(Vec<usize>, State)> = HashSet::new();
    let mut done = vec![0; clients.len()];
    let mut state = State::default();
    // What was done, and the state before it; and from which client on to try next.
    let mut path: Vec<(usize, State)> = Vec::new();
    let mut from = 0;
    let mut furthest = (0, String::new());
    loop {
        let next = |client: usize, done: &[usize]| clients[client].get(done[client]);
        let first_end = (0..clients.len()).filter_map(|c| next(c, &done)).map(|e| e.ended).min();
        let Some(first_end) = first_end else { return Ok(()) };
        let mut found = None;
        for client in from..clients.len() {
            let Some(event) = next(client, &done).filter(|event| event.began <= first_end) else {
                continue;
            };
            let mut after = state.clone();
            if event.op.run(&mut after) != event.reply {
                continue;
            }
            done[client] += 1;
            if dead.insert((done.clone(), after.clone())) {
                found = Some((client, after));
                break;
            }
            done[client] -= 1;
        }
        if let Some((client, after)) = found {
            path.push((client, std::mem::replace(&mut state, after)));
            from = 0;
            continue;
        }
        if path.len() >= furthest.0 {
            let stuck: Vec<_> = (0..clients.len()).filter_map(|c| next(c, &done)).collect();
            furthest = (path.len(), format!("after {} in state {state:?}: {stuck:#?}", path.len()));
        }
        let Some((client, before)) = path.pop() else { return Err(furthest.1) };
        done[client] -= 1;
        state = before;
        from = client + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(op: Op, reply: Reply, began: u64, ended: u64) -> Event {
        Event { op, reply, began, ended }
    }

    fn text(value: &str) -> Vec<u8> {
        value.as_bytes().to_vec()
    }

    fn bulk(value: &str) -> Reply {
        Reply::Bulk(text(value))
    }

    fn set(value: &str, began: u64, ended: u64) -> Event {
        event(Op::Set(0, text(value)), Reply::Ok, began, ended)
    }

    fn get(value: &str, began: u64, ended: u64) -> Event {
        event(Op::Get(0), bulk(value), began, ended)
    }

    #[test]
    fn what_overlaps_may_take_hold_in_either_order() {
        assert_eq!(check(&[vec![set("a", 0, 9)], vec![set("b", 0, 9), get("a", 10, 11)]]), Ok(()));
        assert_eq!(check(&[vec![set("a", 0, 9)], vec![set("b", 0, 9), get("b", 10, 11)]]), Ok(()));
        let late = event(Op::Get(0), Reply::Nil, 1, 8);
        assert_eq!(check(&[vec![set("a", 0, 9)], vec![late]]), Ok(()));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert!(check(&[vec![set("a", 0, 1), set("b", 2, 3)], vec![get("a", 4, 5)]]).is_err());
        // New, then old again, while both writes are still under way.
        let reader = vec![get("b", 3, 4), get("a", 5, 6), get("b", 7, 8)];
        assert!(check(&[vec![set("a", 0, 2)], vec![set("b", 1, 9)], reader]).is_err());
    }

    #[test]
    fn a_lost_update_is_found() {
        let incr = |n, began, ended| event(Op::Incr(0), Reply::Int(n), began, ended);
        assert!(check(&[vec![incr(1, 0, 5)], vec![incr(1, 1, 6)]]).is_err());
        assert_eq!(check(&[vec![incr(2, 0, 5)], vec![incr(1, 1, 6)]]), Ok(()));
        let append = |n, began, ended| event(Op::Append(0, text("x")), Reply::Int(n), began, ended);
        assert!(check(&[vec![append(1, 0, 5)], vec![append(1, 1, 6)]]).is_err());
    }

    #[test]
    fn a_torn_write_or_read_is_found() {
        let mset = event(Op::MSet(0, 1, text("v")), Reply::Ok, 0, 9);
        let mget = |a: Reply, b: Reply, began, ended| {
            event(Op::MGet, Reply::Array(vec![a, b, Reply::Nil]), began, ended)
        };
        let one = std::slice::from_ref(&mset);
        assert_eq!(check(&[one.to_vec(), vec![mget(bulk("v"), bulk("v"), 1, 2)]]), Ok(()));
        assert!(check(&[one.to_vec(), vec![mget(bulk("v"), Reply::Nil, 1, 2)]]).is_err());
        // Two single reads: the second key must not be older than the first.
        let halves = |second| vec![get("v", 1, 2), event(Op::Get(1), second, 3, 4)];
        assert_eq!(check(&[one.to_vec(), halves(bulk("v"))]), Ok(()));
        assert!(check(&[one.to_vec(), halves(Reply::Nil)]).is_err());
    }

    #[test]
    fn a_move_seen_half_way_is_found() {
        let first = vec![set("v", 0, 1), event(Op::Rename(0, 1), Reply::Ok, 2, 9)];
        let see =
            |a: Reply, b: Reply| vec![event(Op::MGet, Reply::Array(vec![a, b, Reply::Nil]), 3, 4)];
        assert_eq!(check(&[first.clone(), see(Reply::Nil, bulk("v"))]), Ok(()));
        assert!(check(&[first.clone(), see(Reply::Nil, Reply::Nil)]).is_err());
        assert!(check(&[first, see(bulk("v"), bulk("v"))]).is_err());
        // A deletion that both claim, a copy of what had gone.
        let del = || vec![event(Op::Del(0, 1), Reply::Int(1), 2, 5)];
        assert!(check(&[vec![set("v", 0, 1)], del(), del()]).is_err());
        let copy = vec![event(Op::Copy(0, 1, true), Reply::Int(1), 6, 7)];
        assert!(check(&[vec![set("v", 0, 1)], del(), copy]).is_err());
    }
}
