use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _};

use camino::Utf8Path;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::{docker, run_watched};
use crate::step::{Context, ReadError, StepError};

/// A key, a token or a bundle of certificates is small; larger files are told by their path and size only.
pub(crate) const CONTENT_BYTES_MAX: u64 = 1 << 20;
/// The list of an image's layers and its configuration.
const METADATA_BYTES_MAX: u64 = 16 << 20;
/// An image with more files than this is not looked through in the time a build may take.
const FILES_MAX: usize = 2_000_000;

/// One file of one layer. A file that a later layer deletes is seen too: it is shipped all the same.
#[derive(Debug)]
pub(crate) struct LayerFile<'a> {
    /// Its path, without a `/` before it.
    pub path: &'a str,
    /// Which layer it is in, from 0 at the bottom.
    pub layer: usize,
    /// Its content, unless it is larger than [`CONTENT_BYTES_MAX`].
    pub content: Option<&'a [u8]>,
}

/// Shows every regular file of every layer of an image to `visit`, and gives back its configuration, which holds the history
/// and the environment.
pub(crate) fn walk_image(cx: &Context, id: &str, visit: &mut dyn FnMut(LayerFile<'_>)) -> Result<Vec<u8>, StepError> {
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
    let file = File::open(&archive).map_err(StepError::io("opening", &archive))?;
    read_archive(&file, visit).map_err(|error| {
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

fn read_archive(mut file: &File, visit: &mut dyn FnMut(LayerFile<'_>)) -> io::Result<Vec<u8>> {
    let manifest = read_metadata(file, "manifest.json")?;
    let manifests: Vec<Manifest> = serde_json::from_slice(&manifest)?;
    let [manifest]: [Manifest; 1] =
        manifests.try_into().map_err(|all: Vec<_>| io::Error::other(format!("{} images instead of 1", all.len())))?;
    let config = read_metadata(file, &manifest.config)?;

    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, layer) in manifest.layers.iter().enumerate() {
        places.entry(layer).or_default().push(index);
    }
    let mut seen = vec![false; manifest.layers.len()];
    let mut files = 0;
    file.rewind()?;
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let entry = entry?;
        let name = entry_name(&entry);
        let Some(indices) = places.get(name.as_str()) else { continue };
        for &index in indices {
            seen[index] = true;
        }
        // Older engines store a layer that occurs twice once, with a link to it.
        if entry.header().entry_type().is_file()
            && let Some(&layer) = indices.first()
        {
            read_layer(entry, layer, &mut files, visit)?;
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(missing) => Err(io::Error::other(format!("layer {missing} is missing"))),
        None => Ok(config),
    }
}

fn read_metadata(mut archive: &File, name: &str) -> io::Result<Vec<u8>> {
    archive.rewind()?;
    for entry in tar::Archive::new(archive).entries_with_seek()? {
        let entry = entry?;
        if entry_name(&entry) == name {
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

fn read_layer(
    layer: impl Read,
    index: usize,
    files: &mut usize,
    visit: &mut dyn FnMut(LayerFile<'_>),
) -> io::Result<()> {
    let mut layer = BufReader::new(layer);
    let packed = layer.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let layer: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(layer)) } else { Box::new(layer) };
    let mut content = Vec::new();
    for entry in tar::Archive::new(layer).entries()? {
        let mut entry = entry?;
        *files += 1;
        if *files > FILES_MAX {
            return Err(io::Error::other(format!("more than {FILES_MAX} files")));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry_name(&entry);
        let small = entry.size() <= CONTENT_BYTES_MAX;
        content.clear();
        if small {
            entry.read_to_end(&mut content)?;
        }
        visit(LayerFile { path: &path, layer: index, content: small.then_some(content.as_slice()) });
    }
    Ok(())
}

fn entry_name<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    name.trim_start_matches("./").trim_start_matches('/').to_owned()
}
