use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;
use regex::bytes::Regex as BytesRegex;

use super::codes::ImageCode;
use crate::docker::{LayerFile, Part};
use crate::files;
use crate::model::{Finding, Severity, Target};
use crate::process::{Redactor, Secret, SecretError};
use crate::step::{ReadError, StepError};

/// What is too long for a secret in all its forms, or no text, is searched for in pieces of this size as they are: a copy of half of it
/// has some.
const PIECE_BYTES: usize = 64;
/// A piece with fewer different bytes is found by chance.
const PIECE_VARIETY_MIN: usize = 12;
/// Secrets are read into memory to be searched for.
const SECRET_BYTES_MAX: u64 = 1 << 20;
/// A reader fixes the cause of the first findings, and the rest goes with them.
const FINDINGS_MAX: usize = 50;
/// Where Python's packages keep theirs, each with its sum.
const PYTHON_PACKAGES: &[&str] = &["site-packages", "dist-packages"];
/// Where packages keep their files: what tests they bring is their business, and the licence check and scans look at them.
const PACKAGE_FOLDERS: &[&str] = &["site-packages", "dist-packages", "node_modules"];
/// Where the distribution's packages keep theirs.
const SYSTEM_FOLDERS: &[&str] = &["usr/lib/", "usr/share/", "usr/local/lib/", "lib/", "var/lib/"];
/// The authorities that the image's own package of certificates brings, one in a file.
const PACKAGED_AUTHORITIES: &str = "usr/share/ca-certificates/";
/// Tokens that say whose they are: what services publish of their forms, for those who search for them. Trivy looks for them too, but
/// not in a file that has the name of a picture or an archive, or lies in the system's folders or in `node_modules`.
const TOKENS: &str = r"(?x-u)(?:^|[^A-Za-z0-9_])(?:
    gh[opsur]_[A-Za-z0-9]{36}
    | github_pat_[A-Za-z0-9_]{82}
    | glpat-[A-Za-z0-9_-]{20}
    | xox[abeoprs]-[A-Za-z0-9-]{10,}
    | (?:AKIA|ASIA)[A-Z2-7]{16}
    | AIza[A-Za-z0-9_-]{35}
    | [rs]k_live_[A-Za-z0-9]{16,}
    | npm_[A-Za-z0-9]{36}
    | pypi-AgE[A-Za-z0-9_-]{50,}
    | dckr_pat_[A-Za-z0-9_-]{27}
    | hvs\.[A-Za-z0-9_-]{24,}
    | SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}
    | dop_v1_[a-f0-9]{64}
    | shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}
    | sk-ant-[A-Za-z0-9_-]{32,}
)";
/// Keys that manuals show end so.
const SHOWN_IN_MANUALS: &[u8] = b"EXAMPLE";
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Collects what an image ships that it should not.
#[derive(Debug)]
pub(super) struct Search {
    secrets: Vec<KnownSecret>,
    /// Each secret that is text, however it is written.
    forms: Redactor,
    /// Pieces of those that are not, and whose they are.
    pieces: AhoCorasick,
    piece_names: Vec<String>,
    private_key: BytesRegex,
    credential_lines: BytesRegex,
    tokens: BytesRegex,
    /// How many layers come from the base, whose tests are not ours.
    base_layers: usize,
    /// By path: what it is.
    found: BTreeMap<String, Shipped>,
    /// Copies of a bundle of certificates: the path, the secret, and how many certificates it has.
    bundles: Vec<(String, String, usize)>,
    packaged_authorities: usize,
}

#[derive(Debug)]
struct KnownSecret {
    id: String,
    content: Vec<u8>,
    certificates: usize,
}

#[derive(Debug)]
struct Shipped {
    what: String,
    severity: Severity,
}

impl Search {
    /// Prepares to search for these secrets' content and everything else that belongs in no image.
    pub(super) fn new(secrets: &[(String, Utf8PathBuf)], base_layers: usize) -> Result<Self, StepError> {
        let mut known = Vec::new();
        for (id, path) in secrets {
            let unread = |error| ReadError::new(format!("the build secret {id} in {path}"), error);
            let content = files::read(path, SECRET_BYTES_MAX).map_err(unread)?;
            let certificates = count(&content, CERTIFICATE);
            known.push(KnownSecret { id: id.clone(), content, certificates });
        }
        let forms = Redactor::new();
        let mut pieces: Vec<(&str, &[u8])> = Vec::new();
        // Certificates are public one by one; only the whole list of them may be somebody's own.
        for KnownSecret { id, content, .. } in known.iter().filter(|secret| secret.certificates == 0) {
            match Secret::env(id.as_str()).read(content.trim_ascii().to_vec()) {
                Ok(secret) => forms.learn(&secret),
                Err(SecretError::TooShort(_)) => {}
                Err(_) => {
                    let varied = |piece: &&[u8]| piece.iter().collect::<BTreeSet<_>>().len() >= PIECE_VARIETY_MIN;
                    pieces.extend(content.chunks(PIECE_BYTES).filter(varied).map(|piece| (id.as_str(), piece)));
                }
            }
        }
        let pattern = |problem: String| ReadError::new("the patterns of secrets", problem);
        Ok(Self {
            forms,
            pieces: AhoCorasick::new(pieces.iter().map(|(_, piece)| piece)).map_err(|e| pattern(e.to_string()))?,
            piece_names: pieces.iter().map(|(id, _)| (*id).to_owned()).collect(),
            // A key stands in lines of its own and its text follows; programs that only know the words do not.
            private_key: BytesRegex::new(
                r"(?m)^-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[ \t]*\r?\n(?:[A-Za-z-]+: [^\n]*\n|\s)*[A-Za-z0-9+/=]{16}",
            )
            .map_err(|e| pattern(e.to_string()))?,
            credential_lines: BytesRegex::new(
                r#"(?mi)(?:^|[:\s"])(?:_authToken|_password|_auth|password|auth|identitytoken)["\s]*(?:[=:]|\s)["\s]*[^\s"$]{4}"#,
            )
            .map_err(|e| pattern(e.to_string()))?,
            tokens: BytesRegex::new(TOKENS).map_err(|e| pattern(e.to_string()))?,
            secrets: known,
            base_layers,
            found: BTreeMap::new(),
            bundles: Vec::new(),
            packaged_authorities: 0,
        })
    }

    /// Looks at one file of a layer, or at a part of it.
    pub(super) fn file(&mut self, file: &LayerFile<'_>) {
        self.content(file.path, file.bytes);
        // What packages bring is as they were published, or the licence check tells it.
        if file.layer >= self.base_layers
            && !file.path.split('/').any(|part| PYTHON_PACKAGES.contains(&part))
            && self.tokens.find_iter(file.bytes).any(|found| !found.as_bytes().ends_with(SHOWN_IN_MANUALS))
        {
            self.add(file.path, "a token of a service is shipped", Severity::Critical);
        }
        if file.part == Part::Whole {
            for secret in self.secrets.iter().filter(|secret| !file.bytes.is_empty() && secret.content == file.bytes) {
                self.bundles.push((file.path.to_owned(), secret.id.clone(), secret.certificates));
            }
        }
        if file.part == Part::Later {
            return;
        }
        if file.path.starts_with(PACKAGED_AUTHORITIES) && file.path.ends_with(".crt") {
            self.packaged_authorities += 1;
        }
        if let Some((path, what)) = credentials_by_name(file.path) {
            self.add(path, what, Severity::Critical);
        }
        if file.layer >= self.base_layers
            && let Some(path) = tests_by_name(file.path)
        {
            self.add(path, "tests are shipped", Severity::Medium);
        }
    }

    /// Looks at the image's configuration, which keeps the environment and the history of build arguments.
    pub(super) fn configuration(&mut self, config: &[u8]) {
        self.tokens_in("(image configuration)", config);
    }

    fn content(&mut self, path: &str, content: &[u8]) {
        self.tokens_in(path, content);
        if self.private_key.is_match(content) {
            self.add(path, "a private key is shipped", Severity::Critical);
        }
        if may_hold_tokens(path) && self.credential_lines.is_match(content) {
            self.add(path, "a file with a password or token is shipped", Severity::Critical);
        }
    }

    fn tokens_in(&mut self, path: &str, content: &[u8]) {
        let piece = || {
            let hit = self.pieces.find(content).filter(|_| !self.piece_names.is_empty())?;
            self.piece_names.get(hit.pattern().as_usize()).cloned()
        };
        if let Some(id) = self.forms.revealed(content).or_else(piece) {
            let what = format!("the build secret {id} is shipped");
            self.add(path, &what, Severity::Critical);
        }
    }

    fn add(&mut self, path: &str, what: &str, severity: Severity) {
        let path = if path.starts_with('(') { path.to_owned() } else { format!("/{path}") };
        let worse = self.found.get(&path).is_none_or(|known| known.severity < severity);
        if worse {
            self.found.insert(path, Shipped { what: what.to_owned(), severity });
        }
    }

    /// The findings, after every file was looked at. A path that one of `allowed` matches has that pattern as its target.
    pub(super) fn findings(mut self, allowed: &[FilePattern]) -> Vec<Finding> {
        for (path, id, certificates) in std::mem::take(&mut self.bundles) {
            // The same list that the image's own package of certificates makes is no leak, it is the public one.
            if certificates == 0 || certificates > self.packaged_authorities {
                self.add(&path, &format!("the build secret {id} is shipped"), Severity::Critical);
            }
        }
        let total = self.found.len();
        let finding = |(path, shipped): (String, Shipped)| {
            let pattern = allowed.iter().find(|pattern| pattern.matches(&path));
            Finding::new(ImageCode::ShippedFile, format!("{}: {path}", shipped.what))
                .severity(shipped.severity)
                .target(pattern.map_or_else(|| Target::file(&path), |pattern| Target::name(&pattern.text)))
        };
        let mut findings: Vec<Finding> = self.found.into_iter().map(finding).collect();
        // What is allowed stays, so that its exception counts as used.
        let mut kept = 0;
        findings.retain(|finding| {
            let is_allowed = allowed.iter().any(|pattern| finding.target == Some(Target::name(&pattern.text)));
            kept += usize::from(!is_allowed);
            is_allowed || kept <= FINDINGS_MAX
        });
        if kept > FINDINGS_MAX {
            let message = format!("{} more of {total} files that belong in no image", kept - FINDINGS_MAX);
            findings.push(Finding::new(ImageCode::ShippedFile, message));
        }
        findings
    }
}

/// The path of a test, or of the folder it is in.
fn tests_by_name(path: &str) -> Option<&str> {
    let packaged = SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder))
        || path.split('/').any(|part| PACKAGE_FOLDERS.contains(&part));
    if packaged {
        return None;
    }
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        let is_file = end == path.len();
        if !is_file && part == "tests" {
            return path.get(..end);
        }
        let python = part.strip_suffix(".py").or_else(|| part.strip_suffix(".pyc"));
        if is_file
            && python.is_some_and(|name| name.starts_with("test_") || name.ends_with("_test") || name == "conftest")
        {
            return Some(path);
        }
        end += 1;
    }
    None
}

/// The path of something that holds credentials, or a repository's history, by its name alone.
fn credentials_by_name(path: &str) -> Option<(&str, &'static str)> {
    if let Some(at) = path.split('/').position(|part| part == ".git") {
        let end = path.match_indices('/').nth(at).map_or(path.len(), |(index, _)| index);
        return Some((path.get(..end)?, "a repository with its history is shipped"));
    }
    let file = Utf8Path::new(path);
    let name = file.file_name()?;
    let folder = file.parent().and_then(Utf8Path::file_name);
    let example = [".example", ".sample", ".template", ".dist"].iter().any(|end| name.ends_with(end));
    match name {
        ".env" => Some((path, "a file of environment variables is shipped")),
        _ if name.starts_with(".env.") && !example => Some((path, "a file of environment variables is shipped")),
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => Some((path, "a private key is shipped")),
        "credentials" if folder == Some(".aws") => Some((path, "the credentials of a cloud are shipped")),
        ".git-credentials" | "application_default_credentials.json" => Some((path, "credentials are shipped")),
        _ => None,
    }
}

/// Configuration files that may hold a password and may be innocent.
fn may_hold_tokens(path: &str) -> bool {
    let file = Utf8Path::new(path);
    let folder = file.parent().and_then(Utf8Path::file_name);
    match file.file_name() {
        Some(".npmrc" | ".pypirc" | ".netrc" | "_netrc" | ".dockercfg") => true,
        Some("config.json") => folder == Some(".docker"),
        _ => false,
    }
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|part| *part == word).count()
}

/// Paths in an image: `*` is anything within a folder, `**` anything.
#[derive(Debug, Clone)]
pub(super) struct FilePattern {
    pub text: String,
    regex: Option<Regex>,
}

impl FilePattern {
    pub(super) fn new(text: &str) -> Self {
        let escaped = regex::escape(text).replace(r"\*\*", ".*").replace(r"\*", "[^/]*");
        // Everything is escaped, so this fails only for patterns of many megabytes; those match nothing.
        Self { text: text.to_owned(), regex: Regex::new(&format!("^(?:{escaped})$")).ok() }
    }

    /// Whether a file, or the folder that stands for the files in it, is meant.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(path) || regex.is_match(&format!("{path}/")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_that_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = Utf8Path::from_path(dir.path()).expect("UTF-8").join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_str(), 0o600.into()).expect("a pipe");
        for (place, told) in [(pipe, "a named pipe"), ("/dev/zero".into(), "a device"), ("/tmp".into(), "a folder")] {
            let error = Search::new(&[("token".to_owned(), place)], 1).map(drop).expect_err("no file").to_string();
            assert!(error.contains("build secret token") && error.contains(told), "{error}");
        }
    }

    fn search(files: &[(&str, usize, &[u8])], secrets: &[(&str, &str)], allowed: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = Utf8Path::from_path(dir.path()).expect("UTF-8");
        let write = |(id, content): &(&str, &str)| {
            let path = folder.join(id);
            fs::write(&path, content).expect("written");
            ((*id).to_owned(), path)
        };
        let secrets: Vec<_> = secrets.iter().map(write).collect();
        let mut search = Search::new(&secrets, 1).expect("prepared");
        for &(path, layer, content) in files {
            search.file(&LayerFile { path, layer, part: Part::Whole, bytes: content });
        }
        search.configuration(br#"{"config":{"Env":["A=b"]}}"#);
        let patterns: Vec<_> = allowed.iter().map(|text| FilePattern::new(text)).collect();
        let show = |finding: Finding| format!("{} -> {}", finding.message, finding.target.expect("a target"));
        search.findings(&patterns).into_iter().map(show).collect()
    }

    // In parts, so that this file holds none.
    const KEY: &[u8] =
        concat!("-----BEGIN RSA PRIVATE ", "KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy\n").as_bytes();
    const LOCKED_KEY: &[u8] = concat!(
        "-----BEGIN RSA PRIVATE ",
        "KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: X,1\r\n\r\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3\r\n"
    )
    .as_bytes();

    #[test]
    fn a_token_is_found_whatever_the_name_of_its_file() {
        let tokens = [
            ["gh", "p_wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"].concat(),
            ["gl", "pat-4f9K2xQ7wZ1mB8nR5tVc"].concat(),
            ["xo", "xb-1234567890-abcdefghij"].concat(),
            ["AK", "IAQ3EGRIJDVBSM4TWZ"].concat(),
        ];
        let paths =
            ["opt/app/notes.md", "usr/share/x/token", "opt/app/node_modules/x/y.gz", "opt/app/a.png", "srv/examples/a"];
        for (token, path) in tokens.iter().flat_map(|token| paths.iter().map(move |path| (token, *path))) {
            for text in [token.clone(), format!("\0\u{1}key = \"{token}\"\n")] {
                let expected = [format!("a token of a service is shipped: /{path} -> /{path}")];
                assert_eq!(search(&[(path, 1, text.as_bytes())], &[], &[]), expected, "{text:?}");
            }
            for (path, layer, text) in [
                (path, 0, token.clone()),
                ("opt/venv/lib/python3.11/site-packages/a/b.py", 1, token.clone()),
                (path, 1, format!("x{token}")),
                (path, 1, ["AK", "IAIOSFODNN7EXAMPLE"].concat()),
                (path, 1, token[..12].to_owned()),
            ] {
                assert!(search(&[(path, layer, text.as_bytes())], &[], &[]).is_empty(), "{path} {text}");
            }
        }
    }

    #[test]
    fn tests_are_found_where_they_are_ours() {
        for (path, layer, expected) in [
            ("opt/app/tests/test_a.py", 1, Some("/opt/app/tests")),
            ("opt/app/tests/__init__.py", 1, Some("/opt/app/tests")),
            ("opt/app/myapp/test_b.py", 1, Some("/opt/app/myapp/test_b.py")),
            ("opt/app/conftest.py", 1, Some("/opt/app/conftest.py")),
            ("opt/app/tests/test_a.py", 0, None),
            ("opt/app/site-packages/flask/tests/test_a.py", 1, None),
            ("usr/lib/python3.11/unittest/test_x.py", 1, None),
            ("opt/app/tests", 1, None),
            ("opt/app/contests/a.py", 1, None),
            ("opt/app/latest_a.py", 1, None),
        ] {
            let expected: Vec<_> = expected.iter().map(|path| format!("tests are shipped: {path} -> {path}")).collect();
            assert_eq!(search(&[(path, layer, b"")], &[], &[]), expected, "{path} in layer {layer}");
        }
    }

    #[test]
    fn secrets_are_found_in_every_layer() {
        for (path, content) in [
            (".git/HEAD", &b"ref"[..]),
            ("app/.env", b""),
            ("app/.env.production", b""),
            ("root/.ssh/id_rsa", b""),
            ("root/.aws/credentials", b""),
            ("etc/app/server.pem", KEY),
            ("etc/app/anything", LOCKED_KEY),
            ("root/.npmrc", b"//registry.example.org/:_authToken=abcdef0123\n"),
            ("root/.pypirc", b"[pypi]\nusername = u\npassword = hunter22\n"),
            ("root/.netrc", b"machine example.org login u password hunter22\n"),
            ("root/.docker/config.json", br#"{"auths":{"x":{"auth":"dTpwYXNz"}}}"#),
        ] {
            assert_eq!(search(&[(path, 0, content)], &[], &[]).len(), 1, "{path} was not found");
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_is_not_one() {
        for (path, content) in [
            ("app/.env.example", &b""[..]),
            ("app/.gitignore", b""),
            ("root/.ssh/id_rsa.pub", b""),
            ("app/site-packages/crypto/ssh.py", b"_START = b'-----BEGIN OPENSSH PRIVATE KEY-----'\n"),
            ("app/doc.txt", b"-----BEGIN PRIVATE KEY-----\n...\n"),
            ("etc/ssl/certs/a.pem", b"-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3\n"),
            ("root/.npmrc", b"//registry.example.org/:_authToken=${NPM_TOKEN}\nfund=false\n"),
            ("root/.docker/config.json", br#"{"auths":{}}"#),
            ("app/config.json", br#"{"password":"hunter22"}"#),
        ] {
            assert_eq!(search(&[(path, 1, content)], &[], &[]), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn build_secrets_are_found_by_their_content() {
        let token = [("token", "s3cr3t-value\n")];
        assert_eq!(
            search(&[("app/pip.conf", 1, b"url = https://u:s3cr3t-value@example.org")], &token, &[]),
            ["the build secret token is shipped: /app/pip.conf -> /app/pip.conf"]
        );
        assert!(search(&[("app/pip.conf", 1, b"nothing")], &token, &[]).is_empty());
        assert_eq!(search(&[], &[("arg", "\"A=b\"")], &[]).len(), 0, "five characters are found by chance");
        assert_eq!(search(&[], &[("arg", "[\"A=b\"]")], &[]).len(), 1, "the configuration is looked at too");
    }

    #[test]
    fn a_build_secret_is_found_however_it_is_written() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let (token, key) = (
            "s3cr3t/va+lue\"77",
            "-----BEGIN OPENSSH KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\nAAAAAAAAABAAAAMwAAAAtzc2gtZW\n",
        );
        let secrets = [("token", token), ("key", key)];
        for text in [
            format!("_auth={}", STANDARD.encode(format!("user:{token}"))),
            "index-url = https://u:s3cr3t%2Fva%2Blue%2277@example.org/simple".to_owned(),
            format!("{{\"password\": {}}}", serde_json::Value::from(token)),
            "7333637233742f76612b6c7565223737".to_owned(),
            token.chars().flat_map(|c| [c, '\0']).collect(),
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ".to_owned(),
        ] {
            let found = search(&[("app/x.conf", 1, text.as_bytes())], &secrets, &[]);
            assert!(found.len() == 1 && found[0].starts_with("the build secret "), "{text}: {found:?}");
        }
        // One that is no text, of which a half is shipped.
        let bytes: String = (0..40_000_u32).map(|n| char::from_u32(0x21 + (n * n / 7) % 90).expect("ASCII")).collect();
        assert_eq!(search(&[("app/half", 1, &bytes.as_bytes()[9_999..20_001])], &[("store", &bytes)], &[]).len(), 1);
    }

    #[test]
    fn a_build_secret_is_found_in_a_file_of_any_size() {
        let mut tar = tar::Builder::new(Vec::new());
        for at in [0, (1 << 20) - 5, (1 << 20) + 3, (3 << 20) + 100] {
            let mut bytes = vec![b'.'; 5 << 20];
            bytes[at..at + 12].copy_from_slice(b"s3cr3t-value");
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, format!("at-{at}"), bytes.as_slice()).expect("in memory");
        }
        let archive = tar.into_inner().expect("in memory");
        let dir = tempfile::tempdir().expect("a directory");
        let secret = Utf8Path::from_path(dir.path()).expect("UTF-8").join("token");
        fs::write(&secret, "s3cr3t-value").expect("written");
        let mut search = Search::new(&[("token".to_owned(), secret)], 0).expect("prepared");
        let mut tree = crate::docker::FileTree::default();
        let marks = crate::docker::Marks::Delete;
        crate::docker::add_archive(&mut tree, archive.as_slice(), 0, marks, &mut |file| search.file(&file))
            .expect("a layer");
        assert_eq!(search.findings(&[]).len(), 4);
    }

    #[test]
    fn a_bundle_of_authorities_is_public_only_if_the_images_own_package_makes_it() {
        let bundle = format!("{0}\nA\n{0}\nB\n{1}", "-----BEGIN CERTIFICATE-----", "x".repeat(4096));
        let secret = [("ca", bundle.as_str())];
        let copy = ("etc/ssl/certs/ca-certificates.crt", 1, bundle.as_bytes());
        let [a, b] = ["a", "b"].map(|name| format!("{PACKAGED_AUTHORITIES}mozilla/{name}.crt"));
        assert_eq!(search(&[copy, (&a, 1, b"")], &secret, &[]).len(), 1, "one authority is not the package's");
        assert!(search(&[copy, (&a, 1, b""), (&b, 1, b"")], &secret, &[]).is_empty());
    }

    #[test]
    fn allowed_files_carry_their_pattern_as_target() {
        let files: [(&str, usize, &[u8]); 2] = [("opt/app/tests/test_a.py", 1, b""), ("opt/other/.env", 1, b"")];
        assert_eq!(
            search(&files, &[], &["/opt/*/tests/**"]),
            [
                "tests are shipped: /opt/app/tests -> /opt/*/tests/**",
                "a file of environment variables is shipped: /opt/other/.env -> /opt/other/.env"
            ]
        );
        assert!(!FilePattern::new("/opt/*").matches("/opt/app/.env"), "one star stays in its folder");
    }

    #[test]
    fn many_findings_are_cut_and_counted() {
        let names: Vec<String> = (0..FINDINGS_MAX + 3).map(|index| format!("app/{index}/.env")).collect();
        let mut search = Search::new(&[], 0).expect("prepared");
        for path in &names {
            search.file(&LayerFile { path, layer: 0, part: Part::Whole, bytes: b"" });
        }
        let findings = search.findings(&[]);
        assert_eq!(findings.len(), FINDINGS_MAX + 1);
        assert_eq!(findings.last().expect("one").message, "3 more of 53 files that belong in no image");
    }
}
