use expect_test::{Expect, expect};

use super::*;

fn arguments<const N: usize>(pairs: [(&str, &str); N]) -> Arguments {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn show(text: &str, given: &Arguments) -> String {
    match Dockerfile::parse(text, given) {
        Ok(file) => {
            let images = file.images.iter().map(|it| format!("{} {:?} {}\n", it.line, it.kind, it.reference));
            let end = format!("{:?} instructions, on {:?}", file.instructions_to(None), file.root_of(None));
            images.chain([end]).collect()
        }
        Err(error) => error.to_string(),
    }
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&show(text, &Arguments::new()));
}

#[test]
fn stages_are_told_from_images() {
    check(
        "from docker.io/library/debian:12 as Builder\nRUN make\n\nFROM builder\nCOPY --from=BUILDER /a /a\nCOPY --from=0 /b /b\nFROM scratch\nCOPY --from=1 / /\nCOPY --from=ghcr.io/x/y:1 /z /z\n",
        expect![[r#"
            1 Stage docker.io/library/debian:12
            9 Files ghcr.io/x/y:1
            Some(5) instructions, on None"#]],
    );
}

/// Found by the fuzz target.
#[test]
fn a_stage_cannot_take_files_from_itself() {
    check("FROM a AS b\nCOPY --from=b /x /x\n", expect!["line 2: a stage cannot take files from itself"]);
}

#[test]
fn a_stage_that_starts_from_a_stage_is_laid_upon_its_image() {
    check(
        "FROM debian:12 AS a\nRUN x\nFROM a AS b\nFROM other:1 AS unused\nRUN y\nFROM b\nUSER 1\n",
        expect![[r#"
            1 Stage debian:12
            4 Stage other:1
            Some(1) instructions, on Some("debian:12")"#]],
    );
}

#[test]
fn arguments_before_the_first_from_are_filled_in() {
    let text = "ARG TAG=12 NAME=debian\nARG BASE=${NAME}:${TAG:-9}\nFROM --platform=$BUILDPLATFORM ${BASE}\n";
    expect![[r#"
        3 Stage debian:12
        Some(0) instructions, on Some("debian:12")"#]]
    .assert_eq(&show(text, &Arguments::new()));
    expect![[r#"
        3 Stage cicd-base:1
        Some(0) instructions, on Some("cicd-base:1")"#]]
    .assert_eq(&show(text, &arguments([("BASE", "cicd-base:1")])));
}

#[test]
fn an_image_that_cannot_be_made_out_is_an_error() {
    check("ARG BASE\nFROM $BASE\n", expect![[r#"line 2: "$BASE" gives "", which names no image: is an ARG missing?"#]]);
    check("FROM ${A\n", expect![[r#"line 1: the image "${A" cannot be made out"#]]);
    check("FROM ${A%x}\n", expect![[r#"line 1: the image "${A%x}" cannot be made out"#]]);
    check("FROM a b c\n", expect!["line 1: expected FROM <image> [AS <name>]"]);
    check("FROM\n", expect![[r#"line 1: "" gives "", which names no image: is an ARG missing?"#]]);
    check("RUN x\n", expect!["line 1: RUN before the first FROM"]);
    check("", expect!["it has no FROM"]);
    check("# FROM x\n", expect!["it has no FROM"]);
}

#[test]
fn continuations_comments_and_escapes_hide_nothing() {
    check(
        "FR\\\nOM debian:1\\\n2 \\\n# a comment\n\n  as x\r\nRUN a \\\n  # FROM no:1\n  && b\nFROM x\n",
        expect![[r#"
            1 Stage debian:12
            Some(1) instructions, on Some("debian:12")"#]],
    );
    check(
        "# escape=`\nFROM debian:12\nRUN dir C:\\\nCOPY --from=a:1 `\n  x y\n",
        expect![[r#"
            2 Stage debian:12
            4 Files a:1
            Some(2) instructions, on Some("debian:12")"#]],
    );
}

#[test]
fn frontends_are_images_too_and_stand_at_the_top_only() {
    check(
        "#syntax = docker/dockerfile:1\nFROM a:1\n",
        expect![[r#"
            1 Frontend docker/dockerfile:1
            2 Stage a:1
            Some(0) instructions, on Some("a:1")"#]],
    );
    check(
        "# a comment\n# syntax=docker/dockerfile:1\nFROM a:1\n",
        expect![[r#"
            3 Stage a:1
            Some(0) instructions, on Some("a:1")"#]],
    );
}

#[test]
fn here_documents_are_not_instructions_and_must_end() {
    check(
        "FROM a:1\nRUN <<EOF cat <<-\"END\"\nFROM no:1\nEOF\n\tFROM no:2\n\tEND\nCOPY <<A /x\nFROM no:3\nA\nFROM b:1\n",
        expect![[r#"
            1 Stage a:1
            10 Stage b:1
            Some(0) instructions, on Some("b:1")"#]],
    );
    check("FROM a:1\nRUN <<EOF\nFROM b:1\n", expect![[r#"line 2: the here-document has no line "EOF""#]]);
    check(
        "FROM a:1\nRUN [\"cat\", \"<<EOF\"]\nRUN cat <<<x\nFROM b:1\n",
        expect![[r#"
            1 Stage a:1
            4 Stage b:1
            Some(0) instructions, on Some("b:1")"#]],
    );
}

#[test]
fn mounts_and_deferred_instructions_take_images_too() {
    check(
        "FROM a:1\nRUN --mount=type=cache,target=/c --mount=type=bind,from=tools:1,target=/t make\nONBUILD COPY --from=late:1 /x /x\n",
        expect![[r#"
            1 Stage a:1
            2 Files tools:1
            3 Files late:1
            Some(1) instructions, on Some("a:1")"#]],
    );
}

#[test]
fn a_target_is_a_name_or_a_number() {
    let file = Dockerfile::parse("FROM a:1 AS one\nRUN x\nFROM b:1\n", &Arguments::new()).expect("readable");
    assert_eq!(file.instructions_to(Some("ONE")), Some(1));
    assert_eq!(file.instructions_to(Some("1")), Some(0));
    assert_eq!(file.instructions_to(Some("two")), None);
    assert_eq!(file.root_of(Some("one")), Some("a:1"));
}

#[test]
fn every_cut_of_a_file_is_read_or_refused_but_never_panics() {
    let text = "# syntax=a\n# escape=`\nARG X=${Y:-${Z}}é\nFROM ${X} AS é\nRUN <<-\"E\" <<F\n\tE\nF\nONBUILD RUN --mount=from=a b `\n";
    for cut in (0..text.len()).filter(|&cut| text.is_char_boundary(cut)) {
        let _ = Dockerfile::parse(&text[..cut], &arguments([("Z", "q")]));
    }
}

#[test]
fn an_instruction_is_found_by_the_builders_count() {
    let text = include_str!("../../../tests/data/docker/failed-stage.Dockerfile");
    let arguments = Arguments::from([("BASE".to_owned(), "cicd-base:base".to_owned())]);
    let file = Dockerfile::parse(text, &arguments).expect("readable");
    assert_eq!(file.line_of(Some("builder"), 4, 4, "RUN"), Some(7));
    assert_eq!(file.line_of(Some("builder"), 2, 4, "WORKDIR"), Some(4));
    assert_eq!(file.line_of(Some("stage-1"), 2, 2, "COPY"), Some(10));
    for (stage, number, total, keyword) in [
        (Some("builder"), 4, 5, "RUN"),
        (Some("builder"), 4, 4, "COPY"),
        (Some("builder"), 1, 4, "RUN"),
        (Some("builder"), 0, 4, "RUN"),
        (Some("stage-0"), 4, 4, "RUN"),
        (Some("other"), 4, 4, "RUN"),
        (None, 4, 4, "RUN"),
    ] {
        assert_eq!(file.line_of(stage, number, total, keyword), None, "{stage:?} {number}/{total} {keyword}");
    }
    let later = "FROM scratch AS a\nCOPY a /a\nFROM a\nRUN b\n";
    let file = Dockerfile::parse(later, &Arguments::new()).expect("readable");
    assert_eq!(file.line_of(Some("a"), 1, 1, "COPY"), Some(2));
    assert_eq!(file.line_of(Some("stage-1"), 1, 1, "RUN"), Some(4), "a stage that it starts from is not counted");
}

#[test]
fn a_frontend_that_any_builder_would_run_is_an_image() {
    for header in [
        "# syntax=evil/x:1",
        "# a=b\n# syntax=evil/x:1",
        "#!/usr/bin/env docker\n# syntax=evil/x:1",
        "#!x\n#Syntax = evil/x:1 words",
        "# escape=\\\n# SYNTAX=evil/x:1",
        "# check=skip=all\n#\tsyntax=evil/x:1",
        "# a=b\n# c=d\n# syntax=other:1\n# syntax=evil/x:1",
        "\u{feff}# syntax=evil/x:1\r",
    ] {
        let file = Dockerfile::parse(&format!("{header}\nFROM a:1\n"), &Arguments::new()).expect("readable");
        let is_there =
            file.images.iter().any(|image| image.kind == ImageUseKind::Frontend && image.reference == "evil/x:1");
        assert!(is_there, "{header}");
    }
    // No builder takes these for a Dockerfile without a frontend.
    for text in ["//syntax=evil/x:1\nFROM a:1\n", "{\"syntax\": \"evil/x:1\"}\n", "FROM a:1\nINCLUDE b\n"] {
        assert!(Dockerfile::parse(text, &Arguments::new()).is_err(), "{text}");
    }
}

#[test]
fn what_builders_read_differently_is_an_error() {
    for text in [
        "# check=skip=all\n# escape=`\nFROM a:1\n",
        "FROM a:1\nRUN true \\\\\nRUN --mount=type=cache,target=/c true\n",
        "FROM a:1\nRUN cat <<'#'\nRUN --mount=type=cache,target=/c true\n#\n",
        "FROM a:1\nRUN cat <<\"E F\"\nFROM scratch\nE F\n",
        "FROM a:1\nRUN cat <<\"USER 1\"\nFROM scratch\nUSER 1\n",
        "FROM a:1\nRUN cat <<CMD\nFROM scratch\nCMD\n",
        "FROM a:1\nRUN cat <<-'' <<\"\t\"\nFROM scratch\n\t\n",
        "FROM a:1\nRUN echo \" <<EOF\nUSER 1\nEOF\n",
    ] {
        assert!(Dockerfile::parse(text, &Arguments::new()).is_err(), "{text}");
    }
    // A word in quotes is no here-document for any of them.
    let file = Dockerfile::parse("FROM a:1\nRUN echo \" <<# \"\nRUN x\n#\n", &Arguments::new()).expect("readable");
    assert_eq!(file.instructions_to(None), Some(2));
}

#[test]
fn what_an_instruction_takes_from_outside_is_told_with_its_line() {
    for (instruction, what) in [
        ("RUN --mount=type=cache,target=/c x", "--mount=type=cache"),
        ("RUN --mount=target=/c,Type=cache x", "--mount=type=cache"),
        ("RUN --mount=\"type=cache,target=/c\" x", "--mount=type=cache"),
        ("RUN --mount=type=ca\"che\",target=/c x", "--mount=type=cache"),
        ("RUN --mo\\unt=type=ca\\che,target=/c x", "--mount=type=cache"),
        ("RUN --mount=type=bind,type=cache,target=/c x", "--mount=type=bind,type=cache,target=/c"),
        ("RUN --mount=type=$T,target=/c x", "--mount=type=$T"),
        ("RUN --mount=type=secret,id=a --mount=type=ssh x", "--mount=type=ssh"),
        ("RUN --network=host x", "--network=host"),
        ("RUN --security=insecure x", "--security=insecure"),
        ("RUN --device=vendor.com/a=b x", "--device=vendor.com/a=b"),
        ("ONBUILD RUN --mount=type=cache,target=/c x", "--mount=type=cache"),
        ("ADD https://example.org/x /x", "https://example.org/x"),
        ("ADD [\"a\", \"http://example.org/x\", \"/x\"]", "http://example.org/x"),
        ("ADD git@example.org:a/b.git /x", "git@example.org:a/b.git"),
        ("ADD ${WHAT} /x", "${WHAT}"),
        ("ADD --checksum=sha256:0 ${WHAT} /x", "${WHAT}"),
    ] {
        let text = format!("FROM a:1\n{instruction}\n");
        let file = Dockerfile::parse(&text, &arguments([("WHAT", "https://example.org")])).expect("readable");
        assert_eq!(file.uncontrolled, [Uncontrolled { what: what.to_owned(), line: 2 }], "{instruction}");
    }
    for instruction in [
        "RUN --mount=type=secret,id=a,required --mount=type=tmpfs,target=/t,size=1 --mount=from=b,ro,target=/b x",
        "RUN --network=none --security=sandbox x",
        "RUN curl --network=host https://example.org",
        "ADD a b /x/",
        "ADD --checksum=sha256:0 https://example.org/x /x",
        "COPY https: /x",
    ] {
        let file = Dockerfile::parse(&format!("FROM a:1\n{instruction}\n"), &Arguments::new()).expect("readable");
        assert_eq!(file.uncontrolled, [], "{instruction}");
    }
}
