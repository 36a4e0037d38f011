//! What the name of a file says of it.

use camino::{Utf8Path, Utf8PathBuf};

use super::FileKind;
use super::python::Does;

/// What follows `dockerfile.` in the names of programs and texts that are about Dockerfiles, and of the list of what a build ignores.
const NOT_BUILT_FROM: [&str; 10] = ["rs", "py", "go", "js", "ts", "java", "rb", "c", "md", "dockerignore"];

pub(super) fn by_name(path: &Utf8Path) -> Option<FileKind> {
    let name = path.file_name()?.to_ascii_lowercase();
    let folder = path.parent().map_or("", Utf8Path::as_str);
    let extension = Utf8Path::new(&name).extension().unwrap_or("");
    let is_yaml = is_yaml(path);
    let stem = Utf8Path::new(&name).file_stem().unwrap_or("");
    if name.split('.').any(|part| part == "dockerfile" || part == "containerfile")
        && !NOT_BUILT_FROM.contains(&extension)
    {
        return Some(FileKind::Dockerfile);
    }
    match extension {
        "py" | "pyi" | "pyw" | "wsgi" => Some(FileKind::Python),
        "rs" => Some(FileKind::Rust),
        "sh" | "bash" | "dash" | "ksh" => Some(FileKind::Shell),
        "tf" => Some(FileKind::Terraform),
        _ if is_yaml && FOLDERS_OF_WORKFLOWS.contains(&folder) => Some(FileKind::Workflow),
        _ if is_of_other_ci(&name, folder, is_yaml) => Some(FileKind::OtherCi),
        _ if is_yaml && stem == "action" => Some(FileKind::Action),
        _ if is_yaml && stem == "dependabot" && folder == ".github" => Some(FileKind::Dependabot),
        _ if is_yaml && is_compose_name(stem) => Some(FileKind::Compose),
        _ => None,
    }
}

/// Where workflows are: of GitHub, Forgejo and Gitea.
const FOLDERS_OF_WORKFLOWS: [&str; 3] = [".github/workflows", ".forgejo/workflows", ".gitea/workflows"];
/// What other CI systems read, without `.yml` or `.yaml`.
const OF_OTHER_CI: [&str; 13] = [
    ".appveyor",
    ".cirrus",
    ".drone",
    ".gitlab-ci",
    ".travis",
    ".woodpecker",
    "appveyor",
    "azure-pipelines",
    "bitbucket-pipelines",
    "buildspec",
    "circle",
    "cloudbuild",
    "codefresh",
];
/// Where they read every YAML.
const FOLDERS_OF_OTHER_CI: [&str; 5] = [".buildkite", ".circleci", ".semaphore", ".tekton", ".woodpecker"];

/// Whether another CI system reads a file of this name, which has small letters.
fn is_of_other_ci(name: &str, folder: &str, is_yaml: bool) -> bool {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    name.split('.').any(|part| part == "jenkinsfile")
        || (is_yaml && stem.is_some_and(|stem| OF_OTHER_CI.contains(&stem) || stem.ends_with(".gitlab-ci")))
        || (is_yaml && FOLDERS_OF_OTHER_CI.iter().any(|known| Utf8Path::new(folder).starts_with(known)))
}

/// What GitHub reads, and tools for it, where a name differs in capital letters alone: it takes them as they are.
///
/// ```
/// use cicd_core::formats::file_kind::name_on_github;
///
/// assert_eq!(name_on_github(".github/workflows/CI.YML".into()), Some(".github/workflows/CI.yml".into()));
/// assert_eq!(name_on_github("ACTION.yml".into()), Some("action.yml".into()));
/// assert_eq!(name_on_github(".github/workflows/CI.yml".into()), None);
/// ```
#[must_use]
pub fn name_on_github(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let right = match by_name(path)? {
        FileKind::Workflow => path.with_extension(path.extension()?.to_ascii_lowercase()),
        FileKind::Action | FileKind::Dependabot => path.with_file_name(path.file_name()?.to_ascii_lowercase()),
        _ => return None,
    };
    (right != path).then_some(right)
}

fn is_compose_name(stem: &str) -> bool {
    ["compose", "docker-compose", "podman-compose"]
        .iter()
        .any(|name| stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_'])))
}

pub(super) fn is_yaml(path: &Utf8Path) -> bool {
    path.extension().is_some_and(|extension| ["yml", "yaml"].iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)))
}

/// Extensions of other languages, of data and of settings: calls look the same there.
const OF_OTHERS: [&str; 94] = [
    "adoc",
    "awk",
    "bat",
    "build",
    "c",
    "cc",
    "cfg",
    "cjs",
    "clj",
    "cmake",
    "coffee",
    "conf",
    "cpp",
    "cs",
    "css",
    "csv",
    "cts",
    "d",
    "dart",
    "el",
    "env",
    "erl",
    "ex",
    "exs",
    "f90",
    "fish",
    "fs",
    "gn",
    "go",
    "graphql",
    "h",
    "hcl",
    "hpp",
    "htm",
    "html",
    "ini",
    "ipynb",
    "j2",
    "java",
    "jinja",
    "jinja2",
    "js",
    "json",
    "jsonl",
    "jsonnet",
    "jsx",
    "less",
    "lock",
    "lua",
    "md",
    "mdx",
    "mjs",
    "mount",
    "mts",
    "out",
    "path",
    "php",
    "pl",
    "po",
    "properties",
    "proto",
    "ps1",
    "pug",
    "r",
    "rb",
    "ron",
    "rs",
    "rst",
    "sass",
    "scss",
    "service",
    "sh",
    "slice",
    "socket",
    "sol",
    "sql",
    "svelte",
    "svg",
    "target",
    "tcl",
    "tex",
    "tf",
    "timer",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "v",
    "vim",
    "vue",
    "xml",
    "yaml",
    "yml",
    "zig",
];
/// Names of other languages' files that calls are in, too.
const NAMED_BY_OTHERS: [&str; 8] =
    ["buck", "build", "cmakelists.txt", "jenkinsfile", "meson_options.txt", "module.bazel", "tiltfile", "workspace"];
/// Extensions of languages in which imports and definitions look as in Python: Starlark, Groovy, Julia, Swift and the like.
const OF_LIKE_LANGUAGES: [&str; 14] =
    ["bazel", "bzl", "gd", "gradle", "groovy", "hs", "jl", "kt", "kts", "m", "nim", "scala", "star", "swift"];

/// The least that a text of this name has to do so that it is Python; nothing where that does not tell.
pub(super) fn python_counts_from(path: &Utf8Path, text: &str) -> Option<Does> {
    let name = path.file_name().unwrap_or("").to_ascii_lowercase();
    let extension = Utf8Path::new(&name).extension().unwrap_or("");
    if OF_LIKE_LANGUAGES.contains(&extension) && !NAMED_BY_OTHERS.contains(&name.as_str()) {
        return None;
    }
    // The first line names another interpreter only for whoever starts the file by its own name.
    let is_of_another = OF_OTHERS.contains(&extension) || NAMED_BY_OTHERS.contains(&name.as_str());
    Some(if is_of_another || text.starts_with("#!") { Does::Imports } else { Does::Calls })
}
