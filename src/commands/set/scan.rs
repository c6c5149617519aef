//! SSCAN: a walk over a set, a few members at a time.
//!
//! A compact set is shown whole. The walk over a large one shows every member that is there from
//! its beginning to its end, whatever comes and goes in between; some may be shown twice.

use super::super::elements::{Walk, cursor};
use super::view;
use super::{Cx, Error};
use crate::resp::{Args, Reply};
use crate::types::object::Type;
use crate::types::set::View;

/// Members of a large set shown per call at most, whatever COUNT says: its stripe is held meanwhile.
const SHOWN: usize = 4_000;

pub fn sscan(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut at = cursor(args.get(2))?;
    let key = cx.key(args, 1);
    let shown = cx.db.collection(key, Type::Set, |seen| {
        let walk = Walk::parse(args.from(3))?;
        let mut found = Reply::default();
        let mut count = 0;
        let mut show = |text: &[u8]| {
            if walk.wants(text) {
                count += 1;
                found.bulk(text);
            }
        };
        match view(seen) {
            View::Large(set) => {
                let (mut seen, most) = (0, walk.count.min(SHOWN));
                loop {
                    at = set.scan(at, |text| {
                        seen += 1;
                        show(text);
                    });
                    if at == 0 || seen >= most {
                        break;
                    }
                }
            }
            set => {
                at = 0;
                set.each(|member| member.with(&mut show));
            }
        }
        Ok::<_, Error>((count, found))
    })?;
    let (count, found) = match shown {
        Some(shown) => shown?,
        None => {
            at = 0;
            Default::default()
        }
    };
    cx.reply.array(2);
    cx.reply.bulk(at.to_string().as_bytes());
    cx.reply.array(count);
    cx.reply.raw(&found.bytes);
    Ok(())
}
