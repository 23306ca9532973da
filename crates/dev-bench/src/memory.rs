//! How much memory a process holds.

use std::time::Duration;

use process::{Configuration, capture};

/// The resident memory of a process, in megabytes (10^6 bytes); nothing when it does not run.
pub(super) async fn resident(pid: u32) -> Option<f64> {
    if cfg!(target_os = "linux") {
        return kilobytes_of_status(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    }
    let ps = Configuration::new("ps", "ps").args(["-o", "rss=", "-p", &pid.to_string()]);
    let output = capture(ps, b"", Duration::from_secs(5)).await.ok()?;
    megabytes(std::str::from_utf8(&output.stdout).ok()?)
}

/// The most that a process held, looked at ten times a second until it ends or this is dropped.
pub(super) async fn watch(pid: u32, most: &mut f64) {
    while let Some(now) = resident(pid).await {
        *most = most.max(now);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn kilobytes_of_status(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    megabytes(line.strip_suffix("kB")?)
}

/// A number of kibibytes as text.
fn megabytes(kibibytes: &str) -> Option<f64> {
    Some(kibibytes.trim().parse::<f64>().ok()? * 1024.0 / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_of_this_process_is_measured() {
        let megabytes = resident(std::process::id()).await.unwrap();
        assert!((1.0..4000.0).contains(&megabytes), "{megabytes}");
        assert_eq!(resident(u32::MAX / 2).await, None);
    }

    #[test]
    fn the_resident_memory_is_read_from_proc_status() {
        assert_eq!(
            kilobytes_of_status("Name:\tx\nVmHWM:\t    9 kB\nVmRSS:\t  15625 kB\nThreads: 3\n"),
            Some(16.0)
        );
        assert_eq!(kilobytes_of_status("Name:\tx\n"), None);
    }
}
