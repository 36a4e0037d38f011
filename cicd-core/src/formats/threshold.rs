use std::fmt;
use std::ops::Range;

use super::closest;

/// A rule is one line in a pipeline; a longer text is not one.
const RULE_CHARS_MAX: usize = 64;

/// A rule about a load test in k6's grammar: an aggregate, an operator and a number.
///
/// | aggregate | meaning | unit |
/// |---|---|---|
/// | `p(95)`, `p(99.9)` … | latency that this share of requests does not exceed | milliseconds |
/// | `avg`, `med`, `min`, `max` | mean, median, lowest and highest latency | milliseconds |
/// | `error_rate` | requests without the expected answer | percent, written with `%` |
/// | `rate` | answers a second | 1/s |
///
/// Operators are `<`, `<=`, `>` and `>=`. The grammar is that of <https://grafana.com/docs/k6/latest/using-k6/thresholds/>, without
/// equality, which no measurement meets.
///
/// ```
/// use cicd_core::formats::{Measurable, Threshold};
///
/// let rule: Threshold = "p(99) < 100".parse()?;
/// assert!(rule.holds(99.9) && !rule.holds(100.0));
/// assert!(rule.check(Measurable { rate_per_second: 200.0, timeout_ms: 10_000.0 }).is_ok());
/// # Ok::<(), cicd_core::formats::ThresholdError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    rule: String,
    /// What is compared.
    pub metric: Metric,
    /// How.
    pub operator: Operator,
    /// With what, in the unit of the metric.
    pub limit: f64,
    limit_column: usize,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// The latency that this many percent of the requests do not exceed, in milliseconds.
    Percentile(f64),
    /// The mean latency, in milliseconds.
    Average,
    /// The median latency, in milliseconds.
    Median,
    /// The lowest latency, in milliseconds.
    Minimum,
    /// The highest latency, in milliseconds.
    Maximum,
    /// Requests without the expected answer, in percent of those planned.
    ErrorRate,
    /// Complete answers a second.
    Rate,
}

/// How a measurement is compared with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What a run can measure at all; a rule beyond it says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurable {
    /// The planned arrival rate: no higher one can be reached.
    pub rate_per_second: f64,
    /// The time after which a request is given up: no latency is longer.
    pub timeout_ms: f64,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("threshold `{rule}`, column {column}: {problem}; {suggestion}")]
pub struct ThresholdError {
    /// The rule, as it was written.
    pub rule: String,
    /// Where in it, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub suggestion: String,
}

impl Threshold {
    /// Whether a measurement keeps the rule. A measurement that is not a number keeps none.
    #[must_use]
    pub fn holds(&self, measured: f64) -> bool {
        match self.operator {
            Operator::Less => measured < self.limit,
            Operator::LessOrEqual => measured <= self.limit,
            Operator::Greater => measured > self.limit,
            Operator::GreaterOrEqual => measured >= self.limit,
        }
    }

    /// Whether some run within `reach` keeps the rule and some other breaks it.
    ///
    /// # Errors
    /// A rule that can never pass or can never fail.
    pub fn check(&self, reach: Measurable) -> Result<(), ThresholdError> {
        let (low, high) = match self.metric {
            Metric::ErrorRate => (0.0, 100.0),
            Metric::Rate => (0.0, reach.rate_per_second),
            _ => (0.0, reach.timeout_ms),
        };
        // A latency of exactly zero does not exist, the other two start at it.
        let low_reached = !self.metric.is_latency();
        let limit = self.limit;
        let (never_passes, never_fails) = match self.operator {
            Operator::Less => (limit <= low, limit > high),
            Operator::LessOrEqual => (limit < low || (limit == low && !low_reached), limit >= high),
            Operator::Greater => (limit >= high, limit < low || (limit == low && !low_reached)),
            Operator::GreaterOrEqual => (limit > high, limit <= low),
        };
        let unit = self.metric.unit();
        let range = match self.metric {
            Metric::ErrorRate => "an error rate is 0 to 100 %".to_owned(),
            Metric::Rate => format!("the planned rate is {high}{unit}"),
            _ => format!("a request is given up after {high}{unit}"),
        };
        let word = match (never_passes, never_fails) {
            (false, false) => return Ok(()),
            (true, _) => "pass",
            (false, true) => "fail",
        };
        Err(ThresholdError {
            rule: self.rule.clone(),
            column: self.limit_column,
            problem: format!("it can never {word}: {range}"),
            suggestion: self.metric.example(high),
        })
    }
}

impl Metric {
    /// Whether it is a time, and not a rate.
    #[must_use]
    pub fn is_latency(self) -> bool {
        !matches!(self, Self::ErrorRate | Self::Rate)
    }

    /// The unit, as it is written after a number.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::ErrorRate => " %",
            Self::Rate => "/s",
            _ => " ms",
        }
    }

    fn example(self, high: f64) -> String {
        match self {
            Self::ErrorRate => "write a share that can be reached and missed, such as `error_rate<0.1%`".to_owned(),
            Self::Rate => {
                format!("write a rate that can be reached and missed, such as `rate>={}`", (high * 0.95).max(0.1))
            }
            metric => format!("write a time between 0 and {high} ms, such as `{metric}<{}`", (high / 50.0).max(1.0)),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p({percent})"),
            Self::Average => f.write_str("avg"),
            Self::Median => f.write_str("med"),
            Self::Minimum => f.write_str("min"),
            Self::Maximum => f.write_str("max"),
            Self::ErrorRate => f.write_str("error_rate"),
            Self::Rate => f.write_str("rate"),
        }
    }
}

/// The rule as it was written.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

impl std::str::FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(rule: &str) -> Result<Self, Self::Err> {
        let parser = Parser { rule };
        if rule.chars().count() > RULE_CHARS_MAX {
            return Err(parser.error(
                RULE_CHARS_MAX,
                format!("longer than {RULE_CHARS_MAX} characters"),
                "write one rule, such as `p(95)<150`",
            ));
        }
        let operator_start = rule
            .find(['<', '>', '=', '!'])
            .ok_or_else(|| parser.error(rule.len(), "no operator", "compare with <, <=, > or >=: `p(95)<150`"))?;
        let rest = &rule[operator_start..];
        let operator_length = rest.find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(rest.len());
        let operator_end = operator_start + operator_length;
        let operator = match &rule[operator_start..operator_end] {
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            other => {
                let problem = format!("`{other}` is not an operator");
                return Err(parser.error(operator_start, problem, "compare with <, <=, > or >="));
            }
        };
        let metric = parser.metric(0..operator_start)?;
        let (limit, limit_start) = parser.limit(metric, operator_end..rule.len())?;
        Ok(Self { rule: rule.to_owned(), metric, operator, limit, limit_column: parser.column(limit_start) })
    }
}

struct Parser<'a> {
    rule: &'a str,
}

impl Parser<'_> {
    fn error(&self, byte: usize, problem: impl Into<String>, suggestion: impl Into<String>) -> ThresholdError {
        ThresholdError {
            rule: self.rule.chars().take(RULE_CHARS_MAX).collect(),
            column: self.column(byte),
            problem: problem.into(),
            suggestion: suggestion.into(),
        }
    }

    fn column(&self, byte: usize) -> usize {
        self.rule.char_indices().take_while(|(at, _)| *at < byte).count() + 1
    }

    /// The part of the rule in `range` without the spaces around it, and where it begins.
    fn word(&self, range: Range<usize>) -> (&str, usize) {
        let part = &self.rule[range.clone()];
        (part.trim(), range.start + part.len() - part.trim_start().len())
    }

    fn metric(&self, range: Range<usize>) -> Result<Metric, ThresholdError> {
        let (word, start) = self.word(range);
        match word {
            "avg" => return Ok(Metric::Average),
            "med" => return Ok(Metric::Median),
            "min" => return Ok(Metric::Minimum),
            "max" => return Ok(Metric::Maximum),
            "rate" => return Ok(Metric::Rate),
            "error_rate" => return Ok(Metric::ErrorRate),
            "" => return Err(self.error(start, "nothing to compare", "begin with an aggregate: `p(95)<150`")),
            _ => {}
        }
        let Some(inside) = word.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')) else {
            return Err(self.error(start, format!("`{word}` is not an aggregate"), suggest(word)));
        };
        match number(inside.trim()) {
            Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(Metric::Percentile(percent)),
            Some(_) => Err(self.error(
                start + 2,
                format!("there is no percentile {inside}"),
                "write one above 0 and up to 100, such as p(99.9)",
            )),
            None => Err(self.error(
                start + 2,
                format!("`{inside}` is not a number"),
                "write a percentile in digits, such as p(95)",
            )),
        }
    }

    /// The number and where it begins.
    fn limit(&self, metric: Metric, range: Range<usize>) -> Result<(f64, usize), ThresholdError> {
        let (word, start) = self.word(range);
        let digits = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(word.len());
        let (text, unit) = word.split_at(digits);
        let unit_start = start + digits;
        let unit = unit.trim();
        let Some(limit) = number(text) else {
            return Err(self.error(
                start,
                format!("`{word}` is not a number"),
                "write the limit in plain digits, such as 150 or 0.5",
            ));
        };
        match (metric, unit) {
            (Metric::ErrorRate, "%") | (Metric::Rate, "") => Ok((limit, start)),
            // 0 is the same either way, and what no share can be is said first: then there is nothing to choose.
            (Metric::ErrorRate, "") if limit <= 0.0 || limit >= 100.0 => Err(self.error(
                start,
                "an error rate is a share in percent, above 0% and below 100%",
                metric.example(100.0),
            )),
            (Metric::ErrorRate, "") => Err(self.error(
                unit_start,
                "a share without a percent sign can be read in two ways",
                match limit <= 1.0 {
                    true => format!("write {limit}% or {}%", limit * 100.0),
                    false => format!("write {limit}%"),
                },
            )),
            (metric, "") if metric.is_latency() => Ok((limit, start)),
            (metric, _) => Err(self.error(
                unit_start,
                format!("`{unit}` does not belong here"),
                match metric {
                    Metric::ErrorRate => "write the limit in percent, such as 0.1%",
                    Metric::Rate => "write the limit in answers a second, as a plain number",
                    _ => "write the limit in milliseconds, as a plain number",
                },
            )),
        }
    }
}

/// A plain decimal number; no exponent, infinity or `NaN`, which nobody means in a rule.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    if plain { text.parse().ok().filter(|value: &f64| value.is_finite()) } else { None }
}

fn suggest(word: &str) -> String {
    const KNOWN: [&str; 6] = ["avg", "med", "min", "max", "rate", "error_rate"];
    const ALSO: [(&str, &str); 8] = [
        ("mean", "avg"),
        ("average", "avg"),
        ("median", "med"),
        ("minimum", "min"),
        ("maximum", "max"),
        ("rps", "rate"),
        ("errors", "error_rate"),
        ("http_req_failed", "error_rate"),
    ];
    let lower = word.to_lowercase();
    // `p95`, `P(95)` and `p 95` are the usual slips.
    if let Some(percent) = lower.strip_prefix('p') {
        let percent: String = percent.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        if !percent.is_empty() {
            return format!("write `p({percent})`");
        }
    }
    let near = ALSO.iter().find(|(other, _)| *other == lower).map(|(_, name)| *name);
    match near.or_else(|| closest(&lower, KNOWN)) {
        Some(name) => format!("write `{name}`"),
        None => "use p(…), avg, med, min, max, error_rate or rate".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Measurable = Measurable { rate_per_second: 200.0, timeout_ms: 10_000.0 };

    fn parsed(rule: &str) -> Threshold {
        rule.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_documented_rules_are_read() {
        for (rule, metric, operator, limit) in [
            ("p(95)<150", Metric::Percentile(95.0), Operator::Less, 150.0),
            ("p(99.9) <= 200", Metric::Percentile(99.9), Operator::LessOrEqual, 200.0),
            (" avg < 20.5 ", Metric::Average, Operator::Less, 20.5),
            ("med<10", Metric::Median, Operator::Less, 10.0),
            ("min>1", Metric::Minimum, Operator::Greater, 1.0),
            ("max<1000", Metric::Maximum, Operator::Less, 1000.0),
            ("error_rate<0.1%", Metric::ErrorRate, Operator::Less, 0.1),
            ("error_rate <= 0 %", Metric::ErrorRate, Operator::LessOrEqual, 0.0),
            ("rate>=195", Metric::Rate, Operator::GreaterOrEqual, 195.0),
        ] {
            let read = parsed(rule);
            assert_eq!((read.metric, read.operator, read.limit), (metric, operator, limit), "{rule}");
            read.check(REACH).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_column_and_a_suggestion() {
        let cases: [(&str, usize, &str); 22] = [
            ("", 1, "`p(95)<150`"),
            ("p(95)", 6, "compare with"),
            ("p95<150", 1, "`p(95)`"),
            ("P(95)<150", 1, "`p(95)`"),
            ("p(101)<150", 3, "up to 100"),
            ("p(0)<150", 3, "above 0"),
            ("p(NaN)<150", 3, "in digits"),
            ("p(95)<150ms", 10, "milliseconds"),
            ("p(95)<inf", 7, "plain digits"),
            ("p(95)<1e2", 8, "milliseconds"),
            ("p(95)<", 7, "plain digits"),
            ("p(95)<1<2", 8, "milliseconds"),
            ("p(95)==150", 6, "<=, > or >="),
            ("p(95)=<150", 6, "<=, > or >="),
            ("p(95)≤150", 10, "compare with"),
            ("mean<5", 1, "`avg`"),
            ("maxx<5", 1, "`max`"),
            ("error_rate<0.001", 17, "0.001% or 0.1%"),
            ("eror_rate<1%", 1, "`error_rate`"),
            ("rate>=95%", 9, "answers a second"),
            ("<5", 1, "begin with"),
            ("é<5", 1, "use p("),
        ];
        for (rule, column, suggestion) in cases {
            let error = rule.parse::<Threshold>().expect_err(rule);
            assert_eq!(error.column, column, "{error}");
            assert!(error.suggestion.contains(suggestion), "{error}");
        }
        assert!("p".repeat(1_000_000).parse::<Threshold>().is_err());
    }

    #[test]
    fn a_rule_that_cannot_pass_or_cannot_fail_is_refused() {
        for rule in
            ["p(95)<0", "p(95)<=0", "max<-1", "error_rate<0%", "error_rate>100%", "rate>=201", "rate>200", "min>10000"]
        {
            let error = parsed(rule).check(REACH).expect_err(rule);
            assert!(error.problem.contains("never pass"), "{error}");
            assert!(rule[error.column - 1..].starts_with(|c: char| c.is_ascii_digit() || c == '-'), "{error}");
        }
        for rule in
            ["p(95)<20000", "p(99)<=10000", "error_rate<=100%", "error_rate>=0%", "rate>=0", "rate<=200", "avg>0"]
        {
            assert!(parsed(rule).check(REACH).expect_err(rule).problem.contains("never fail"), "{rule}");
        }
        for rule in ["rate>=200", "error_rate<=0%", "p(95)<10000", "error_rate<100%", "rate>0"] {
            parsed(rule).check(REACH).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn an_edge_is_on_the_side_the_operator_says_and_nothing_keeps_no_rule() {
        assert!(!parsed("p(95)<150").holds(150.0) && parsed("p(95)<=150").holds(150.0));
        assert!(!parsed("rate>195").holds(195.0) && parsed("rate>=195").holds(195.0));
        for rule in ["p(95)<150", "p(95)<=150", "rate>1", "rate>=1"] {
            assert!(!parsed(rule).holds(f64::NAN));
        }
    }

    #[test]
    fn every_suggestion_for_an_impossible_rule_is_itself_possible() {
        for rule in ["p(95)<0", "max<0", "error_rate<0%", "rate>=1000"] {
            let suggestion = parsed(rule).check(REACH).expect_err(rule).suggestion;
            let example = suggestion.split('`').nth(1).expect("an example");
            parsed(example).check(REACH).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn a_limit_that_no_rule_can_have_is_answered_with_the_range() {
        for rule in ["error_rate<0", "error_rate<-1", "error_rate>=100", "error_rate<250"] {
            let error = rule.parse::<Threshold>().expect_err(rule).to_string();
            assert!(error.contains("above 0% and below 100%") && !error.contains("0% or 0%"), "{error}");
        }
        let both = "error_rate<0.5".parse::<Threshold>().expect_err("two readings").to_string();
        assert!(both.contains("write 0.5% or 50%"), "{both}");
        let one = "error_rate<5".parse::<Threshold>().expect_err("no sign").to_string();
        assert!(one.contains("write 5%") && !one.contains("500%"), "{one}");
    }
}
