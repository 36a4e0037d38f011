use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Artifact;

/// The place of a step in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Which pipeline, so that a handle of another one is recognised.
    pub pipeline: u64,
    /// Which step, from 0 in the order added.
    pub index: usize,
}

/// A typed name for the output that a step will have. Steps are wired by handing handles on, so the order of a pipeline is
/// its data flow, and a cycle cannot be written.
pub struct Handle<T> {
    node: NodeId,
    output: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, output: PhantomData }
    }

    /// The step it names.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.node.index)
    }
}

/// The outputs of the steps that ended green, by step.
#[derive(Debug, Clone, Default)]
pub struct Outputs(BTreeMap<NodeId, Arc<dyn Any + Send + Sync>>);

/// An input that is not there, although the step was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output of step {} is not available", .0.index)]
pub struct InputError(pub NodeId);

impl Outputs {
    /// Adds a step's output.
    pub fn insert(&mut self, node: NodeId, output: Arc<dyn Any + Send + Sync>) {
        self.0.insert(node, output);
    }

    /// A step's output, as the type its handle says.
    ///
    /// # Errors
    /// When the step has no output, which the scheduler excludes.
    pub fn get<T: Clone + 'static>(&self, handle: &Handle<T>) -> Result<T, InputError> {
        self.0.get(&handle.node).and_then(|output| output.downcast_ref::<T>()).cloned().ok_or(InputError(handle.node))
    }
}

/// Handles that together give a step's input: `()`, `&handle`, and tuples and `Vec`s of them.
///
/// A handle fits wherever its output converts into what the step takes (`Into`).
pub trait Inputs<V> {
    /// The steps whose outputs are needed.
    fn nodes(&self) -> Vec<NodeId>;

    /// The input, from the outputs of those steps.
    ///
    /// # Errors
    /// When an output is not there.
    fn resolve(&self, outputs: &Outputs) -> Result<V, InputError>;
}

impl<V> Inputs<V> for ()
where
    (): Into<V>,
{
    fn nodes(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn resolve(&self, _: &Outputs) -> Result<V, InputError> {
        Ok(().into())
    }
}

impl<T: Artifact + Into<V>, V> Inputs<V> for &Handle<T> {
    fn nodes(&self) -> Vec<NodeId> {
        vec![self.node]
    }

    fn resolve(&self, outputs: &Outputs) -> Result<V, InputError> {
        outputs.get(*self).map(Into::into)
    }
}

impl<T: Artifact + Into<V>, V> Inputs<V> for Handle<T> {
    fn nodes(&self) -> Vec<NodeId> {
        vec![self.node]
    }

    fn resolve(&self, outputs: &Outputs) -> Result<V, InputError> {
        outputs.get(self).map(Into::into)
    }
}

impl<I: Inputs<V>, V> Inputs<Vec<V>> for Vec<I> {
    fn nodes(&self) -> Vec<NodeId> {
        self.iter().flat_map(Inputs::nodes).collect()
    }

    fn resolve(&self, outputs: &Outputs) -> Result<Vec<V>, InputError> {
        self.iter().map(|input| input.resolve(outputs)).collect()
    }
}

macro_rules! tuple_inputs {
    ($($input:ident $value:ident $index:tt),+) => {
        impl<$($input: Inputs<$value>, $value),+> Inputs<($($value,)+)> for ($($input,)+) {
            fn nodes(&self) -> Vec<NodeId> {
                [$(self.$index.nodes()),+].concat()
            }

            fn resolve(&self, outputs: &Outputs) -> Result<($($value,)+), InputError> {
                Ok(($(self.$index.resolve(outputs)?,)+))
            }
        }
    };
}

tuple_inputs!(A VA 0, B VB 1);
tuple_inputs!(A VA 0, B VB 1, C VC 2);
tuple_inputs!(A VA 0, B VB 1, C VC 2, D VD 3);
