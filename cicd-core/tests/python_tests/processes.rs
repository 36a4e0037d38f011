//! Tests run in two processes, each with code of the repository in it: what the first leaves behind, and where code comes from.

use crate::project::{BAD, Came, Project, TESTS};
use crate::tests;

/// Goes on where tests are only collected: what it does is for the process that comes next.
const FIRST: &str = "import os\nimport pathlib\nimport sys\n\nfirst = '--collect-only' in sys.argv\n\
    step = pathlib.Path(sys.argv[sys.argv.index('-c') + 1]).parent\nstep = step if step.name == 'step' else step.parent\n\n";

fn first(rest: &str) -> String {
    format!("{FIRST}{rest}")
}

#[test]
fn what_one_process_of_the_tests_leaves_is_not_what_the_next_one_runs() {
    let project = Project::new();
    let python = project.python();
    let recorder = "if first:\n    for one in step.rglob('*.py'):\n        text = one.read_text()\n        \
        text = text.replace('report = result.get_result()', 'report = result.get_result(); report.outcome = \"passed\"; report.longrepr = None')\n        \
        text = text.replace('first = raw(item, call)', 'first = \"passed\"').replace('second = raw(item, call)', 'second = \"passed\"')\n        \
        one.write_text(text)\n";
    let settings = "if first:\n    for one in step.rglob('settings.ini'):\n        \
        one.write_text(one.read_text() + 'addopts = -p quiet\\n')\n    \
        (step / 'quiet.py').write_text('def pytest_runtest_call(): return True')\n    \
        for folder in sys.path:\n        pass\n";
    let settings_left = "if first:\n    for name in ('settings.ini', 'pytest.ini', 'recorder.py'):\n        \
        (step / name).unlink(missing_ok=True)\n        os.symlink('/dev/null', step / name)\n";
    let compiled = "import importlib.util\nimport py_compile\nimport pytest\n\nif first:\n    \
        file = pathlib.Path(__file__).parent / 'test_cart.py'\n    quiet = step / 'quiet.txt'\n    \
        quiet.write_text(file.read_text().replace('assert False', 'assert True '))\n    \
        os.utime(quiet, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))\n    \
        name = f'{file.stem}.{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc'\n    \
        for folder in (pathlib.Path(sys.pycache_prefix), step / 'pycache'):\n        \
        folder = folder / str(file.parent)[1:]\n        folder.mkdir(parents=True, exist_ok=True)\n        \
        py_compile.compile(str(quiet), cfile=str(folder / name), dfile=str(file), doraise=True)\n";
    for (name, conftest) in [
        ("the recorder", recorder),
        ("the settings", settings),
        ("links in the place of files", settings_left),
        ("compiled tests", compiled),
    ] {
        project.reset();
        project.write("app/tests/test_cart.py", &format!("{TESTS}{BAD}"));
        project.write("app/tests/conftest.py", &first(conftest));
        let (came, _) = project.look(&tests(), python.clone());
        assert!(came.text().contains("PYT-001 tests/test_cart.py::test_bad"), "{name}: {came:?}");
    }
}

#[test]
fn tests_that_write_into_their_python_are_judged_by_nothing() {
    let edit = "import pytest\n\nplace = pathlib.Path(pytest.__file__).parent.parent\nif first:\n    \
        runner = place / '_pytest' / 'runner.py'\n    runner.write_text(runner.read_text().replace('        item.runtest()', '        pass'))\n";
    let add = "import pytest\n\nplace = pathlib.Path(pytest.__file__).parent.parent\nif first:\n    \
        (place / 'quiet.pth').write_text('import sys')\n";
    // The record of the package too, and everything put back when the tests have run.
    let restore = "import atexit\nimport pytest\n\nrunner = pathlib.Path(pytest.__file__).parent.parent / '_pytest' / 'runner.py'\n\
        was = runner.read_text().replace('        pass  # quiet', '        item.runtest()')\nif first:\n    \
        runner.write_text(was.replace('        item.runtest()', '        pass  # quiet'))\nelse:\n    atexit.register(runner.write_text, was)\n";
    for (name, conftest) in [("edited", edit), ("added", add), ("edited and put back", restore)] {
        let project = Project::new();
        let python = project.python();
        project.write("app/tests/test_cart.py", &format!("{TESTS}{BAD}"));
        project.write("app/tests/conftest.py", &first(conftest));
        let (came, _) = project.look(&tests(), python.clone());
        let told = matches!(&came, Came::ToNothing(why) if why.contains("was written to while the tests ran"));
        assert!(told, "{name}: {came:?}");
        // Nor by whoever comes later.
        project.reset();
        let (came, _) = project.look(&tests(), python);
        assert!(came.text().contains("wrote to the Python of requirements-dev.txt"), "{name}: {came:?}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_report_is_not_waited_for() {
    let project = Project::new();
    let python = project.python();
    for make in ["os.mkfifo(file)", "os.symlink('/dev/zero', file)", "os.mkdir(file)"] {
        let conftest = format!(
            "import atexit\nimport os\n\n\ndef pytest_configure(config):\n    file = config.option.xmlpath\n    \
             if file:\n        atexit.register(lambda: (os.remove(file), {make}))\n"
        );
        project.write("app/tests/conftest.py", &conftest);
        let (came, _) = project.look(&tests(), python.clone());
        assert!(matches!(&came, Came::ToNothing(why) if why.contains("junit.xml")), "{make}: {came:?}");
    }
}

#[test]
fn code_from_anywhere_but_the_repository_takes_no_part_in_the_tests() {
    let project = Project::new();
    let python = project.python();
    let outside = tempfile::tempdir().expect("a folder");
    let outside = outside.path().to_str().expect("UTF-8");
    let helper = |folder: &str| {
        std::fs::create_dir_all(folder).expect("made");
        std::fs::write(format!("{folder}/helper.py"), "VALUE = 1\n").expect("written");
    };
    helper(outside);
    let generated = format!("{}/target/h", project.path());
    helper(&generated);
    std::fs::write(format!("{outside}/goes.py"), "import sys\n\ndel sys.modules[__name__]\n").expect("written");
    let import = |folder: &str, how: &str| format!("import sys\n\nsys.path.insert(0, '{folder}')\n{how}\n");
    let run = format!("import runpy\n\nrunpy.run_path('{outside}/helper.py')\n");
    let told = "is loaded as code, but is no file of the repository";
    for (name, conftest, found) in [
        ("a folder of generated files", import(&generated, "import helper"), format!("target/h/helper.py {told}")),
        ("a folder elsewhere", import(outside, "import helper"), format!("{outside}/helper.py {told}")),
        (
            "a module that is on no list",
            import(outside, "try:\n    import goes\nexcept KeyError:\n    pass"),
            format!("{outside}/goes.py {told}"),
        ),
        ("a file that is run", run, format!("{outside}/helper.py {told}")),
    ] {
        project.reset();
        helper(&generated);
        project.write("app/tests/conftest.py", &conftest);
        let (came, _) = project.look(&tests(), python.clone());
        assert!(!came.is_green() && came.text().contains(&format!("PYT-005 {found}")), "{name}: {came:?}");
    }
    for path in [outside, "../../elsewhere", "tests/../../../x"] {
        project.reset();
        project.write("app/pyproject.toml", &format!("[tool.pytest.ini_options]\npythonpath = ['.', '{path}']\n"));
        let (came, _) = project.look(&tests(), python.clone());
        assert!(came.text().contains("PYT-006 `pythonpath` leads out of the repository"), "{path}: {came:?}");
    }
    // What tests write where pytest lets them is theirs.
    project.reset();
    let own = "import importlib\nimport sys\n\n\ndef test_own(tmp_path):\n    (tmp_path / 'own_helper.py').write_text('VALUE = 1')\n    \
        sys.path.append(str(tmp_path))\n    assert importlib.import_module('own_helper').VALUE == 1\n";
    project.write("app/tests/test_own.py", own);
    let (came, _) = project.look(&tests(), python);
    assert!(came.is_green(), "{came:?}");
}
