//! Reports of the real tools, and how lines count that a report lists more than once.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/coverage/recorded");

/// What is refused, by how its name begins and ends, and what the refusal says is needed.
const REFUSED: [(&str, &str, &str); 20] = [
    // It counts what it was told to leave out.
    ("gcovr-7.", ".lcov", "use 8 or newer, or its Cobertura XML"),
    // LCOV cannot show a line that several functions have.
    ("gcovr-8.8.lcov", "", "write Cobertura XML (`--cobertura`)"),
    ("gcovr-8.8--exclude", ".lcov", "write Cobertura XML (`--cobertura`)"),
    ("gcovr-8.8--decisions", ".lcov", "write Cobertura XML (`--cobertura`)"),
    ("gcovr-8.8--merge-mode", ".lcov", "write Cobertura XML (`--cobertura`)"),
    ("gcovr-4.2.json", "", "`--cobertura`, before 5.1 `--xml`"),
    ("gcovr-8.8.json", "", "`--cobertura`, before 5.1 `--xml`"),
    ("gcovr-8.8-summary.json", "", "`--cobertura`, before 5.1 `--xml`"),
    ("jest-30.5.2.json", "", "coverageReporters"),
    ("jest-30.5.2-summary.json", "", "coverageReporters"),
    ("jest-30.5.2-clover.xml", "", "write Cobertura XML or LCOV"),
    ("llvm-cov-0.6.16.json", "", "`--lcov`"),
    ("llvm-cov-0.9.1.json", "", "`--lcov`"),
    ("go-1.19.cover", "", "gocover-cobertura"),
    ("gcov2lcov.cover", "", "gocover-cobertura"),
    // It counts points of code, and lists lines.
    ("altcover-sample4.xml", "", "read as LCOV"),
    // Its branches stand in no line: 22 % of them are covered, and the lines give 70 %.
    ("altcover-4.0.xml", "", "or as LCOV"),
    // Read by the test of its own, beside this one.
    ("coveragepy-5.5", ".json", "6.5 or newer"),
    ("coveragepy-5.5", ".xml", "6.5 or newer"),
    ("coveragepy-", ".lcov", "before 7.8"),
];

#[test]
fn every_recorded_report_is_read_with_its_tools_own_totals_or_refused_with_what_is_needed() {
    let (mut totals, mut reports) = (BTreeMap::new(), Vec::new());
    for entry in Utf8Path::new(FOLDER).read_dir_utf8().expect("recorded") {
        let path = entry.expect("listed").into_path();
        if path.extension() != Some("totals") {
            reports.push(path);
            continue;
        }
        for row in std::fs::read_to_string(&path).expect("recorded").lines() {
            let [name, lines, of_lines, ways, of_ways] = row.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{path}: {row:?} has no five columns");
            };
            let ratio = |covered: &str, total: &str| match (covered, total) {
                ("-", "-") => None,
                _ => Some(Ratio { covered: covered.parse().expect(row), total: total.parse().expect(row) }),
            };
            let known = totals.insert(name.to_owned(), (ratio(lines, of_lines), ratio(ways, of_ways)));
            assert_eq!(known, None, "{name} stands twice");
        }
    }
    let (mut read, mut refused) = (0, 0);
    for path in reports {
        let name = path.file_name().expect("a file");
        let rule = REFUSED.iter().find(|(start, end, _)| name.starts_with(start) && name.ends_with(end));
        let said = totals.remove(name);
        match (read_coverage(&std::fs::read(&path).expect("recorded")), rule, said) {
            (Ok(_), _, None) if name.starts_with("coveragepy-") => {}
            (Ok(report), None, Some((lines, ways))) => {
                let branches = report.branches().filter(|branches| branches.total > 0);
                assert_eq!((Some(report.lines()), branches), (lines, ways), "{name}");
                let by_line: usize = report.files.iter().map(|file| file.missing_lines.len()).sum();
                let missed = report.lines().total - report.lines().covered;
                assert!(by_line > 0 && by_line as u64 <= missed, "{name}: {by_line} lines named, {missed} missed");
                read += 1;
            }
            (Err(error), Some((_, _, needed)), _) => {
                assert!(error.to_string().contains(needed), "{name}: {error}");
                refused += 1;
            }
            (result, rule, said) => panic!("{name}: {result:?}, against {rule:?} and {said:?}"),
        }
    }
    assert!(totals.is_empty(), "totals of no recording: {totals:?}");
    assert!(read >= 40 && refused >= 30, "{read} read, {refused} refused");
}

/// Lines and branches of a Cobertura report whose root says `said`, and whose classes of `a.cpp` hold these.
fn cobertura(said: &str, classes: &[&str]) -> Result<CoverageReport, CoverageError> {
    let classes: String = classes.iter().map(|lines| format!("<class filename='a.cpp'>{lines}</class>")).collect();
    read_coverage(format!("<coverage {said}>{classes}</coverage>").as_bytes())
}

fn lcov(entries: &[&str]) -> Result<CoverageReport, CoverageError> {
    read_coverage(format!("SF:a.cs\n{}\nend_of_record\n", entries.join("\n")).as_bytes())
}

#[test]
fn a_line_that_is_listed_several_times_is_never_more_covered_than_its_tool_says() {
    let (hit, not) = ("<line number='1' hits='3'/>", "<line number='1' hits='0'/>");
    let (other, both) = ("<line number='2' hits='1'/>", format!("{hit}{not}"));
    let lines = |report: Result<CoverageReport, CoverageError>| report.map(|report| report.lines());
    let of = |covered, total| Ok(Ratio { covered, total });
    // What the report says decides; what says nothing is covered only where each of its listings is.
    assert_eq!(lines(cobertura("lines-valid='3' lines-covered='2'", &[&both, other])), of(2, 3));
    assert_eq!(lines(cobertura("lines-valid='2' lines-covered='2'", &[&both, other])), of(2, 2));
    assert_eq!(lines(cobertura("", &[&both, other])), of(1, 2));
    assert_eq!(lines(cobertura("", &[not, hit])), of(0, 1));
    assert!(cobertura("lines-valid='3' lines-covered='3'", &[&both, other]).is_err());
    // With half of what it says, the lower share.
    assert_eq!(lines(cobertura("lines-covered='2'", &[&both, other])), of(2, 3));
    // A method repeats the lines of its class; a class without lines has those of its methods.
    let method = format!("<methods><method name='f'><lines>{hit}{other}</lines></method></methods>");
    assert_eq!(lines(cobertura("lines-valid='1' lines-covered='0'", &[&format!("{method}{not}")])).ok(), None);
    assert_eq!(lines(cobertura("lines-valid='2' lines-covered='1'", &[&format!("{method}{not}")])), of(1, 2));
    assert_eq!(lines(cobertura("lines-valid='2' lines-covered='2'", &[&method])), of(2, 2));
    assert!(cobertura("", &[&format!("<class filename='b.cpp'>{hit}</class>{not}")]).is_err(), "a class in a class");

    assert_eq!(lines(lcov(&["DA:1,0", "DA:1,2", "LF:2", "LH:1"])), of(1, 2));
    assert_eq!(lines(lcov(&["DA:1,0", "DA:1,2", "LF:1", "LH:1"])), of(1, 1));
    assert_eq!(lines(lcov(&["DA:1,0", "DA:1,2"])), of(0, 1));
    // Sums that are lower than the lines are the tool's word (llvm-cov); higher ones contradict it.
    assert_eq!(lines(lcov(&["DA:1,1", "DA:2,2", "LF:4", "LH:1"])), of(1, 4));
    for sums in [["LF:2", "LH:3"], ["LF:1", "LH:1"], ["LF:1", "LH:0"], ["LF:3", "LH:3"], ["LF:0", "LH:0"]] {
        assert!(lcov(&["DA:1,1", "DA:2,2", sums[0], sums[1]]).is_err(), "{sums:?}");
    }
}

#[test]
fn a_branch_that_is_listed_several_times_is_never_more_covered_than_its_tool_says() {
    let line = |ways: &str| format!("<line number='1' hits='1' branch='True' condition-coverage='50% ({ways})'/>");
    let (one, two) = (line("1/2"), line("2/2"));
    let ways = |report: Result<CoverageReport, CoverageError>| report.map(|report| report.branches());
    let of = |covered, total| Ok(Some(Ratio { covered, total }));
    assert_eq!(ways(cobertura("branches-valid='4' branches-covered='3'", &[&one, &two])), of(3, 4));
    assert_eq!(ways(cobertura("branches-valid='2' branches-covered='2'", &[&one, &two])), of(2, 2));
    assert_eq!(ways(cobertura("", &[&one, &two])), of(3, 4));
    assert!(cobertura("branches-valid='4' branches-covered='4'", &[&one, &two]).is_err());
    assert!(cobertura("branches-valid='4' branches-covered='0'", &["<line number='1' hits='1'/>"]).is_err());
    let twice = ["DA:1,1", "BRDA:1,0,0,1", "BRDA:1,0,1,-", "BRDA:1,0,0,-", "BRDA:1,0,1,-"];
    let with = |sums: &[&'static str]| [&twice, sums].concat();
    assert_eq!(ways(lcov(&with(&["BRF:4", "BRH:1"]))), of(1, 4));
    assert_eq!(ways(lcov(&with(&["BRF:2", "BRH:1"]))), of(1, 2));
    assert_eq!(ways(lcov(&with(&[]))), of(1, 4));
    assert!(lcov(&with(&["BRF:4", "BRH:2"])).is_err());
    let report = lcov(&with(&["BRF:4", "BRH:1"])).expect("read");
    assert_eq!(report.files[0].missing_branches.len(), 1, "both are named at their line");
}
