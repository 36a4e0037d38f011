use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::files::{self, Stamps};
use crate::formats::hex;
use crate::step::{ReadError, StepError};

/// The settings of a virtual environment are a few lines.
const SETTINGS_BYTES_MAX: u64 = 64 << 10;
/// Where Python keeps byte code beside sources. It is never read there: what we start has a place of its own for it.
const BYTE_CODE: &str = "__pycache__";

/// The files that a Python runs, as they lie: its environment, itself and the library that comes with it.
#[derive(Debug)]
pub(crate) struct Environment {
    roots: Vec<Utf8PathBuf>,
    stamps: Stamps,
}

impl Environment {
    /// That of a Python in a virtual environment.
    ///
    /// # Errors
    /// When it is in none, or its files cannot be read.
    pub(crate) fn of(python: &Utf8Path) -> Result<Self, StepError> {
        let no_environment =
            || StepError::not_looked(format!("{python} is in no virtual environment"), "make a new one");
        let folder = python.parent().and_then(Utf8Path::parent).ok_or_else(no_environment)?;
        let settings = folder.join("pyvenv.cfg");
        let bytes = files::read(&settings, SETTINGS_BYTES_MAX).map_err(StepError::io("reading", &settings))?;
        let text = String::from_utf8(bytes).map_err(|error| ReadError::new("pyvenv.cfg", error))?;
        let home = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == "home");
        let home = home.map(|(_, home)| Utf8Path::new(home.trim())).ok_or_else(no_environment)?;
        let program = python.canonicalize_utf8().map_err(StepError::io("finding", python))?;
        // Python looks for its library where its program really is, and where the link lies that it was started by.
        let places = [home.parent(), program.parent().and_then(Utf8Path::parent)];
        let mut libraries = BTreeSet::new();
        for place in places.into_iter().flatten().map(|place| place.join("lib")).filter(|place| place.is_dir()) {
            for entry in place.read_dir_utf8().map_err(StepError::io("listing", &place))? {
                let entry = entry.map_err(StepError::io("listing", &place))?;
                if entry.file_name().starts_with("python3.") {
                    libraries.insert(entry.into_path());
                }
            }
        }
        if libraries.is_empty() {
            return Err(StepError::not_looked(
                format!("the library of {program} is not beside it"),
                "use a Python with its library in `lib`, as Debian, pyenv and uv install it",
            ));
        }
        let roots: Vec<_> = [folder.to_owned(), program].into_iter().chain(libraries).collect();
        let stamps = stamps(&roots)?;
        Ok(Self { roots, stamps })
    }

    /// A word for all of it, which is another one as soon as anything is written.
    pub(crate) fn stamp(&self) -> String {
        hex(&Sha256::digest(format!("{:?}", self.stamps.by_path())))
    }

    /// Checks that nobody has written to it since: code that it runs could change what it runs next.
    ///
    /// # Errors
    /// When somebody has.
    pub(crate) fn check(&self) -> Result<(), StepError> {
        let now = stamps(&self.roots)?;
        self.stamps.differing(&now).map_or(Ok(()), |path| {
            let what = format!("{path} was written to while the tests ran, so what ran is not what is locked");
            Err(StepError::not_looked(what, "find out which test writes into the Python that it runs in"))
        })
    }
}

fn stamps(roots: &[Utf8PathBuf]) -> Result<Stamps, StepError> {
    let mut stamps = Stamps::default();
    for root in roots {
        stamps.add(root, &|name| name == BYTE_CODE).map_err(StepError::io("reading", root))?;
    }
    Ok(stamps)
}
