//! When and where something was measured, as the pages of results say it.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use logagg::clock::Civil;

/// Today's date in UTC, as `YYYY-MM-DD`.
pub fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = Civil::from_unix_us(since.map_or(0, |since| since.as_micros() as i64));
    format!("{:04}-{:02}-{:02}", now.year, now.month, now.day)
}

/// The processor's model and the number of its cores (proc_cpuinfo(5)).
pub fn machine() -> io::Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let values = |name: &'static str| {
        text.lines()
            .filter_map(move |line| line.split_once(':').filter(|(key, _)| key.trim() == name))
    };
    let cores = values("processor").count();
    let model = values("model name")
        .next()
        .map_or("unknown", |(_, model)| model.trim());
    Ok(format!("{model}, {cores} cores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_model_and_cores() {
        let machine = machine().expect("/proc/cpuinfo");
        assert!(
            machine.ends_with(" cores") && !machine.ends_with(" 0 cores"),
            "{machine}"
        );
    }
}
