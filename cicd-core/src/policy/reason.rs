use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use super::InvalidJustification;

/// A reason shorter than this says too little to be reviewed.
pub const REASON_CHARS_MIN: usize = 20;
/// Fewer different words say what and not why. A letter of a script without blanks between its words counts as one.
const WORDS_MIN: usize = 3;
/// So many letters at least are in the words that count, each word once.
const LETTERS_MIN: usize = 12;
/// A shorter word joins others and says nothing by itself.
const WORD_LETTERS_MIN: usize = 3;
/// A letter of Chinese, Japanese, Korean or Thai says as much as two of an alphabet.
const DENSE_WEIGHT: usize = 2;

/// Words that stand where a reason should, that point at one elsewhere, or that any reason may hold. They say nothing by themselves.
const FILLERS: [&str; 5] = [
    // Where a reason should stand.
    "todo tbd tba fixme xxx hack wip none null nil reason reasons because ignore ignored ignoring suppress suppressed skip \
     skipped disable disabled exception exempt exempted allow allowed accept accepted justification justified explanation \
     description placeholder comment lorem ipsum dolor sit amet asdf asd qwer qwert qwerty zxcv hjkl jkl foo bar baz qux \
     blah bla dummy sample string text word words test testing abc def ghi xyz",
    // What is meant to be done some day.
    "temporary temporarily temp tmp later soon now today tomorrow work progress pending workaround find out done fixed \
     resolve resolved wontfix",
    // What points elsewhere.
    "see ticket tickets issue issues jira link linked above below detail details more information info refer reference http \
     https www com org",
    // What says only that it is so.
    "applicable false positive known risk fine okay yes not needed necessary required please something anything nothing \
     everything stuff thing things etc",
    // What joins words.
    "the this that these those there here and for with from are was were will would been has have had why what who how does \
     did can its but all any some",
];

/// The same, to look words up in: a list of exceptions may be long.
static IS_FILLER: LazyLock<HashSet<&str>> =
    LazyLock::new(|| FILLERS.iter().flat_map(|words| words.split_whitespace()).collect());

/// Checks that a reason has substance: some different words of its own, in any script, beside placeholders, identifiers, addresses
/// and what only points elsewhere.
///
/// # Errors
/// [`InvalidJustification::Reason`].
pub fn check_reason(reason: &str) -> Result<(), InvalidJustification> {
    let weight = |c: char| match c {
        c if is_dense(c) => DENSE_WEIGHT,
        c => usize::from(is_letter(c) || c.is_numeric() || c.is_ascii_punctuation()),
    };
    let visible: usize = reason.chars().map(weight).sum();
    let (mut words, mut letters) = (BTreeSet::new(), 0);
    // Lists of exceptions may be long: no more of a reason is read than it takes.
    let has_substance = own_words(reason).any(|word| {
        let count: usize = word.chars().map(weight).sum();
        letters += if words.insert(word) { count } else { 0 };
        words.len() >= WORDS_MIN && letters >= LETTERS_MIN
    });
    if visible < REASON_CHARS_MIN || !has_substance {
        return Err(InvalidJustification::Reason(reason.to_owned()));
    }
    Ok(())
}

/// Whether a reason only says again what the finding says.
pub(super) fn repeats(reason: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    own_words(reason).all(|word| message.contains(&word))
}

/// The words of a text that say something, in small letters.
fn own_words(text: &str) -> impl Iterator<Item = String> {
    // What holds a digit is the name of something, and what holds an address is a link.
    let is_prose = |part: &&str| {
        !part.contains(|c: char| c.is_numeric())
            && !part.contains("://")
            && !part.contains('@')
            && !part.starts_with("www.")
    };
    let runs = text.split_whitespace().filter(is_prose).flat_map(|part| part.split(|c: char| !is_letter(c)));
    runs.filter(|run| !run.is_empty()).flat_map(|run| {
        let dense = run.chars().filter(|c| is_dense(*c)).map(String::from);
        let word: String = run.chars().filter(|c| !is_dense(*c)).map(narrow).flat_map(char::to_lowercase).collect();
        dense.chain(Some(word).filter(|word| is_varied(word) && !IS_FILLER.contains(word.as_str())))
    })
}

/// Whether a word has as many different letters as one needs that says something.
fn is_varied(word: &str) -> bool {
    let first_seen = |(index, c): &(usize, char)| !word[..*index].contains(*c);
    word.char_indices().filter(first_seen).nth(WORD_LETTERS_MIN - 1).is_some()
}

/// Letters that can be seen: the fillers of Hangul are letters too, and blank.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// Letters of scripts that put no blanks between words, or whose letters are syllables.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF | 0x3040..=0x318F | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0xA4CF | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0xFF66..=0xFFDC | 0x20000..=0x3FFFF)
        && is_letter(c)
}

/// The full-width form of a Latin letter is that letter.
fn narrow(c: char) -> char {
    match c {
        '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Reasons as people write them.
    const GOOD: &[&str] = &[
        "the affected parser is never given outside input",
        "because the fix needs Python 3.12 and we ship 3.11",
        "importing it registers the codec",
        "written by this process a moment ago",
        "the key of the vendor's own manual, which opens nothing",
        "versions move with every security fix",
        "it publishes this very repository",
        "TODO: drop it once the vendor's agent 4.0 no longer binds port 80",
        "该服务从不配置代理所以不受影响",
        "この関数は外部からの入力を受け取りません",
        "이 서비스는 프록시를 전혀 설정하지 않습니다",
        "บริการนี้ไม่เคยตั้งค่าพร็อกซี",
        "уязвимый разборщик никогда не получает внешних данных",
        "der betroffene Parser sieht keine Eingaben von außen",
    ];

    #[test]
    fn reasons_without_substance_are_refused() {
        for bad in [
            "",
            "  ",
            "TODO",
            "todo: find out later..",
            "todo todo todo todo todo todo todo todo",
            "because.",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaa bbb ccc ddd eee fff ggg hhh",
            "a b c d e f g h i j k l m n o p q r s t",
            "\u{200b}\u{200b}\u{200b} \u{200b}\u{200b}",
            "\u{3164}\u{3164}\u{3164} \u{115f}\u{1160}\u{3164}\u{3164}\u{3164}\u{ffa0}\u{3164}\u{3164}\u{3164}\u{3164}",
            "n/a (see the ticket)",
            "n/a n/a n/a n/a n/a n/a n/a n/a",
            "asdf asdf asdf asdf asdf",
            "asdf qwer zxcv hjkl asdf qwer",
            "foo bar foo bar foo bar foo bar",
            "see ticket",
            "see the linked ticket for more information",
            "see ABC-123, DEF-456 and GHI-789 for it",
            "wip wip wip, work in progress, wip",
            "temporary, temporary, temporary",
            "temporary workaround, to be fixed later",
            "proxies proxies proxies proxies proxies",
            "Proxies PROXIES proxies! 'proxies' (proxies)",
            "https://example.org/why/it/does/no/harm/at/all/in/our/service",
            "https://tracker.example/a http://wiki.example/bcd/efg www.wiki.example/hij",
            "!!!!!!!!!!! ??????????? ...........",
            "why this flaw does no harm here",
            "1234567890 1234567890 1234567890",
            "CVE-2023-32681 CVE-2023-32682 GHSA-j8r2-6x86-q33q",
            "@example/security @example/platform @example/web",
            "待办待办待办待办待办待办待办",
            "ｔｏｄｏ ｔｂｄ ｆｉｘｍｅ ｗｉｐ ｔｏｄｏ ｘｘｘ",
        ] {
            assert!(check_reason(bad).is_err(), "{bad:?} was accepted");
        }
        for good in GOOD {
            check_reason(good).expect("a reason");
        }
    }

    #[test]
    fn a_reason_is_more_than_the_finding_again() {
        let message = "requests 2.30.0 leaks Proxy-Authorization headers to destination servers";
        assert!(repeats("Requests leaks proxy authorization headers, to destination servers!", message));
        assert!(repeats("leaks leaks headers", message));
        assert!(!repeats("no proxy is ever configured, so no header leaks", message));
    }

    /// A word that says nothing, or something that is none, in any case.
    fn nothing() -> impl Strategy<Value = String> {
        let filler =
            (select(IS_FILLER.iter().copied().collect::<Vec<_>>()), any::<bool>()).prop_map(
                |(word, loud)| match loud {
                    true => word.to_uppercase(),
                    false => (*word).to_owned(),
                },
            );
        let sign = "[!-/:-@\\[-`{-~0-9\u{200b}\u{2060}\u{3164} ]{1,12}";
        prop_oneof![filler, sign, "[A-Z]{2,5}-[0-9]{1,6}", "https?://[a-z./]{1,30}", "@[a-z]{1,8}/[a-z]{1,8}"]
    }

    proptest! {
        #[test]
        fn no_list_of_fillers_is_a_reason(words in proptest::collection::vec(nothing(), 0..40), one in "[a-z]{3,12}") {
            let text = words.join(" ");
            prop_assert!(check_reason(&text).is_err(), "{text:?}");
            // One word of its own, however often, is not enough either.
            let repeated = format!("{text} {one} {} {one}, {text} {one}", one.to_uppercase());
            prop_assert!(check_reason(&repeated).is_err(), "{repeated:?}");
        }

        #[test]
        fn what_is_added_to_a_reason_takes_nothing_from_it(
            reason in select(GOOD),
            before in proptest::collection::vec(nothing(), 0..5),
            after in proptest::collection::vec(nothing(), 0..5),
        ) {
            let text = format!("{} {reason} {}", before.join(" "), after.join(" "));
            prop_assert!(check_reason(&text).is_ok(), "{text:?}");
            prop_assert!(check_reason(&reason.to_uppercase()).is_ok());
        }

        #[test]
        fn any_text_is_judged(text in any::<String>()) {
            let _ = check_reason(&text);
        }
    }
}
