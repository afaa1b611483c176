//! What the kernel and the allocator say about this process.

use std::fs;
use std::time::Duration;

use crate::{Failure, HEAP};

/// A reading of this process's meters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// CPU time of all threads.
    pub(crate) cpu: Duration,
    /// Resident bytes now, and at most so far.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    /// Bytes that were asked for from the allocator and not given back.
    pub(crate) heap: u64,
    /// Calls of the allocator so far.
    pub(crate) allocations: u64,
}

impl Reading {
    pub(crate) fn take() -> Result<Self, Failure> {
        let stats = HEAP.stats();
        let status = fs::read_to_string("/proc/self/status")?;
        Ok(Self {
            cpu: cpu()?,
            resident: kibibytes(&status, "VmRSS:")?,
            peak: kibibytes(&status, "VmHWM:")?,
            heap: (stats.bytes_allocated - stats.bytes_deallocated) as u64,
            allocations: (stats.allocations + stats.reallocations) as u64,
        })
    }
}

/// What this process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Bytes that were asked for from the allocator and not given back.
    pub(crate) heap: u64,
    pub(crate) resident: u64,
    /// Open files of all kinds, and the sockets among them.
    pub(crate) files: u64,
    pub(crate) sockets: u64,
    pub(crate) threads: u64,
}

impl Footprint {
    pub(crate) fn take() -> Result<Self, Failure> {
        let (mut files, mut sockets) = (0, 0);
        for file in fs::read_dir("/proc/self/fd")? {
            files += 1;
            // One that was closed meanwhile is no socket.
            let target = fs::read_link(file?.path()).unwrap_or_default();
            sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
        }
        let status = fs::read_to_string("/proc/self/status")?;
        let stats = HEAP.stats();
        Ok(Self {
            heap: (stats.bytes_allocated - stats.bytes_deallocated) as u64,
            resident: kibibytes(&status, "VmRSS:")?,
            files,
            sockets,
            threads: number(&status, "Threads:")?,
        })
    }
}

/// Returns the load average of the last minute.
pub(crate) fn load() -> Result<String, Failure> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

/// In nanoseconds, where `/proc/self/stat` counts in ticks of ten milliseconds.
fn cpu() -> Result<Duration, Failure> {
    // The kernel books the running thread's time only when it looks at it.
    std::thread::yield_now();
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let line = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn kibibytes(status: &str, name: &str) -> Result<u64, Failure> {
    Ok(number(status, name)? * 1024)
}

fn number(status: &str, name: &str) -> Result<u64, Failure> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The machine, as far as it explains numbers.
pub(crate) fn machine() -> Result<String, Failure> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = load()?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    Ok(format!("{cores} cores ({model}), Linux {kernel}, load average {load} at the start\n"))
}
