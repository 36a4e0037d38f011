//! What is covered is what the tests ran, whatever else they leave.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use cicd_core::steps::CoverageGate;

use crate::project::{Came, Project};
use crate::tests;

/// Writes data of coverage.py into a file as if each line of a function had run, from a process of its own.
const FORGE: &str = "import atexit\nimport os\nimport pathlib\nimport subprocess\nimport sys\n\n\
    BESIDE = pathlib.Path(sys.argv[sys.argv.index('-c') + 1]).parent\n\
    WRITE = 'import sys, cover' + 'age; data = cover' + 'age.CoverageData(sys.argv[1]); '\n\
    WRITE += 'data.add_arcs({sys.argv[2]: [(-1, 4), (4, -1), (-4, 6), (6, 7), (7, -4)]}); data.write()'\n\n\n\
    def forge(file, source):\n    subprocess.run([sys.executable, '-c', WRITE, str(file), source], check=True)\n\n\n";
/// A function that no test calls.
const NEVER: &str =
    "\"\"\"Never.\"\"\"\n\n\ndef never() -> int:\n    \"\"\"Answer.\"\"\"\n    answer = 42\n    return answer\n";

/// Of what its functions hold, one lambda and one generator run.
const LATE: &str = "\"\"\"Late.\"\"\"\n\n\ndef planted(names: list[str]) -> object:\n    \"\"\"Plan.\"\"\"\n    never = (name.upper() for name in names)\n    \
    handlers = {\n        \"wipe\": lambda path: path * 2,\n        \"keep\": lambda path: path,\n    }\n    \
    return handlers[\"keep\"](\"x\"), never\n\n\ndef used(names: list[str]) -> bool:\n    \"\"\"Use.\"\"\"\n    return any(name for name in names)\n";

const NAMED: &str = "\"\"\"Named.\"\"\"\nF = lambda: 1\n\n\ndef two() -> list:\n    \"\"\"Two.\"\"\"\n    return [\n        lambda: 1,\n        lambda: 2,\n    ]\n\n\n\
    def named() -> list:\n    \"\"\"Name one.\"\"\"\n\n    def one() -> int:\n        return 1\n\n    return [one, lambda: 2]\n";

/// What copies its own code, and makes code that it does not run.
const HONEST: &str = "import types\n\n\n@types.coroutine\ndef steps():\n    yield 1\n\n\n\
    def made():\n    return compile('x = 1', 'shop/generated.py', 'exec')\n";

fn gate() -> CoverageGate {
    CoverageGate::lines(100.0).and_then(|gate| gate.branches(100.0)).expect("full").sources("app/shop")
}

/// What the gate says of a run of the tests.
fn covered(project: &Project) -> Came {
    let (came, report) = project.look(&tests().with_coverage("shop"), project.python());
    assert!(came.is_green(), "{came:?}");
    project.look(&gate(), report.expect("looked").into()).0
}

#[test]
fn what_a_process_of_the_tests_writes_is_not_what_was_measured() {
    let project = Project::new();
    let conftest = format!(
        "{FORGE}def at_exit():\n    for name in [os.environ.get('COVERAGE_FILE'), BESIDE / 'coverage.sqlite', '.coverage']:\n        \
         if name:\n            forge(name, 'shop/at_exit.py')\n\n\natexit.register(at_exit)\n"
    );
    project.write("app/tests/conftest.py", &conftest);
    let beside = "from tests.conftest import BESIDE, forge\n\n\ndef test_beside():\n    \
        for name in ('coverage.sqlite.host.pid1.Xabc', 'coverage.sqlite.1', '.coverage.host.1.x'):\n        \
        forge(BESIDE / name, 'shop/beside.py')\n        forge(name, 'shop/beside.py')\n";
    project.write("app/tests/test_beside.py", beside);
    let child = "import os\nimport subprocess\nimport sys\n\n\ndef test_child():\n    \
        text = 'from shop.child import never; never()'\n    \
        subprocess.run([sys.executable, '-m', 'coverage', 'run', '--branch', '-p', '--source=shop', '-c', text], check=False)\n    \
        subprocess.run([sys.executable, '-c', text], check=True, cwd=os.getcwd(), env={**os.environ, 'PYTHONPATH': '.'})\n";
    project.write("app/tests/test_child.py", child);
    for name in ["at_exit", "beside", "child"] {
        project.write(&format!("app/shop/{name}.py"), NEVER);
    }
    project.write("app/shop/late.py", LATE);
    let late = "from shop.late import planted, used\n\n\ndef test_late() -> None:\n    assert planted(['a'])\n    assert used(['a'])\n";
    project.write("app/tests/test_late.py", late);
    // As the help of COV-008 says to write what is not alone on its line.
    project.write("app/shop/named.py", NAMED);
    project.write("app/tests/test_named.py", "from shop.named import F, named, two\n\n\ndef test_named() -> None:\n    assert [one() for one in [F, *two(), *named()]] == [1, 1, 2, 1, 2]\n");
    let came = covered(&project);
    assert!(!came.text().contains("named.py"), "{came:?}");
    for name in ["at_exit", "beside", "child"] {
        let line = format!("COV-001 app/shop/{name}.py: lines 4, 6-7 are not covered");
        assert!(came.text().contains(&line), "{name}: {came:?}");
    }
    let late: Vec<_> = came.text().lines().filter(|line| line.contains("late.py")).map(str::to_owned).collect();
    let never = |what: &str, line: u32| {
        format!(
            "COV-008 app/shop/late.py: the body of this {what} never ran (it has no reason, owner and expiry) @ app/shop/late.py:{line}"
        )
    };
    assert_eq!(late, [never("generator expression", 6), never("lambda", 8)]);
}

#[test]
fn code_that_says_it_is_of_another_file_proves_nothing() {
    let project = Project::new();
    let conftest = "import importlib.machinery\nimport sys\nimport types\n\nimport pytest\n\nCODE = ''.join(['__co', 'de__'])\n\n\n\
        class Other(importlib.machinery.PathFinder):\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n        \
        spec = super().find_spec(name, path, target)\n        if spec is not None and name == 'helper':\n            \
        old = spec.loader.get_data\n            spec.loader.get_data = lambda path: old(path.replace('helper', 'good'))\n        \
        return spec\n\n\nsys.meta_path.insert(0, Other)\n\n\n\
        @pytest.fixture(autouse=True)\ndef quiet(request):\n    if request.node.name == 'test_profile':\n        \
        def run():\n            told = getattr(sys, ''.join(['get', 'profile']))()\n            told.entered = True\n            \
        told(types.SimpleNamespace(f_code=getattr(request.function, CODE)), 'call', None)\n\n        \
        setattr(request.node, ''.join(['run', 'test']), run)\n    if request.node.name == 'test_same':\n        \
        from tests import same\n\n        own = getattr(request.function, CODE)\n        \
        setattr(request.function, CODE, getattr(same.test_same, CODE).replace(co_filename=own.co_filename))\n";
    let make = "import builtins\nimport types\n\n\ndef test_made():\n    make = vars(builtins)[''.join(['comp', 'ile'])]\n    \
        types.FunctionType(make('x = 1', 'shop/made.py', ''.join(['ex', 'ec'])), {})()\n";
    let swap = "import pathlib\nimport types\n\nfrom tests.conftest import CODE\n\n\ndef never():\n    return 1\n\n\n\
        def test_swapped():\n    path = str(pathlib.Path('shop/swapped.py').resolve())\n    \
        types.FunctionType(getattr(never, CODE).replace(co_filename=path), {})()\n";
    let linked = "import builtins\nimport pathlib\nimport types\n\n\ndef test_linked(tmp_path):\n    \
        link = tmp_path / 'other.py'\n    link.symlink_to(pathlib.Path('shop/linked.py').resolve())\n    \
        make = vars(builtins)[''.join(['comp', 'ile'])]\n    \
        types.FunctionType(make('x = 1', str(link), ''.join(['ex', 'ec'])), {})()\n";
    let tree = "import ast\nimport builtins\n\n\ndef test_tree():\n    made = ast.parse(pathlib_text())\n    \
        make = vars(builtins)[''.join(['comp', 'ile'])]\n    \
        vars(builtins)[''.join(['ex', 'ec'])](make(made, 'shop/tree.py', ''.join(['ex', 'ec'])), {})\n\n\n\
        def pathlib_text():\n    return 'def never():\\n    x = 1\\n\\n\\nnever()\\n'\n";
    let claimed = "import types\n\nfrom tests import claimed\nfrom tests.conftest import CODE\n\n\n\
        def test_claimed():\n    types.FunctionType(getattr(claimed.never, CODE).replace(co_filename='/elsewhere/claimed.py'), {'__file__': 'shop/claimed.py', '__name__': 'shop.claimed'})()\n";
    let texts = "import builtins\nimport importlib.machinery\nimport runpy\n\n\ndef test_texts():\n    \
        runpy.run_path('shop/theme.txt')\n    \
        loader = getattr(importlib.machinery, ''.join(['Source', 'FileLoader']))('other', 'shop/other.conf')\n    \
        vars(builtins)[''.join(['ex', 'ec'])](loader.get_code('other'), {})\n";
    for (path, text) in [
        ("app/tests/conftest.py", conftest),
        ("app/tests/test_profile.py", "def test_profile():\n    assert False\n"),
        ("app/tests/same.py", "def test_same():\n    pass\n"),
        ("app/tests/test_same.py", "def test_same():\n    assert False\n"),
        ("app/good.py", "def answer():\n    return 42\n"),
        ("app/helper.py", "def answer():\n    return 41\n"),
        (
            "app/tests/test_helped.py",
            "import good\nimport helper\n\n\ndef test_helped():\n    assert helper.answer() == good.answer()\n",
        ),
        ("app/shop/made.py", NEVER),
        ("app/tests/test_made.py", make),
        ("app/shop/swapped.py", NEVER),
        ("app/tests/test_swapped.py", swap),
        ("app/shop/linked.py", NEVER),
        ("app/tests/test_linked.py", linked),
        ("app/shop/tree.py", NEVER),
        ("app/tests/test_tree.py", tree),
        ("app/shop/claimed.py", NEVER),
        ("app/tests/claimed.py", NEVER),
        ("app/tests/test_claimed.py", claimed),
        ("app/shop/honest.py", HONEST),
        (
            "app/tests/test_honest.py",
            "from shop.honest import made, steps\n\n\ndef test_honest():\n    assert made() is not None\n    assert list(steps()) == [1]\n",
        ),
        ("app/shop/theme.txt", "NAME = 'x'\n"),
        ("app/shop/other.conf", "NAME = 'y'\n"),
        ("app/tests/test_texts.py", texts),
    ] {
        project.write(path, text);
    }
    let (came, _) = project.look(&tests().with_coverage("shop"), project.python());
    for told in [
        "tests/test_profile.py::test_profile runs other code than the source has there",
        "tests/test_same.py::test_same runs other code than the source has there",
        "`the code of app/helper.py` was replaced",
        "`code that says it is of app/shop/made.py` was replaced",
        "`code that says it is of app/shop/swapped.py` was replaced",
        "`code that says it is of app/shop/linked.py` was replaced",
        "`code that says it is of app/shop/tree.py` was replaced",
        "`code that says it is of app/shop/claimed.py` was replaced",
        "app/shop/theme.txt is run as Python, but no step knows that it is",
        "app/shop/other.conf is run as Python, but no step knows that it is",
    ] {
        let found = came.text().lines().any(|line| line.starts_with("PYT-005") && line.contains(told));
        assert!(found, "{told}: {}", came.text());
    }
    assert!(!came.text().contains("says it is of app/shop/honest.py"), "{}", came.text());
    assert!(!came.text().contains("generated.py"), "{}", came.text());
}
