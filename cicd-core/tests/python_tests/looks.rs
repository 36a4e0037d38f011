//! What only looks like Python is Python where its parser says so, and where it is run.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use cicd_core::model::Status;
use cicd_core::steps::{CoverageGate, CoverageInput};

use crate::project::{Came, Project};
use crate::tests;

/// Objects as some formats of data write them.
const SCENE: &str = "Scene(\n    camera: Camera(fov: 60.0),\n    lights: [Light(1.0), Light(2.0)],\n)\n";
/// Calls that one more statement spoils.
const SPOILT: &str = "load(\"shop\")\nrun(1)\nreturn = 2\n";

fn gate() -> CoverageGate {
    CoverageGate::lines(100.0).expect("full").sources("app/shop")
}

#[test]
fn what_only_looks_like_python_is_python_where_its_parser_says_so() {
    let project = Project::new();
    let python = project.python();
    project.write("app/shop/scene.data", SCENE);
    project.write("app/shop/spoilt", SPOILT);
    let (came, report) = project.look(&tests().with_coverage("shop"), python.clone());
    assert!(came.is_green() && came.codes().is_empty(), "{came:?}");
    let measured = report.expect("looked");
    let (came, _) = project.look(&gate(), measured.clone().into());
    assert!(came.is_green() && came.codes().is_empty(), "{came:?}");

    // A report of others proves that a file ran, and that it was Python then.
    let lines = |path: &str, count: u32| {
        let lines: String = (1..=count).map(|line| format!("DA:{line},1\n")).collect();
        format!("SF:{path}\n{lines}LF:{count}\nLH:{count}\nend_of_record\n")
    };
    let cart = "SF:shop/cart.py\nDA:4,1\nDA:6,1\nDA:7,1\nDA:8,1\nLF:4\nLH:4\nend_of_record\n";
    let own = || (gate().report("target/lcov.info"), CoverageInput::OwnReport);
    project.write("target/lcov.info", cart);
    let (step, input) = own();
    let (came, _) = project.look(&step, input);
    assert!(came.is_green(), "{came:?}");
    project.write("target/lcov.info", &format!("{cart}{}", lines("shop/scene.data", 2)));
    let (step, input) = own();
    let (came, _) = project.look(&step, input);
    assert!(came.text().contains("which the Python of this machine cannot read"), "{came:?}");

    // What the tests ran may not become something else, and what they did not read may not become Python.
    project.write("app/shop/scene.data", &SCENE.replace("60", "61"));
    let (came, _) = project.look(&gate(), measured.into());
    assert!(came.text().contains("app/shop/scene.data was changed after the tests ran"), "{came:?}");
    project.write("app/shop/scene.data", SCENE);

    for (path, text) in
        [("app/shop/broken.py", SPOILT), ("app/shop/tool", &format!("#!/usr/bin/env python3\n{SPOILT}"))]
    {
        project.write(path, text);
        let (came, _) = project.look(&tests(), python.clone());
        assert!(matches!(&came, Came::ToNothing(why) if why.contains("SyntaxError") && why.contains(path)), "{came:?}");
        project.remove(path);
    }
}

#[test]
fn what_the_tests_run_is_python_whatever_it_looked_like() {
    let project = Project::new();
    let python = project.python();
    // It is made Python when it is loaded, and is not any more when the tests have ended.
    let test = "import pathlib\nimport runpy\n\nFILE = pathlib.Path('shop/scene.data')\n\n\ndef test_scene():\n    old = FILE.read_text()\n    \
        FILE.write_text('found(1) if False else None\\n')\n    try:\n        runpy.run_path(str(FILE))\n    finally:\n        FILE.write_text(old)\n";
    project.write("app/shop/scene.data", SCENE);
    project.write("app/tests/test_scene.py", test);
    let (came, _) = project.look(&tests(), python);
    let said = came.text().contains("PYT-005 app/shop/scene.data is run as Python, but no step knows that it is");
    assert!(matches!(&came, Came::To(Status::Failed, _)) && said, "{came:?}");
}
