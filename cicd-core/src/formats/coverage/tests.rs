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
    for end in (0..LCOV.len()).filter(|&end| !LCOV[..end].ends_with(b"end_of_record\n")) {
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

#[test]
fn one_cobertura_line_named_by_two_classes_counts_once() {
    let xml = b"<coverage><class filename='a.c'><line number='1' hits='0'/><line number='2' hits='1'/></class>
        <class filename='a.c'><line number='1' hits='3'/></class></coverage>";
    assert_eq!(read_coverage(xml).expect("plain").lines(), Ratio { covered: 2, total: 2 });
}
