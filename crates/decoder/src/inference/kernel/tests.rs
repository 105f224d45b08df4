use super::*;

/// Runs a product with one instruction set, for every number of rows.
fn check<S: Simd>(simd: S, max_rows: usize) {
    let (inner, columns) = (38, 45);
    let value = |index: usize| ((index * 2_654_435_761) % 1000) as f32 * 1e-3 - 0.5;
    let x: Vec<f32> = (0..30 * inner).map(value).collect();
    let panels: Vec<f32> =
        (0..2 * inner * PANEL).map(|index| half::bf16::from_f32(value(index + 9)).to_f32()).collect();
    let at = |column: usize, index: usize| column / PANEL * inner * PANEL + index * PANEL + column % PANEL;
    let upper = |column: usize, index: usize| panels[at(column, index)].to_bits() >> 16;
    let pairs: Vec<u32> = (0..inner * PANEL)
        .map(|index| {
            let (panel, rest) = (index / (inner / 2 * PANEL), index % (inner / 2 * PANEL));
            let (column, index) = (panel * PANEL + rest % PANEL, 2 * (rest / PANEL));
            upper(column, index) | upper(column, index + 1) << 16
        })
        .collect();
    for rows in 1..30 {
        let mut packed = PackedRows::default();
        let x_rows = packed.pack_in_tiles(&x, rows, inner, inner, max_rows, &ALONE);
        let run = |panels, panel_stride| {
            let mut out = vec![f32::NAN; rows * columns];
            let product = Product {
                x: x_rows,
                panels,
                panel_stride,
                range: 0..2,
                out: SharedSlice::new(&mut out),
                out_stride: columns,
                columns,
                accumulates: false,
            };
            simd.vectorize(product);
            out
        };
        let single = run(PanelSlice::F32(&panels), inner * PANEL);
        assert_eq!(single, run(PanelSlice::Bf16(&pairs), inner / 2 * PANEL));
        for (index, found) in single.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let fused = (0..inner)
                .fold(0.0_f32, |sum, index| x[row * inner + index].mul_add(panels[at(column, index)], sum));
            let is_exact = max_rows > 1;
            let is_close = (found - fused).abs() <= if is_exact { 0.0 } else { 1e-6 };
            assert!(is_close, "{rows} rows, {row}, {column}: {found} {fused}");
        }
    }
}

/// The nearest bf16.
fn rounded(value: f32) -> f32 {
    half::bf16::from_f32(value).to_f32()
}

#[test]
fn a_pair_is_two_nearest_bf16() {
    let bits = (0..=u32::MAX).step_by(9_973).chain([0x7f80_0000, 0x7fff_ffff, 0x3f80_8000, 0x3f81_8000]);
    for bits in bits {
        let value = f32::from_bits(bits);
        let nearest = u32::from(half::bf16::from_f32(value).to_bits());
        assert_eq!(pairs::pair(value, 0.0), nearest, "{value}");
        assert_eq!(pairs::pair(0.0, value), nearest << 16, "{value}");
    }
}

#[test]
fn a_product_of_pairs_is_that_of_rounded_numbers_and_the_same_in_every_tile() {
    if !are_multiplied_here() {
        return;
    }
    let (inner, columns) = (38, 45);
    let value = |index: usize| ((index * 2_654_435_761) % 1000) as f32 * 1e-3 - 0.5;
    let x: Vec<f32> = (0..30 * inner).map(value).collect();
    let weight = |column: usize, index: usize| rounded(value(column * inner + index + 9));
    let mut panels = vec![0_u32; 2 * inner / 2 * PANEL];
    for column in 0..2 * PANEL {
        for index in (0..inner).step_by(2) {
            let at = column / PANEL * (inner / 2 * PANEL) + index / 2 * PANEL + column % PANEL;
            panels[at] = pairs::pair(weight(column, index), weight(column, index + 1));
        }
    }
    let mut before: Vec<f32> = Vec::new();
    for rows in 1..30 {
        let mut packed = PackedRows::default();
        let mut out = vec![0.5; rows * columns];
        pulp::Arch::new().dispatch(Product {
            x: packed.pack_pairs(&x, rows, inner, &ALONE),
            panels: PanelSlice::Bf16(&panels),
            panel_stride: inner / 2 * PANEL,
            range: 0..2,
            out: SharedSlice::new(&mut out),
            out_stride: columns,
            columns,
            accumulates: true,
        });
        assert_eq!(out[..before.len()], before, "{rows} rows");
        for (index, found) in out.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let exact: f64 = (0..inner)
                .map(|index| f64::from(rounded(x[row * inner + index])) * f64::from(weight(column, index)))
                .sum();
            assert!(
                (f64::from(*found) - 0.5 - exact).abs() < 1e-5,
                "{rows} rows, {row}, {column}: {found} {exact}"
            );
        }
        before = out;
    }
}

#[test]
fn every_output_is_one_chain_of_multiply_adds_whatever_the_tile_and_the_instruction_set() {
    check(pulp::Scalar, 1);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V3::try_new() {
            check(simd, MAX_ROWS_OF_SIXTEEN);
        }
        if let Some(simd) = pulp::x86::V4::try_new() {
            check(simd, MAX_ROWS);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        check(simd, MAX_ROWS_OF_SIXTEEN);
    }
}
