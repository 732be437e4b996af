//! What has been read from the connection and not yet taken.

/// Enough for some hundred small messages in one read.
const SIZE: usize = 64 * 1024;
/// A larger buffer is given back when it is empty.
const KEEP: usize = 1024 * 1024;

/// A buffer that grows to hold one whole packet, and shrinks again.
#[derive(Debug)]
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub fn new() -> Self {
        Self { bytes: vec![0; SIZE], start: 0, end: 0 }
    }

    /// What has been read and not consumed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Forgets the first `size` bytes.
    pub fn consume(&mut self, size: usize) {
        self.start = (self.start + size).min(self.end);
    }

    /// Where to read to: at least one byte, and room for a packet of `needed` bytes in all.
    pub fn space(&mut self, needed: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > KEEP && needed <= SIZE {
                self.bytes = vec![0; SIZE];
            }
        }
        if self.start + needed > self.bytes.len() || self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let full = self.end == self.bytes.len();
        let least = if full { needed.max(2 * self.end) } else { needed };
        if self.bytes.len() < least {
            self.bytes.resize(least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that `size` bytes have been read into the space.
    pub fn filled(&mut self, size: usize) {
        self.end = (self.end + size).min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &mut Input, bytes: &[u8], needed: usize) {
        let space = input.space(needed);
        let size = bytes.len().min(space.len());
        space[..size].copy_from_slice(&bytes[..size]);
        input.filled(size);
    }

    #[test]
    fn bytes_come_out_as_they_went_in_over_any_number_of_reads() {
        let mut input = Input::new();
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        for round in 0..2_000_usize {
            let piece = vec![round as u8; 1 + round % 97];
            expected.extend_from_slice(&piece);
            read(&mut input, &piece, 1);
            let take = input.bytes().len().min(round % 113);
            seen.extend_from_slice(&input.bytes()[..take]);
            input.consume(take);
        }
        seen.extend_from_slice(input.bytes());
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_buffer_grows_for_a_large_packet_and_shrinks_after_it() {
        let mut input = Input::new();
        read(&mut input, b"head", 1);
        let needed = 3 * 1024 * 1024;
        let space = input.space(needed);
        assert!(space.len() >= needed - 4);
        let size = needed - 4;
        input.filled(size);
        assert_eq!((&input.bytes()[..4], input.bytes().len()), (&b"head"[..], needed));
        input.consume(needed);
        assert_eq!(input.space(2).len(), SIZE);
    }

    #[test]
    fn there_is_always_room_to_read() {
        let mut input = Input::new();
        input.filled(SIZE);
        assert_eq!(input.space(1).len(), SIZE, "not a byte at a time");
        assert_eq!(input.bytes().len(), SIZE);
    }
}
