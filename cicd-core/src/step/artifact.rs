use serde::Serialize;
use serde::de::DeserializeOwned;

use sealed::Seal;

/// Types that nobody outside this crate can name: what takes one cannot be implemented or called from there.
pub(crate) mod sealed {
    /// Shows that the library itself calls.
    #[derive(Debug)]
    pub struct Seal(());

    impl Seal {
        pub(crate) const fn new() -> Self {
            Self(())
        }
    }
}

/// An output: it can be cloned into every step that needs it, written to the run folder and loaded from there.
///
/// Every type that serde can write and read is one. The outputs that prove something, such as `Image<Fresh>`, a gate's report or
/// [`Cleared`](super::Cleared), are written by the library and read by nobody else: they have no `Deserialize`, and they come out
/// of the steps that make them alone. Nothing else can implement this trait.
pub trait Artifact: Clone + Send + Sync + 'static {
    /// What it is, as it is written beside its saved form.
    #[doc(hidden)]
    fn kind(_: &Seal) -> Kind;

    /// Its saved form.
    #[doc(hidden)]
    fn save(&self, _: &Seal) -> Result<String, serde_json::Error>;

    /// The value of a saved form.
    #[doc(hidden)]
    fn load(json: &str, _: &Seal) -> Result<Self, LoadError>;
}

/// What an output is: data that anyone may make, or a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(hidden)]
pub enum Kind {
    /// Any type that serde can read, by its name.
    Data(&'static str),
    /// One of the library's, by a name that no type of another crate has.
    Proof(&'static str),
    /// One of the library's that anyone may make, by a name that no type of another crate has.
    Claim(&'static str),
    /// What a gate of the pipeline's own came to, with the name of its value's type.
    Judgement(&'static str),
    /// A clearance.
    Clearance,
}

impl Kind {
    /// The name under which it is saved; a proof never has that of data.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Data(name) => format!("data {name}"),
            Self::Proof(name) => format!("proof {name}"),
            Self::Claim(name) => format!("claim {name}"),
            Self::Judgement(name) => format!("judgement {name}"),
            Self::Clearance => "clearance".to_owned(),
        }
    }

    /// Whether only a step of the library's own may give it to a pipeline.
    pub(crate) fn needs_library(&self) -> bool {
        matches!(self, Self::Proof(_) | Self::Clearance)
    }
}

/// Whose step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Author {
    /// The library's own: what it gives is what it says.
    Library,
    /// Anybody's, also one that runs a step of the library inside and may leave out what that found.
    Anyone,
}

/// Why a saved form gives no value.
#[derive(Debug, thiserror::Error)]
#[doc(hidden)]
pub enum LoadError {
    /// It is not of this type.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is for the record alone.
    #[error("a clearance cannot be loaded: it holds for the run that gave it")]
    Never,
    /// Reading it panicked.
    #[error("reading it panicked: {0}")]
    Panicked(String),
}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Artifact for T {
    fn kind(_: &Seal) -> Kind {
        Kind::Data(std::any::type_name::<T>())
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn load(json: &str, _: &Seal) -> Result<Self, LoadError> {
        Ok(serde_json::from_str(json)?)
    }
}
