//! The keyspace.
use std::marker::PhantomData;
/// The way of one batch of commands into the keyspace.
pub struct Access<'a>(PhantomData<&'a ()>);
