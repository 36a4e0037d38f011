//! Nothing in a repository makes a test that fails, or does not run, look like one that passed: with the real pytest.

#[path = "python_tests/looks.rs"]
mod looks;
#[path = "python_tests/meaning.rs"]
mod meaning;
#[path = "python_tests/measured.rs"]
mod measured;
#[path = "python_tests/parts.rs"]
mod parts;
#[path = "python_tests/processes.rs"]
mod processes;
#[path = "support/project.rs"]
mod project;
#[path = "python_tests/reached.rs"]
mod reached;
#[path = "python_tests/replaced.rs"]
mod replaced;

use camino::Utf8Path;
use cicd_core::model::Status;
use cicd_core::steps::Pytest;
use project::{BAD, Came, Project, SETTINGS, TESTS};

/// What an attacker changes: a name, and files with their text.
type Attack<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

fn tests() -> Pytest {
    Pytest::in_dir("app").at_least(2)
}

/// Plants each attack and expects its code, or an error with its words. What the attack hides fails in its own file, or in a test
/// beside it where it brings none, and a finding about anything else does not count.
fn each_is_found(attacks: &[Attack<'_>]) {
    let project = Project::new();
    let python = project.python();
    let mut passed = Vec::new();
    for (name, files, expected) in attacks {
        project.reset();
        let own = files.iter().find(|(_, text)| ["assert", "self.fail"].iter().any(|fails| text.contains(fails)));
        if own.is_none() {
            project.write("app/tests/test_cart.py", &format!("{TESTS}{BAD}"));
        }
        for (path, text) in *files {
            project.write(path, text);
        }
        let stem = |(path, _): &(&str, &str)| Utf8Path::new(path).file_stem().unwrap_or_default().to_owned();
        let tests_of_it = files.iter().find(|(path, _)| path.contains("/test_"));
        let subjects: Vec<String> = match ["PYT-001", "PYT-002", "PYT-004"].contains(expected) {
            // What is said is said of the test.
            true => vec![own.or(tests_of_it).map_or_else(|| "test_bad".to_owned(), stem)],
            // Or of a file that hides it.
            false => files.iter().map(stem).collect(),
        };
        let (came, _) = project.look(&tests(), python.clone());
        let found = match &came {
            Came::To(..) => came
                .text()
                .lines()
                .any(|line| line.starts_with(expected) && subjects.iter().any(|subject| line.contains(subject))),
            Came::ToNothing(why) => why.contains(expected),
        };
        if came.is_green() || !found {
            passed.push(format!("{name}: {came:?}"));
        }
    }
    assert!(passed.is_empty(), "\n{}", passed.join("\n"));
}

fn settings(line: &str) -> String {
    format!("{SETTINGS}{line}\n")
}

fn ini(line: &str) -> String {
    format!("[pytest]\npythonpath = .\n{line}\n")
}

#[test]
fn honest_tests_pass() {
    let project = Project::new();
    let (came, report) = project.look(&tests(), project.python());
    assert_eq!(came.text(), "");
    let report = report.expect("looked");
    assert_eq!((report.tests(), report.passed(), report.failed(), report.skipped()), (2, 2, 0, 0));
}

#[test]
fn a_setting_cannot_hide_a_test() {
    let python = |line: &str| settings(&format!("addopts = \"{line}\""));
    let [deselect, keyword, ignore, plugin] = [
        python("--deselect tests/test_cart.py::test_bad"),
        python("-k 'not bad'"),
        python("--ignore-glob=*cart*"),
        python("-p tests.plugin"),
    ];
    let replacing = ini("addopts = -k total");
    let override_ini = ini("addopts = -o python_functions=test_t*");
    let functions = ini("python_functions = test_[td]*");
    let native = "[tool.pytest]\npythonpath = [\".\"]\naddopts = [\"-m\", \"not bad\"]\n";
    let hook =
        "def pytest_collection_modifyitems(items):\n    items[:] = [one for one in items if one.name != 'test_bad']\n";
    each_is_found(&[
        ("--deselect", &[("app/pyproject.toml", &deselect)], "PYT-006"),
        ("-k", &[("app/pyproject.toml", &keyword)], "PYT-001"),
        ("--ignore-glob", &[("app/pyproject.toml", &ignore)], "PYT-006"),
        ("a plugin", &[("app/pyproject.toml", &plugin), ("app/tests/plugin.py", hook)], "PYT-006"),
        ("a file that replaces the section", &[("app/pytest.ini", &replacing)], "PYT-006"),
        ("a hidden file that replaces it", &[("app/.pytest.ini", &override_ini)], "PYT-001"),
        ("another file", &[("app/pyproject.toml", ""), ("app/tox.ini", &functions)], "PYT-006"),
        ("the table of pytest 9", &[("app/pyproject.toml", native)], "PYT-006"),
        (
            "a file above the project",
            &[("app/pyproject.toml", ""), ("setup.cfg", "[tool:pytest]\npythonpath = app\naddopts = -x\n")],
            "PYT-006",
        ),
        ("a folder that is passed over", &[("app/build/test_more.py", BAD)], "PYT-001"),
        ("a file whose name hides it", &[("app/tests/cart_checks.py", BAD)], "PYT-001"),
    ]);
}

#[test]
fn code_of_the_repository_cannot_hide_a_test() {
    let conftest = "app/tests/conftest.py";
    each_is_found(&[
        (
            "modifyitems",
            &[(conftest, "def pytest_collection_modifyitems(items):\n    items[:] = items[:2]\n")],
            "PYT-004",
        ),
        (
            "the same as a wrapper",
            &[(
                conftest,
                "import pytest\n\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_collection_modifyitems(items):\n    del items[2:]\n    return (yield)\n",
            )],
            "PYT-004",
        ),
        (
            "ignore_collect",
            &[(
                conftest,
                "def pytest_ignore_collect(collection_path):\n    return collection_path.name == 'test_cart.py'\n",
            )],
            "PYT-005",
        ),
        (
            "collect_ignore",
            &[(conftest, "collect_ignore = ['test_more.py']\n"), ("app/tests/test_more.py", BAD)],
            "PYT-005",
        ),
        (
            "makeitem",
            &[(conftest, "def pytest_pycollect_makeitem(name):\n    return [] if name == 'test_bad' else None\n")],
            "PYT-004",
        ),
        (
            "__test__",
            &[(
                "app/tests/test_more.py",
                "class TestMore:\n    __test__ = False\n\n    def test_bad(self):\n        assert False\n",
            )],
            "PYT-004",
        ),
        (
            "a second function of one name",
            &[("app/tests/test_more.py", "def test_more():\n    assert False\n\n\ndef test_more():\n    pass\n")],
            "PYT-005",
        ),
        (
            "a name that is bound again",
            &[(
                "app/tests/test_more.py",
                "def test_more():\n    assert False\n\n\nclass Other:\n    @staticmethod\n    def pass_():\n        pass\n\n\ntest_more = Other.pass_\n",
            )],
            "PYT-005",
        ),
        (
            "a name that is deleted",
            &[("app/tests/test_more.py", "def test_more():\n    assert False\n\n\ndel test_more\n")],
            "PYT-004",
        ),
        (
            "a condition",
            &[(
                "app/tests/test_more.py",
                "import sys\n\nif sys.platform == 'other':\n    def test_more():\n        assert False\n",
            )],
            "PYT-004",
        ),
        (
            "a constructor",
            &[(
                "app/tests/test_more.py",
                "class TestMore:\n    def __init__(self):\n        pass\n\n    def test_bad(self):\n        assert False\n",
            )],
            "PYT-004",
        ),
        (
            "no parameters",
            &[(
                "app/tests/test_more.py",
                "import pytest\n\n\n@pytest.mark.parametrize('x', [])\ndef test_more(x):\n    assert False\n",
            )],
            "PYT-002",
        ),
        (
            "fewer parameters in the run",
            &[
                (
                    conftest,
                    "import sys\n\n\ndef pytest_generate_tests(metafunc):\n    if 'n' in metafunc.fixturenames:\n        metafunc.parametrize('n', [1] if '--collect-only' not in sys.argv else [1, 2])\n",
                ),
                ("app/tests/test_more.py", "def test_more(n):\n    assert n == 1\n"),
            ],
            "PYT-004",
        ),
        (
            "the end of the session",
            &[(
                "app/tests/test_aaa.py",
                "import pytest\n\n\ndef test_first():\n    pytest.exit('enough', returncode=0)\n",
            )],
            "the JUnit report",
        ),
        (
            "the end of the process",
            &[("app/tests/test_aaa.py", "import os\n\n\ndef test_first():\n    os._exit(0)\n")],
            "has no end",
        ),
        (
            "the end of the process at its end",
            &[(conftest, "import atexit\nimport os\n\natexit.register(os._exit, 0)\n")],
            "but its process with exit code 0",
        ),
    ]);
}

#[test]
fn code_of_the_repository_cannot_make_a_failure_pass() {
    let conftest = "app/tests/conftest.py";
    let makereport = "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport():\n    report = (yield).get_result()\n    report.outcome = 'passed'\n";
    let excinfo = "import pytest\n\n\n@pytest.hookimpl(tryfirst=True, wrapper=True)\ndef pytest_runtest_makereport(item, call):\n    call.excinfo = None\n    return (yield)\n";
    let patched = "import importlib\n\nrunner = importlib.import_module('_pytest' + '.runner')\nold = runner.CallInfo.from_call.__func__\n\n\ndef quiet(cls, func, when, reraise=None):\n    result = old(cls, func, when, reraise)\n    result.excinfo = None\n    return result\n\n\nrunner.CallInfo.from_call = classmethod(quiet)\n";
    let forged = "import pathlib\nimport pytest\n\n\n@pytest.fixture(autouse=True, scope='session')\ndef forge(request):\n    yield\n    for one in pathlib.Path(request.config.option.xmlpath).parent.glob('*.ndjson'):\n        text = one.read_text().replace('\"raw\": \"failed\"', '\"raw\": \"passed\"').replace('\"outcome\": \"failed\"', '\"outcome\": \"passed\"')\n        one.write_text(text)\n";
    let cut = "import pathlib\nimport pytest\n\n\n@pytest.fixture(autouse=True)\ndef forge(request):\n    yield\n    if request.node.name == 'test_bad':\n        for one in pathlib.Path(request.config.option.xmlpath).parent.glob('record.ndjson'):\n            lines = one.read_text().splitlines(True)\n            one.write_text(''.join(lines[:-2]))\n";
    let decorated = "import functools\n\n\ndef quiet(test):\n    @functools.wraps(test)\n    def run():\n        pass\n    return run\n\n\n@quiet\ndef test_more():\n    assert False\n";
    let imported =
        "from contextlib import contextmanager as pytest\n\n\n@pytest\ndef test_more():\n    assert False\n    yield\n";
    let mocked = "from unittest import mock\n\n\n@mock.create_autospec\ndef test_more():\n    assert False\n";
    each_is_found(&[
        ("makereport", &[(conftest, makereport)], "PYT-001"),
        ("the exception is taken away first", &[(conftest, excinfo)], "PYT-005"),
        ("pyfunc_call", &[(conftest, "def pytest_pyfunc_call():\n    return True\n")], "PYT-005"),
        ("runtest_protocol", &[(conftest, "def pytest_runtest_protocol():\n    return True\n")], "PYT-004"),
        ("exit status", &[(conftest, "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n")], "PYT-001"),
        (
            "report_teststatus",
            &[(conftest, "def pytest_report_teststatus():\n    return 'passed', '.', 'PASSED'\n")],
            "PYT-001",
        ),
        ("part of pytest replaced", &[(conftest, patched)], "PYT-005"),
        ("a changed record", &[(conftest, forged)], "is not what the recorder wrote"),
        ("a shorter record", &[(conftest, cut)], "is not what the recorder wrote"),
        ("a decorator", &[("app/tests/test_more.py", decorated)], "PYT-005"),
        ("a decorator by another name", &[("app/tests/test_more.py", imported)], "PYT-005"),
        ("a mock in its place", &[("app/tests/test_more.py", mocked)], "PYT-005"),
        (
            "a module in the place of a package",
            &[
                ("app/hypothesis.py", "def given(test):\n    return lambda: None\n"),
                (
                    "app/tests/test_more.py",
                    "import hypothesis\n\n\n@hypothesis.given\ndef test_more():\n    assert False\n",
                ),
            ],
            "PYT-005",
        ),
        ("hooks that text makes", &[(conftest, "exec('def pytest_runtest_protocol(): return True')\n")], "PYT-005"),
        (
            "a plugin at run time",
            &[(
                conftest,
                "import pytest\n\n\n@pytest.fixture(autouse=True, scope='session')\ndef quiet(request):\n    class Quiet:\n        def pytest_runtest_call(self):\n            pass\n    getattr(request.config, 'plugin' 'manager').register(Quiet())\n",
            )],
            "PYT-005",
        ),
    ]);
}

#[test]
fn a_test_that_shows_nothing_is_found_unless_somebody_answers_for_it() {
    let skip = "import pytest\n\n\n@pytest.mark.skip(reason='later')\ndef test_more():\n    assert False\n";
    let conftest = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef nobody(request):\n    if request.node.name == 'test_bad':\n        pytest.skip('no')\n";
    each_is_found(&[
        ("skip", &[("app/tests/test_more.py", skip)], "PYT-002"),
        ("skipif", &[("app/tests/test_more.py", &skip.replace("skip(", "skipif(True, "))], "PYT-002"),
        ("xfail", &[("app/tests/test_more.py", &skip.replace("skip(", "xfail("))], "PYT-002"),
        (
            "xfail that passes",
            &[(
                "app/tests/test_more.py",
                "import pytest\n\n\n@pytest.mark.xfail(strict=False)\ndef test_more():\n    pass\n",
            )],
            "PYT-002",
        ),
        (
            "a call",
            &[("app/tests/test_more.py", "import pytest\n\n\ndef test_more():\n    pytest.xfail('no')\n")],
            "PYT-002",
        ),
        (
            "a whole file",
            &[(
                "app/tests/test_more.py",
                "import pytest\n\npytest.skip('no', allow_module_level=True)\n\n\ndef test_more():\n    assert False\n",
            )],
            "PYT-002",
        ),
        (
            "a module that is not there",
            &[(
                "app/tests/test_more.py",
                "import pytest\n\nx = pytest.importorskip('nowhere')\n\n\ndef test_more():\n    assert False\n",
            )],
            "PYT-002",
        ),
        (
            "a mark for the file",
            &[(
                "app/tests/test_more.py",
                "import pytest\n\npytestmark = pytest.mark.skip\n\n\ndef test_more():\n    assert False\n",
            )],
            "PYT-002",
        ),
        (
            "unittest",
            &[(
                "app/tests/test_more.py",
                "import unittest\n\n\nclass More(unittest.TestCase):\n    @unittest.expectedFailure\n    def test_more(self):\n        self.fail('x')\n",
            )],
            "PYT-002",
        ),
        (
            "a failure of unittest",
            &[(
                "app/tests/test_more.py",
                "import unittest\n\n\nclass More(unittest.TestCase):\n    def test_more(self):\n        self.fail('x')\n",
            )],
            "PYT-001",
        ),
        ("a fixture for all", &[("app/tests/conftest.py", conftest)], "PYT-002"),
    ]);
    let project = Project::new();
    let python = project.python();
    project.write("app/tests/test_more.py", &skip.replace("@pytest", &format!("{}@pytest", project.why())));
    let (came, report) = project.look(&tests(), python.clone());
    assert!(came.codes().contains("PYT-002"), "{came:?}");
    assert_eq!(report.expect("looked").skipped(), 1);
    project.write("app/tests/test_more.py", skip);
    let (came, _) = project.look(&tests(), python);
    assert!(
        came.text().contains("app/tests/test_more.py:4") && came.text().contains("it has no reason, owner and expiry"),
        "{came:?}"
    );
}

#[test]
fn code_that_git_does_not_list_takes_no_part_in_the_tests() {
    let project = Project::new();
    let python = project.python();
    project.write(".git/info/exclude", "/app/conftest.py\n");
    project.write("app/conftest.py", "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet():\n    yield\n");
    let (came, _) = project.look(&tests(), python.clone());
    assert!(
        came.text().contains("PYT-005 app/conftest.py is loaded as code, but is no file of the repository"),
        "{came:?}"
    );
    project.remove("app/conftest.py");

    // A compiled file beside a test, made from another source and dated as the test is.
    project.write("app/tests/test_cart.py", &format!("{TESTS}{BAD}"));
    let compile = "import ast, importlib.util, marshal, os, pathlib, pytest, struct, sys\nfile = pathlib.Path(sys.argv[1])\n\
        tail = f'.{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc'\nstat = os.stat(file)\n\
        quiet = compile('def test_total(): pass\\n\\ndef test_discount(): pass\\n\\ndef test_bad(): pass\\n', str(file), 'exec')\n\
        folder = file.parent / '__pycache__'\nfolder.mkdir(exist_ok=True)\n\
        head = importlib.util.MAGIC_NUMBER + struct.pack('<LLL', 0, int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF)\n\
        (folder / (file.stem + tail)).write_bytes(head + marshal.dumps(quiet))\n";
    project.run(&python, &["-c", compile, "app/tests/test_cart.py"]);
    let (came, _) = project.look(&tests(), python);
    assert!(matches!(&came, Came::To(Status::Failed, _)) && came.codes().contains("PYT-001"), "{came:?}");
}

#[test]
fn tests_are_left_out_by_the_pipeline_alone() {
    use cicd_core::policy::Justification;

    let project = Project::new();
    let python = project.python();
    project.write("app/browser/test_page.py", BAD);
    let because = || {
        Justification::new("they need a browser and a running instance", "@example/shop", &project.soon())
            .expect("valid")
    };
    let (came, _) = project.look(&tests().leaving_out("app/browser", because()), python.clone());
    assert!(came.is_green() && came.text().contains("PYT-004 1 tests of app/browser are not run"), "{came:?}");
    let (came, _) = project.look(&tests().leaving_out("app/nowhere", because()), python.clone());
    assert!(came.text().contains("app/nowhere, which is to be left out, holds no test"), "{came:?}");
    let (came, _) = project.look(&tests(), python);
    assert!(came.codes().contains("PYT-001"), "{came:?}");
}
