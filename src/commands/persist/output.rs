//! The file that a snapshot is written to: as it is, or sealed if there are keys.

use super::recorder::Durable;
use crate::disk::seal::{self, Keyring};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// See the module. It is whole after [`Output::close`].
pub struct Output(Form);

enum Form {
    Plain(File),
    Sealed(Box<seal::Writer<File>>),
    Closed,
}

impl Output {
    /// Begins it in an empty file.
    pub fn new(file: File, keys: Option<&Arc<Keyring>>) -> io::Result<Self> {
        Ok(Self(match keys {
            Some(keys) => Form::Sealed(Box::new(seal::Writer::new(file, keys)?)),
            None => Form::Plain(file),
        }))
    }

    /// Writes the end, and forces all of it to the disk. A second time nothing is left to do.
    pub fn close(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.0, Form::Closed) {
            Form::Plain(file) => file.sync_all(),
            Form::Sealed(writer) => writer.finish()?.sync_all(),
            Form::Closed => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Form::Plain(file) => file.write(bytes),
            Form::Sealed(writer) => writer.write(bytes),
            Form::Closed => Err(io::Error::other("the snapshot was closed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // files have no buffer, and records are made when they are full
    }
}

impl Durable for Output {
    fn sync(&mut self) -> io::Result<()> {
        match &self.0 {
            Form::Plain(file) => file.sync_data(),
            Form::Sealed(writer) => writer.out().sync_data(),
            Form::Closed => Ok(()),
        }
    }
}
