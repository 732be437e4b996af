use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[derive(Default)]
pub struct Ledger {
    n: [AtomicU64; 9],
}
impl Ledger {
    pub fn received(&self, n: u64) {
        self.n[0].fetch_add(n, Relaxed);
        self.n[5].fetch_add(n, Relaxed);
    }
    pub fn delivered(&self, n: u64) {
        self.n[1].fetch_add(n, Relaxed);
        self.n[5].fetch_sub(n, Relaxed);
    }
    pub fn dead_lettered(&self, n: u64) {
        self.n[2].fetch_add(n, Relaxed);
        self.n[5].fetch_sub(n, Relaxed);
    }
    pub fn skipped(&self, n: u64) {
        self.n[3].fetch_add(n, Relaxed);
        self.n[5].fetch_sub(n, Relaxed);
    }
    pub fn dropped(&self, n: u64) {
        self.n[0].fetch_add(n, Relaxed);
        self.n[4].fetch_add(n, Relaxed);
    }
    pub fn in_flight(&self) -> u64 {
        self.n[5].load(Relaxed)
    }
    pub fn timestamp_unusable(&self, n: u64) {
        self.n[6].fetch_add(n, Relaxed);
    }
    pub fn acknowledged(&self, n: u64) {
        self.n[7].fetch_add(n, Relaxed);
    }
    pub fn reconnected(&self) {
        self.n[8].fetch_add(1, Relaxed);
    }
}
#[derive(Default)]
pub struct RateLimited {}
impl RateLimited {
    pub fn warn(&mut self, t: &str) {
        tracing::warn!("{t}");
    }
}

impl std::fmt::Display for Ledger { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { let n: Vec<u64> = self.n.iter().map(|n| n.load(Relaxed)).collect(); write!(f, "received={} delivered={} dead_lettered={} skipped={} dropped={} in_flight={}", n[0], n[1], n[2], n[3], n[4], n[5]) } }
pub fn init(log: &crate::config::Log) -> Result<(), String> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(log.filter.as_deref().unwrap_or("info")).init();
    Ok(())
}
