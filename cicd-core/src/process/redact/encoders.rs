//! How other programs write a secret. Each gives what must not be shown, so only what stands for the secret itself.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

pub(super) type Encoder = (&'static str, fn(&str) -> Vec<u8>);

pub(super) const ENCODERS: &[Encoder] = &[
    ("plain", |s| s.into()),
    ("base64", |s| STANDARD.encode(s).into()),
    ("base64 without padding", |s| STANDARD_NO_PAD.encode(s).into()),
    ("base64 for URLs", |s| URL_SAFE.encode(s).into()),
    ("base64 for URLs without padding", |s| URL_SAFE_NO_PAD.encode(s).into()),
    ("base64 behind one byte", |s| STANDARD.encode(format!("u:{s}")).into()),
    ("base64 behind user:", |s| STANDARD.encode(format!("user:{s}")).into()),
    ("base64 between others", |s| STANDARD.encode(format!("users:{s}@host")).into()),
    ("base64 twice", |s| STANDARD.encode(STANDARD.encode(s)).into()),
    ("base64 twice behind user:", |s| STANDARD.encode(STANDARD.encode(format!("user:{s}"))).into()),
    ("base64 twice for URLs", |s| URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.encode(s)).into()),
    ("base64 lines twice", |s| STANDARD.encode(lines(&STANDARD.encode(s), 76, "\n")).into()),
    ("base64 at 20 columns", |s| lines(&STANDARD.encode(s), 20, "\n").into()),
    ("base64 at 64 columns", |s| lines(&STANDARD.encode(s), 64, "\n").into()),
    ("base64 at 76 columns", |s| lines(&STANDARD.encode(s), 76, "\r\n").into()),
    ("base64 in JSON", |s| json(&lines(&STANDARD.encode(s), 20, "\n")).replace('/', "\\/").into()),
    ("base64 in a URL", |s| percent(&STANDARD.encode(s), "", true).into()),
    ("base64 of UTF-16", |s| STANDARD.encode(utf16(s, u16::to_le_bytes)).into()),
    ("base64 of JSON", |s| STANDARD.encode(json(s)).into()),
    ("base64 of Go's JSON behind user:", |s| STANDARD.encode(format!("user:{}", go_json(s))).into()),
    ("base64 of Python's JSON", |s| STANDARD.encode(python_json(s)).into()),
    ("base64 of a URL behind user:", |s| STANDARD.encode(format!("user:{}", percent(s, "-_.~", true))).into()),
    ("base32", |s| base32(s.as_bytes()).into()),
    ("base32 behind user:", |s| base32(format!("user:{s}").as_bytes()).into()),
    ("base32 in small letters", |s| base32(s.as_bytes()).to_lowercase().into()),
    ("hex", |s| hex(s, "", false).into()),
    ("HEX", |s| hex(s, "", true).into()),
    ("hex with blanks", |s| hex(s, " ", false).into()),
    ("HEX with colons", |s| hex(s, ":", true).into()),
    ("hex at 60 columns", |s| lines(&hex(s, "", false), 60, "\n").into()),
    ("hex in pairs of bytes", |s| pairs(s).into()),
    ("hex with dashes", |s| hex(s, "-", true).into()),
    ("hex with commas", |s| hex(s, ",", false).into()),
    ("hex, one letter large", |s| hex(s, "", false).replacen('e', "E", 1).into()),
    ("Rust's debug form of bytes in hex", |s| inner(&format!("{:02x?}", s.trim_end().as_bytes())).into()),
    ("Rust's long debug form of bytes in hex", |s| inner(&format!("{:#04x?}", s.trim_end().as_bytes())).into()),
    ("Rust's long debug form of bytes", |s| inner(&format!("{:#?}", s.trim_end().as_bytes())).into()),
    ("Rust's debug form of letters", |s| inner(&format!("{:?}", s.trim_end().chars().collect::<Vec<_>>())).into()),
    ("an array of C", |s| s.bytes().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(", ").into()),
    ("a list of bytes in JSON", |s| {
        let list = serde_json::to_string_pretty(&s.as_bytes()).expect("JSON");
        inner(&list).into()
    }),
    ("a list of bytes in JSON in JSON", |s| {
        let list = serde_json::to_string_pretty(&s.as_bytes()).expect("JSON");
        json(inner(&list)).into()
    }),
    ("a list of bytes of Java", |s| {
        s.bytes().map(|byte| byte.cast_signed().to_string()).collect::<Vec<_>>().join(", ").into()
    }),
    ("decimal numbers, a line each", |s| s.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join("\n").into()),
    ("octal numbers", |s| s.bytes().map(|byte| format!("{byte:03o}")).collect::<Vec<_>>().join(" ").into()),
    ("escapes of CSS", |s| s.bytes().map(|byte| format!("\\{byte:02x} ")).collect::<String>().trim_end().into()),
    ("at 10 columns, with an indent", |s| hanging(s, "\n    ").into()),
    ("at 10 columns, in a comparison", |s| hanging(s, "\n+").into()),
    ("at 10 columns, as a shell goes on", |s| lines(s, 10, "\\\n").into()),
    ("base64 at 20 columns, with an indent", |s| lines(&STANDARD.encode(s), 20, "\n  ").into()),
    ("with what tput writes", |s| lines(s, 5, "\x1b(B\x1b[m").into()),
    ("around a long link", |s| lines(s, 5, &format!("\x1b]8;;https://x.example/{}\x07", "a".repeat(200))).into()),
    ("a list of bytes", |s| s.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ").into()),
    ("URL", |s| percent(s, "-_.~", true).into()),
    ("URL in small letters", |s| percent(s, "-_.~", false).into()),
    ("URL with slashes", |s| percent(s, "-_.~/", true).into()),
    ("URL of a form", |s| percent(s, "-_.* ", true).replace(' ', "+").into()),
    ("URL, every byte", |s| percent_every(s).into()),
    ("URL twice", |s| percent(&percent(s, "-_.~", true), "-_.~", true).into()),
    ("JSON", |s| json(s).into()),
    ("JSON of Go", |s| go_json(s).into()),
    ("JSON of Python", |s| python_json(s).into()),
    ("JSON with slashes escaped", |s| json(s).replace('/', "\\/").into()),
    ("JSON, every letter", |s| s.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>().into()),
    ("JSON in JSON", |s| json(&json(s)).into()),
    ("JSON of Python in JSON", |s| json(&python_json(s)).into()),
    ("URL in JSON in JSON", |s| json(&json(&percent(s, "", true))).into()),
    ("HTML", |s| html(s).into()),
    ("HTML without quotes", |s| s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").into()),
    ("HTML, numbers", |s| s.chars().map(|c| format!("&#{};", u32::from(c))).collect::<String>().into()),
    ("XML, hex", |s| s.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect::<String>().into()),
    ("HTML in JSON", |s| json(&html(s)).into()),
    ("Rust's debug form", |s| {
        let text = format!("{s:?}");
        text[1..text.len() - 1].into()
    }),
    ("Python's repr of bytes", |s| s.bytes().flat_map(std::ascii::escape_default).collect()),
    ("Python's ascii", |s| python_ascii(s).into()),
    ("a shell's single quotes", |s| s.replace('\'', "'\\''").into()),
    ("Python's shlex", |s| s.replace('\'', "'\"'\"'").into()),
    ("a shell's double quotes", |s| {
        s.chars()
            .map(|c| if "\\\"$`".contains(c) { format!("\\{c}") } else { c.to_string() })
            .collect::<String>()
            .into()
    }),
    ("bash's %q", |s| bash_q(s).into()),
    ("bash's $''", |s| bash_dollar(s).into()),
    ("CSV", |s| s.replace('"', "\"\"").into()),
    ("YAML's single quotes", |s| s.replace('\'', "''").into()),
    ("UTF-16", |s| utf16(s, u16::to_le_bytes)),
    ("UTF-16, big end first", |s| utf16(s, u16::to_be_bytes)),
    ("UTF-16 with a mark", |s| [&[0xff, 0xfe], utf16(s, u16::to_le_bytes).as_slice()].concat()),
    ("quoted-printable", |s| quoted_printable(s).into()),
    ("split by a line end", |s| halves(s, "\n").into()),
    ("split by CRLF", |s| halves(s, "\r\n").into()),
    ("split by a colour", |s| halves(s, "\x1b[1;31m").into()),
    ("split by a colour in JSON", |s| json(&halves(s, "\x1b[0m")).into()),
    ("at eight columns", |s| lines(s, 8, "\n").into()),
];

fn lines(text: &str, columns: usize, end: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(columns).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join(end)
}

fn halves(text: &str, between: &str) -> String {
    let middle = text.chars().count() / 2;
    text.chars().take(middle).chain(between.chars()).chain(text.chars().skip(middle)).collect()
}

fn json(text: &str) -> String {
    let text = serde_json::Value::from(text).to_string();
    text[1..text.len() - 1].to_owned()
}

fn go_json(text: &str) -> String {
    json(text).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

fn python_json(text: &str) -> String {
    let escaped = |unit: u16| {
        char::from_u32(unit.into()).filter(char::is_ascii).map_or_else(|| format!("\\u{unit:04x}"), String::from)
    };
    json(text).encode_utf16().map(escaped).collect()
}

fn python_ascii(text: &str) -> String {
    let escaped = |c: char| match u32::from(c) {
        _ if c == '\\' || c == '\'' => format!("\\{c}"),
        0x20..0x7f => c.to_string(),
        0x0a => "\\n".to_owned(),
        code @ 0..0x100 => format!("\\x{code:02x}"),
        code @ 0x100..0x10000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escaped).collect()
}

fn bash_q(text: &str) -> String {
    let escaped = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '/' | '%' | '+' | ':' | '=' | '@' => c.to_string(),
        c if !c.is_ascii() => c.to_string(),
        c => format!("\\{c}"),
    };
    text.chars().map(escaped).collect()
}

fn bash_dollar(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b'\n' => "\\n".to_owned(),
        0x20..0x7f => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    text.bytes().map(escaped).collect()
}

fn html(text: &str) -> String {
    let named = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        'ä' => "&auml;".to_owned(),
        '€' => "&euro;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(named).collect()
}

fn percent(text: &str, safe: &str, upper: bool) -> String {
    let escaped = |byte: u8| {
        let c = char::from(byte);
        match (c.is_ascii_alphanumeric() || safe.contains(c), upper) {
            (true, _) => c.to_string(),
            (_, true) => format!("%{byte:02X}"),
            (_, false) => format!("%{byte:02x}"),
        }
    };
    text.bytes().map(escaped).collect()
}

fn percent_every(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn hex(text: &str, between: &str, upper: bool) -> String {
    let digits = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    text.bytes().map(digits).collect::<Vec<_>>().join(between)
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn quoted_printable(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for byte in text.bytes() {
        let written = match byte {
            b'=' => "=3D".to_owned(),
            b' '..=b'~' => char::from(byte).to_string(),
            byte => format!("={byte:02X}"),
        };
        if column + written.len() > 20 {
            out.push_str("=\r\n");
            column = 0;
        }
        column += written.len();
        out.push_str(&written);
    }
    out
}

fn base32(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letter = |bits: &[u8]| {
        let padded = format!("{:0<5}", String::from_utf8_lossy(bits));
        let place = u8::from_str_radix(&padded, 2).expect("bits");
        char::from(if place < 26 { b'A' + place } else { b'2' + place - 26 })
    };
    let letters: String = bits.as_bytes().chunks(5).map(letter).collect();
    let padding = (8 - letters.len() % 8) % 8;
    letters + &"=".repeat(padding)
}

/// Lines that begin with a letter or a digit, so that it is seen what is only there to set them off.
fn hanging(text: &str, end: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    // The secret's own lines may begin with what marks an added one.
    for c in text.chars().filter(|c| !matches!(c, '\n' | '\r')) {
        if column >= 10 && c.is_alphanumeric() {
            lines.push_str(end);
            column = 0;
        }
        lines.push(c);
        column += 1;
    }
    lines
}

/// What stands between the brackets of a list.
fn inner(list: &str) -> &str {
    list[1..list.len() - 1].trim()
}

/// As `xxd` and `hexdump` write bytes.
fn pairs(s: &str) -> String {
    s.as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect::<Vec<String>>()
        .join(" ")
}
