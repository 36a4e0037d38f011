/// The tables of a picture are no longer than this; a text could be.
const TABLE_BYTES_MAX: usize = 1024;
/// What says how a GIF moves: how long a picture stays, how often all are shown.
const MOTION_BYTES_MAX: usize = 16;

/// Whether this is a PNG, a JPEG or a GIF that holds nothing but a picture: followed part by part to its end, with no text, profile,
/// thumbnail or unknown part in it, and nothing behind it. What the picture itself shows, nobody can search.
pub(super) fn is_mere_picture(bytes: &[u8]) -> bool {
    [png, jpeg, gif].into_iter().any(|follow| follow(bytes).is_some_and(<[u8]>::is_empty))
}

/// What stands behind the end of a PNG.
fn png(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1A\n")?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        // Behind each part stands its checksum.
        rest = after.get(length..)?.get(4..)?;
        match name {
            b"IDAT" | b"fdAT" => {}
            b"IEND" => return (length == 0).then_some(rest),
            b"IHDR" | b"PLTE" | b"tRNS" | b"cHRM" | b"gAMA" | b"sBIT" | b"sRGB" | b"bKGD" | b"hIST" | b"pHYs"
            | b"tIME" | b"acTL" | b"fcTL"
                if length <= TABLE_BYTES_MAX => {}
            _ => return None,
        }
    }
}

/// What stands behind the end of a JPEG.
fn jpeg(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\xFF\xD8")?;
    loop {
        let (marker, after) = rest.split_first_chunk::<2>()?;
        let [0xFF, kind] = *marker else { return None };
        if kind == 0xD9 {
            return Some(after);
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk::<2>()?));
        rest = after.get(length.max(2)..)?;
        match kind {
            0xC0..=0xCF | 0xDB | 0xDD if length <= TABLE_BYTES_MAX => {}
            0xE0 | 0xEE if length <= MOTION_BYTES_MAX => {}
            // The picture's own bytes: in them 0xFF is followed by zero, or by one of eight marks to start again.
            0xDA => {
                let is_end = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7);
                rest = rest.get(rest.windows(2).position(is_end)?..)?;
            }
            _ => return None,
        }
    }
}

/// What stands behind the end of a GIF.
fn gif(bytes: &[u8]) -> Option<&[u8]> {
    /// What follows a table of colours, if the flags say that there is one.
    fn behind_table(bytes: &[u8], flags: u8) -> Option<&[u8]> {
        bytes.get(if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }..)
    }
    /// The length of a chain of blocks, each with its length in front, and what follows it.
    fn behind_blocks(bytes: &[u8]) -> Option<(usize, &[u8])> {
        let (mut rest, mut all) = (bytes, 0);
        loop {
            let (&length, after) = rest.split_first()?;
            rest = after.get(usize::from(length)..)?;
            if length == 0 {
                return Some((all, rest));
            }
            all += usize::from(length);
        }
    }
    let rest = bytes.strip_prefix(b"GIF89a").or_else(|| bytes.strip_prefix(b"GIF87a"))?;
    let (screen, rest) = rest.split_first_chunk::<7>()?;
    let mut rest = behind_table(rest, screen[4])?;
    loop {
        let (&kind, after) = rest.split_first()?;
        match kind {
            0x3B => return Some(after),
            0x2C => {
                let (place, after) = after.split_first_chunk::<9>()?;
                rest = behind_blocks(behind_table(after, place[8])?.get(1..)?)?.1;
            }
            0x21 => {
                let motion = after.strip_prefix(b"\xF9").or_else(|| after.strip_prefix(b"\xFF\x0BNETSCAPE2.0"))?;
                let (length, behind) = behind_blocks(motion)?;
                rest = (length <= MOTION_BYTES_MAX).then_some(behind)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(parts: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1A\n".to_vec();
        for (name, data) in parts {
            png.extend(u32::try_from(data.len()).expect("short").to_be_bytes());
            png.extend([&name[..], data, b"\xC4\xC4\xC4\xC4"].concat());
        }
        png
    }

    #[test]
    fn a_picture_is_followed_to_its_end_and_holds_nothing_else() {
        let header = (b"IHDR", &[0; 13][..]);
        let good = png_of(&[header, (b"IDAT", b"\x78\x01"), (b"IEND", b"")]);
        let jpeg =
            b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xDA\0\x04\x01\x02a\xFF\0b\xFF\xD0c\xFF\xD9";
        let gif =
            b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF!\xF9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        for picture in [&good[..], jpeg, gif] {
            assert!(is_mere_picture(picture), "{picture:?}");
            assert!(!is_mere_picture(&[picture, b"more"].concat()), "{picture:?}");
            for cut in 0..picture.len() {
                assert!(!is_mere_picture(&picture[..cut]), "{cut} of {picture:?}");
            }
        }
        let text = [7; 40];
        for name in [b"zTXt", b"iTXt", b"tEXt", b"iCCP", b"eXIf", b"tOkN"] {
            assert!(!is_mere_picture(&png_of(&[header, (name, &text), (b"IEND", b"")])), "{name:?}");
        }
        assert!(!is_mere_picture(&png_of(&[header, (b"PLTE", &[7; 2000]), (b"IEND", b"")])));
        assert!(!is_mere_picture(&png_of(&[header, (b"IEND", &text)])));
        for part in
            [&b"\xFF\xFE\0\x07hello"[..], b"\xFF\xE1\0\x04ab", b"\xFF\xDB\x10\0ab", b"\xFF\xE0\0\x14JFIF\0 a thumbnail"]
        {
            let mut more = jpeg[..20].to_vec();
            more.extend(part);
            more.extend(&jpeg[20..]);
            assert!(!is_mere_picture(&more), "{part:?}");
        }
        for part in [&b"!\xFE\x03abc\0"[..], b"!\xFF\x0BXMP DataXMPabc\0", b"!\xF9\x14aaaaaaaaaaaaaaaaaaaa\0"] {
            let mut more = gif[..19].to_vec();
            more.extend(part);
            more.extend(&gif[19..]);
            assert!(!is_mere_picture(&more), "{part:?}");
        }
    }
}
