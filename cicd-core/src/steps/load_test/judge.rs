use serde::{Deserialize, Serialize};

use super::builder::Checked;
use crate::formats::{Metric, Operator, Threshold};
use crate::load::{Failure, LoadError, Measurement};
use crate::model::{Facts, Finding, finding_codes};
use crate::process::ProcessError;
use crate::step::{Context, StepError};

finding_codes! {
    /// What a load test can find.
    pub enum LoadTestCode {
        ThresholdBroken = "LOAD-001" {
            summary: "a threshold of the load test is broken",
            help: "load.json in the step's folder has every percentile; `service` is the server's own time, `latency` adds the waiting",
            example: ".threshold(\"p(99)<100\") on an endpoint that takes 500 ms",
        },
        RequestsFailed = "LOAD-002" {
            summary: "requests of the load test had no expected answer, and no rule allows any",
            help: "see container.log in the step's folder; if some may fail, say how many: .threshold(\"error_rate<0.1%\")",
            example: "an endpoint that answers one request in a thousand with 500",
        },
        Ended = "LOAD-003" {
            summary: "the container ended or started again under load",
            help: "container.log in the step's folder has its last words; if memory was the reason, see .memory_mib(…)",
            example: "a server that is killed for using more memory than it may",
        },
        Remote = "LOAD-004" {
            summary: "load was sent to another machine",
            help: "measure the image itself, on this machine: LoadTest::get(…).build()",
            example: ".allow_remote(…).against(\"192.0.2.1:80\")",
        },
    }
}

/// A rule and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedRule {
    /// The rule, as it is written.
    pub rule: String,
    /// What was measured, in the rule's unit.
    pub measured: f64,
    /// Whether the rule holds.
    pub holds: bool,
}

/// Judges a measurement by every rule.
///
/// # Errors
/// When nothing was measured, or a rule is broken by less than what the generator itself was late by.
pub(super) fn judge(checked: &Checked, measured: &Measurement) -> Result<(Vec<JudgedRule>, Vec<Finding>), StepError> {
    let mut judged = Vec::new();
    let mut findings = Vec::new();
    for rule in &checked.rules {
        let value = value(rule.metric, measured)
            .filter(|value| value.is_finite())
            .ok_or_else(|| invalid("nothing was measured".to_owned()))?;
        let holds = rule.holds(value);
        if !holds {
            check_explained(rule, value, measured)?;
            let message = format!("`{rule}` is broken: {} is {}{}", rule.metric, shown(value), rule.metric.unit());
            findings.push(Finding::new(LoadTestCode::ThresholdBroken, message));
        }
        judged.push(JudgedRule { rule: rule.to_string(), measured: value, holds });
    }
    let errors_ruled = checked.rules.iter().any(|rule| rule.metric == Metric::ErrorRate);
    if measured.failed() > 0 && !errors_ruled {
        let message = format!(
            "{} of {} requests had no expected answer: {}",
            measured.failed(),
            measured.planned,
            reasons(measured)
        );
        findings.push(Finding::new(LoadTestCode::RequestsFailed, message));
    }
    Ok((judged, findings))
}

/// A latency above its limit by no more than the generator was late is the generator's as well as the server's.
fn check_explained(rule: &Threshold, value: f64, measured: &Measurement) -> Result<(), StepError> {
    if !rule.metric.is_latency() || !matches!(rule.operator, Operator::Less | Operator::LessOrEqual) {
        return Ok(());
    }
    let late = |times: &crate::load::Distribution| match rule.metric {
        Metric::Percentile(percent) => times.percentile_ms(percent),
        Metric::Average => times.average_ms(),
        Metric::Maximum => times.max_ms(),
        _ => times.percentile_ms(50.0),
    };
    let lateness = late(&measured.lateness).into_iter().chain(late(&measured.pacing)).fold(0.0, f64::max);
    if rule.holds(value - lateness) {
        return Err(invalid(format!(
            "`{rule}` is broken by {} being {} ms, of which up to {} ms are the generator's own lateness",
            rule.metric,
            shown(value),
            shown(lateness)
        )));
    }
    Ok(())
}

fn invalid(what: String) -> StepError {
    StepError::not_looked(format!("invalid measurement: {what}"), "repeat it on a machine that does nothing else")
}

fn value(metric: Metric, measured: &Measurement) -> Option<f64> {
    let latency = &measured.latency;
    if latency.count == 0 {
        return None;
    }
    match metric {
        Metric::Percentile(percent) => latency.percentile_ms(percent),
        Metric::Average => latency.average_ms(),
        Metric::Median => latency.percentile_ms(50.0),
        Metric::Minimum => Some(latency.min_ms),
        Metric::Maximum => latency.max_ms(),
        Metric::ErrorRate => measured.error_rate_percent(),
        Metric::Rate => Some(measured.rate_per_second),
    }
}

/// The reasons of failed requests, most frequent first, with the statuses that came instead.
fn reasons(measured: &Measurement) -> String {
    let mut reasons: Vec<_> = measured.failures.iter().map(|(failure, count)| (*count, *failure)).collect();
    reasons.sort_by(|a, b| b.cmp(a));
    let statuses: Vec<_> = measured.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    let reasons: Vec<_> = reasons
        .into_iter()
        .map(|(count, failure)| match failure {
            Failure::Status => format!("{count} {failure} ({})", statuses.join(", ")),
            other => format!("{count} {other}"),
        })
        .collect();
    reasons.join(", ")
}

/// A number with as many digits as it deserves.
fn shown(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The facts of a measurement.
pub(super) fn facts(measured: &Measurement) -> Facts {
    let mut facts = Facts::new();
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    facts.insert("rate_per_second", rounded(measured.rate_per_second));
    if let Some(planned) = measured.planned_rate_per_second {
        facts.insert("planned_rate_per_second", rounded(planned));
    }
    facts.insert("requests", measured.planned);
    facts.insert("errors", measured.failed());
    let times = [
        ("error_rate_percent", measured.error_rate_percent()),
        ("p50_ms", measured.latency.percentile_ms(50.0)),
        ("p95_ms", measured.latency.percentile_ms(95.0)),
        ("p99_ms", measured.latency.percentile_ms(99.0)),
        ("max_ms", measured.latency.max_ms()),
        ("service_p99_ms", measured.service.percentile_ms(99.0)),
        ("lateness_p99_ms", measured.lateness_p99_ms()),
    ];
    for (name, value) in times {
        if let Some(value) = value {
            facts.insert(name, rounded(value));
        }
    }
    facts.insert("connections_peak", measured.connections_peak);
    let p99 = measured.latency.percentile_ms(99.0).map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1}"));
    facts.set_headline(format!("{:.0} req/s, p99 {p99} ms, {} errors", measured.rate_per_second, measured.failed()));
    facts
}

/// Why a load gave nothing to judge.
pub(super) fn error(cx: &Context, error: LoadError) -> StepError {
    match (&error, cx.shared().cancel.reason()) {
        (LoadError::Stopped, Some(reason)) => {
            ProcessError::Cancelled { command: "the load test".to_owned(), reason }.into()
        }
        (LoadError::Invalid { .. }, _) => {
            StepError::not_looked(error.to_string(), "load.json in the step's folder has what was measured")
        }
        _ => StepError::not_looked(error.to_string(), "nothing was measured"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::load::{Bucket, Distribution, OpenPlan};

    fn times(ms: &[f64]) -> Distribution {
        Distribution {
            count: ms.len() as u64,
            min_ms: ms.first().copied().unwrap_or(0.0),
            mean_ms: ms.iter().sum::<f64>() / ms.len().max(1) as f64,
            percentiles: Vec::new(),
            buckets: ms.iter().map(|ms| Bucket { up_to_us: ms * 1e3, count: 1 }).collect(),
        }
    }

    fn measured(latency_ms: &[f64], lateness_ms: f64) -> Measurement {
        Measurement {
            planned_rate_per_second: Some(200.0),
            rate_per_second: 199.0,
            seconds: 1.0,
            planned: latency_ms.len() as u64,
            sent: latency_ms.len() as u64,
            completed: latency_ms.len() as u64,
            failures: BTreeMap::new(),
            statuses: BTreeMap::from([(200, latency_ms.len() as u64)]),
            body_bytes: 0,
            latency: times(latency_ms),
            service: times(latency_ms),
            lateness: times(&[lateness_ms]),
            pacing: times(&[lateness_ms]),
            queued: 0,
            connections_peak: 1,
            connections_max: 100,
            connections_opened: 1,
            busy_share: 0.1,
        }
    }

    fn checked(rules: &[&str]) -> Checked {
        Checked {
            path: "/".to_owned(),
            status: 200,
            plan: OpenPlan::new(200.0, Duration::from_secs(1)),
            rules: rules.iter().map(|rule| rule.parse().expect("a rule")).collect(),
        }
    }

    fn messages(rules: &[&str], measured: &Measurement) -> Vec<String> {
        let (_, findings) = judge(&checked(rules), measured).expect("judged");
        findings.into_iter().map(|finding| format!("{} {}", finding.code, finding.message)).collect()
    }

    #[test]
    fn kept_rules_give_no_finding_and_broken_ones_give_one_each() {
        let it = measured(&[1.0, 2.0, 3.0, 502.25], 0.1);
        assert_eq!(messages(&["p(50)<10", "max<600", "rate>=195", "error_rate<0.1%", "min>0.5"], &it), [""; 0]);
        assert_eq!(
            messages(&["p(99)<100", "avg<5", "rate>=200", "error_rate<=0%"], &it),
            [
                "LOAD-001 `p(99)<100` is broken: p(99) is 502 ms",
                "LOAD-001 `avg<5` is broken: avg is 127 ms",
                "LOAD-001 `rate>=200` is broken: rate is 199/s",
            ]
        );
    }

    #[test]
    fn what_the_generator_itself_may_have_caused_is_not_held_against_the_server() {
        let error = judge(&checked(&["p(99)<100"]), &measured(&[104.0], 5.0)).expect_err("within the lateness");
        assert!(error.to_string().contains("invalid measurement"), "{error}");
        assert_eq!(messages(&["p(99)<100"], &measured(&[106.0], 5.0)).len(), 1);
    }

    #[test]
    fn errors_need_a_rule_that_allows_them() {
        let mut it = measured(&[1.0; 1000], 0.1);
        it.failures = BTreeMap::from([(Failure::Status, 2), (Failure::Timeout, 1)]);
        it.statuses = BTreeMap::from([(200, 997), (503, 2)]);
        assert_eq!(
            messages(&["p(99)<100"], &it),
            ["LOAD-002 3 of 1000 requests had no expected answer: 2 unexpected status (200: 997, 503: 2), \
              1 no answer in time"]
        );
        assert_eq!(messages(&["p(99)<100", "error_rate<1%"], &it), [""; 0]);
        assert_eq!(messages(&["error_rate<0.1%"], &it).len(), 1);
    }

    #[test]
    fn no_samples_are_no_pass() {
        for rule in ["p(99)<100", "error_rate<0.1%", "rate>=1", "max<5", "rate<100"] {
            assert!(judge(&checked(&[rule]), &measured(&[], 0.0)).is_err(), "{rule}");
        }
    }

    #[test]
    fn the_table_shows_rate_tail_and_errors() {
        let facts = facts(&measured(&[1.0, 4.1], 0.1));
        assert_eq!(facts.headline(), Some("199 req/s, p99 4.1 ms, 0 errors"));
        assert!(facts.get("lateness_p99_ms").is_some() && facts.get("error_rate_percent").is_some());
    }
}
