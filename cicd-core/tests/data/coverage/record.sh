#!/bin/sh
# Writes recorded/ again: small programs, measured by the real tools. Takes what it needs from the package indexes.
# Usage: sh record.sh FOLDER [coveragepy|gcovr|istanbul|llvm_cov|go]...   (FOLDER: one of its own, for tools and programs; no names: all)
# Each recording's totals, as its tool prints them, stand in recorded/TOOL.totals: name, lines covered, lines, branches covered, branches.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
work=$PWD
shift
[ $# -gt 0 ] || set -- coveragepy gcovr istanbul llvm_cov go

# program FROM TO: the sources of FROM, without `.txt`, in a folder of their own.
program() {
    rm -rf "$work/$2" && mkdir -p "$work/$2" && cd "$work/$2"
    for file in "$here/$1"/*.txt; do cp "$file" "$(basename "$file" .txt)"; done
}

# keep FILE NAME: without the folder of this machine.
keep() {
    sed "s#$work/[^/\"<]*#/src#g" "$1" >"$here/recorded/$2"
}

# Needs python3 with venv.
coveragepy() {
    mkdir -p "$work/py/shop" && cd "$work/py"
    for file in __init__ cart forgotten; do cp "$here/package/shop/$file.py.txt" "shop/$file.py"; done
    cp "$here/package/run.py.txt" run.py
    for version in 5.5 6.5.0 7.0.0 7.4.4 7.6.0 7.8.0 7.10.6 7.12.0 7.13.5 7.17.4; do
        [ -d "venv-$version" ] || { python3 -m venv "venv-$version"; "venv-$version/bin/pip" -q install "coverage==$version"; }
        for branch in "" --branch; do
            coverage="venv-$version/bin/python -m coverage"
            $coverage run $branch --source=shop run.py
            $coverage json -o out.json
            # The parts by function and class repeat the lines.
            python3 -c 'import json; d = json.load(open("out.json"))
for f in d["files"].values(): f.pop("functions", None), f.pop("classes", None)
json.dump(d, open("out.json", "w"))'
            keep out.json "coveragepy-$version$branch.json"
            $coverage xml -o out.xml
            keep out.xml "coveragepy-$version$branch.xml"
            # 5.5 has no `lcov`.
            [ "$version" = 5.5 ] || { $coverage lcov -o out.lcov; keep out.lcov "coveragepy-$version$branch.lcov"; }
        done
    done
}

# Needs g++ with gcov, python3 with venv.
gcovr() {
    totals="$here/recorded/gcovr.totals"
    : >"$totals"
    program cpp cpp
    g++ --coverage -O0 -c cart.cpp main.cpp
    g++ --coverage cart.o main.o -o shop
    ./shop
    for version in 4.2 5.0 5.2 6.0 7.0 7.2 8.8; do
        venv="$work/gcovr-$version"
        [ -d "$venv" ] || { python3 -m venv "$venv"; "$venv/bin/pip" -q install "gcovr==$version"; }
        one_gcovr "$version" ""
        one_gcovr "$version" --exclude-throw-branches
        case $version in 7.2 | 8.8) one_gcovr "$version" --exclude-unreachable-branches ;; esac
        case $version in 8.8) one_gcovr "$version" --merge-lines; one_gcovr "$version" --decisions; one_gcovr "$version" --merge-mode-functions=separate ;; esac
    done
}

one_gcovr() {
    run="$work/gcovr-$1/bin/gcovr -r . $2"
    said=$($run --print-summary -o /dev/null 2>/dev/null | sed -n 's/^\(lines\|branches\): .*(\([0-9]*\) out of \([0-9]*\)).*/\2 \3/p' | tr '\n' ' ')
    $run --xml -o out.xml 2>/dev/null
    keep out.xml "gcovr-$1$2.xml"
    echo "gcovr-$1$2.xml $said" >>"$totals"
    # LCOV came with 7.0.
    case $1 in [78]*) $run --lcov out.lcov >/dev/null 2>&1; keep out.lcov "gcovr-$1$2.lcov"; echo "gcovr-$1$2.lcov $said" >>"$totals" ;; esac
    case $1$2 in 4.2 | 8.8) $run --json -o out.json >/dev/null 2>&1; keep out.json "gcovr-$1.json" ;; esac
    case $1$2 in 8.8) $run --json-summary -o out.json >/dev/null 2>&1; keep out.json "gcovr-$1-summary.json" ;; esac
}

# Needs node and npm.
istanbul() {
    totals="$here/recorded/istanbul.totals"
    : >"$totals"
    reporters="cobertura lcovonly json json-summary clover"
    for tool in jest@29.7.0 jest@30.5.2; do
        program js "$tool"
        echo '{"private": true}' >package.json
        npm install --silent --no-audit --no-fund "$tool"
        npx jest --coverage --collectCoverageFrom='*.js' --collectCoverageFrom='!*.test.js' $(printf -- '--coverageReporters=%s ' $reporters)
        istanbul_reports "$(echo "$tool" | tr @ -)"
        npx jest --coverage --coverageProvider=v8 --collectCoverageFrom='*.js' --collectCoverageFrom='!*.test.js' $(printf -- '--coverageReporters=%s ' $reporters)
        istanbul_reports "$(echo "$tool" | tr @ -)-v8"
    done
    for tool in nyc@17.1.0 c8@10.1.3; do
        program js "$tool"
        echo '{"private": true}' >package.json
        npm install --silent --no-audit --no-fund "$tool"
        rm cart.test.js
        echo 'const { price, greet } = require("./cart"); price(120, true); price(1, false); greet();' >../run.js
        cp ../run.js run.js
        npx "${tool%@*}" --all --include cart.js --include never.js $(printf -- '--reporter=%s ' $reporters) node run.js
        istanbul_reports "$(echo "$tool" | tr @ -)"
    done
}

istanbul_reports() {
    said=$(node -e 'const t = require("./coverage/coverage-summary.json").total; console.log(t.lines.covered, t.lines.total, t.branches.covered, t.branches.total)')
    keep coverage/cobertura-coverage.xml "$1.xml"
    echo "$1.xml $said" >>"$totals"
    keep coverage/lcov.info "$1.lcov"
    echo "$1.lcov $said" >>"$totals"
    case $1 in jest-30.5.2)
        keep coverage/coverage-final.json "$1.json"
        keep coverage/coverage-summary.json "$1-summary.json"
        keep coverage/clover.xml "$1-clover.xml"
    esac
    rm -rf coverage
}

# Needs cargo with the component llvm-tools.
llvm_cov() {
    totals="$here/recorded/llvm-cov.totals"
    : >"$totals"
    for version in 0.6.16 0.9.1; do
        [ -d "$work/llvm-cov-$version" ] || cargo install -q "cargo-llvm-cov@$version" --root "$work/llvm-cov-$version"
        program rust rust
        mkdir -p src && mv lib.rs src/
        printf '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' >Cargo.toml
        run="$work/llvm-cov-$version/bin/cargo-llvm-cov llvm-cov"
        $run test --no-report
        # The last row: regions, functions, lines; no branches.
        said=$($run report | awk '$1 == "TOTAL" { print $8 - $9, $8, "- -" }')
        for format in lcov cobertura json; do
            $run report --$format --output-path out
            case $format in lcov) to=lcov ;; cobertura) to=xml ;; json) to=json ;; esac
            keep out "llvm-cov-$version.$to"
            # Its Cobertura counts a generic function's lines wherever an instance ran, unlike its table.
            [ $to != xml ] || said=$(sed -n 's/.*lines-covered="\([0-9]*\)" lines-valid="\([0-9]*\)".*/\1 \2 - -/p' out)
            [ $to = json ] || echo "llvm-cov-$version.$to $said" >>"$totals"
        done
    done
}

# Needs go.
go() {
    program go go
    printf 'module cart\n\ngo 1.19\n' >go.mod
    command go test -coverprofile=out.cover -covermode=count ./...
    keep out.cover go-1.19.cover
}

for tool in "$@"; do "$tool"; done
