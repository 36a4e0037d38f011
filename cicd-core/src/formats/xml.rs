use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Reports nest six deep; anything far beyond that was made to exhaust a reader.
const DEPTH_MAX: usize = 64;

/// What stands in an XML document, in order. Comments and processing instructions are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum XmlEvent {
    /// A start tag.
    Start(Element),
    /// The end of the element of that name.
    End(String),
    /// Characters between tags, references resolved.
    Text(String),
}

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An attribute that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, XmlError> {
        self.get(name).ok_or_else(|| XmlError(format!("<{}> has no {name}", self.name)))
    }

    /// An attribute that must be there and be a number.
    pub(crate) fn number(&self, name: &str) -> Result<u32, XmlError> {
        let text = self.required(name)?;
        text.parse().map_err(|_| XmlError(format!("<{} {name}={text:?}>: not a number", self.name)))
    }
}

/// Something that is not a complete, plain XML document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct XmlError(pub(crate) String);

/// Reads a whole document: one root element, every tag closed, nothing after it, no entities of its own.
pub(crate) fn read_xml(bytes: &[u8], mut see: impl FnMut(XmlEvent) -> Result<(), XmlError>) -> Result<(), XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| XmlError(format!("not UTF-8: {error}")))?;
    let mut reader = Reader::from_str(text);
    let mut depth = 0usize;
    let mut roots = 0usize;
    loop {
        let position = reader.buffer_position();
        let event = reader.read_event().map_err(|error| XmlError(format!("byte {position}: {error}")))?;
        match event {
            Event::Start(start) => {
                (depth, roots) = opened(depth, roots)?;
                see(XmlEvent::Start(element(&start)?))?;
            }
            Event::Empty(start) => {
                (depth, roots) = opened(depth, roots)?;
                let element = element(&start)?;
                let name = element.name.clone();
                see(XmlEvent::Start(element))?;
                see(XmlEvent::End(name))?;
                depth -= 1;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                see(XmlEvent::End(end.name().as_ref().to_owned()))?;
            }
            Event::Text(text) if depth == 0 => {
                if !text.xml10_content().trim().is_empty() {
                    return Err(XmlError(format!("byte {position}: text outside of the document")));
                }
            }
            Event::Text(text) => see(XmlEvent::Text(text.xml10_content().into_owned()))?,
            Event::CData(text) => see(XmlEvent::Text(text.xml10_content().into_owned()))?,
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().map_err(|error| XmlError(error.to_string()))?;
                let name = reference.xml10_content();
                let text = match resolved {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&name)
                        .ok_or_else(|| XmlError(format!("byte {position}: the entity &{name}; is not resolved")))?
                        .to_owned(),
                };
                see(XmlEvent::Text(text))?;
            }
            // An external subset is never fetched; an internal one can define entities that grow without end.
            Event::DocType(doctype) if doctype.xml10_content().contains('[') => {
                return Err(XmlError("a document type with definitions of its own is refused".to_owned()));
            }
            Event::DocType(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if depth > 0 => return Err(XmlError("it ends in the middle: a tag is not closed".to_owned())),
            Event::Eof if roots == 0 => return Err(XmlError("it holds no element".to_owned())),
            Event::Eof => return Ok(()),
        }
    }
}

fn opened(depth: usize, roots: usize) -> Result<(usize, usize), XmlError> {
    if depth == DEPTH_MAX {
        return Err(XmlError(format!("elements nest deeper than {DEPTH_MAX}")));
    }
    let roots = if depth == 0 { roots + 1 } else { roots };
    if roots > 1 {
        return Err(XmlError("it holds a second document".to_owned()));
    }
    Ok((depth + 1, roots))
}

fn element(start: &BytesStart<'_>) -> Result<Element, XmlError> {
    let name = start.name().as_ref().to_owned();
    let attributes = start
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|error| XmlError(format!("<{name}>: {error}")))?;
            let value = attribute
                .normalized_value(XmlVersion::default())
                .map_err(|error| XmlError(format!("<{name}>: {error}")))?;
            Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
        })
        .collect::<Result<_, XmlError>>()?;
    Ok(Element { name, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Result<String, XmlError> {
        let mut all = String::new();
        read_xml(document.as_bytes(), |event| {
            if let XmlEvent::Text(text) = event {
                all.push_str(&text);
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn references_are_resolved_and_entities_are_refused() {
        assert_eq!(texts("<a>1 &lt; 2 &#38; <![CDATA[<b>]]></a>").expect("plain"), "1 < 2 & <b>");
        assert!(texts("<a>&lol;</a>").is_err());
        let bomb = "<!DOCTYPE a [<!ENTITY lol \"lol\"><!ENTITY l2 \"&lol;&lol;\">]><a>&l2;</a>";
        assert!(texts(bomb).expect_err("a bomb").to_string().contains("definitions of its own"));
        assert!(texts("<!DOCTYPE coverage SYSTEM 'http://example.com/c.dtd'><a/>").is_ok());
    }

    #[test]
    fn half_a_document_two_documents_and_none_are_refused() {
        for bad in ["", "  ", "<a>", "<a><b></a>", "<a/><b/>", "<a/>x", "</a>", "<a b='&x;'/>", "<a b/>", "no tags"] {
            assert!(texts(bad).is_err(), "{bad:?} was accepted");
        }
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        assert!(texts(&deep).expect_err("deep").to_string().contains("deeper"));
    }
}
