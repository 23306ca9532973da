//! An HTTP load generator and the bare server that it compares with.

fn main() {}
