//! `stillctl`: the control client.

fn main() {}
