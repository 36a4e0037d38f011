use std::collections::HashMap;

use super::Exception;
use crate::model::Finding;
use crate::model::by_key::counting;

/// Findings by their codes and other names: what an exception covers is looked up instead of searched for, since lists of both may
/// be long.
#[derive(Debug)]
pub struct FindingsByName<'a> {
    findings: &'a [Finding],
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> FindingsByName<'a> {
    /// The index of these findings.
    #[must_use]
    pub fn new(findings: &'a [Finding]) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, finding) in findings.iter().enumerate() {
            for name in [finding.code.as_str()].into_iter().chain(finding.aliases.iter().map(String::as_str)) {
                counting::one();
                let named = by_name.entry(name).or_default();
                if named.last() != Some(&index) {
                    named.push(index);
                }
            }
        }
        Self { findings, by_name }
    }

    /// The findings that an exception covers, with their places in the list, in order.
    pub fn covered_by(&self, exception: &Exception) -> impl Iterator<Item = (usize, &'a Finding)> {
        let named = self.by_name.get(exception.id.as_str()).into_iter().flatten();
        counting::one();
        let findings = named.inspect(|_| counting::one()).filter_map(|&index| Some((index, self.findings.get(index)?)));
        findings.filter(|(_, finding)| exception.covers(finding))
    }
}
