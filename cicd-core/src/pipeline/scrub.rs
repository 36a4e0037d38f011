use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use camino::Utf8Path;

use crate::process::Redactor;

/// Files are read in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// Overwrites the secrets in every file below `folder`: reports that tools wrote themselves have passed no redactor.
///
/// # Errors
/// When a file cannot be read or overwritten; the folder may still hold a secret then.
pub(super) fn scrub(folder: &Utf8Path, redactor: &Redactor) -> io::Result<()> {
    if !redactor.knows_any() {
        return Ok(());
    }
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = camino::Utf8PathBuf::try_from(entry.path()).map_err(io::Error::other)?;
            // A link is not followed: what it points to is not the run's.
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                scrub_file(&path, redactor)?;
            }
        }
    }
    Ok(())
}

fn scrub_file(path: &Utf8Path, redactor: &Redactor) -> io::Result<()> {
    let mut file = File::open(path)?;
    let longest = redactor.longest_bytes();
    let mut piece = Vec::with_capacity(PIECE_BYTES + longest);
    let mut start = 0_u64;
    let mut writer = None;
    loop {
        let count = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if redactor.mask(&mut piece) {
            if writer.is_none() {
                writer = Some(OpenOptions::new().write(true).open(path)?);
            }
            if let Some(writer) = &mut writer {
                writer.seek(SeekFrom::Start(start))?;
                writer.write_all(&piece)?;
            }
        }
        if count == 0 {
            return Ok(());
        }
        // The end of this piece may be the start of a secret.
        let done = piece.len().saturating_sub(longest.saturating_sub(1));
        piece.drain(..done);
        start += done as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Secret;

    #[test]
    fn a_secret_across_two_pieces_is_overwritten_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let dir = Utf8Path::from_path(dir.path()).expect("UTF-8");
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("canary", "CANARY-0123456789").expect("long enough"));
        fs::create_dir(dir.join("deep")).expect("made");
        let text = [&"x".repeat(PIECE_BYTES - 5), "CANARY-0123456789", "y"].concat();
        fs::write(dir.join("deep/report"), &text).expect("written");
        scrub(dir, &redactor).expect("scrubbed");
        let left = fs::read_to_string(dir.join("deep/report")).expect("read");
        assert_eq!(left, text.replace("CANARY-0123456789", "*****************"));
    }
}
