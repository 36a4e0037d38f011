//! The files of an image: one walk, one way to write their names, one place that says what is kept of them. Every gate that
//! judges what an image ships reads it here.

mod content;
mod distribution;
mod ecosystems;
mod installed;
mod python_path;
mod system;
mod tree;
mod walk;

pub(crate) use content::{Content, Form, Kept, Part};
pub(crate) use distribution::{Content as PythonContent, Distribution, read_distributions};
pub(crate) use ecosystems::{ecosystems, node_packages};
pub(crate) use installed::{Stray, StrayKind, recorded, strays};
pub(crate) use python_path::{SearchFolder, python_path};
pub(crate) use system::{System, SystemKind, package_of_list};
pub(crate) use tree::{FileTree, Kind, Node};
pub(crate) use walk::{LayerFile, Marks, add_archive, file_name_in_archive, read_file_system};
