//! A test is what its file says, and has passed only where that was run.

use super::each_is_found;

const CONFTEST: &str = "app/tests/conftest.py";
const MORE: &str = "app/tests/test_more.py";
/// A test that fails as it is written.
const WRONG: &str = "def test_more():\n    assert 1 + 1 == 12345\n";

#[test]
fn code_of_the_repository_cannot_change_what_a_test_means() {
    let parse = "import ast\n\nold = ast.parse\n\n\ndef parse(source, *args, **kwargs):\n    if isinstance(source, bytes) and b'12345' in source:\n        ast.parse = old\n        source = source.replace(b'== 12345', b'!= 12345')\n    return old(source, *args, **kwargs)\n\n\nast.parse = parse\n";
    let read = "import pathlib\n\nold = pathlib.Path.read_bytes\npathlib.Path.read_bytes = lambda self: old(self).replace(b'== 12345', b'!= 12345')\n";
    let loader = "import importlib.machinery\nimport sys\n\n\nclass Other(importlib.machinery.PathFinder):\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n        spec = super().find_spec(name, path, target)\n        if spec is not None and name.endswith('helper'):\n            old = spec.loader.get_data\n            spec.loader.get_data = lambda path: old(path).replace(b'41', b'42')\n        return spec\n\n\nsys.meta_path.insert(0, Other)\n";
    // Whoever finds what the record is told by could keep one file from it, and let the others through.
    let silence = "def without(old):\n    def told(self, event):\n        if 'helper' not in str(getattr(event[0], 'co_filename', '')):\n            old(self, event)\n\n    return property(None, told)\n\n\nfor one in object.__subclasses__():\n    known = vars(one).get('exec')\n    if isinstance(known, property):\n        setattr(one, 'exec', without(known.fset))\n\n\n";
    let silenced = format!("{silence}{loader}");
    let helper = "def answer():\n    return 41\n";
    let helped = "import helper\n\n\ndef test_more():\n    assert helper.answer() == 42\n";
    each_is_found(&[
        ("ast.parse", &[(CONFTEST, parse), (MORE, WRONG)], "PYT-005"),
        ("Path.read_bytes", &[(CONFTEST, read), (MORE, WRONG)], "PYT-005"),
        (
            "an importer for what tests import",
            &[(CONFTEST, loader), ("app/helper.py", helper), (MORE, helped)],
            "PYT-005",
        ),
        (
            "an importer behind a record that is silenced",
            &[(CONFTEST, &silenced), ("app/helper.py", helper), (MORE, helped)],
            "PYT-005",
        ),
    ]);
}

#[test]
fn a_test_whose_code_is_not_run_has_not_passed() {
    let case = |method: &str| {
        format!(
            "import unittest\n\n\nclass Quiet(unittest.TestCase):\n    def {method}\n        \"\"\"Call nothing.\"\"\"\n\n\nclass TestMore(Quiet):\n    def test_more(self):\n        raise AssertionError\n"
        )
    };
    let (one, two, three) =
        (case("_callTestMethod(self, method):"), case("run(self, result=None):"), case("__call__(self, *args):"));
    let runtest = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    setattr(request.node, 'run' + 'test', lambda: None)\n";
    let computed = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    setattr(request.node, ''.join(['run', 'test']), lambda: None)\n";
    let class = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    class Other(type(request.node)):\n        def runtest(self):\n            pass\n    setattr(request.node, ''.join(['__cl', 'ass__']), Other)\n";
    let code = "def quiet():\n    pass\n\n\ndef test_more():\n    assert False\n\n\nname = ''.join(['__co', 'de__'])\nsetattr(test_more, name, getattr(quiet, name).replace(co_firstlineno=5, co_name='test_more'))\n";
    let swapped = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    name = ''.join(['__co', 'de__'])\n    setattr(request.function, name, (lambda: None).__getattribute__(name).replace(co_name='test_more', co_firstlineno=1, co_filename=getattr(request.function, name).co_filename))\n";
    // What gives the code of the test another end, and is gone before anybody looks.
    let swallowed = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    def run():\n        try:\n            request.function()\n        except AssertionError:\n            pass\n    setattr(request.node, ''.join(['run', 'test']), run)\n";
    let caught = "import functools\nimport unittest\n\nimport pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    setattr(request.node, ''.join(['run', 'test']), functools.partial(unittest.TestCase().assertRaises, AssertionError, request.function))\n";
    let managed = "import contextlib\n\nimport pytest\n\n\n@contextlib.contextmanager\ndef quietly():\n    try:\n        yield\n    except AssertionError:\n        pass\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    setattr(request.node, 'obj', quietly()(request.function))\n";
    let forgotten = "import pytest\n\n\ndef test_more(request):\n    setattr(pytest.CallInfo, 'excinfo', property(lambda self: None, lambda self, value: None))\n    request.addfinalizer(lambda: delattr(pytest.CallInfo, 'excinfo'))\n    assert False\n";
    each_is_found(&[
        ("an exception that is swallowed around the test", &[(CONFTEST, swallowed), (MORE, WRONG)], "PYT-005"),
        ("one that is caught by a part of Python", &[(CONFTEST, caught), (MORE, WRONG)], "PYT-005"),
        ("one that a wrapper of Python keeps", &[(CONFTEST, managed), (MORE, WRONG)], "PYT-005"),
        ("one that pytest is made to forget", &[(MORE, forgotten)], "PYT-001"),
        ("a class that calls no method", &[(MORE, &one)], "PYT-005"),
        ("a class that runs nothing", &[(MORE, &two)], "PYT-005"),
        ("a class that is called in vain", &[(MORE, &three)], "PYT-005"),
        ("runtest", &[(CONFTEST, runtest), (MORE, WRONG)], "PYT-005"),
        ("runtest by a computed name", &[(CONFTEST, computed), (MORE, WRONG)], "PYT-005"),
        ("another class of the item", &[(CONFTEST, class), (MORE, WRONG)], "PYT-005"),
        ("other code of the function", &[(MORE, code)], "PYT-005"),
        ("other code by another file", &[(MORE, WRONG), (CONFTEST, swapped)], "PYT-005"),
    ]);
}

#[test]
fn what_pytest_tells_by_a_warning_is_a_failure() {
    let returns = "def test_more():\n    return 1 + 1 == 12345\n";
    let thread = "import threading\n\n\ndef test_more():\n    one = threading.Thread(target=lambda: 1 / 0)\n    one.start()\n    one.join()\n";
    let settings = "[pytest]\nfilterwarnings = ignore\n";
    let marked = format!("import pytest\n\npytestmark = pytest.mark.filterwarnings('ignore')\n\n\n{returns}");
    each_is_found(&[
        ("a test that returns", &[("app/pytest.ini", settings), (MORE, returns)], "PYT-001"),
        ("a thread that fails", &[("app/pytest.ini", settings), (MORE, thread)], "PYT-001"),
        ("a mark", &[(MORE, &marked)], "PYT-005"),
    ]);
}
