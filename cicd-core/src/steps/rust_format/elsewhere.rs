use crate::formats::rust_tokens::{Piece, PieceKind, pieces};

/// So far behind `include!(` it stands that the file is one that a build script makes: `concat!(env!("OUT_DIR"), ..)`.
const MADE_WITHIN: usize = 8;

/// The lines, from 0, that take in Rust from a file whose name does not say so: `#[path = "x.inc"]` and `include!("x.in")`. Nobody
/// would look at that file as at Rust.
pub(super) fn lines(source: &str) -> Vec<usize> {
    if !source.contains("path") && !source.contains("include") {
        return Vec::new();
    }
    let mut line = 0;
    let mut code: Vec<(usize, Piece<'_>)> = Vec::new();
    for piece in pieces(source) {
        if piece.kind.is_code() {
            code.push((line, piece));
        }
        line += memchr::memchr_iter(b'\n', piece.text.as_bytes()).count();
    }
    let text = |at: usize| code.get(at).map_or("", |(_, piece)| piece.text);
    let mut found = Vec::new();
    let mut attribute = "";
    for (at, (line, piece)) in code.iter().enumerate() {
        if piece.text == "#" {
            let open = if text(at + 1) == "!" { at + 2 } else { at + 1 };
            attribute = if text(open) == "[" { text(open + 1) } else { "" };
        }
        let named = match piece.text {
            "path" | "r#path" if text(at + 1) == "=" => {
                let before = at.checked_sub(1).map_or("", text);
                (before == "[" || (before == "," && attribute == "cfg_attr")).then_some(at + 2)
            }
            "include" | "r#include" if text(at + 1) == "!" => Some(at + 3),
            _ => None,
        };
        let Some(named) = named else { continue };
        let is_rust = match code.get(named) {
            Some((_, one)) if one.kind == PieceKind::Text => one.text.trim_end_matches(['#', '"']).ends_with(".rs"),
            _ => (named..named + MADE_WITHIN).any(|at| text(at) == "\"OUT_DIR\""),
        };
        if !is_rust {
            found.push(*line);
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_under_another_name_is_seen_where_it_is_taken_in() {
        for (source, expected) in [
            ("#[path = \"y.inc\"]\nmod y;", &[0][..]),
            ("\n# [ path /* x */ = r#\"y\"# ]\nmod y;", &[1]),
            ("#[cfg_attr(unix, path = \"y.txt\")] mod y;", &[0]),
            ("#[r#path = \"a.rs.in\"] mod y;", &[0]),
            ("fn a() {\n    include!(\"x.in\");\n    std::include! [\"y\"]\n}", &[1, 2]),
            ("include!(concat!(\"a\", \".inc\"));", &[0]),
            ("include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/a.inc\"));", &[0]),
            ("#[path = \"y.rs\"]\nmod y; include!(r\"z.rs\");", &[]),
            ("include!(concat!(env!(\"OUT_DIR\"), \"/bindings.rs\"));", &[]),
            ("#[arg(path = \"x\")] fn a(path: &str) { let path = \"x\"; }", &[]),
            ("include_str!(\"x.md\"); // include!(\"x.in\")\nlet a = \"#[path = \\\"x\\\"]\";", &[]),
        ] {
            assert_eq!(lines(source), expected, "{source}");
        }
    }
}
