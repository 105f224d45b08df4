//! What a server serves, told by what it thinks of a fixed text.

/// What of two lists of log-probabilities is between them: the mean of the distances, in nats a token.
pub(crate) fn gap(one: &[f32], two: &[f32]) -> f64 {
    if one.len() != two.len() || one.is_empty() {
        return f64::INFINITY;
    }
    let sum: f64 = one.iter().zip(two).map(|(one, two)| f64::from((one - two).abs())).sum();
    let mean = sum / one.len() as f64;
    if mean.is_nan() { f64::INFINITY } else { mean }
}

/// Whether a server that was given a policy serves it. Another known policy has to be much nearer to be believed instead:
/// where policies are nearer to each other than the server's arithmetic to ours, either may be a little nearer.
///
/// # Errors
/// Says what it serves instead.
pub(crate) fn confirm<'a>(
    scored: &[f32],
    wanted: (&str, &[f32]),
    others: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    max_gap: f64,
) -> Result<f64, String> {
    let (name, reference) = wanted;
    let found = gap(scored, reference);
    let nearest = others
        .into_iter()
        .map(|(other, reference)| (other, gap(scored, reference)))
        .min_by(|(_, one), (_, two)| one.total_cmp(two));
    if let Some((other, near)) = nearest
        && near * 2.0 < found
    {
        return Err(format!(
            "it was given {name} and serves {other}: {near:.4} nats a token from that, {found:.4} from {name}"
        ));
    }
    if found > max_gap {
        return Err(format!(
            "it was given {name} and serves something else: its log-probabilities of the probe are {found:.4} nats a token \
             from those computed here, and `max_gap_nats` allows {max_gap}"
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [f32; 3] = [-1.0, -2.0, -3.0];
    const NEW: [f32; 3] = [-1.1, -2.0, -2.9];

    fn near(values: [f32; 3], by: f32) -> [f32; 3] {
        values.map(|value| value + by)
    }

    #[test]
    fn the_old_policy_under_the_new_name_is_found_out_even_where_both_are_near() {
        let others = [("old", &OLD[..])];
        let confirmed = |scored: [f32; 3]| confirm(&scored, ("new", &NEW), others, 0.5);
        assert!(confirmed(near(NEW, 0.01)).is_ok());
        let told = confirmed(near(OLD, 0.01)).unwrap_err();
        assert!(told.contains("serves old"), "{told}");
        let told = confirmed([-9.0; 3]).unwrap_err();
        assert!(told.contains("something else") && told.contains("max_gap_nats"), "{told}");
        assert!(confirmed([f32::NAN; 3]).is_err());
    }

    #[test]
    fn policies_that_arithmetic_cannot_tell_apart_are_not_held_against_a_server() {
        let almost = near(OLD, 0.001);
        // noise of a few hundredths, by chance nearer to the old one
        let scored = [-1.03, -1.98, -3.02];
        assert!(confirm(&scored, ("new", &almost), [("old", &OLD[..])], 0.1).is_ok());
    }
}
