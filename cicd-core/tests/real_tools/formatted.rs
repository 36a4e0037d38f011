use cicd_core::model::Status;
use cicd_core::steps::RustFormat;

use crate::repository::Repository;

#[test]
fn code_that_rustfmt_cannot_format_is_found() {
    let repository = Repository::new();
    let (wide, name, narrow) = ("w".repeat(130), "N".repeat(110), "n".repeat(84));
    for (path, text) in [
        ("chain.rs", format!("fn f() {{\n    let x = a.b(\"{wide}\").c( 1,2 ).d() . e();\n}}\n")),
        (
            "arm.rs",
            format!("fn f() {{\n    match x {{\n        1 => \"{wide}\".b(),\n        2=>   \"b\" ,\n    }}\n}}\n"),
        ),
        (
            "closure.rs",
            format!("fn f() {{\n    a.map(|x| {{\n      let y=x+1;\n  g(\"{wide}\".b(y))\n    }}, 1);\n}}\n"),
        ),
        ("macro.rs", format!("fn f() {{\n    assert_eq!( a,b , \"{wide}\".c(1 ,2));\n}}\n")),
        ("raw.rs", format!("fn f() {{\n    let x=r#\"\n{wide}\n\"#.b( 1,2 );\n}}\n")),
        ("pattern.rs", format!("fn f() {{\n    let A::{name} {{ a,b }} = g( 1,2 );\n}}\n")),
        ("field.rs", format!("struct A {{ a:u8, b : {name} }}\n")),
        ("use.rs", format!("use a::{name}::{{b , c}};\n")),
        ("comment.rs", "fn f() {\n    let x = a + /* why */ b( 1,2 );\n}\n".to_owned()),
        ("match.rs", "fn f() {\n    match x /* why */ {\n        A  =>   b( 1,2 ),\n    }\n}\n".to_owned()),
        ("let.rs", "fn f() {\n    let /* why */ x  =   1;\n}\n".to_owned()),
        // No line is too wide as it stands here.
        (
            "narrow.rs",
            format!(
                "fn f() {{\n    if a {{\n        if b {{\n            g\n  .h(\"{narrow}\")\n .i( 1,2 );\n        }}\n    }}\n}}\n"
            ),
        ),
    ] {
        repository.write(path, &text);
        let found = repository.look(&RustFormat::edition("2024"), ());
        assert_eq!(found, (Status::Failed, vec!["FMT-002".to_owned()]), "{path}");
        std::fs::remove_file(repository.path().join(path)).expect("removed");
    }

    // What is too wide and formatted all the same is not, nor is what an attribute keeps from rustfmt, which is a finding itself.
    for text in [
        format!(
            "fn f() {{\n    let x = \"{wide}\";\n    g(\n        \"{wide}\",\n        1,\n    ); // {wide}\n    h! {{ a ,b }}\n}}\n"
        ),
        format!("/// {wide}\n#[a(b, c)]\nfn f() {{\n    a.b(r#\"\n{wide}\n\"#);\n}}\n"),
        format!("#[rustfmt::skip]\nfn f() {{\n    g( \"{wide}\" ,1 )\n}}\n"),
    ] {
        repository.write("honest.rs", &text);
        let (_, found) = repository.look(&RustFormat::edition("2024"), ());
        assert!(found.iter().all(|code| code == "IGN-016" || code == "FMT-001"), "{text}: {found:?}");
    }
}
