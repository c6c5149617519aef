//! Plain data structures and arithmetic of the data types: no locks, no clients, no I/O.
