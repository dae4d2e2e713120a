//! Reading the services' metrics: the text format of Prometheus, as far as the services write it.

/// One sample: its labels, as written between the braces, and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    labels: &'a str,
    /// Its value.
    pub value: f64,
}

impl<'a> Sample<'a> {
    /// The value of a label. Labels here are names and numbers, never quoted text.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| value.trim_matches('"'))
        })
    }
}

/// The samples of the metric `name` in `text`.
pub fn samples<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Sample<'a>> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some(Sample {
            labels,
            value: value.trim().parse().ok()?,
        })
    })
}

/// The sum over all labels; `None` where there is no sample.
#[must_use]
pub fn sum(text: &str, name: &str) -> Option<f64> {
    samples(text, name)
        .map(|sample| sample.value)
        .reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total Things.
# TYPE a_total counter
a_total{operator=\"detect\",partition=\"3\"} 4
a_total{operator=\"detect\",partition=\"4\"} 1.5
a_total_more 7
b 3
";

    #[test]
    fn samples_are_found_by_their_whole_name() {
        assert_eq!(sum(TEXT, "a_total"), Some(5.5));
        assert_eq!(sum(TEXT, "b"), Some(3.0));
        assert_eq!(sum(TEXT, "a"), None);
        let partitions: Vec<_> = samples(TEXT, "a_total")
            .map(|sample| sample.label("partition"))
            .collect();
        assert_eq!(partitions, [Some("3"), Some("4")]);
        assert_eq!(
            samples(TEXT, "b").next().and_then(|sample| sample.label("x")),
            None
        );
    }
}
