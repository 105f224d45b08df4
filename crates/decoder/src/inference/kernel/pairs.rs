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
pub(crate) fn are_multiplied_here() -> bool {
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
pub(crate) fn pair(even: f32, odd: f32) -> u32 {
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

/// Pairs of a lane that are rounded at once, before they are laid out among those of other lanes.
const ROUNDED_AT_ONCE: usize = 64;
/// Lanes and pairs of a square.
const SQUARE: usize = 16;

/// Lays out `inner` numbers of each of some lanes, whose numbers begin `stride` apart, as pairs: for every pair of indices that
/// of each lane, `width` of them. An index without a neighbour has zero beside it, and so have lanes that are none.
#[inline(always)]
pub(crate) fn lay_out_rows(
    values: &[f32],
    stride: usize,
    [lanes, inner]: [usize; 2],
    target: &mut [u32],
    width: usize,
) {
    // squares of lanes and pairs, then the lanes and the pairs that fill none
    let turned = turn_squares(values, stride, [lanes, inner / 2], target, width);
    let mut rounded = [0; ROUNDED_AT_ONCE];
    for lane in 0..width {
        let first = if lane < turned[0] { turned[1] } else { 0 };
        if lane >= lanes {
            target.iter_mut().skip(lane).step_by(width).for_each(|target| *target = 0);
            continue;
        }
        let x = &values[lane * stride..][2 * first..inner];
        let firsts = (first..).step_by(ROUNDED_AT_ONCE);
        for (first, x) in firsts.zip(x.chunks(2 * ROUNDED_AT_ONCE)) {
            let (both, alone) = x.as_chunks::<2>();
            for (rounded, [even, odd]) in rounded.iter_mut().zip(both) {
                *rounded = pair(*even, *odd);
            }
            if let [even] = alone {
                rounded[both.len()] = pair(*even, 0.0);
            }
            let target = target.iter_mut().skip(first * width + lane).step_by(width);
            for (target, rounded) in target.zip(&rounded[..x.len().div_ceil(2)]) {
                *target = *rounded;
            }
        }
    }
}

/// Rounds pairs of some lanes, whose numbers begin `stride` apart, and lays them out pair by pair: those of a pair together,
/// `width` apart from those of the next. Of both as many as fill squares; says how many lanes and pairs these were.
///
/// # Panics
/// Where squares go beyond either slice, or the processor [multiplies no pairs](are_multiplied_here).
fn turn_squares(
    values: &[f32],
    stride: usize,
    [lanes, pairs]: [usize; 2],
    target: &mut [u32],
    width: usize,
) -> [usize; 2] {
    let (lanes, pairs) = (lanes / SQUARE * SQUARE, pairs / SQUARE * SQUARE);
    if lanes == 0 || pairs == 0 {
        return [0, 0];
    }
    assert!((lanes - 1) * stride + 2 * pairs <= values.len(), "numbers inside their slice");
    assert!(lanes <= width && (pairs - 1) * width + lanes <= target.len(), "pairs inside their slice");
    assert!(are_multiplied_here(), "pairs where they are multiplied");
    #[cfg(target_arch = "x86_64")]
    for pair in (0..pairs).step_by(SQUARE) {
        for lane in (0..lanes).step_by(SQUARE) {
            // SAFETY: asserted above, for the last square of both.
            unsafe {
                let x = values.as_ptr().add(lane * stride + 2 * pair);
                turn(x, stride, target.as_mut_ptr().add(pair * width + lane), width);
            }
        }
    }
    [lanes, pairs]
}

/// # Safety
/// [`are_multiplied_here`]; SQUARE groups of `2 * SQUARE` numbers lie `stride` apart, and places for as many groups of SQUARE
/// pairs `width` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn turn(values: *const f32, stride: usize, target: *mut u32, width: usize) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4,
        _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
        _mm512_unpacklo_epi64,
    };
    use std::mem::transmute;

    let mut lanes = [_mm512_setzero_si512(); SQUARE];
    for (lane, pairs) in lanes.iter_mut().enumerate() {
        // SAFETY: by the contract; both are registers of 512 bits.
        *pairs = unsafe {
            let x = values.add(lane * stride);
            let (first, second) = (_mm512_loadu_ps(x), _mm512_loadu_ps(x.add(SQUARE)));
            transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first))
        };
    }
    // four lanes at a time: the four pairs of every quarter are brought together
    let mut quarters = lanes;
    for four in (0..SQUARE).step_by(4) {
        let [a, b, c, d] = [lanes[four], lanes[four + 1], lanes[four + 2], lanes[four + 3]];
        let (low, more_low) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        let (high, more_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        quarters[four] = _mm512_unpacklo_epi64(low, more_low);
        quarters[four + 1] = _mm512_unpackhi_epi64(low, more_low);
        quarters[four + 2] = _mm512_unpacklo_epi64(high, more_high);
        quarters[four + 3] = _mm512_unpackhi_epi64(high, more_high);
    }
    // then the quarters of equal place in all four
    for pair in 0..4 {
        let [a, b, c, d] = [quarters[pair], quarters[pair + 4], quarters[pair + 8], quarters[pair + 12]];
        let (even, odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let (more_even, more_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        let turned = [
            _mm512_shuffle_i32x4::<0x88>(even, more_even),
            _mm512_shuffle_i32x4::<0x88>(odd, more_odd),
            _mm512_shuffle_i32x4::<0xdd>(even, more_even),
            _mm512_shuffle_i32x4::<0xdd>(odd, more_odd),
        ];
        for (quarter, turned) in turned.into_iter().enumerate() {
            // SAFETY: by the contract.
            unsafe { _mm512_storeu_si512(target.add((4 * quarter + pair) * width).cast(), turned) };
        }
    }
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
