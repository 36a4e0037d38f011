use camino::{Utf8Path, Utf8PathBuf};

use crate::formats::dockerfile::LayerSources;
use crate::formats::trivy_report::TrivyReport;
use crate::model::Location;
use crate::step::{Context, ReadError, StepError};

/// The Dockerfiles that an image is built from, the lowest first.
#[derive(Debug, Default)]
pub(super) struct Sources(pub(super) Vec<Source>);

/// One Dockerfile.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: Utf8PathBuf,
    pub(super) text: String,
    layers: LayerSources,
}

impl Sources {
    pub(super) fn read(cx: &Context, paths: &[Utf8PathBuf]) -> Result<Self, StepError> {
        let read = |path: &Utf8PathBuf| -> Result<Source, StepError> {
            Ok(Source::parse(cx.relative(path), cx.read_text(path)?)?)
        };
        Ok(Self(paths.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// The instruction that brought a layer into the image; for a layer of the base, the `FROM` of the lowest Dockerfile.
    pub(super) fn place_of(&self, report: &TrivyReport, layer: Option<&str>) -> Option<Location> {
        let created_by = report.created_by(layer?)?;
        let made_by = |source: &Source| Some(Location::line(&source.path, source.layers.line_of(created_by)?));
        let base = || {
            let lowest = self.0.first()?;
            Some(Location::line(&lowest.path, lowest.layers.base_line()?))
        };
        self.0.iter().rev().find_map(made_by).or_else(base)
    }
}

impl Source {
    pub(super) fn parse(path: Utf8PathBuf, text: String) -> Result<Self, ReadError> {
        let layers = LayerSources::parse(&text)
            .map_err(|error| ReadError::new("the Dockerfile", error).at(Location::file(&path)))?;
        Ok(Self { path, text, layers })
    }

    /// The line of the instruction that a comment on `line` is about.
    pub(super) fn instruction_below(&self, line: u32) -> Option<u32> {
        self.layers.line_after(line)
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_leads_to_its_instruction_and_else_to_the_base() {
        let text = include_str!("../../../tests/data/trivy/secret-0.70.0.json");
        let report = TrivyReport::from_json(text.as_bytes()).expect("a report");
        let layer = report.layers.first().map(|layer| layer.diff_id.clone()).expect("a layer");
        let source = |path: &str, text: &str| Source::parse(path.into(), text.to_owned()).expect("readable");
        let place = |sources: Vec<Source>| {
            Sources(sources).place_of(&report, Some(&layer)).map(|location| location.to_string())
        };
        let copy = "FROM scratch\nCOPY --chown=1:1 secret-rootfs/   /\n";
        assert_eq!(place(vec![source("a", "FROM x\n"), source("b", copy)]).as_deref(), Some("b:2"));
        assert_eq!(place(vec![source("a", "FROM x AS y\nFROM z\n"), source("b", "FROM a\n")]).as_deref(), Some("a:2"));
        assert_eq!(place(Vec::new()), None);
        assert_eq!(Sources(vec![source("a", copy)]).place_of(&report, Some("sha256:other")), None);
        let shortened = text.replace("\"created_by\"", "\"empty_layer\": true, \"created_by\"");
        let shortened = TrivyReport::from_json(shortened.as_bytes()).expect("a report");
        assert!(shortened.layers.is_empty());
    }
}
