//! The positions of delimiters, quotes and line ends, sixty-four bytes at a time.

const BLOCK: usize = 64;

/// Walks over the bytes that can end a cell or open a quote.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    /// Start of the block that `mask` is about.
    base: usize,
    /// Marks of the block not yet given, the lowest bit first.
    mask: u64,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        let mask = block_mask(bytes, delimiter);
        Self {
            bytes,
            delimiter,
            base: 0,
            mask,
        }
    }

    /// The next mark.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += BLOCK;
            if self.base >= self.bytes.len() {
                return None;
            }
            self.mask = block_mask(&self.bytes[self.base..], self.delimiter);
        }
        let bit = self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(self.base + bit)
    }

    /// Goes on at `at`, forwards or backwards.
    pub(crate) fn seek(&mut self, at: usize) {
        self.base = at / BLOCK * BLOCK;
        if self.base >= self.bytes.len() {
            self.mask = 0;
            return;
        }
        self.mask =
            block_mask(&self.bytes[self.base..], self.delimiter) & (u64::MAX << (at % BLOCK));
    }
}

/// A bit for each of the first sixty-four bytes that is a delimiter, a quote or a line feed.
#[inline]
fn block_mask(bytes: &[u8], delimiter: u8) -> u64 {
    match bytes.first_chunk::<BLOCK>() {
        Some(block) => full_mask(block, delimiter),
        None => {
            let mut padded = [0; BLOCK];
            padded[..bytes.len()].copy_from_slice(bytes);
            full_mask(&padded, delimiter)
        }
    }
}

/// Written so that the comparisons become vector instructions on every processor.
#[inline]
fn full_mask(block: &[u8; BLOCK], delimiter: u8) -> u64 {
    let mut hits = [0_u8; BLOCK];
    for (hit, byte) in hits.iter_mut().zip(block) {
        *hit = u8::from(*byte == delimiter) | u8::from(*byte == b'"') | u8::from(*byte == b'\n');
    }
    let mut mask = 0;
    for (at, bytes) in hits.as_chunks::<8>().0.iter().enumerate() {
        // Multiplying moves bit 8k to bit 56 + k: eight bytes of 0 or 1 become the highest byte.
        let byte = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= byte << (8 * at);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8], from: usize) -> Vec<usize> {
        (from..bytes.len())
            .filter(|at| matches!(bytes[*at], b',' | b'"' | b'\n'))
            .collect()
    }

    proptest! {
        #[test]
        fn every_mark_once(bytes in proptest::collection::vec(proptest::sample::select(b"ab,\"\n\x80\x00\xff".to_vec()), 0..300), from in 0_usize..300) {
            let mut marks = Marks::new(&bytes, b',');
            let found: Vec<usize> = std::iter::from_fn(|| marks.next()).collect();
            prop_assert_eq!(found, plain(&bytes, 0));
            let from = from.min(bytes.len());
            marks.seek(from);
            let found: Vec<usize> = std::iter::from_fn(|| marks.next()).collect();
            prop_assert_eq!(found, plain(&bytes, from));
        }
    }
}
