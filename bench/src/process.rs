//! A child process that is measured: what it costs, and how it is ended.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};

use crate::cleanup;

/// How long a process may take to end after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A running child. Dropping it kills it.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// # Errors
    /// The program cannot be started.
    pub fn start(name: &'static str, command: &mut Command) -> io::Result<Process> {
        let child = cleanup::start(command).map_err(|error| {
            io::Error::new(error.kind(), format!("{name} cannot be started: {error}"))
        })?;
        Ok(Process { name, child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the process has ended by itself.
    ///
    /// # Errors
    /// With the exit status.
    pub fn check_running(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!(
                "{} ended early: {status}",
                self.name
            ))),
        }
    }

    /// Ends it at once by SIGKILL, as a crash would.
    pub fn kill(self) {
        drop(self);
    }

    /// Sends SIGTERM and waits for exit code 0.
    ///
    /// # Errors
    /// It ends in another way, or not in time; then it is killed.
    pub fn stop(mut self) -> io::Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(io::Error::other(format!(
                        "{} ended with {status}",
                        self.name
                    )))
                }
                None => sleep(Duration::from_millis(2)),
            }
        }
        Err(io::Error::other(format!(
            "{} did not end in {STOP_WITHIN:?} after SIGTERM",
            self.name
        )))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process has ended and been waited for, which is what is wanted.
        signal_family(self.id(), Signal::KILL);
        let _ = self.child.wait();
        cleanup::forget_process(self.id());
    }
}

/// Processor time that a process has used, in user and kernel mode, of all its threads.
///
/// # Errors
/// `/proc` has no such entry.
pub fn cpu_time(id: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks =
        ticks_of(&stat).ok_or_else(|| io::Error::other("/proc/PID/stat is not understood"))?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}

/// The sum of fields 14 and 15 of proc_pid_stat(5). The second field may hold spaces and
/// parentheses, so counting starts after its end.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Runs `work` while processes and their children are stopped, so that they do nothing on the core
/// that `work` needs. What they had put off they do later, in their own time.
pub fn while_stopped<T>(ids: &[u32], work: impl FnOnce() -> T) -> T {
    ids.iter().for_each(|id| signal_family(*id, Signal::STOP));
    let result = work();
    ids.iter().for_each(|id| signal_family(*id, Signal::CONT));
    result
}

/// Signals a process and its children. One that has just ended is what was wanted or shows itself at
/// its next use, so nothing is reported here.
pub fn signal_family(id: u32, signal: Signal) {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children
        .split_ascii_whitespace()
        .filter_map(|id| id.parse().ok());
    for id in std::iter::once(id as i32).chain(children) {
        if let Some(id) = Pid::from_raw(id) {
            let _ = kill_process(id, signal);
        }
    }
}

/// Kibibytes of a process that are resident in memory.
///
/// # Errors
/// `/proc` has no such entry.
pub fn resident_kib(id: u32) -> io::Result<u64> {
    kib_of(id, "VmRSS:")
}

/// The most kibibytes of a process that were resident since [`forget_peak`], or since its start.
///
/// # Errors
/// `/proc` has no such entry.
pub fn peak_kib(id: u32) -> io::Result<u64> {
    kib_of(id, "VmHWM:")
}

/// Lets the peak start again at what is resident now (proc_pid_clear_refs(5)).
///
/// # Errors
/// The kernel refuses.
pub fn forget_peak(id: u32) -> io::Result<()> {
    fs::write(format!("/proc/{id}/clear_refs"), "5")
}

fn kib_of(id: u32, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .ok_or_else(|| io::Error::other(format!("/proc/PID/status has no {field}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_after_a_strange_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 1 0 99 5 6";
        assert_eq!(ticks_of(stat), Some(325));
        assert_eq!(ticks_of("7 (cut"), None);
    }

    #[test]
    fn this_process_is_resident() {
        let id = std::process::id();
        assert!(resident_kib(id).expect("VmRSS") > 100);
        assert!(peak_kib(id).expect("VmHWM") > 100);
    }

    #[test]
    fn a_process_that_fails_at_the_end_is_noticed() {
        let script = |code: u8| {
            let text = format!("trap 'exit {code}' TERM; echo ready; while :; do sleep 0.01; done");
            let mut command = Command::new("sh");
            command
                .args(["-c", &text])
                .stdout(std::process::Stdio::piped());
            let mut process = Process::start("sh", &mut command).expect("sh starts");
            let mut ready = [0; 6];
            let mut output = process.child.stdout.take().expect("it is piped");
            io::Read::read_exact(&mut output, &mut ready).expect("the trap is set");
            process
        };
        script(0).stop().expect("exit code 0");
        let error = script(3).stop().expect_err("exit code 3");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
