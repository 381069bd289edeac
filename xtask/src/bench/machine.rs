//! What the operating system tells about this process and this machine.

use std::fs;

/// Resident memory of the process in bytes, or `None` where the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// Processor, threads, system and instruction set in one line.
pub(crate) fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let level =
        ann_core::simd::Arch::detect().map_or_else(|error| error.to_string(), |arch| format!("{:?}", arch.level()));
    let threads = crate::engine::threads();
    format!("{processor}, {threads} threads, {} {}, kernels {level}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn resident_memory_grows_with_what_is_touched() {
        let before = resident_bytes().unwrap();
        let block = vec![1u8; 64 << 20];
        let grown = resident_bytes().unwrap().saturating_sub(before);
        assert!(grown > 48 << 20, "{grown} bytes after touching {}", std::hint::black_box(block).len());
    }

    #[test]
    fn machine_is_described() {
        let text = description();
        assert!(text.contains("threads") && text.contains(std::env::consts::ARCH), "{text}");
    }
}
