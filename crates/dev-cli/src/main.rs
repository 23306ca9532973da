//! cargo dev: the developer's command.

fn main() {}
