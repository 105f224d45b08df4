//! `stilld`: the daemon.

fn main() {}
