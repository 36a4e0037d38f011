use crate::model::{Judged, Subject};
use crate::step::{Handle, NodeId, Proof, Seal, Wiring};

/// What every gate of a clearance looked at.
pub(super) type Subjects = Vec<(NodeId, Subject)>;

/// Handles of gates: steps whose output proves what it judged. `&handle`, or a tuple of them. A gate of one's own gives a
/// [`Judgement`](crate::step::Judgement). Nothing else can implement it.
pub trait Gates {
    /// The gates, and how to tell what each of them looked at.
    #[doc(hidden)]
    fn wire(self, _: &Seal) -> Wiring<Vec<(NodeId, Subject)>>;
}

impl<T: Proof + Judged> Gates for &Handle<T> {
    fn wire(self, _: &Seal) -> Wiring<Subjects> {
        let node = self.node();
        Wiring::of(*self, move |output| vec![(node, output.subject())])
    }
}

macro_rules! tuple_gates {
    ($($gate:ident $index:tt),+) => {
        impl<$($gate: Gates),+> Gates for ($($gate,)+) {
            fn wire(self, seal: &Seal) -> Wiring<Subjects> {
                let wirings = [$(self.$index.wire(seal)),+];
                let nodes = wirings.iter().flat_map(|wiring| wiring.nodes().to_vec()).collect();
                Wiring::new(nodes, move |outputs| {
                    let subjects: Result<Vec<_>, _> = wirings.iter().map(|wiring| wiring.resolve(outputs)).collect();
                    subjects.map(|subjects| subjects.concat())
                })
            }
        }
    };
}

tuple_gates!(A 0);
tuple_gates!(A 0, B 1);
tuple_gates!(A 0, B 1, C 2);
tuple_gates!(A 0, B 1, C 2, D 3);
tuple_gates!(A 0, B 1, C 2, D 3, E 4);
tuple_gates!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_gates!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_gates!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
