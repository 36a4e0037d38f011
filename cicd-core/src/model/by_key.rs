//! Looking things up instead of searching for them.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Values by a key that several of them may have in common, each key's values in the order in which they came.
///
/// Verdicts join long lists: packages with vulnerabilities, findings with exceptions, rows with packages. A search of one list for each
/// entry of another takes hours where a look-up takes a second, so they are joined by this, and tests count what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByKey<K, V> {
    values: BTreeMap<K, Vec<V>>,
}

impl<K, V> Default for ByKey<K, V> {
    fn default() -> Self {
        Self { values: BTreeMap::new() }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for ByKey<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (key, value) in pairs {
            counting::one();
            all.values.entry(key).or_default().push(value);
        }
        all
    }
}

impl<K: Ord, V> ByKey<K, V> {
    /// The values of a key, in order.
    pub(crate) fn of<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = &V> + use<'_, K, V, Q>
    where
        K: Borrow<Q>,
    {
        counting::one();
        self.values.get(key).into_iter().flatten().inspect(|_| counting::one())
    }

    /// Whether there is a value with this key.
    pub(crate) fn has<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        counting::one();
        self.values.contains_key(key)
    }
}

/// Counts what is looked up and what is seen of it; nothing outside of tests.
pub(crate) mod counting {
    #[cfg(test)]
    thread_local! {
        static COUNT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    /// One entry was put in, looked up, compared or passed over.
    pub(crate) fn one() {
        #[cfg(test)]
        COUNT.with(|count| count.set(count.get() + 1));
    }

    /// How often [`one`] was called on this thread meanwhile, and what came of it.
    #[cfg(test)]
    pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, u64) {
        let before = COUNT.with(std::cell::Cell::get);
        let result = work();
        (result, COUNT.with(std::cell::Cell::get) - before)
    }

    /// The lists of a verdict are tried at these lengths.
    #[cfg(test)]
    pub(crate) const LENGTHS: [usize; 3] = [1_000, 10_000, 100_000];

    /// Checks that work on lists of each length counts at least one operation an entry, which proves that it is counted at all, and at
    /// most `each`.
    #[cfg(test)]
    pub(crate) fn is_linear(what: &str, each: u64, work: impl Fn(usize)) {
        for length in LENGTHS {
            let ((), count) = during(|| work(length));
            let length = length as u64;
            assert!((length..=length * each).contains(&count), "{what}: {count} operations for lists of {length}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_by_their_key_in_order_and_are_counted() {
        let all: ByKey<String, u32> =
            [("a", 1), ("b", 2), ("a", 3)].map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        let (of_a, count) = counting::during(|| all.of("a").copied().collect::<Vec<_>>());
        assert_eq!((of_a, count), (vec![1, 3], 3));
        assert!(all.has("b") && !all.has("c") && all.of("c").next().is_none());
    }
}
