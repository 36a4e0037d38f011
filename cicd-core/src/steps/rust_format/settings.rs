use camino::Utf8Path;

use crate::model::Location;
use crate::step::{ReadError, StepError};

/// The settings that say how code is formatted. Any other may say what is not formatted, today or in a later version.
const HOW: [&str; 65] = [
    "array_width",
    "attr_fn_like_width",
    "binop_separator",
    "blank_lines_lower_bound",
    "blank_lines_upper_bound",
    "brace_style",
    "chain_width",
    "color",
    "combine_control_expr",
    "comment_width",
    "condense_wildcard_suffixes",
    "control_brace_style",
    "doc_comment_code_block_width",
    "doc_comment_code_block_small_heuristics",
    "edition",
    "empty_item_single_line",
    "enum_discrim_align_threshold",
    "fn_args_layout",
    "fn_call_width",
    "fn_params_layout",
    "fn_single_line",
    "force_explicit_abi",
    "force_multiline_blocks",
    "format_brace_macros",
    "format_code_in_doc_comments",
    "format_strings",
    "group_imports",
    "hard_tabs",
    "hex_literal_case",
    "float_literal_trailing_zero",
    "imports_granularity",
    "imports_indent",
    "imports_layout",
    "indent_style",
    "inline_attribute_width",
    "match_arm_blocks",
    "match_arm_indent",
    "match_arm_leading_pipes",
    "match_block_trailing_comma",
    "max_width",
    "merge_derives",
    "newline_style",
    "normalize_comments",
    "normalize_doc_attributes",
    "overflow_delimited_expr",
    "remove_nested_parens",
    "reorder_impl_items",
    "reorder_imports",
    "reorder_modules",
    "short_array_element_width_threshold",
    "single_line_if_else_max_width",
    "single_line_let_else_max_width",
    "space_after_colon",
    "space_before_colon",
    "spaces_around_ranges",
    "struct_field_align_threshold",
    "struct_lit_single_line",
    "struct_lit_width",
    "struct_variant_width",
    "style_edition",
    "tab_spaces",
    "trailing_comma",
    "trailing_semicolon",
    "use_field_init_shorthand",
    "use_small_heuristics",
];
/// Settings that say how code is formatted, but have later names or belong to imports and comments.
const HOW_TOO: [&str; 8] = [
    "merge_imports",
    "type_punctuation_density",
    "use_try_shorthand",
    "version",
    "where_single_line",
    "wrap_comments",
    "unstable_features",
    "required_version",
];

/// How wide a line may be where no setting says so.
pub(super) const WIDTH: usize = 100;

/// Refuses a configuration under which rustfmt may pass over files, or parts of them, without a word; gives how wide a line may be.
///
/// # Errors
/// When it is no TOML, or has a setting that does not only say how code is formatted.
pub(super) fn check(path: &Utf8Path, text: &str) -> Result<usize, StepError> {
    let table: toml::Table = toml::from_str(text)
        .map_err(|error| ReadError::new("rustfmt's configuration", error.message()).at(Location::file(path)))?;
    match table.keys().find(|key| !HOW.contains(&key.as_str()) && !HOW_TOO.contains(&key.as_str())) {
        Some(key) => Err(StepError::not_looked(
            format!("{path} has `{key}`, which is not known to say only how code is formatted"),
            "delete it: code might not be looked at",
        )),
        None => Ok(table
            .get("max_width")
            .and_then(toml::Value::as_integer)
            .and_then(|width| usize::try_from(width).ok())
            .unwrap_or(WIDTH)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_takes_code_away_is_refused() {
        for (text, width) in [("max_width = 120\nuse_small_heuristics = \"Max\"\n", 120), ("", WIDTH)] {
            assert_eq!(check("rustfmt.toml".into(), text).expect("harmless"), width);
        }
        for bad in [
            "disable_all_formatting = true\n",
            "ignore = [\"a.rs\"]\n",
            "skip_macro_invocations = [\"*\"]\n",
            "skip_children = true\n",
            "format_generated_files = false\n",
            "format_macro_bodies = false\n",
            "max_width =\n",
        ] {
            assert!(check("rustfmt.toml".into(), bad).is_err(), "{bad}");
        }
    }
}
