//! Which core runs what: the measured program on one, this program on another, so that neither the
//! scheduler nor the generator's own work decides a ratio.

use std::io;

use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};

/// The cores of the measured program and of the generator, or none if there is only one.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pinned: Option<(usize, usize)>,
}

impl Cores {
    /// Takes the first two cores that this process may use and pins the calling thread to the
    /// second.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn claim() -> io::Result<Cores> {
        let allowed = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let pinned = usable.next().zip(usable.next());
        if let Some((_, generator)) = pinned {
            pin_to(generator)?;
        }
        Ok(Cores { pinned })
    }

    /// None is pinned: for tests, which measure nothing.
    #[cfg(test)]
    pub fn unpinned() -> Cores {
        Cores { pinned: None }
    }

    /// Runs `work` on the measured program's core. A process that it starts stays there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn on_measured<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let Some((measured, generator)) = self.pinned else {
            return Ok(work());
        };
        pin_to(measured)?;
        let result = work();
        pin_to(generator)?;
        Ok(result)
    }

    /// One line for the reader of the results.
    pub fn describe(&self) -> String {
        match self.pinned {
            Some((measured, generator)) => format!(
                "what is measured runs on core {measured}, the load generator on core {generator}"
            ),
            None => "ONE CORE ONLY: server and load generator share it, rates are too low".into(),
        }
    }
}

fn pin_to(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
