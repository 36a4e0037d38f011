"""Every way of writing a secret that must be masked, made by Python's and bash's own encoders.

`list` prints them for the test; `show FOLDER` prints them as a tool would, and leaves them in files and in their names.
"""
import base64, csv, html, io, json, os, quopri, shlex, subprocess, sys, time, urllib.parse
from xml.sax.saxutils import escape

s = os.environ["CANARY"]
b = s.encode()
b64 = base64.b64encode


def lines(text, columns, end=b"\n"):
    return [text[at : at + columns] for at in range(0, len(text), columns)]


def csv_cell(text):
    out = io.StringIO()
    csv.writer(out).writerow([text])
    return out.getvalue().strip().encode()


def bash(script):
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout


forms = {
    "plain": b,
    "base64": b64(b).rstrip(b"="),
    "base64 url": base64.urlsafe_b64encode(b).rstrip(b"="),
    "base64 user": b64(b"user:" + b),
    "base64 one": b64(b"u:" + b),
    "base64 two": b64(b"us:" + b),
    "base64 twice": b64(b64(b)).rstrip(b"="),
    "base64 user twice": b64(b64(b"user:" + b)),
    "base32": base64.b32encode(b).rstrip(b"="),
    "hex": b.hex().encode(),
    "HEX": b.hex().upper().encode(),
    "spaced hex": b.hex(" ").encode(),
    "colon hex": b.hex(":").encode(),
    "url": urllib.parse.quote(s, safe="").encode(),
    "url with slashes": urllib.parse.quote(s).encode(),
    "form": urllib.parse.quote_plus(s).encode(),
    "url every byte": "".join(f"%{byte:02X}" for byte in b).encode(),
    "url every byte, small": "".join(f"%{byte:02x}" for byte in b).encode(),
    "json": json.dumps(s)[1:-1].encode(),
    "json utf-8": json.dumps(s, ensure_ascii=False)[1:-1].encode(),
    "json slashes": json.dumps(s)[1:-1].replace("/", "\\/").encode(),
    "json go": json.dumps(s, ensure_ascii=False)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode(),
    "json in json": json.dumps(json.dumps(s))[3:-3].encode(),
    "html": html.escape(s).encode(),
    "xml": escape(s).encode(),
    "html numbers": "".join(f"&#{ord(c)};" for c in s).encode(),
    "html hex": "".join(f"&#x{ord(c):x};" for c in s).encode(),
    "repr": repr(s)[1:-1].encode(),
    "repr of bytes": repr(b)[2:-1].encode(),
    "ascii": ascii(s)[1:-1].encode(),
    "shell": shlex.quote(s)[1:-1].encode(),
    "bash %q": bash('printf %q "$CANARY"'),
    "bash @Q": bash('printf %s "${CANARY@Q}"')[1:-1],
    "csv": csv_cell(s)[1:-1],
    "yaml": s.replace("'", "''").encode(),
    "utf-16": s.encode("utf-16-le"),
    "utf-16 be": s.encode("utf-16-be"),
    "quoted-printable": quopri.encodestring(b),
    "line end": (s[:9] + "\n" + s[9:]).encode(),
    "colour": (s[:9] + "\x1b[31m" + s[9:]).encode(),
}
for columns in (20, 76):
    for end in (b"\n", b"\r\n"):
        forms[f"base64 at {columns} {end!r}"] = end.join(lines(b64(b), columns))
        forms[f"base64 of two at {columns} {end!r}"] = end.join(lines(b64(b + b"\n" + b), columns))

# What must not be found of those with something before the secret: the characters that hold nothing else.
searched = {"base64 user": (8, -4), "base64 one": (4, -4), "base64 two": (4, -4), "base64 user twice": (12, -8)}

if sys.argv[1] == "list":
    print(json.dumps({name: form[slice(*searched.get(name, (0, None)))].hex() for name, form in forms.items()}))
    sys.exit()

folder = os.path.join(sys.argv[2], "forms")
os.makedirs(folder)
for number, (name, form) in enumerate(forms.items()):
    print(f"{name}: ", end="", flush=True)
    sys.stdout.buffer.write(b"[" + form + b"]\n")
    sys.stdout.flush()
    sys.stderr.buffer.write(name.encode() + b": " + form + b"\n")
    with open(os.path.join(folder, f"{number}.txt"), "wb") as file:
        file.write(b"before " + form + b" after\n")
    if len(form) < 200 and b"/" not in form and b"\0" not in form:
        os.makedirs(os.path.join(folder.encode(), b"as-names", form + b".d"), exist_ok=True)
        with open(os.path.join(folder.encode(), b"as-names", form + b".d", form), "wb") as file:
            file.write(form)
sys.stderr.flush()
os.umask(0)
with open(os.path.join(sys.argv[2], "open.txt"), "wb") as file:
    file.write(b)
with open(os.environ["DONE"], "w") as file:
    file.write("done")
end = os.environ.get("END", "")
if end == "wait":
    time.sleep(60)
sys.exit(7 if end == "fail" else 0)
