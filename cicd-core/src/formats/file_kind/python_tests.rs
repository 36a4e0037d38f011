use super::*;

#[test]
fn whatever_some_python_accepts_is_read_to_its_end() {
    for text in [
        "f(1if x else 2, 0x1for x in y, 1_0.e-5, .5j, 1..real, 0b1, 0o7)\n",
        "f(f'{x!r:>{w}} {d[\"a\"]:%H:%M} {{}} {x=} {x = !s} {a:=^10} {(y:=1)} {a != b}')\n",
        "f(f\"{x[\"a\"]} {f\"{y}\"}\", rf\"\\{x}\", f\"\\N{DASH}{x}\", t'{x}', Rb'\\'', f'''{\nx\n}''')\n",
        "f(f\"{x:\\N{EM DASH}>5}\", f'{x!r:{w}\\N{EM DASH}}', rf\"{x:\\N{w}>5}\", f'{x:\\x20>{w}}')\n",
        "f('a' \"b\" b'c', '\\\n', 'it\\'s', '''a\n'b\"\"\"''')\n",
        "f(a[::2], a[:, None], a[...], a[*b], a[b:=1], a[:-1], {**a}, {1: 2}, *a, **k)\n",
        "@f.x(1)\nasync def g[T: int = str, *Ts, **P](a, b=1, /, *c, d: int = 2, **e) -> int: ...\n",
        "def f(a, /): return\ndef g(*, a): yield\ndef h(a=1,\n  b=2,\n): raise\n",
        "class A: x: int = f()\nclass B(A, metaclass=M):\n\tpass\nclass C[T]: pass\n",
        "x: int = f(1)\nx.y: int\nx[a + 1]: 'T' = f()\n(x): int = lambda: f()\ntype X[T] = f(T)\n",
        "x = lambda *a, b=1, **k: f(a)\ny = a if b else lambda: f()\nreturn_ = lambda x, /: (yield)\nf()\n",
        "match f(x):\n    case {'a': 1, **k} | [*_] if x: pass\n    case A(b=-1): pass\n    case _: pass\n",
        "match = case = type = f(1)\nmatch(x)\nmatch[1]\nmatch -1:\n  case 1: f()\nmatch {}:\n  case _: f()\n",
        "match 'x':\n case \"x\": f()\nmatch *a, b:\n case _: f()\ncase.x = type.y\n",
        "try: import a\nexcept* E as e: f()\nexcept A, B: f()\nelse: f()\nfinally: f()\n",
        "try:\n  f()\nexcept:\n  raise X from e\n",
        "from . import a\nfrom .. import (b,\n  c as d,)\nfrom ...a.b import *\nfrom .a import match, type\nimport a.b as c, d\n",
        "lazy import x\nlazy from y import z\nimport match; import type, case\n",
        "if True: import os; x: int = f()\nwith open(x) as f, g: pass\nwith (a as b, c): f()\n",
        "for x, in f(): pass\nfor x in *a, b: f()\nasync for x in y: await f()\nwhile 1: break\n",
        "a, = f()\na, *b = *c, d\n*a, b = f()\nx = yield\nprint(*a, sep='')\ndel a, b; global c\n",
        "a = b @ c\na @= b ** -c\na <<= b // ~c\na **= not_\nx = not -a\nx = a <-b\nf()\n",
        "if x:\n\tf()\n        g()\n",
        "if x:\n  # a comment\n\n      f()\n  # less\n      g()\nelif y:\n f()\n",
        "if (a\nand b):\n\n\x0c  f()\n",
        "if x: \\\n  f()\n",
        "x = \\\n  f(\n# comment\n1\n)\n\\\n     \n",
        "assert x, f()\nassert(x)\nreturn(f())\nyield\nlambda_ = 1\nnot_in = a not in b is not c\n",
        "print(a)if b else(c)\nx='a'if b else'c'\nx=[a for a in b if'c'in d]\n",
        "é = f(ｘ)\nx = f(\"\u{202e}\")\n",
        "x = ....__class__\nx = f(...)\n",
        "x = f(1) # \\\ny = 2; \n",
        "x = f(a)\0 this is no code\n",
        "# -*- coding: utf-7 -*-\nprose of letters\n",
        "# coding=utf-7 coding: utf-8\nprose of letters\n",
        "# coding: utf-7 coding: utf-8\nprose of letters\n",
        "#!/bin/sh\n# vim: set fileencoding=cp037 :\nprose of letters\n",
    ] {
        assert!(does(text) >= Does::Calls, "{text}");
        // Nor is it given up before its end, wherever that is.
        for (end, _) in text.char_indices() {
            assert!(may_go_on(&text[..end]).is_some(), "{text} until {end}");
        }
    }
    assert_eq!(does("...\n....f()\n"), Does::Calls);
}

#[test]
fn what_no_python_accepts_is_refused() {
    for text in [
        "f(1) this\n",
        "f(1\n",
        "f(1))\n",
        "f(']\n",
        "f('''')\n",
        "  f(1)\n",
        "f(1)\n  f(2)\n",
        "if f(1):\nf(2)\n",
        "if f(1):\n",
        "f(1):\n",
        "f(1) +\n",
        "f(1).\n",
        "= f(1)\n",
        "f(1)\nimport\n",
        "f(1)\nclass\n",
        "f(1) if\n",
        "import x = f(1)\n",
        "import \"x\"; f(1)\n",
        "import f(1)\n",
        "import x from f(1)\n",
        "import x: f(1)\n",
        "def: f(1)\n",
        "x = man: f(1)\n",
        "http://f(1)\n",
        "f(1) { x }\n",
        "$f(1)\n",
        "`f(1)`\n",
        "f(1)?\n",
        "!f(1)\n",
        "x.1 f(1)\n",
        "x.[f(1)]\n",
        "x.if(1)\n",
        "f(f'{x)\n",
    ] {
        assert_eq!(does(text), Does::Nothing, "{text}");
    }
    for text in
        ["", "x = 1\n", "a.b\n", "# import os\n", "\"\"\"import os\"\"\"\n", "[a, b]\n", "a: b\n", "3.0 (native)\n"]
    {
        assert_eq!(does(text), Does::Nothing, "{text}");
    }
}

#[test]
fn a_text_is_read_once_whatever_it_holds() {
    // Each of these is worst for some part of the reader; what takes more than one look at each letter does not end.
    for part in ["(", "f'{", "f'{x:{", "exec ", "\\\n", "'''", "#", "a.", "if x:\n ", "\t", "x = f(1)\n"] {
        let text = part.repeat(400_000 / part.len());
        does(&text);
        may_go_on(&text);
    }
}

#[test]
fn letters_that_are_not_what_they_look_like_import() {
    for (text, expected) in [
        ("#!/bin/sh\n# coding: unicode_escape\n\\x69mport os\n", Does::Imports),
        ("# coding: raw-unicode-escape\nwords\n", Does::Imports),
        ("# vim: set fileencoding=utf_7 :\nwords\n", Does::Imports),
        ("# coding: cp875\nwords\n", Does::Imports),
        ("# coding: shift_jis\nx = \"表\"\n", Does::Imports),
        ("# coding: shift_jis\nx = \"a\"\n", Does::Nothing),
        ("# coding: koi8-r\nx = \"я\"\n", Does::Nothing),
        ("# coding: latin-1\nimport os\n", Does::Imports),
    ] {
        assert_eq!(does(text), expected, "{text}");
    }
}
