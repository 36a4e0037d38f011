use std::fmt::Write as _;

use super::shown::{escaped, lines};
use super::text::plain;
use crate::model::{Finding, Level, Status};
use crate::pipeline::{StepReport, Summary};

/// The run as JUnit XML: one test case a step, for the many systems that show nothing else. Characters that XML forbids are shown as
/// escapes, whatever a tool has said.
///
/// The form is that of [JUnit's own schema](https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd)
/// with the reruns of Maven Surefire: a test case that succeeds with earlier runs is what others call flaky.
#[must_use]
pub fn junit(summary: &Summary) -> String {
    let count = |wanted: &[Status]| summary.steps.iter().filter(|step| wanted.contains(&step.status)).count();
    let counts = format!(
        "name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
        attribute(&plain(&summary.pipeline)),
        summary.steps.len(),
        count(&[Status::Failed]),
        count(&[Status::Error, Status::Blocked, Status::Cancelled]),
        count(&[Status::Skipped]),
        seconds(summary.duration_ms),
    );
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(xml, "<testsuites {counts}>");
    let _ = writeln!(xml, "  <testsuite {counts}>");
    for step in &summary.steps {
        test_case(&mut xml, step);
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn test_case(xml: &mut String, step: &StepReport) {
    let (name, time) = (attribute(step.name.as_str()), seconds(step.duration_ms));
    let _ = writeln!(xml, "    <testcase name=\"{name}\" time=\"{time}\">");
    let (outcome, rerun) = match step.status {
        Status::Passed | Status::Exempted | Status::Flaky => (None, "flakyError"),
        Status::Failed => (Some("failure"), "rerunError"),
        Status::Error | Status::Blocked | Status::Cancelled => (Some("error"), "rerunError"),
        Status::Skipped => (Some("skipped"), "rerunError"),
    };
    if let Some(outcome) = outcome {
        let findings = step.findings.iter().filter(|finding| finding.exception.is_none());
        let findings = findings.map(|finding| format!("{}: {}", finding.code, finding.message));
        let message: Vec<String> = step.reason.iter().cloned().chain(findings).collect();
        let _ = writeln!(xml, "      <{outcome} message=\"{}\"/>", attribute(&message.join("\n")));
    }
    let earlier = step.attempts.iter().rev().skip(1).rev();
    for error in earlier.filter_map(|attempt| attempt.error.as_deref()) {
        let _ = writeln!(xml, "      <{rerun} message=\"{}\"/>", attribute(error));
    }
    // What a green step warns of, and what is allowed, has no other place.
    let beside: Vec<String> = step.findings.iter().filter_map(beside).collect();
    if !beside.is_empty() {
        let _ = writeln!(xml, "      <system-out>{}</system-out>", escaped(&lines(&beside.join("\n"))));
    }
    xml.push_str("    </testcase>\n");
}

/// Seconds with three places, as every reader takes them.
fn seconds(duration_ms: u64) -> String {
    format!("{}.{:03}", duration_ms / 1000, duration_ms % 1000)
}

/// A text as an attribute's value: in lines, which a reader would join if they were not written as references.
fn attribute(text: &str) -> String {
    escaped(&lines(text)).replace('\n', "&#10;")
}

/// A warning, or what is allowed and by whom.
fn beside(finding: &Finding) -> Option<String> {
    let Finding { code, message, .. } = finding;
    match &finding.exception {
        Some(by) if by.environments.is_every() => {
            Some(format!("allowed until {} by {}: {code}: {message}", by.expires, by.owner))
        }
        Some(by) => {
            Some(format!("allowed in {} only until {} by {}: {code}: {message}", by.environments, by.expires, by.owner))
        }
        None => (finding.level < Level::Deny).then(|| format!("warning: {code}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;

    use super::*;
    use crate::model::{Attempt, Code};
    use crate::reporters::example;

    /// The characters that the [XML recommendation](https://www.w3.org/TR/xml/#charsets) allows.
    fn is_xml(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
    }

    /// What a parser reads of a run whose every text is this one: all values of attributes.
    fn read_back(hostile: &str) -> Vec<String> {
        let (mut summary, _) = example::run(1);
        summary.pipeline = hostile.to_owned();
        let step = &mut summary.steps[0];
        step.reason = Some(hostile.to_owned());
        step.findings = vec![Finding::with_code(Code::new(hostile), hostile)];
        let flaky = &mut summary.steps[1];
        flaky.status = Status::Flaky;
        let attempt = |error: Option<&str>| Attempt { error: error.map(str::to_owned), duration_ms: 1 };
        flaky.attempts = vec![attempt(Some(hostile)), attempt(None)];
        let text = junit(&summary);
        assert!(text.chars().all(is_xml), "{text:?}");
        let mut reader = Reader::from_str(&text);
        let mut values = Vec::new();
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Eof => return values,
                Event::Start(tag) | Event::Empty(tag) => {
                    for attribute in tag.attributes() {
                        let attribute = attribute.expect("an attribute");
                        values.push(attribute.normalized_value(XmlVersion::Explicit1_0).expect("text").into_owned());
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn no_text_makes_the_xml_ill_formed() {
        for hostile in [
            "\u{FFFE}",
            "\u{FFFF}",
            "\u{1FFFE}",
            "\u{FDD0}",
            "\0",
            "\u{8}\u{b}\u{c}\u{1b}[31m",
            "\u{7f}\u{85}\u{9b}",
            "]]>",
            "<![CDATA[",
            "-->",
            "<?xml?>",
            "&#0;&x;",
            "\"'><failure/>",
            "\u{2028}\u{202e}\u{feff}",
        ] {
            let values = read_back(hostile);
            assert!(values.contains(&plain(hostile).into_owned()), "{hostile:?}: {values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_by_an_xml_parser(text in any::<String>(), controls in "[\\x00-\\x9f\u{FFF0}-\u{FFFF}<&\"'\\]]*") {
            for hostile in [text, controls] {
                read_back(&hostile);
            }
        }
    }
}
