//! Numbers that a server tells in the format of Prometheus.

/// The lines of a page of metrics.
#[derive(Debug)]
pub(crate) struct Metrics<'a>(Vec<(&'a str, f64)>);

impl<'a> Metrics<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let line = |line: &'a str| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            Some((name, value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect())
    }

    /// The sum over a server's engines; `None` where there is no such number.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.values(name).reduce(|sum, value| sum + value)
    }

    /// The largest of a server's engines.
    pub(crate) fn most(&self, name: &str) -> Option<f64> {
        self.values(name).reduce(f64::max)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |(found, _)| *found == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let text = "# HELP vllm:running x\nvllm:running{engine=\"0\",model_name=\"a b\"} 4.0\n\
                    vllm:running{engine=\"1\"} 3.0\nvllm:running_total 9\nvllm:cache{} 0.25\nbroken line\n";
        let metrics = Metrics::of(text);
        assert_eq!(metrics.sum("vllm:running"), Some(7.0));
        assert_eq!(metrics.most("vllm:running"), Some(4.0));
        assert_eq!(metrics.sum("vllm:cache"), Some(0.25));
        assert_eq!(metrics.sum("vllm:none"), None);
    }
}
