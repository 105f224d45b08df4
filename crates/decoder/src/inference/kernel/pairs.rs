//! Products of pairs: bf16 times bf16, added up in f32 by the instruction for it (`VDPBF16PS`).
//!
//! A lane of a register holds two neighbouring inner indices, the even one in its lower half, on both sides. One instruction
//! adds both products of every lane, which is twice what a fused multiply-add does. An output is one chain over the pairs of
//! the inner index, whatever shares its tile. The instruction rounds to nearest and takes subnormal numbers for zero.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "the innermost loop reads without bounds checks, by an instruction that few processors have"
    )
)]

use super::super::panels::PANEL;
use super::{Ahead, MAX_ROWS, max_rows};

/// Whether this processor has the instruction, and its tiles are those of AVX-512.
pub(in crate::inference) fn are_multiplied_here() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16") && max_rows() == MAX_ROWS
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (max_rows, MAX_ROWS);
        false
    }
}

/// Two neighbours as a lane holds them, each rounded to nearest, ties to even.
#[inline(always)]
pub(super) fn pair(even: f32, odd: f32) -> u32 {
    rounded(even) >> 16 | rounded(odd)
}

/// The nearest bf16 in the upper half, without a branch, so that many are rounded at once.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    let up = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // a number that is none stays so
    (if value.is_nan() { bits | 0x40_0000 } else { up }) & 0xffff_0000
}

/// The sums of a tile against a panel of pairs.
///
/// # Safety
/// [`are_multiplied_here`]; `x` has `pairs` groups of ROWS pairs, `panel` `pairs` lines of PANEL pairs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn sums<const ROWS: usize, const AHEAD: bool>(
    x: *const u32,
    panel: *const u32,
    pairs: usize,
    ahead: Ahead,
) -> [[f32; PANEL]; ROWS] {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_setzero_si512, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::super::panels::LINE;

    // SAFETY: both are registers of 512 bits.
    let pairs_of = |register: __m512i| unsafe { transmute::<__m512i, __m512bh>(register) };
    let mut sums = [[_mm512_setzero_ps(); PANEL / LINE]; ROWS];
    for index in 0..pairs {
        // SAFETY: by the contract.
        unsafe {
            let line = panel.add(index * PANEL);
            if AHEAD {
                super::prefetch(panel.wrapping_add(ahead.start + index * ahead.step).cast());
            }
            let mut weights = [_mm512_setzero_si512(); PANEL / LINE];
            for (vector, weights) in weights.iter_mut().enumerate() {
                *weights = _mm512_loadu_si512(line.add(vector * LINE).cast());
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = pairs_of(_mm512_set1_epi32(x.add(index * ROWS + row).read().cast_signed()));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbf16_ps(*sum, x, pairs_of(weights));
                }
            }
        }
    }
    let mut told = [[0.0; PANEL]; ROWS];
    for (told, sums) in told.iter_mut().zip(sums) {
        for (told, sum) in told.chunks_exact_mut(LINE).zip(sums) {
            // SAFETY: a register is LINE numbers.
            unsafe { _mm512_storeu_ps(told.as_mut_ptr(), sum) };
        }
    }
    told
}
