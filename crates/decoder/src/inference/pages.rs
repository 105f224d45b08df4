//! Memory that steps read from end to end.
//!
//! A step of few rows takes as long as its weights take to read, and on pages of 4 KiB a good part of that goes into finding
//! the pages. So everything lies in one mapping, for which huge pages are asked; a system that has none gives small ones.

use bytemuck::Pod;
use memmap2::MmapMut;

use super::panels::{Line, zeroed_lines};

/// Zeros to begin with, on cache lines of their own.
#[derive(Debug)]
pub(super) struct Pages {
    backing: Backing,
    line_count: usize,
}

#[derive(Debug)]
enum Backing {
    Mapped(MmapMut),
    /// Where nothing can be mapped.
    Allocated(Vec<Line>),
}

impl Pages {
    /// `line_count` lines of zeros.
    pub(super) fn zeroed(line_count: usize) -> Self {
        let backing = match MmapMut::map_anon(line_count * size_of::<Line>()) {
            Ok(map) if line_count > 0 => {
                #[cfg(target_os = "linux")]
                if let Err(error) = map.advise(memmap2::Advice::HugePage) {
                    // small pages do as well, only slower
                    drop(error);
                }
                Backing::Mapped(map)
            }
            _ => Backing::Allocated(zeroed_lines(line_count)),
        };
        Self { backing, line_count }
    }

    /// How many lines there are.
    pub(super) fn line_count(&self) -> usize {
        self.line_count
    }

    /// Everything as numbers of one kind.
    pub(super) fn numbers<T: Pod>(&self) -> &[T] {
        match &self.backing {
            Backing::Mapped(map) => bytemuck::cast_slice(map),
            Backing::Allocated(lines) => bytemuck::cast_slice(lines),
        }
    }

    /// Everything as numbers of one kind, for change.
    pub(super) fn numbers_mut<T: Pod>(&mut self) -> &mut [T] {
        match &mut self.backing {
            Backing::Mapped(map) => bytemuck::cast_slice_mut(map),
            Backing::Allocated(lines) => bytemuck::cast_slice_mut(lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zero_aligned_and_keep_what_is_written() {
        for count in [0, 3] {
            let mut pages = Pages::zeroed(count);
            assert_eq!((pages.line_count(), pages.numbers::<u32>()), (count, vec![0; 16 * count].as_slice()));
            assert!(pages.numbers::<f32>().as_ptr().addr().is_multiple_of(64));
            pages.numbers_mut::<f32>().fill(1.5);
            assert!(pages.numbers::<f32>().iter().all(|value| value.to_bits() == 1.5_f32.to_bits()));
        }
    }
}
