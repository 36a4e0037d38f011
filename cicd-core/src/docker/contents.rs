use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};

use camino::Utf8Path;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::files::{FileTree, LayerFile, Marks, add_archive, file_name_in_archive};
use super::{docker, run_watched};
use crate::step::{Context, ReadError, StepError};

/// The list of an image's layers and its configuration.
const METADATA_BYTES_MAX: u64 = 16 << 20;

/// An image, read from the bottom to the top.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Its configuration, which holds the history and the environment.
    pub(crate) config: Vec<u8>,
    /// The files of the image that it is laid upon; none where it begins with nothing.
    pub(crate) base: FileTree,
    /// Its own files, as a container of it sees them.
    pub(crate) tree: FileTree,
}

/// Reads every layer of an image, of which the first `base_layers` are its base's, and shows each regular file to `visit`, also
/// those that a later layer deletes.
pub(crate) fn walk_image(
    cx: &Context,
    id: &str,
    base_layers: usize,
    visit: &mut dyn FnMut(LayerFile<'_>),
) -> Result<Layers, StepError> {
    // Removed when it goes out of scope, whatever happens. Docker replaces the file it is told to write, so that only the
    // folder can be ours beforehand.
    let folder = tempfile::Builder::new()
        .prefix("layers-")
        .tempdir_in(cx.dir())
        .map_err(StepError::io("creating a folder in", cx.dir()))?;
    let folder = Utf8Path::from_path(folder.path())
        .ok_or_else(|| ReadError::new("the name of a temporary folder", "it is not UTF-8"))?;
    let archive = folder.join("image.tar");
    run_watched(cx, &docker(["image", "save", "--output"]).arg(&archive).arg("--").arg(id))?.require_success()?;
    let file = crate::files::open(&archive).map_err(StepError::io("opening", &archive))?;
    read_archive(&file, base_layers, visit).map_err(|error| {
        ReadError::new(format!("the archive of image {id}"), error)
            .help("run the step again; if it stays so, the engine's storage is damaged")
            .into()
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    layers: Vec<String>,
}

/// Where a layer's archive is in the image's: its first byte, and how many there are.
type Span = (u64, u64);

fn read_archive(mut file: &File, base_layers: usize, visit: &mut dyn FnMut(LayerFile<'_>)) -> io::Result<Layers> {
    let manifest = read_metadata(file, "manifest.json")?;
    let manifests: Vec<Manifest> = serde_json::from_slice(&manifest)?;
    let [manifest]: [Manifest; 1] =
        manifests.try_into().map_err(|all: Vec<_>| io::Error::other(format!("{} images instead of 1", all.len())))?;
    let config = read_metadata(file, &manifest.config)?;
    let spans = spans(file)?;
    let (mut tree, mut base) = (FileTree::default(), FileTree::default());
    for (index, name) in manifest.layers.iter().enumerate() {
        if index == base_layers {
            base = tree.clone();
        }
        let missing = || io::Error::other(format!("layer {index} is missing"));
        let &(start, size) = spans.get(&file_name_in_archive(name.as_bytes())).ok_or_else(missing)?;
        file.seek(SeekFrom::Start(start))?;
        let mut layer = BufReader::new(file.take(size));
        let packed = layer.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let layer: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(layer)) } else { Box::new(layer) };
        add_archive(&mut tree, layer, index, Marks::Delete, visit)?;
    }
    if base_layers == manifest.layers.len() {
        base = tree.clone();
    }
    Ok(Layers { config, base, tree })
}

/// Every file of the archive by its name. Older engines store a layer that occurs twice once, with a link to it.
fn spans(mut archive: &File) -> io::Result<BTreeMap<String, Span>> {
    archive.rewind()?;
    let mut spans = BTreeMap::new();
    let mut links = Vec::new();
    for entry in tar::Archive::new(archive).entries_with_seek()? {
        let entry = entry?;
        let name = file_name_in_archive(&entry.path_bytes());
        let kind = entry.header().entry_type();
        if kind.is_file() {
            spans.insert(name, (entry.raw_file_position(), entry.size()));
        } else if let Some(target) = entry.link_name_bytes() {
            let folder = if kind.is_symlink() { name.rsplit_once('/').map_or("", |(folder, _)| folder) } else { "" };
            let target = file_name_in_archive(&target);
            links.push((name.clone(), beside(folder, &target)));
        }
    }
    for (name, target) in links {
        if let Some(&span) = spans.get(&target) {
            spans.insert(name, span);
        }
    }
    Ok(spans)
}

/// A relative path, seen from a folder.
fn beside(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn read_metadata(mut archive: &File, name: &str) -> io::Result<Vec<u8>> {
    archive.rewind()?;
    for entry in tar::Archive::new(archive).entries_with_seek()? {
        let entry = entry?;
        if file_name_in_archive(&entry.path_bytes()) == name {
            if entry.size() > METADATA_BYTES_MAX {
                return Err(io::Error::other(format!("{name} has {} bytes", entry.size())));
            }
            let mut bytes = Vec::new();
            entry.take(METADATA_BYTES_MAX).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(io::Error::other(format!("it has no {name}")))
}
