//! A function that pytest runs is the one that the source has there, in whatever way another could take its place.

use crate::{Attack, each_is_found};

const MORE: &str = "app/tests/test_more.py";
const QUIET: &str = "\n\ndef quiet():\n    pass\n\n\n";
const FAILS: &str = "def test_more():\n    assert False\n";

fn each_file(attacks: &[(&str, String, &str)]) {
    let files: Vec<[(&str, &str); 1]> = attacks.iter().map(|(_, text, _)| [(MORE, text.as_str())]).collect();
    let attacks: Vec<Attack<'_>> =
        attacks.iter().zip(&files).map(|((name, _, code), files)| (*name, &files[..], *code)).collect();
    each_is_found(&attacks);
}

#[test]
fn a_test_is_not_replaced_by_another_of_its_name() {
    let again = "    def test_more():\n        pass\n";
    let class =
        |name: &str, base: &str, body: &str| format!("class {name}{base}:\n    def test_more(self):\n        {body}\n");
    let unittest = "import unittest\n\n\n";
    let (case, first, second) = ("(unittest.TestCase)", "assert False", "pass");
    each_file(&[
        ("in a condition", format!("{FAILS}\n\nif True:\n{again}"), "PYT-005"),
        ("for a version", format!("import sys\n\n{FAILS}\n\nif sys.version_info >= (3, 8):\n{again}"), "PYT-004"),
        ("in a handler", format!("{FAILS}\n\ntry:\n    raise OSError\nexcept OSError:\n{again}"), "PYT-005"),
        ("in a loop", format!("{FAILS}\n\nfor one in [1]:\n{again}"), "PYT-005"),
        ("in a context", format!("import io\n\n{FAILS}\n\nwith io.StringIO():\n{again}"), "PYT-004"),
        ("in a case", format!("{FAILS}\n\nmatch 1:\n    case _:\n{}", again.replace("    ", "        ")), "PYT-005"),
        (
            "before it",
            format!("if True:\n{}\n\nif False:\n    pass\nelse:\n{again}", again.replace("pass", first)),
            "PYT-005",
        ),
        (
            "a class",
            class("TestMore", "", first)
                + "\n\nif True:\n    class TestMore:\n        def test_more(self):\n            pass\n",
            "PYT-005",
        ),
        (
            "a case of unittest",
            format!("{unittest}{}\n\n{}", class("More", case, first), class("More", case, second)),
            "PYT-005",
        ),
        (
            "in a class",
            class("TestMore", "", first) + "\n    if True:\n        def test_more(self):\n            pass\n",
            "PYT-005",
        ),
    ]);
}

#[test]
fn a_name_of_a_test_is_not_bound_to_other_code() {
    let wraps = "import functools\n\n\n";
    let class = "class TestMore:\n    def test_more(self):\n        assert False\n\n";
    each_file(&[
        (
            "a wrapper without a decorator",
            format!("{wraps}{FAILS}{QUIET}test_more = functools.wraps(test_more)(quiet)\n"),
            "PYT-005",
        ),
        ("a lambda", format!("{FAILS}\n\ntest_more = lambda: None\n"), "PYT-005"),
        (
            "in an expression",
            format!("{wraps}{FAILS}{QUIET}print(test_more := functools.wraps(test_more)(quiet))\n"),
            "PYT-005",
        ),
        (
            "in a loop",
            format!("{wraps}{FAILS}{QUIET}for test_more in [functools.wraps(test_more)(quiet)]:\n    pass\n"),
            "PYT-005",
        ),
        (
            "something that says what it wraps",
            format!(
                "{FAILS}\n\nclass Quiet:\n    __wrapped__ = test_more\n    __name__ = 'test_more'\n\n\
                 \x20   def __call__(self):\n        pass\n\n\ntest_more = Quiet()\n"
            ),
            "PYT-00",
        ),
        (
            "by its dictionary",
            format!("{wraps}{FAILS}{QUIET}globals()['test_more'] = functools.wraps(test_more)(quiet)\n"),
            "PYT-005",
        ),
        ("an import", format!("{FAILS}\n\nfrom time import perf_counter as test_more\n"), "PYT-00"),
        (
            "in a class",
            format!("{wraps}{class}    test_more = functools.wraps(test_more)(lambda self: None)\n"),
            "PYT-005",
        ),
        (
            "a class that is bound again",
            format!("{class}\n\nclass Other:\n    def test_more(self):\n        pass\n\n\nTestMore = Other\n"),
            "PYT-00",
        ),
        (
            "while the tests run",
            format!(
                "{wraps}{class}\n\n@classmethod\ndef nothing(cls):\n    pass\n\n\ndef test_aaa():\n    pass\n\n\n\
                class TestAaa:\n    def test_first(self):\n\
                \x20       setattr(TestMore, 'test_more', functools.wraps(TestMore.test_more)(lambda self: None))\n"
            )
            .replace("class TestMore", "class TestZzz")
            .replace("TestMore", "TestZzz"),
            "PYT-00",
        ),
    ]);
    let helper = ("app/tests/helper.py", "def test_more():\n    pass\n");
    let star = format!("{FAILS}\n\nfrom tests.helper import *\n");
    let absent = format!("{FAILS}\n\ntry:\n    from tests.helper import test_more\nexcept ImportError:\n    pass\n");
    each_is_found(&[
        ("a star", &[helper, (MORE, &star)], "PYT-005"),
        ("an import that may fail", &[helper, (MORE, &absent)], "PYT-005"),
    ]);
}

#[test]
fn a_test_whose_call_runs_nothing_of_it_is_found() {
    let fixture = |import: &str, name: &str| format!("{import}\n\n\n@{name}\n{FAILS}");
    let helper = ("app/tests/helper.py", "def fixture(test):\n    return None\n");
    let of_helper = fixture("from tests import helper", "helper.fixture");
    let case = "import unittest\n\n\nclass More(unittest.TestCase):\n";
    each_file(&[
        ("a fixture", fixture("import pytest", "pytest.fixture"), "PYT-005"),
        ("a fixture of another name", fixture("from pytest import fixture as given", "given"), "PYT-005"),
        ("a fixture with arguments", fixture("import pytest as p", "p.fixture(scope='module')"), "PYT-005"),
        (
            "asynchronous, where nothing awaits it",
            format!("{case}    async def test_more(self):\n        assert False\n"),
            "PYT-005",
        ),
        ("a generator", format!("{case}    def test_more(self):\n        assert False\n        yield\n"), "PYT-005"),
        (
            "a generator of a plain class",
            "class TestMore:\n    def test_more(self):\n        yield from [1]\n        assert False\n".to_owned(),
            "'yield' keyword is allowed in fixtures",
        ),
    ]);
    each_is_found(&[("a fixture of the repository", &[helper, (MORE, &of_helper)], "PYT-004")]);
}
