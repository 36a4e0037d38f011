use std::io::Read as _;

use flate2::bufread::GzDecoder;

use super::picture::is_mere_picture;

/// Containers that may be written in ASCII, and those that have a name of their own. Whatever else is no text is found without a name.
const PACKED: [(&[u8], &str); 16] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"\xFD7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd"),
    (b"\x04\x22\x4D\x18", "compressed with lz4"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"Rar!\x1A\x07", "a rar archive"),
    (b"\x1F\x9D", "compressed with compress"),
    (b"\x5D\0\0", "compressed with lzma"),
    (b"LZIP", "compressed with lzip"),
    (b"x\x9C", "compressed with zlib"),
    (b"x\xDA", "compressed with zlib"),
    (b"PACK\0\0\0", "a pack of git"),
    (b"!<arch>\n", "an ar archive"),
    (b"\xED\xAB\xEE\xDB", "an rpm package"),
    (b"hsqs", "a squashfs image"),
];
/// What stands at the end of a zip archive, whatever stands before and behind it.
const ZIP_END: &[u8] = b"PK\x05\x06";
/// How a PDF begins, within as many bytes as its readers skip.
const PDF: &[u8] = b"%PDF-";
const PDF_START_BYTES: usize = 1024;
/// A bundle of git begins with text.
const BUNDLE: [&[u8]; 2] = [b"# v2 git bundle", b"# v3 git bundle"];
const GZIP: &[u8] = b"\x1F\x8B";
/// As much of a member of an archive tells what it is.
const MEMBER_START_BYTES: u64 = 16;
/// Wide text is in the letters of Europe and the Near East, whose codes end here. Any two bytes are some letter: with all of them a
/// compressed file would be text behind a byte order mark.
const WIDE_LETTERS_END: char = '\u{600}';

/// What a compressed file holds, as far as it can be unpacked here, and what keeps the rest from being searched. The folder of a tar
/// archive is text enough.
pub(super) fn unpack(bytes: &[u8], bytes_max: u64) -> (Vec<u8>, Option<&'static str>) {
    if !bytes.starts_with(GZIP) {
        return (wide_text(bytes), hidden(bytes));
    }
    let (mut text, problem) = unzipped(bytes, bytes_max);
    let problem = match problem {
        Some(problem) => Some(problem),
        None if text.starts_with(GZIP) => Some("a gzip file in a gzip file"),
        None => hidden(&text),
    };
    text.extend(wide_text(&text));
    (text, problem)
}

/// What all members of a gzip file hold, and why that is not everything.
fn unzipped(bytes: &[u8], bytes_max: u64) -> (Vec<u8>, Option<&'static str>) {
    let (mut text, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let mut member = GzDecoder::new(rest);
        let left = (bytes_max + 1).saturating_sub(text.len() as u64);
        if member.by_ref().take(left).read_to_end(&mut text).is_err() {
            return (text, Some("a gzip file that cannot be unpacked whole"));
        }
        if text.len() as u64 > bytes_max {
            return (text, Some("a gzip file with more than is searched"));
        }
        if member.header().is_none_or(|header| header.extra().is_some()) {
            return (text, Some("a gzip file with an extra field"));
        }
        rest = member.into_inner();
    }
    (text, None)
}

/// What keeps the content of a file from being searched: it is a container, or neither text nor a mere picture.
fn hidden(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(PDF_START_BYTES)];
    let begins = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what);
    begins
        .or_else(|| BUNDLE.iter().any(|start| bytes.starts_with(start)).then_some("a bundle of git"))
        .or_else(|| memchr::memmem::find(start, PDF).map(|_| "a PDF"))
        .or_else(|| memchr::memmem::find(bytes, ZIP_END).map(|_| "a zip archive, or has one in it"))
        .or_else(|| member_is_packed(bytes).then_some("a tar archive with something compressed in it"))
        .or_else(|| (!is_text(bytes) && !is_mere_picture(bytes)).then_some("neither text nor a mere picture"))
}

/// Whether these bytes are text in which a tool can search: in UTF-8, or in UTF-16 or UTF-32 with letters that tell it from chance.
fn is_text(bytes: &[u8]) -> bool {
    let is_letter = |&letter: &char| {
        let is_plain = letter < WIDE_LETTERS_END && (!letter.is_control() || letter.is_ascii_whitespace());
        is_plain || matches!(letter, '\u{FEFF}' | '\u{2010}'..='\u{2027}' | '\u{20AC}')
    };
    let wide = |to_u16: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| to_u16([pair[0], pair[1]]));
        bytes.len().is_multiple_of(2) && char::decode_utf16(units).all(|unit| unit.ok().as_ref().is_some_and(is_letter))
    };
    let wider = |to_u32: fn([u8; 4]) -> u32| {
        let mut units = bytes.chunks_exact(4).map(|four| to_u32([four[0], four[1], four[2], four[3]]));
        bytes.len().is_multiple_of(4) && units.all(|unit| char::from_u32(unit).as_ref().is_some_and(is_letter))
    };
    std::str::from_utf8(bytes).is_ok()
        || wide(u16::from_le_bytes)
        || wide(u16::from_be_bytes)
        || wider(u32::from_le_bytes)
        || wider(u32::from_be_bytes)
}

/// Whether a tar archive holds what could be searched only if it were unpacked further. What cannot be read as one is none: its bytes
/// are searched as they are.
fn member_is_packed(bytes: &[u8]) -> bool {
    if bytes.get(257..262) != Some(b"ustar") {
        return false;
    }
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return false };
    let mut start = Vec::new();
    entries.map_while(Result::ok).any(|entry| {
        start.clear();
        entry.take(MEMBER_START_BYTES).read_to_end(&mut start).is_ok()
            && (start.starts_with(GZIP) || PACKED.iter().any(|(magic, _)| start.starts_with(magic)))
    })
}

/// The text without the zero bytes between its letters, which UTF-16 and UTF-32 have: without a mark in front of it nothing else tells
/// them from a program.
fn wide_text(bytes: &[u8]) -> Vec<u8> {
    if !bytes.contains(&0) {
        return Vec::new();
    }
    bytes.iter().copied().filter(|&byte| byte != 0).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use flate2::{Compression, GzBuilder};

    const BYTES_MAX: u64 = 1 << 20;
    const SECRET: &[u8] = b"what nobody may read, in small and in CAPITAL letters, 0123456789\n";

    fn unpack(bytes: &[u8]) -> (Vec<u8>, Option<&'static str>) {
        super::unpack(bytes, BYTES_MAX)
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).expect("packed");
        gzip.finish().expect("packed")
    }

    #[test]
    fn what_is_neither_text_nor_a_mere_picture_is_told() {
        let mut told: Vec<(String, Vec<u8>)> = Vec::new();
        for level in 0..=9 {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(level));
            zlib.write_all(SECRET).expect("packed");
            told.push((format!("zlib {level}"), zlib.finish().expect("packed")));
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::new(level));
            raw.write_all(SECRET).expect("packed");
            let raw = raw.finish().expect("packed");
            if level > 0 {
                told.push((format!("deflate {level}"), raw.clone()));
            }
            // What is not compressed is text for those who search, whatever stands around it.
            let pdf = [b"%PDF-1.7\n1 0 obj <</Filter /FlateDecode>> stream\n", &raw[..], b"\nendstream\n"].concat();
            told.push((format!("pdf {level}"), pdf));
        }
        let packed = &told[19].1.clone();
        for mark in [&b"\xFF\xFE"[..], b"\xFE\xFF", b"\xFF\xFE\0\0", b"\0\0\xFE\xFF", b"\xEF\xBB\xBF", b"a text\n"] {
            told.push((format!("behind {mark:?}"), [mark, packed].concat()));
        }
        let gzip = gzip_of(SECRET);
        told.push(("gzip behind a header".to_owned(), [b"header\n", &gzip[..]].concat()));
        told.push(("xz behind a header".to_owned(), b"header\n\xFD7zXZ\0\0\x04\xE6\xD6".to_vec()));
        told.push(("lzma with lc=2".to_owned(), b"\x5C\0\0\x80\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0:\x1A".to_vec()));
        told.push(("a PDF in ASCII".to_owned(), b"\n%PDF-1.4 /ASCII85Decode /FlateDecode".to_vec()));
        let zip = [b"#!/bin/sh\nPK\x05\x06", &[0; 18][..], &[b'a'; 70_000]].concat();
        told.push(("a zip archive before much else".to_owned(), zip));
        // EBCDIC: `ghp_Zk3J`.
        told.push(("EBCDIC".to_owned(), b"\x87\x88\x97\x6D\xE9\x92\xF3\xD1".to_vec()));
        told.push(("EBCDIC, two bytes each".to_owned(), b"\x87\0\x88\0\x97\0\x6D\0\xE9\0".to_vec()));
        told.push(("Latin-1".to_owned(), b"caf\xE9 = 1\n".to_vec()));
        told.push(("a program".to_owned(), b"\x7FELF\x02\x01\x01\0\xB8\x90".to_vec()));
        let extra = GzBuilder::new().extra(packed.clone()).write(Vec::new(), Compression::default());
        told.push(("an extra field of gzip".to_owned(), extra.finish().expect("packed")));
        let second = GzBuilder::new().extra(packed.clone()).write(Vec::new(), Compression::default());
        told.push(("that of a second member".to_owned(), [gzip, second.finish().expect("packed")].concat()));
        told.push(("no text in gzip".to_owned(), gzip_of(packed)));
        for (what, bytes) in told {
            assert!(unpack(&bytes).1.is_some(), "{what}: {bytes:?}");
        }
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let wider = |text: &str| text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect::<Vec<_>>();
        for text in [
            "prose — with “marks”, Ελληνικά, 日本語 and 🦀\n".as_bytes().to_vec(),
            "\u{1}\0 control characters\u{7F}".as_bytes().to_vec(),
            wide("\u{feff}Windows — “é”, Кириллица\r\n"),
            wide("without a mark, é"),
            wider("\u{feff}key = é\n"),
        ] {
            assert_eq!(unpack(&text).1, None, "{text:?}");
        }
    }

    #[test]
    fn what_is_compressed_is_unpacked_where_that_can_be_done() {
        let gzip = gzip_of(b"inside\n");
        assert_eq!(unpack(&gzip), (b"inside\n".to_vec(), None));
        assert_eq!(unpack(&[&gzip[..], &gzip].concat()), (b"inside\ninside\n".to_vec(), None));
        assert_eq!(super::unpack(&gzip, 7), (b"inside\n".to_vec(), None));
        assert_eq!(super::unpack(&gzip, 6).1, Some("a gzip file with more than is searched"));
        for packed in [&[&gzip[..], b"trailing"].concat()[..], &gzip[..gzip.len() - 3], b"PK\x03\x04rest", b"BZh91AY"] {
            assert!(unpack(packed).1.is_some(), "{packed:?}");
        }
        assert_eq!(unpack(b"text"), (Vec::new(), None));
        let tar_of = |bytes: &[u8]| {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, "member", bytes).expect("added");
            tar.into_inner().expect("a tar archive")
        };
        assert_eq!(unpack(&tar_of(b"text")).1, None);
        let mut zip = b"#!/bin/sh\nexit\n".to_vec();
        zip.extend(b"PK\x05\x06");
        zip.extend([0; 18]);
        for packed in
            [&tar_of(&gzip)[..], &tar_of(b"BZh91AY"), &zip, b"x\x9C", b"LZIP\x01", b"# v2 git bundle\n", b"!<arch>\n"]
        {
            assert!(unpack(packed).1.is_some(), "{packed:?}");
        }
        // Two bytes or four for each letter, with no mark in front.
        for wide in [&b"k\0e\0y\0"[..], b"\0k\0e\0y", b"k\0\0\0e\0\0\0y\0\0\0"] {
            assert_eq!(unpack(wide), (b"key".to_vec(), None), "{wide:?}");
        }
    }
}
