use super::lines::Instruction;

/// Something that an instruction takes from outside and that neither a digest nor the commit says the content of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncontrolled {
    /// What it is, such as `--mount=type=cache`, `--network=host` or the address that `ADD` fetches.
    pub what: String,
    /// The line of the instruction, from 1.
    pub line: u32,
}

/// The keys of a mount that are known; what another one does, nobody here knows.
const MOUNT_KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// What an instruction takes from outside. All that is known to be harmless is listed, and the rest is not.
pub(super) fn of(instruction: &Instruction) -> Vec<Uncontrolled> {
    let found: Vec<String> = match instruction.keyword.as_str() {
        "RUN" => instruction.flags.iter().filter_map(|(name, value)| of_run(name, value)).collect(),
        "ADD" => of_add(instruction),
        _ => Vec::new(),
    };
    found.into_iter().map(|what| Uncontrolled { what, line: instruction.line }).collect()
}

fn of_run(name: &str, value: &str) -> Option<String> {
    match (name, value) {
        ("mount", _) => of_mount(value),
        ("network", "default" | "none") | ("security", "sandbox") => None,
        _ => Some(format!("--{name}={value}")),
    }
}

/// A mount of files that are known is `bind`, an empty one `tmpfs`, and what a `secret` holds is searched for in the image.
fn of_mount(value: &str) -> Option<String> {
    let parts = || value.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
    let types: Vec<&str> =
        parts().filter(|(key, _)| key.eq_ignore_ascii_case("type")).map(|(_, value)| value).collect();
    let is_known = parts().all(|(key, _)| MOUNT_KEYS.contains(&key.to_ascii_lowercase().as_str()));
    match types.as_slice() {
        [] | ["bind" | "tmpfs" | "secret"] if is_known => None,
        [kind] => Some(format!("--mount=type={kind}")),
        _ => Some(format!("--mount={value}")),
    }
}

/// `ADD` fetches addresses and repositories; a name with a variable may be either. One with a checksum is named by its content.
fn of_add(instruction: &Instruction) -> Vec<String> {
    let is_pinned = instruction.flags.iter().any(|(name, value)| name == "checksum" && value.starts_with("sha256:"));
    let words: Vec<&str> = match instruction.rest.trim().strip_prefix('[') {
        Some(list) => list.trim_end_matches(']').split(',').map(str::trim).collect(),
        None => instruction.rest.split_whitespace().collect(),
    };
    let sources = words.iter().take(words.len().saturating_sub(1)).map(|word| word.trim_matches(['"', '\'']));
    let fetched = sources.filter(|source| source.contains([':', '$', '\\']));
    fetched
        .filter(|source| !(is_pinned && source.starts_with("https://") && !source.contains('$')))
        .map(str::to_owned)
        .collect()
}
