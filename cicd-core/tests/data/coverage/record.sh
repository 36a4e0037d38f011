#!/bin/sh
# Writes recorded/ again: one small package, measured by each version of coverage.py. Needs python3 with venv, and a package index.
# Usage: sh record.sh FOLDER   (a folder of its own for the environments and the package)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
mkdir -p shop
for file in __init__ cart forgotten; do cp "$here/package/shop/$file.py.txt" "shop/$file.py"; done
cp "$here/package/run.py.txt" run.py
for version in 5.5 6.5.0 7.0.0 7.4.4 7.6.0 7.8.0 7.10.6 7.12.0 7.13.5 7.17.4; do
    [ -d "venv-$version" ] || { python3 -m venv "venv-$version"; "venv-$version/bin/pip" -q install "coverage==$version"; }
    for branch in "" --branch; do
        coverage="venv-$version/bin/python -m coverage"
        out="$here/recorded/coveragepy-$version$branch"
        $coverage run $branch --source=shop run.py
        $coverage json -o "$out.json"
        $coverage xml -o "$out.xml"
        # 5.5 has no `lcov`.
        [ "$version" = 5.5 ] || $coverage lcov -o "$out.lcov"
        sed -i "s#$PWD#/src#g" "$out.json" "$out.xml"
    done
done
