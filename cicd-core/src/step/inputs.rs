use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Artifact, Kind, Seal};
use crate::formats::coverage::MeasuredCoverage;

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
pub(crate) struct Outputs(BTreeMap<NodeId, Arc<dyn Any + Send + Sync>>);

/// An input that is not there, although the step was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output of step {} is not available", .0.index)]
pub struct InputError(pub NodeId);

impl Outputs {
    /// Adds a step's output.
    pub(crate) fn insert(&mut self, node: NodeId, output: Arc<dyn Any + Send + Sync>) {
        self.0.insert(node, output);
    }

    /// The outputs of these steps alone.
    pub(crate) fn of(&self, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        Self(nodes.into_iter().filter_map(|node| Some((node, Arc::clone(self.0.get(&node)?)))).collect())
    }

    /// A step's output, as the type its handle says.
    ///
    /// # Errors
    /// When the step has no output, which the scheduler excludes.
    pub(crate) fn get<T: Clone + 'static>(&self, handle: &Handle<T>) -> Result<T, InputError> {
        self.0.get(&handle.node).and_then(|output| output.downcast_ref::<T>()).cloned().ok_or(InputError(handle.node))
    }
}

/// Which steps an input comes from, and how to put it together from their outputs.
pub struct Wiring<V> {
    nodes: Vec<NodeId>,
    converted: Vec<Converted>,
    resolve: Box<ResolveFn<V>>,
}

/// Data of anybody's that a conversion of anybody's turns into what a step takes. Such a conversion may give something that was kept
/// from elsewhere, such as a proof without what was found with it, so no step of the library takes it. From the library's own types
/// nobody else can write a conversion into its own types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Converted {
    /// The type of the output.
    pub(crate) from: &'static str,
    /// What the step takes.
    pub(crate) into: &'static str,
}

impl Converted {
    fn of<T: Artifact, V: 'static>() -> Option<Self> {
        let is_one_of_ours = [TypeId::of::<V>(), TypeId::of::<()>(), TypeId::of::<MeasuredCoverage>()];
        let is_data = matches!(T::kind(&Seal::new()), Kind::Data(_));
        (is_data && !is_one_of_ours.contains(&TypeId::of::<T>()))
            .then(|| Self { from: type_name::<T>(), into: type_name::<V>() })
    }
}

type ResolveFn<V> = dyn Fn(&Outputs) -> Result<V, InputError> + Send + Sync;

impl<V: 'static> Wiring<V> {
    /// An input from these steps.
    pub(crate) fn new(
        nodes: Vec<NodeId>,
        resolve: impl Fn(&Outputs) -> Result<V, InputError> + Send + Sync + 'static,
    ) -> Self {
        Self { nodes, converted: Vec::new(), resolve: Box::new(resolve) }
    }

    fn converted(self, converted: Vec<Converted>) -> Self {
        Self { converted, ..self }
    }

    /// An input from one step.
    pub(crate) fn of<T: Artifact>(handle: Handle<T>, convert: impl Fn(T) -> V + Send + Sync + 'static) -> Self {
        Self::new(vec![handle.node], move |outputs| outputs.get(&handle).map(&convert))
            .converted(Vec::from_iter(Converted::of::<T, V>()))
    }

    /// The steps.
    #[must_use]
    pub(crate) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The same, made into something else.
    pub(crate) fn map<U: 'static>(self, map: impl Fn(V) -> U + Send + Sync + 'static) -> Wiring<U> {
        let Self { nodes, converted, resolve } = self;
        Wiring::new(nodes, move |outputs| resolve(outputs).map(&map)).converted(converted)
    }

    /// What is turned into something else on the way.
    pub(crate) fn conversions(&self) -> &[Converted] {
        &self.converted
    }

    /// The input.
    ///
    /// # Errors
    /// When an output is not there.
    pub(crate) fn resolve(&self, outputs: &Outputs) -> Result<V, InputError> {
        (self.resolve)(outputs)
    }
}

impl<V> fmt::Debug for Wiring<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wiring").field(&self.nodes).finish()
    }
}

/// Handles that together give a step's input: `()`, `&handle`, and tuples and `Vec`s of them.
///
/// A handle fits wherever its output converts into what the step takes (`Into`). Nothing else can implement it.
pub trait Inputs<V> {
    /// The wiring of these handles.
    #[doc(hidden)]
    fn wire(self, _: &Seal) -> Wiring<V>;
}

impl<V: 'static> Inputs<V> for ()
where
    (): Into<V>,
{
    fn wire(self, _: &Seal) -> Wiring<V> {
        Wiring::new(Vec::new(), |_| Ok(().into()))
    }
}

impl<T: Artifact + Into<V>, V: 'static> Inputs<V> for &Handle<T> {
    fn wire(self, _: &Seal) -> Wiring<V> {
        Wiring::of(*self, Into::into)
    }
}

impl<I: Inputs<V>, V: 'static> Inputs<Vec<V>> for Vec<I> {
    fn wire(self, seal: &Seal) -> Wiring<Vec<V>> {
        let wirings: Vec<_> = self.into_iter().map(|inputs| inputs.wire(seal)).collect();
        let nodes = wirings.iter().flat_map(|wiring| wiring.nodes.clone()).collect();
        let converted = wirings.iter().flat_map(|wiring| wiring.converted.clone()).collect();
        Wiring::new(nodes, move |outputs| wirings.iter().map(|wiring| wiring.resolve(outputs)).collect())
            .converted(converted)
    }
}

macro_rules! tuple_inputs {
    ($($input:ident $value:ident $index:tt),+) => {
        impl<$($input: Inputs<$value>, $value: 'static),+> Inputs<($($value,)+)> for ($($input,)+) {
            fn wire(self, seal: &Seal) -> Wiring<($($value,)+)> {
                let wirings = ($(self.$index.wire(seal),)+);
                let nodes = [$(wirings.$index.nodes.clone()),+].concat();
                let converted = [$(wirings.$index.converted.clone()),+].concat();
                Wiring::new(nodes, move |outputs| Ok(($(wirings.$index.resolve(outputs)?,)+))).converted(converted)
            }
        }
    };
}

tuple_inputs!(A VA 0, B VB 1);
tuple_inputs!(A VA 0, B VB 1, C VC 2);
tuple_inputs!(A VA 0, B VB 1, C VC 2, D VD 3);
