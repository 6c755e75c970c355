//! What processes take, as the kernel accounts for it (proc(5)).

use std::fs;

/// Processor time and peak memory of one process.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ProcessFigures {
    pub process: String,
    /// User and system together.
    pub cpu_seconds: Option<f64>,
    pub peak_rss_mib: Option<f64>,
}

impl ProcessFigures {
    /// Of the process that asks.
    pub fn own(name: &str) -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let status = fs::read_to_string("/proc/self/status").ok();
        Self {
            process: name.to_owned(),
            cpu_seconds: stat.as_deref().and_then(cpu_seconds),
            peak_rss_mib: status.as_deref().and_then(peak_rss_mib),
        }
    }
}

/// The kernel's unit in these files, on every architecture of today (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything, also spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime and stime are fields 14 and 15; what follows the name begins with field 3.
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn peak_rss_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// The processor's name and how many of them there are to us.
pub fn machine() -> (Option<String>, usize) {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let name = model.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim().to_owned());
    (name, std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_has_spaces_and_parentheses_is_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 9000 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a"), None);
    }

    #[test]
    fn the_peak_is_the_high_water_mark() {
        assert_eq!(peak_rss_mib("VmRSS:\t  1024 kB\nVmHWM:\t  2048 kB\n"), Some(2.0));
        assert_eq!(peak_rss_mib("VmRSS:\t 1 kB\n"), None);
    }
}
