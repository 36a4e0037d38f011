use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Artifact, Context, Kind, LoadError, Proof, Seal, StepError};
use crate::model::{Judged, Subject};

/// What can be judged: something that the library made and nobody else can. Nothing else can implement it.
pub trait Given {
    /// What it is.
    #[doc(hidden)]
    fn subject(&self, _: &Seal) -> Subject;
}

/// What a gate of one's own came to: any value, and what it is about.
///
/// What was judged is not a text that the gate invents, but something that it was given: the image, or the commit of the run.
///
/// ```
/// use cicd_core::docker::{Fresh, Image};
/// use cicd_core::pipeline::Pipeline;
/// use cicd_core::step::{Judgement, Outcome, step_fn};
/// use cicd_core::steps::DockerBuild;
///
/// let mut ci = Pipeline::new("example");
/// let image = ci.add("image", DockerBuild::context("app"), ());
/// let small = step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(Judgement::of(&image, image.size_bytes()))));
/// let small = ci.add("small", small, &image);
/// ci.clear(&image, &small);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement<T> {
    subject: Subject,
    value: T,
}

impl<T> Judgement<T> {
    /// About what the step was given, such as an image.
    #[must_use]
    pub fn of(given: &impl Given, value: T) -> Self {
        Self { subject: given.subject(&Seal::new()), value }
    }

    /// About the files of the commit that was checked out when the run began.
    ///
    /// # Errors
    /// When the workspace is no git checkout with a commit.
    pub fn of_commit(cx: &Context, value: T) -> Result<Self, StepError> {
        Ok(Self { subject: Subject::Commit(cx.revision()?.commit.clone()), value })
    }

    /// What it came to.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }
}

impl<T> Judged for Judgement<T> {
    fn subject(&self) -> Subject {
        self.subject.clone()
    }
}

/// How it is read back.
#[derive(Deserialize)]
struct Stored<T> {
    subject: Subject,
    value: T,
}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Proof for Judgement<T> {
    fn proves(_: &Seal) {}
}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Artifact for Judgement<T> {
    fn kind(_: &Seal) -> Kind {
        Kind::Judgement(std::any::type_name::<T>())
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn load(json: &str, _: &Seal) -> Result<Self, LoadError> {
        let Stored { subject, value } = serde_json::from_str(json)?;
        Ok(Self { subject, value })
    }
}
