//! The directions in which points lie apart.

use dashu_ratio::RBig;

use super::Values;

/// The directions in which points lie apart: what agrees on a line only, as `n = k`, agrees by chance.
#[derive(Debug, Default)]
pub(in crate::scalar) struct Span {
    origin: Option<Vec<RBig>>,
    /// Independent differences from the origin, each with the place of its first coordinate that is not zero, which is one.
    rows: Vec<(usize, Vec<RBig>)>,
}

impl Span {
    /// Adds a point.
    pub(in crate::scalar) fn add(&mut self, values: &Values) {
        let point: Vec<RBig> = values.iter().map(|(_, value)| value.clone()).collect();
        let Some(origin) = &self.origin else {
            self.origin = Some(point);
            return;
        };
        if self.rows.len() == point.len() {
            return;
        }
        let mut row: Vec<RBig> = point.iter().zip(origin).map(|(value, origin)| value - origin).collect();
        for (lead, known) in &self.rows {
            let factor = row.get(*lead).cloned().unwrap_or(RBig::ZERO);
            if !factor.is_zero() {
                row.iter_mut().zip(known).for_each(|(value, known)| *value -= known * &factor);
            }
        }
        if let Some(lead) = row.iter().position(|value| !value.is_zero())
            && let Some(first) = row.get(lead).cloned()
        {
            self.rows.push((lead, row.into_iter().map(|value| value / &first).collect()));
        }
    }

    /// How many directions there are.
    pub(in crate::scalar) fn dimension(&self) -> usize {
        self.rows.len()
    }
}
