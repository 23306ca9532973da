//! The progress of a download.

/// Receives the progress of a download. Some calls come from another thread. `()` ignores it.
pub trait Progress: Send + Sync {
    /// Another process is downloading to the same folder, and this one waits. `holder` describes the other process.
    fn waits(&self, _holder: &str) {}
    /// The download from a source begins.
    fn source(&self, name: &str);
    /// `done` of `total` bytes have arrived from the source.
    fn bytes(&self, done: u64, total: u64);
    /// The source failed. The next one follows, if there is one.
    fn failed(&self, name: &str, reason: &str);
}

impl Progress for () {
    fn source(&self, _: &str) {}
    fn bytes(&self, _: u64, _: u64) {}
    fn failed(&self, _: &str, _: &str) {}
}
