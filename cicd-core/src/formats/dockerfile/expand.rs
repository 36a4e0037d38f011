use std::collections::BTreeMap;

/// The values of `ARG`s by name.
pub type Arguments = BTreeMap<String, String>;

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+other}` and `${NAME+other}`. `None` where
/// something else is asked for, or a bracket is left open.
pub(super) fn expand(text: &str, arguments: &Arguments) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(inside) = after.strip_prefix('{') {
            let (inside, after) = inside.split_at_checked(closing(inside)?)?;
            expanded.push_str(&parameter(inside, arguments)?);
            rest = after.strip_prefix('}')?;
        } else {
            let (name, after) = after.split_at(name_length(after));
            if name.is_empty() {
                return None;
            }
            expanded.push_str(arguments.get(name).map_or("", String::as_str));
            rest = after;
        }
    }
    expanded.push_str(rest);
    Some(expanded)
}

/// Where the bracket closes that was open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    text.char_indices().find_map(|(index, c)| {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(index)
    })
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn parameter(inside: &str, arguments: &Arguments) -> Option<String> {
    let (name, operator) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return None;
    }
    let value = arguments.get(name).map(String::as_str);
    let full = value.filter(|value| !value.is_empty());
    let word = |start| operator.strip_prefix(start);
    if operator.is_empty() {
        Some(value.unwrap_or("").to_owned())
    } else if let Some(default) = word(":-") {
        full.map_or_else(|| expand(default, arguments), |value| Some(value.to_owned()))
    } else if let Some(other) = word(":+") {
        full.map_or(Some(String::new()), |_| expand(other, arguments))
    } else if let Some(default) = word("-") {
        value.map_or_else(|| expand(default, arguments), |value| Some(value.to_owned()))
    } else if let Some(other) = word("+") {
        value.map_or(Some(String::new()), |_| expand(other, arguments))
    } else {
        None
    }
}
