use super::*;

const JSON: &[u8] = include_bytes!("../../../tests/data/coverage/shop.json");
const XML: &[u8] = include_bytes!("../../../tests/data/coverage/shop.xml");
const LCOV: &[u8] = include_bytes!("../../../tests/data/coverage/shop.lcov");

fn replaced(bytes: &[u8], from: &str, to: &str) -> Result<CoverageReport, CoverageError> {
    let text = std::str::from_utf8(bytes).expect("recorded as UTF-8");
    assert!(text.contains(from), "{from:?} is not in the recording");
    read_coverage(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn three_formats_of_one_run_tell_the_same() {
    for (format, bytes, prefix) in [("json", JSON, "shop/"), ("xml", XML, ""), ("lcov", LCOV, "shop/")] {
        let report = read_coverage(bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!(report.lines(), Ratio { covered: 6, total: 12 }, "{format}");
        assert_eq!(report.branches(), Some(Ratio { covered: 1, total: 4 }), "{format}");
        let cart = report.files.iter().find(|file| file.path == format!("{prefix}cart.py")).expect("listed");
        assert_eq!(LineRanges(&cart.missing_lines).to_string(), "15-17", "{format}");
        let missing: Vec<_> =
            cart.missing_branches.iter().map(|branch| (branch.line, branch.to.join(" and "))).collect();
        assert_eq!(missing, [(14, "line 15".to_owned()), (16, "line 17 and line 18".to_owned())], "{format}");
    }
}

#[test]
fn what_only_one_format_tells_is_read_too() {
    let report = read_coverage(JSON).expect("recorded");
    assert_eq!(LineRanges(&report.files[1].excluded_lines).to_string(), "6-8, 21-22");
    let report = read_coverage(XML).expect("recorded");
    assert_eq!(report.roots, ["/src/shop"]);
    assert_eq!(report.created_at.expect("dated").to_string(), "2026-11-21T03:11:11.114Z");
}

#[test]
fn a_report_that_was_cut_anywhere_is_an_error() {
    for bytes in [JSON, XML] {
        let whole = bytes.trim_ascii_end().len();
        for end in (0..whole).step_by(64).chain(whole.saturating_sub(40)..whole) {
            assert!(read_coverage(&bytes[..end]).is_err(), "cut at {end} of {whole} was accepted");
        }
    }
    let ends = |bytes: &[u8]| bytes.trim_ascii_end().ends_with(b"\nend_of_record");
    for end in (0..LCOV.len()).filter(|&end| !ends(&LCOV[..end])) {
        assert!(read_coverage(&LCOV[..end]).is_err(), "cut at {end} was accepted");
    }
}

#[test]
fn nothing_measured_is_an_error_and_not_a_percentage() {
    let empty = br#"{"meta":{"format":3,"branch_coverage":true},"files":{},
        "totals":{"covered_lines":0,"num_statements":0,"missing_lines":0,"num_branches":0,"covered_branches":0}}"#;
    assert_eq!(read_coverage(empty), Err(CoverageError::NothingMeasured { files: 0 }));
    let file = b"SF:a.py\nend_of_record\n";
    assert_eq!(read_coverage(file), Err(CoverageError::NothingMeasured { files: 1 }));
    assert!(matches!(
        read_coverage(b"<coverage><packages/></coverage>"),
        Err(CoverageError::NothingMeasured { files: 0 })
    ));
    assert_eq!(read_coverage(b" \n"), Err(CoverageError::Empty));
}

#[test]
fn a_summary_that_disagrees_with_its_lines_is_an_error() {
    for (bytes, from, to) in [
        (JSON, "\"missing_lines\": [15, 16, 17]", "\"missing_lines\": []"),
        (JSON, "\"missing_lines\": [15, 16, 17]", "\"missing_lines\": [11, 15, 16, 17]"),
        (JSON, "\"covered_branches\": 1", "\"covered_branches\": 4"),
        (XML, "lines-covered=\"6\"", "lines-covered=\"12\""),
        (XML, "branches-valid=\"4\"", "branches-valid=\"1\""),
        (XML, "50% (1/2)", "100% (2/2)"),
        (LCOV, "LH:6", "LH:9"),
        (LCOV, "BRH:1", "BRH:4"),
        (LCOV, "SF:shop/forgotten.py", "SF:shop/cart.py"),
    ] {
        let error = replaced(bytes, from, to).expect_err(to);
        assert!(matches!(error, CoverageError::Contradiction { .. }), "{to}: {error}");
    }
}

#[test]
fn hostile_and_foreign_reports_are_refused() {
    let bomb = "<!DOCTYPE coverage [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><coverage>&b;</coverage>";
    let twice = replaced(JSON, "\"shop/forgotten.py\"", "\"shop/cart.py\"").expect_err("listed twice");
    assert!(twice.to_string().contains("listed twice"), "{twice}");
    let trailing = [JSON, b"{}"].concat();
    let deep = "[".repeat(100_000);
    let deep_files = format!("{{\"files\":{deep}");
    for bad in [
        bomb.as_bytes(),
        &trailing,
        deep.as_bytes(),
        deep_files.as_bytes(),
        b"null",
        b"{}",
        b"[]",
        b"<html></html>",
        b"\x00\x01\x02",
        b"SF:a.py\nDA:x,1\nend_of_record\n",
        b"SF:a.py\nDA:1,-1\nend_of_record\n",
        b"SF:a.py\nSF:b.py\nend_of_record\n",
        b"TN:\nDA:1,1\n",
        b"SF:a\xff.py\nDA:1,1\nend_of_record\n",
        b"SF:a.py\nDA:0,1\nend_of_record\n",
        b"<coverage><class filename='a.py'><line number='1' hits='18446744073709551616'/></class></coverage>",
        b"<coverage><line number='1' hits='1'/></coverage>",
        b"<coverage><class><line number='1' hits='1'/></class></coverage>",
    ] {
        assert!(read_coverage(bad).is_err(), "{:?} was accepted", String::from_utf8_lossy(&bad[..bad.len().min(60)]));
    }
    assert!(replaced(JSON, "\"format\": 3", "\"format\": 9").is_err());
    assert!(replaced(XML, "50% (1/2)", "150% (3/2)").is_err());
    assert!(replaced(JSON, "\"executed_lines\": [3", "\"executed_lines\": [-3").is_err());
}

/// What each version of coverage.py says itself, as `coverage report` prints it: statements and branches, of all.
const TOTALS: [(&str, [u64; 4]); 10] = [
    ("5.5", [0; 4]),
    ("6.5.0", [11, 18, 6, 12]),
    ("7.0.0", [11, 18, 6, 12]),
    ("7.4.4", [11, 18, 6, 12]),
    ("7.6.0", [11, 18, 6, 12]),
    ("7.8.0", [11, 18, 6, 12]),
    ("7.10.6", [9, 15, 4, 8]),
    ("7.12.0", [9, 15, 4, 8]),
    ("7.13.5", [9, 15, 4, 8]),
    ("7.17.4", [9, 15, 4, 8]),
];

#[test]
fn every_version_of_coverage_py_is_read_with_its_own_totals_or_refused_with_the_one_that_is_needed() {
    let folder = camino::Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/coverage/recorded"));
    let (mut read, mut refused) = (0, Vec::new());
    for (version, [covered, total, taken, ways]) in TOTALS {
        for (suffix, branches) in [("", None), ("--branch", Some(Ratio { covered: taken, total: ways }))] {
            for format in ["json", "xml", "lcov"] {
                let name = format!("coveragepy-{version}{suffix}.{format}");
                let Ok(bytes) = std::fs::read(folder.join(&name)) else {
                    assert_eq!((version, format), ("5.5", "lcov"), "{name} is missing");
                    continue;
                };
                match read_coverage(&bytes) {
                    Ok(report) => {
                        assert_eq!((report.lines(), report.branches()), (Ratio { covered, total }, branches), "{name}");
                        read += 1;
                    }
                    Err(error) => {
                        let error = error.to_string();
                        assert!(error.contains("6.5 or newer") || error.contains("before 7.8"), "{name}: {error}");
                        refused.push(name);
                    }
                }
            }
        }
    }
    let versions = ["6.5.0", "7.0.0", "7.4.4", "7.6.0"];
    let wrong = versions.iter().flat_map(|version| [format!("{version}.lcov"), format!("{version}--branch.lcov")]);
    let old = ["5.5.json", "5.5.xml", "5.5--branch.json", "5.5--branch.xml"].map(str::to_owned).into_iter();
    let expected: Vec<_> = old.chain(wrong).map(|name| format!("coveragepy-{name}")).collect();
    assert_eq!((read, refused), (46, expected));
}

#[test]
fn a_report_that_counts_more_than_it_lists_is_not_read_higher_than_it_is() {
    let report = |rates: &str, lines: &str| {
        let text = format!("<coverage {rates}><class filename='a.cs'>{lines}</class></coverage>");
        read_coverage(text.as_bytes()).map(|report| (report.lines(), report.branches()))
    };
    let half = "<line number='1' hits='1' branch='true' condition-coverage='50% (1/2)'/><line number='2' hits='0'/>";
    assert!(report("line-rate='0.5' branch-rate='0.5'", half).is_ok());
    assert!(report("line-rate='1' branch-rate='1'", half).is_ok(), "what its lines give is lower");
    for rates in ["line-rate='0.07' branch-rate='0.5'", "line-rate='0.5' branch-rate='0.22'", "line-rate='0'"] {
        let error = report(rates, half).expect_err(rates).to_string();
        assert!(error.contains("of the") && error.contains("its lines give 50.0 %"), "{error}");
    }
    for rates in ["line-rate='x'", "line-rate='NaN'", "branch-rate='2'", "line-rate='-1'"] {
        assert!(report(rates, half).is_err(), "{rates}");
    }
}

#[test]
fn json_of_other_tools_is_refused_with_what_is_read_of_them() {
    for (text, instead) in [
        ("{\"gcovr/format_version\": \"0.14\", \"files\": []}", "--cobertura"),
        ("{\"/src/a.js\": {\"path\": \"/src/a.js\", \"statementMap\": {}}}", "coverageReporters"),
        ("{\"data\": [], \"type\": \"llvm.coverage.json.export\", \"version\": \"2.0.1\"}", "--lcov"),
        (
            "{\"meta\": {\"version\": \"5.5\", \"branch_coverage\": false}, \"files\": {}, \"totals\": {}}",
            "6.5 or newer",
        ),
    ] {
        let error = read_coverage(text.as_bytes()).expect_err(instead).to_string();
        assert!(error.contains(instead), "{error}");
    }
    let partial = replaced(JSON, "[[14, 15], [16, 17], [16, 18]]", "[[14, 15], [16, 17]]").expect_err("a way less");
    assert!(partial.to_string().contains("partial_also"), "{partial}");
}
