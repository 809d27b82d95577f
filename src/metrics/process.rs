//! What the operating system knows of this process, read when it is asked for. What cannot be read is left
//! out of the answer.

use std::fs;

use rustix::process::{getrlimit, Resource};
use rustix::time::{clock_gettime, ClockId};

use super::exposition::{seconds, Exposition};

/// Adds the samples that all Prometheus clients have under these names. The process has run since
/// `started`, in microseconds since 1970-01-01T00:00:00Z.
pub(super) fn expose(page: &mut Exposition, started: i64) {
    page.counter(
        "process_cpu_seconds",
        "Total user and system CPU time spent in seconds.",
        seconds(cpu_micros()),
    );
    page.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        seconds(u64::try_from(started).unwrap_or_default()),
    );
    if let Some(bytes) = resident_memory() {
        page.gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            bytes,
        );
    }
    if let Some(count) = open_descriptors() {
        page.gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            count,
        );
    }
    if let Some(count) = getrlimit(Resource::Nofile).current {
        page.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            count,
        );
    }
}

fn cpu_micros() -> u64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let micros = spent.tv_sec * 1_000_000 + spent.tv_nsec / 1_000;
    u64::try_from(micros).unwrap_or_default()
}

/// Bytes, from proc_pid_status(5).
fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The kernel gives the number as the folder's size, since Linux 6.2; before, its entries are counted, less
/// the one that the counting itself has open.
fn open_descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => Some((fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        size => Some(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_is_read_is_of_this_process() {
        let before = open_descriptors().expect("/proc is there");
        let files: Vec<File> = (0..100)
            .map(|_| File::open("/dev/null").expect("it can always be opened"))
            .collect();
        let after = open_descriptors().expect("/proc is there");
        // Other tests open and close files meanwhile, but not as many.
        assert!(after > before + 50, "{before} {after}");
        drop(files);
        assert!(resident_memory().expect("/proc is there") > 100_000);
        let spent = cpu_micros();
        while cpu_micros() == spent {}
        assert!(cpu_micros() > spent);
    }
}
