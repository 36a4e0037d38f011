//! What is covered is what the tests ran, whatever else they leave.

use cicd_core::formats::coverage::MeasuredCoverage;
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

fn gate() -> CoverageGate {
    CoverageGate::lines(100.0).and_then(|gate| gate.branches(100.0)).expect("full").sources("app/shop")
}

/// What the gate says of a run of the tests.
fn covered(project: &Project) -> (Came, MeasuredCoverage) {
    let (came, report) = project.look(&tests().with_coverage("shop"), project.python());
    let measured = report.expect("looked").coverage().expect("measured").clone();
    assert!(came.is_green(), "{came:?}");
    (project.look(&gate(), measured.clone().into()).0, measured)
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
    let (came, _) = covered(&project);
    for name in ["at_exit", "beside", "child"] {
        let line = format!("COV-001 app/shop/{name}.py: lines 4, 6-7 are not covered");
        assert!(came.text().contains(&line), "{name}: {came:?}");
    }
}
