use std::borrow::Cow;
use std::collections::BTreeMap;

/// The page size of the file; readers take it from the meta page.
const PAGE_BYTES: usize = 4096;
const PAGE_HEADER_BYTES: usize = 16;
const ELEMENT_BYTES: usize = 16;
const BUCKET_VALUE_BYTES: usize = 16;

const FLAG_LEAF: u16 = 0x02;
const FLAG_META: u16 = 0x04;
const FLAG_FREELIST: u16 = 0x10;
const ELEMENT_IS_BUCKET: u32 = 0x01;

const MAGIC: u32 = 0xED0C_DAED;
const FILE_VERSION: u32 = 2;
/// Two meta pages, an empty leaf and the list of free pages, as bbolt itself starts a file.
const FREELIST_PAGE: u64 = 3;
const FIRST_BUCKET_PAGE: u64 = 4;

/// Every bucket is one leaf page, and a page counts its elements in 16 bits; 0xFFFF has a meaning of its own there.
const KEYS_MAX: usize = 0xFFFE;
/// bbolt's own limit on a key.
const KEY_BYTES_MAX: usize = 32_768;
/// Offsets inside a page are 32 bits wide; a database near that size is a mistake long before.
const BUCKET_BYTES_MAX: usize = 1 << 30;

/// A bucket: keys with values, and buckets inside it.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    values: BTreeMap<String, Vec<u8>>,
    buckets: BTreeMap<String, Self>,
}

/// Content that does not fit the file format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoltError {
    /// More keys than one page can count.
    #[error("the bucket {bucket:?} would have {keys} keys, more than the {KEYS_MAX} that fit one page; split the list")]
    TooManyKeys {
        /// The bucket.
        bucket: String,
        /// How many keys it would have.
        keys: usize,
    },
    /// A key is empty or too long.
    #[error("a key of the bucket {bucket:?} has {bytes} bytes; it must have 1 to {KEY_BYTES_MAX}")]
    Key {
        /// The bucket.
        bucket: String,
        /// The key's length in bytes.
        bytes: usize,
    },
    /// More bytes than one page can address.
    #[error(
        "the bucket {bucket:?} would have {bytes} bytes, more than the {BUCKET_BYTES_MAX} that fit one page; split the list"
    )]
    TooLong {
        /// The bucket.
        bucket: String,
        /// How many bytes it would have.
        bytes: usize,
    },
}

impl Bucket {
    /// Sets a value, replacing whatever was there.
    pub(super) fn put(&mut self, key: &str, value: Vec<u8>) {
        self.values.insert(key.to_owned(), value);
    }

    /// The bucket of that name, made where it is not there.
    pub(super) fn bucket(&mut self, key: &str) -> &mut Self {
        self.buckets.entry(key.to_owned()).or_default()
    }

    /// The bytes of a database file whose root is this bucket.
    ///
    /// # Errors
    /// When the content does not fit the format; nothing is left out silently.
    pub(super) fn into_file(self) -> Result<Vec<u8>, BoltError> {
        let mut pages = Pages { bytes: Vec::new(), next: FIRST_BUCKET_PAGE };
        let root = pages.write(&self, "(root)")?;
        let mut file = Vec::with_capacity(PAGE_BYTES * 4 + pages.bytes.len());
        for transaction in 0..2 {
            file.extend(meta_page(transaction, root, pages.next));
        }
        file.extend(empty_page(2, FLAG_LEAF));
        file.extend(empty_page(FREELIST_PAGE, FLAG_FREELIST));
        file.extend(pages.bytes);
        Ok(file)
    }
}

struct Pages {
    bytes: Vec<u8>,
    next: u64,
}

impl Pages {
    /// Writes a bucket after the buckets inside it; the number of its page.
    fn write(&mut self, bucket: &Bucket, name: &str) -> Result<u64, BoltError> {
        let keys = bucket.values.len() + bucket.buckets.len();
        if keys > KEYS_MAX {
            return Err(BoltError::TooManyKeys { bucket: name.to_owned(), keys });
        }
        // Readers search a page by halves, so its keys must be in byte order, which is the order of Rust's strings.
        let mut elements: BTreeMap<&str, (u32, Cow<'_, [u8]>)> =
            bucket.values.iter().map(|(key, value)| (key.as_str(), (0, Cow::Borrowed(value.as_slice())))).collect();
        for (key, inner) in &bucket.buckets {
            let mut value = self.write(inner, key)?.to_le_bytes().to_vec();
            value.resize(BUCKET_VALUE_BYTES, 0);
            elements.insert(key, (ELEMENT_IS_BUCKET, Cow::Owned(value)));
        }
        if let Some(key) = elements.keys().find(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(BoltError::Key { bucket: name.to_owned(), bytes: key.len() });
        }
        self.write_leaf(name, &elements)
    }

    fn write_leaf(&mut self, name: &str, elements: &BTreeMap<&str, (u32, Cow<'_, [u8]>)>) -> Result<u64, BoltError> {
        let head = PAGE_HEADER_BYTES + elements.len() * ELEMENT_BYTES;
        let bytes = head + elements.iter().map(|(key, (_, value))| key.len() + value.len()).sum::<usize>();
        if bytes > BUCKET_BYTES_MAX {
            return Err(BoltError::TooLong { bucket: name.to_owned(), bytes });
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let id = self.next;
        self.next += pages as u64;
        // All lengths are below `BUCKET_BYTES_MAX` and all counts below `KEYS_MAX`, so none of the casts below cuts anything off.
        let mut page = page_header(id, FLAG_LEAF, elements.len() as u16, pages as u32 - 1);
        page.reserve(pages * PAGE_BYTES);
        let mut data = head;
        for (index, (key, (flags, value))) in elements.iter().enumerate() {
            let element = PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
            for field in [*flags, (data - element) as u32, key.len() as u32, value.len() as u32] {
                page.extend(field.to_le_bytes());
            }
            data += key.len() + value.len();
        }
        for (key, (_, value)) in elements {
            page.extend_from_slice(key.as_bytes());
            page.extend_from_slice(value);
        }
        page.resize(pages * PAGE_BYTES, 0);
        self.bytes.extend(page);
        Ok(id)
    }
}

fn page_header(id: u64, flags: u16, count: u16, overflow: u32) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_BYTES);
    page.extend(id.to_le_bytes());
    page.extend(flags.to_le_bytes());
    page.extend(count.to_le_bytes());
    page.extend(overflow.to_le_bytes());
    page
}

fn empty_page(id: u64, flags: u16) -> Vec<u8> {
    let mut page = page_header(id, flags, 0, 0);
    page.resize(PAGE_BYTES, 0);
    page
}

fn meta_page(transaction: u64, root: u64, next: u64) -> Vec<u8> {
    let mut meta = Vec::with_capacity(64);
    for field in [MAGIC, FILE_VERSION, PAGE_BYTES as u32, 0] {
        meta.extend(field.to_le_bytes());
    }
    for field in [root, 0, FREELIST_PAGE, next, transaction] {
        meta.extend(field.to_le_bytes());
    }
    let sum = fnv1a_64(&meta);
    meta.extend(sum.to_le_bytes());
    let mut page = page_header(transaction, FLAG_META, 0, 0);
    page.extend(meta);
    page.resize(PAGE_BYTES, 0);
    page
}

/// The checksum of a meta page.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_fnv_1a() {
        // Published test vectors of the algorithm.
        assert_eq!(fnv1a_64(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn a_file_has_whole_pages_and_its_meta_pages_point_at_the_root() {
        let mut root = Bucket::default();
        root.bucket("outer").bucket("inner").put("key", vec![b'x'; 10_000]);
        let file = root.into_file().expect("fits");
        // Two meta pages, an empty leaf, the freelist; the inner bucket of 10,000 bytes; the outer one; the root.
        assert_eq!(file.len(), PAGE_BYTES * (4 + 3 + 1 + 1));
        for transaction in [0usize, 1] {
            let meta = &file[transaction * PAGE_BYTES + PAGE_HEADER_BYTES..][..64];
            assert_eq!(meta[..4], MAGIC.to_le_bytes());
            assert_eq!(meta[16..24], 8u64.to_le_bytes(), "the root's page");
            assert_eq!(meta[40..48], 9u64.to_le_bytes(), "the next free page");
            assert_eq!(meta[56..], fnv1a_64(&meta[..56]).to_le_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut root = Bucket::default();
        for index in 0..=KEYS_MAX {
            root.put(&index.to_string(), Vec::new());
        }
        assert_eq!(root.into_file(), Err(BoltError::TooManyKeys { bucket: "(root)".to_owned(), keys: KEYS_MAX + 1 }));
        let mut root = Bucket::default();
        root.bucket("b").put("", Vec::new());
        assert_eq!(root.into_file(), Err(BoltError::Key { bucket: "b".to_owned(), bytes: 0 }));
        let mut root = Bucket::default();
        root.put(&"k".repeat(KEY_BYTES_MAX + 1), Vec::new());
        assert!(root.into_file().is_err());
    }
}
