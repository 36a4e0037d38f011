//! Which source a compiled Python file (`.pyc`) says it belongs to ([PEP 552](https://peps.python.org/pep-0552/)).

/// What the first 16 bytes of a compiled file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// A source of this time, in seconds since 1970, and this size; both without what does not fit into 32 bits.
    Time {
        /// The seconds.
        modified_s: u32,
        /// The bytes.
        size: u32,
    },
    /// A source with this hash.
    Hash(u64),
}

/// Reads the first bytes of a compiled file; nothing where they are none.
#[must_use]
pub fn claim(head: &[u8]) -> Option<Claim> {
    let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (magic, flags) = (head.get(2..4)?, number(4)?);
    if magic != b"\r\n" {
        return None;
    }
    match flags {
        0 => Some(Claim::Time { modified_s: number(8)?, size: number(12)? }),
        1 | 3 => Some(Claim::Hash(u64::from(number(8)?) | (u64::from(number(12)?) << 32))),
        _ => None,
    }
}

/// The key with which the source of a compiled file is hashed; nothing where it names its source otherwise.
#[must_use]
pub fn hashed_magic(head: &[u8]) -> Option<u32> {
    match claim(head)? {
        Claim::Hash(_) => Some(u32::from_le_bytes(head.get(..4)?.try_into().ok()?)),
        Claim::Time { .. } => None,
    }
}

/// Where the source of a compiled file has to be: `a/b.py` for `a/__pycache__/b.cpython-311.pyc`. Python runs a compiled file anywhere
/// else without looking for a source.
#[must_use]
pub fn source_of(path: &str) -> Option<String> {
    let (folder, file) = path.rsplit_once('/')?;
    let folder = match folder.rsplit_once('/') {
        Some((folder, "__pycache__")) => Some(folder),
        None if folder == "__pycache__" => None,
        _ => return None,
    };
    let stem = file.strip_suffix(".pyc")?;
    // `.opt-1` stands behind the name of the implementation.
    let stem = stem.rsplit_once(".opt-").map_or(stem, |(stem, _)| stem);
    let (name, _) = stem.rsplit_once('.')?;
    Some(folder.map_or_else(|| format!("{name}.py"), |folder| format!("{folder}/{name}.py")))
}

/// [SipHash](https://www.aumasson.jp/siphash/siphash.pdf) with `rounds` rounds for each word and twice as many (but 3 for 1) at the
/// end, as Python uses it: 2-4 until 3.10, 1-3 from 3.11 on. The second half of the key is 0.
#[must_use]
pub fn siphash(rounds: u32, key: u64, bytes: &[u8]) -> u64 {
    let mut state =
        [key ^ 0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, key ^ 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let round = |state: &mut [u64; 4]| {
        let [a, b, c, d] = state;
        *a = a.wrapping_add(*b);
        *c = c.wrapping_add(*d);
        *b = b.rotate_left(13) ^ *a;
        *d = d.rotate_left(16) ^ *c;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*b);
        *a = a.wrapping_add(*d);
        *b = b.rotate_left(17) ^ *c;
        *d = d.rotate_left(21) ^ *a;
        *c = c.rotate_left(32);
    };
    let mut take = |word: u64| {
        state[3] ^= word;
        for _ in 0..rounds {
            round(&mut state);
        }
        state[0] ^= word;
    };
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        take(word.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)));
    }
    let rest = words.remainder().iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
    take(rest | ((bytes.len() as u64) << 56));
    state[2] ^= 0xff;
    for _ in 0..if rounds == 1 { 3 } else { rounds * 2 } {
        round(&mut state);
    }
    state.iter().fold(0, |sum, part| sum ^ part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_pythons_own() {
        // `_imp.source_hash(0x0a0d0da7, b"print(1)\n")` of Python 3.11.2, little-endian.
        let expected = u64::from_le_bytes(HASH_3_11);
        assert_eq!(siphash(1, 0x0a0d_0da7, b"print(1)\n"), expected);
    }

    const HASH_3_11: [u8; 8] = [218, 129, 45, 127, 64, 122, 48, 89];

    #[test]
    fn a_compiled_file_says_which_source_it_belongs_to() {
        let head = |flags: u8| [&[0xa7, 0x0d, b'\r', b'\n', flags, 0, 0, 0][..], &[1, 0, 0, 0, 2, 0, 0, 0]].concat();
        assert_eq!(claim(&head(0)), Some(Claim::Time { modified_s: 1, size: 2 }));
        assert_eq!(claim(&head(1)), Some(Claim::Hash(0x2_0000_0001)));
        assert_eq!(claim(&head(3)), claim(&head(1)));
        assert_eq!(hashed_magic(&head(1)), Some(0x0a0d_0da7));
        for bad in [&head(2)[..], &head(0)[..15], b"", b"import os\nprint()"] {
            assert_eq!(claim(bad), None);
        }
        for (path, source) in [
            ("a/__pycache__/b.cpython-311.pyc", Some("a/b.py")),
            ("a/__pycache__/b.cpython-311.opt-1.pyc", Some("a/b.py")),
            ("__pycache__/b.cpython-311.pyc", Some("b.py")),
            ("a/b.pyc", None),
            ("a/__pycache__/b.pyc", None),
        ] {
            assert_eq!(source_of(path).as_deref(), source, "{path}");
        }
    }
}
