//! Times as people say them.

/// A time of so many seconds as people say it.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_units_that_fit_it() {
        let told = [7.5, 61.0, 7_325.0].map(duration);
        assert_eq!(told, ["7.5 s", "1 min 01 s", "2 h 02 min"]);
    }
}
