//! Elements of packed sequences in replies.

use crate::resp::Reply;
use crate::types::packed::Element;

/// Encodes an element as a bulk string.
#[inline]
pub fn bulk(reply: &mut Reply, element: &Element<'_>) {
    match *element {
        Element::Str(text) => reply.bulk(text),
        Element::Int(value) => reply.bulk_int(value),
        Element::Double(_) => {
            let mut text = Vec::with_capacity(24);
            element.write_text(&mut text);
            reply.bulk(&text);
        }
    }
}
