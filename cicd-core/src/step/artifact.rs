use serde::Serialize;
use serde::de::DeserializeOwned;

/// An output: it can be cloned into every step that needs it, written to the run folder and loaded from there.
pub trait Artifact: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Artifact for T {}
