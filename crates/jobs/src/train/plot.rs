//! A picture of the loss as SVG, axes labelled.

use std::ops::Range;

/// A picture of `points` over the optimizer step, axes labelled.
pub(super) fn plot(points: &[(f64, f64)], label: &str) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 400.0;
    const LEFT: f64 = 80.0;
    const BOTTOM: f64 = 60.0;
    const MARGIN: f64 = 20.0;
    const TICKS: u32 = 5;
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        match low.partial_cmp(&high) {
            Some(std::cmp::Ordering::Less) => low..high,
            Some(std::cmp::Ordering::Equal) => low - 0.5..high + 0.5,
            _ => 0.0..1.0,
        }
    };
    let across = range(&mut points.iter().map(|point| point.0));
    let up = range(&mut points.iter().map(|point| point.1));
    let (right, base) = (WIDTH - MARGIN, HEIGHT - BOTTOM);
    let x = |value: f64| LEFT + (value - across.start) / (across.end - across.start) * (right - LEFT);
    let y = |value: f64| base - (value - up.start) / (up.end - up.start) * (base - MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{LEFT} {MARGIN}V{base}H{right}\" fill=\"none\" stroke=\"black\"/>\n"
    );
    let at = |range: &Range<f64>, tick: u32| {
        range.start + (range.end - range.start) * f64::from(tick) / f64::from(TICKS)
    };
    for tick in 0..=TICKS {
        let (step, loss) = (at(&across, tick), at(&up, tick));
        let (column, row) = (x(step), y(loss));
        svg.push_str(&format!(
            "<text x=\"{column:.1}\" y=\"{}\" text-anchor=\"middle\">{step:.0}</text>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>\n\
             <path d=\"M{LEFT} {row:.1}H{right}\" stroke=\"#ddd\"/>\n",
            base + 18.0,
            LEFT - 8.0,
            row + 4.0,
        ));
    }
    let line: Vec<String> =
        points.iter().map(|(step, loss)| format!("{:.1},{:.1}", x(*step), y(*loss))).collect();
    svg.push_str(&format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"1.5\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">optimizer step</text>\n\
         <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{label}</text>\n</svg>\n",
        line.join(" "),
        f64::midpoint(LEFT, right),
        HEIGHT - 16.0,
        f64::midpoint(MARGIN, base),
    ));
    svg
}
