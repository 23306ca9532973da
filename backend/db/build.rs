//! A new migration file makes cargo embed the migrations again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
