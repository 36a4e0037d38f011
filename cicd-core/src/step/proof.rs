use super::{Artifact, Seal};

/// An output that proves something: safe Rust outside this crate can neither make nor change nor load one, and only the step that
/// is meant to gives one to a pipeline. Declared with `proof!`; nothing outside this crate implements it.
pub trait Proof: Artifact {
    /// What nobody outside can write, as they cannot name what it takes.
    #[doc(hidden)]
    fn proves(_: &Seal);
}

/// Declares an output that proves something. Its fields cannot be reached from outside; each is shown by a method of its name, as
/// the type behind `=>`, or by value where there is none. It is written as serde writes it and read by the library alone.
macro_rules! proof {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($label:literal) {
            $(
                $(#[doc = $doc:literal])*
                $(#[serde($($serde:tt)*)])?
                $field:ident: $ty:ty $(=> & $view:ty)? $(=> Option<& $some:ty>)?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                $(#[serde($($serde)*)])?
                pub(crate) $field: $ty,
            )+
        }

        impl $name {
            $($crate::step::proof_getter! { [$(#[doc = $doc])*] $field: $ty $(=> & $view)? $(=> Option<& $some>)? })+
        }

        const _: () = {
            /// How it is read back.
            #[derive(serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Stored {
                $($(#[serde($($serde)*)])? $field: $ty,)+
            }

            impl $crate::step::Proof for $name {
                fn proves(_: &$crate::step::Seal) {}
            }

            impl $crate::step::Artifact for $name {
                fn kind(_: &$crate::step::Seal) -> $crate::step::Kind {
                    $crate::step::Kind::Proof($label)
                }

                fn save(&self, _: &$crate::step::Seal) -> Result<String, serde_json::Error> {
                    serde_json::to_string_pretty(self)
                }

                fn load(json: &str, _: &$crate::step::Seal) -> Result<Self, $crate::step::LoadError> {
                    let Stored { $($field),+ } = serde_json::from_str(json)?;
                    Ok(Self { $($field),+ })
                }
            }
        };
    };
}

/// The method that shows one field of a [`proof!`].
macro_rules! proof_getter {
    ([$(#[$doc:meta])*] $field:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $field(&self) -> $ty {
            self.$field
        }
    };
    ([$(#[$doc:meta])*] $field:ident: $ty:ty => & $view:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $field(&self) -> &$view {
            &self.$field
        }
    };
    ([$(#[$doc:meta])*] $field:ident: $ty:ty => Option<& $some:ty>) => {
        $(#[$doc])*
        #[must_use]
        pub fn $field(&self) -> Option<&$some> {
            self.$field.as_ref()
        }
    };
}

pub(crate) use {proof, proof_getter};
