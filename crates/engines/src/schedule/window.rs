//! How many requests a server holds at once: raised one by one, lowered by a share, by the load that it tells.

use std::time::Duration;

use crate::engine::Load;

/// What a server is given before anything is known of it.
const FIRST: f64 = 8.0;
/// What is left of the window when a server has too much.
const SHRINK: f64 = 0.7;
/// Between two cuts: the load that is told has to follow from the one before.
const BETWEEN_CUTS: Duration = Duration::from_secs(2);
/// Share of the key-value cache above which sequences are about to be pushed out.
const FULL_CACHE: f64 = 0.95;

/// Requests that a server may hold at once.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f64,
    most: f64,
    /// Nothing has been too much yet: it doubles.
    is_doubling: bool,
    /// Something waits on the server: no more is sent than is.
    is_contended: bool,
    next_cut: Duration,
}

impl Window {
    pub(super) const fn new(most: usize) -> Self {
        let most = if most == 0 { 1.0 } else { most as f64 };
        Self { size: most.min(FIRST), most, is_doubling: true, is_contended: false, next_cut: Duration::ZERO }
    }

    pub(super) const fn limit(&self) -> usize {
        self.size as usize
    }

    /// A request ended well, while so many were held.
    pub(super) fn grow(&mut self, held: usize) {
        // what was not used says nothing about what can be
        if self.is_contended || held < self.limit() {
            return;
        }
        self.size += if self.is_doubling { 1.0 } else { 1.0 / self.size };
        self.size = self.size.min(self.most);
    }

    /// The server has too much.
    pub(super) fn cut(&mut self, now: Duration) {
        self.is_doubling = false;
        if now >= self.next_cut {
            self.next_cut = now + BETWEEN_CUTS;
            self.size = (self.size * SHRINK).max(1.0);
        }
    }

    /// What the server says of itself.
    pub(super) fn hear(&mut self, load: &Load, now: Duration) {
        self.is_contended = load.waiting > 0;
        // a few that wait keep it busy
        let too_many = 2.max(load.running / 8);
        if load.waiting > too_many || load.cache_share > FULL_CACHE {
            self.cut(now);
        }
    }

    /// The server was begun anew: what was known of it is not.
    pub(super) fn restart(&mut self) {
        *self = Self { size: self.size.min(FIRST), next_cut: self.next_cut, ..Self::new(self.most as usize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn load(running: u64, waiting: u64, cache_share: f64) -> Load {
        Load { running, waiting, cache_share, generated_tokens: 0, tokens_per_second: None, is_paused: false }
    }

    #[test]
    fn it_doubles_until_something_is_too_much_and_then_creeps() {
        let mut window = Window::new(100);
        for _ in 0..24 {
            window.grow(window.limit());
        }
        assert_eq!(window.limit(), 32);
        window.hear(&load(8, 9, 0.1), Duration::from_secs(1));
        assert_eq!(window.limit(), 22);
        window.hear(&load(8, 9, 0.1), Duration::from_secs(2));
        assert_eq!(window.limit(), 22, "one cut at a time");
        window.grow(22);
        assert_eq!(window.limit(), 22, "it does not grow while something waits");
        window.hear(&load(8, 0, 0.1), Duration::from_secs(3));
        for _ in 0..24 {
            window.grow(window.limit());
        }
        assert_eq!(window.limit(), 23);
        for _ in 0..100_000 {
            window.grow(window.limit());
        }
        assert_eq!(window.limit(), 100, "never more than is configured");
    }

    #[test]
    fn a_full_cache_cuts_and_one_is_always_left() {
        let mut window = Window::new(4);
        for second in 0..60 {
            window.hear(&load(1, 0, 0.99), Duration::from_secs(second * 3));
        }
        assert_eq!(window.limit(), 1);
        window.grow(0);
        assert_eq!(window.limit(), 1, "what was not used says nothing");
    }
}
