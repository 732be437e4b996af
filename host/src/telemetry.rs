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
