"""Text that attacks what stores, compares, writes or shows it: more than five hundred strings, made here.

Every group is a way in that some system of its day left open. `HOSTILE` holds each string once; none of them is blank,
since a blank is not text, and none holds what text cannot hold (NUL and halves of surrogates: those are `BROKEN`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MARK = "zq9"  # in scripts: what would be run, if anything were

# Markup: in text, in attributes, in what a browser repairs; each would say MARK out loud, or load something.
TAGS = (
    "script", "img", "svg", "iframe", "object", "embed", "math", "video", "audio", "body", "style", "link", "meta",
    "base", "form", "input", "button", "details", "template", "noscript", "textarea", "title", "plaintext", "xmp",
)  # fmt: skip
HANDLERS = ("onerror", "onload", "onclick", "onmouseover", "onfocus", "ontoggle", "onanimationend", "onpointerenter")
SCHEMES = (
    "javascript:", "JaVaScRiPt:", " javascript:", "java\tscript:", "java\nscript:", "data:text/html,", "vbscript:",
    "file:///etc/passwd#", "\x01javascript:", "javascript&colon;", "javas&#99;ript:",
)  # fmt: skip
BREAKS = (
    '"', "'", "`", '">', "'>", "-->", "]]>", "*/", "</title>", "</textarea>", "</style>", "</script>", "<!--",
    "<![CDATA[", "<?xml ", "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>", "&lt;", "&#x3c;", "\\x3c",
    "\\u003c", "%3C", "%253C", "\xbcscript\xbe", "\uff1cscript\uff1e", "<\x0cscript>",
)  # fmt: skip

# Languages: a value that ends its literal and goes on as a statement of its own.
SQL = (
    "' OR '1'='1", "'; DROP TABLE link; --", "' UNION SELECT name, ciphertext FROM secret --",
    "1; SELECT pg_sleep(5)", "\\'; --", "'' OR ''=''", "x' AND 1=CAST((SELECT version()) AS int) --",
    "' || (SELECT 1) || '", "\") OR (\"\"=\"", "admin'/*", "*/ OR 1=1 /*", "0x27", "$$; SELECT 1; $$", "E'\\047'",
    "?", ":name", "%(name)s", "%s", "$1", "@x",
)  # fmt: skip
LIKE = ("%", "_", "%%", "100%", "a_b", "[a-z]", "\\%", "*", "?*", "^", "~*")
SOQL = (
    "x' OR Name != 'y", "'x' OR Id != ''", "x\\' OR Name != \\'y", "') OR (Id != '", "x' LIMIT 0 --", "{:literal}",
    "{0}", "IN ('a','b')", "\\u0027 OR Id != \\u0027", "x'\nOR Id != '",
)  # fmt: skip
SEARCH = (
    'email:"x" OR email:*', 'x" OR name:*', "x AND NOT y", "metadata['hub_id']:'1'", "-name:x", "name~'x'", "a OR b",
    "(a)", "tag:vip", "id:>0", "created>0", "query { shop { name } }", '") { id } } #', "$c0", "#{x}",
)  # fmt: skip
TEMPLATES = (
    "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% for x in y %}", "{{ ''.__class__.__mro__ }}", "{0.__init__}",
    "{x.__globals__}", "%(secret)s", "%n%n%n", "%x" * 8, "$(id)", "`id`", "{{config}}", "[[${x}]]", "@{x}",
    "{{constructor.constructor('alert(1)')()}}", "{#comment#}", "{{{x}}}", "f'{x}'", "__import__('os')",
)  # fmt: skip
SHELL = (
    "; rm -rf /", "| cat /etc/passwd", "&& id", "$(touch x)", "`touch x`", "\n/bin/sh", "-rf", "--help", "-o=x",
    "~/.ssh", "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "C:\\boot.ini", "%2e%2e%2f", "....//",
    "con", "nul", "file.csv\u202evsc.exe", "\\\\host\\share", "a/../b", ".", "..", "...",
)  # fmt: skip
SHEETS = (
    "=1+1", "=cmd|'/C calc'!A0", '=HYPERLINK("http://evil.example","x")', "+1+1", "-1+1", "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)", "\t=1+1", "\r=1+1", "=IMPORTXML(\"http://evil.example\",\"//a\")", "'=1+1", '"=1+1"', ";=1+1",
    ",=1+1", "\uff1d1+1", "\u2212 1", "=\u200b1", "=@x", "=-1", "%0A=1+1",
)  # fmt: skip
HEADERS = (
    "x\r\nSet-Cookie: a=b", "x\nLocation: http://evil.example", "x\r\n\r\n<html>", "%0d%0aX-Evil:1",
    "\u560d\u560aX: 1", "x\x0bX", "x\u2028y", "x\u2029y", "x\x85y", "To: all@example.org\nBcc: x", "=?utf-8?q?=0A?=",
)  # fmt: skip
LOGS = (
    "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b[31mred", "\x9b31m", "ok\n2026-11-02 error: forged", "a\rb", "\x08" * 9,
    "\x7f" * 5, "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", '{"level":"error"}', "[bold]x[/bold]",
    "[link=http://e.example]x[/link]", "[/]", ":smile:", "\x1bP+q544e\x1b\\", "\x07\x07\x07", "\x0e", "\x1b(0",
    "\x00".replace("\x00", "\x01"),
)  # fmt: skip
HOSTS = (
    "http://169.254.169.254/", "http://127.0.0.1@evil.example", "https://evil.example\\@good.example",
    "//evil.example", "http://[::ffff:169.254.169.254]/", "http://2852039166/", "http://0x7f.1/", "gopher://x",
    "mailto:x@y.example?bcc=z", "a@b@c", "a@[127.0.0.1]", '"a b"@example.org', "x@example.org\nb",
    "user@xn--e1afmkfd.example",
)  # fmt: skip
JSONS = (
    "null", "true", "false", "NaN", "Infinity", "-0", "1e999", "1E400", "0123", "0x1F", "1_000", "1,5", "[]", "{}",
    '{"a":1}', '{"$ne":null}', '{"__proto__":{"x":1}}', "__proto__", "constructor", "toString", "undefined", "None",
    "N/A", "n/a", "-", "--", "NULL", "nil", '"', '\\"', "\\", "\\\\", "\\n", "\\u0000", "\\ud800", "\\x00", "'", "''",
    '""', "\\'",
)  # fmt: skip
YAMLS = (
    "!!python/object/apply:os.system [id]", "&a *a", "<<: x", "- x", "? x", "key: value", "# x", "| x", "> x",
    "%YAML 1.1", "no", "on", "~", "12:30:00", "2026-02-30", "010", "1.10", "*", "@x", "`x", "a: b: c", "---", "...",
    "!x",
)  # fmt: skip
CELLS = (
    ",", ";", "\t|", '""', '"a', 'a"', 'a"b', '"a"b', "a,b", 'a",b', "a\nb", "a\r\nb", "a\rb", " a", "a ", " a ",
    "\ta", "a\t", "\ufeffa", "a;b", "a|b", "a\\,b", "'a'", "#a", '"",""',
)  # fmt: skip

# Letters: whose case, order, width, direction or very number is not what it seems.
CASES = (
    "İ", "ı", "ß", "ẞ", "ſ", "K", "Å", "ǅ", "ŉ", "ﬁ", "Σς", "ΑΣ", "ΐ", "ÿ", "Straße", "STRASSE", "İstanbul",
    "ISTANBUL", "ᾳ", "Ⅷ", "é", "e\u0301", "Å", "A\u030a", "가", "각", "ạ̈", "ạ̈", "각", "Ω", "Ω",
)  # fmt: skip
BIDI = (
    "\u202eabc", "a\u202db", "a\u2066b\u2069", "\u200fabc", "abc\u200e", "שלום עולם", "مرحبا", "a\u061cb", "\u2067x",
    "user\u202egpj.exe", "(שלום)", "1 שלום 2", "\u202a\u202b\u202c",
)  # fmt: skip
UNSEEN = (
    "a\u200bb", "a\u200cb", "a\u200db", "a\u2060b", "a\u00adb", "a\u180eb", "a\ufeffb", "a\u034fb", "\u2800x",
    "a\u115fb", "a\u3164b", "a\xa0b", "a\u2003b", "a\u3000b", "x\u202f", "\u00a0x", "a\U000e0041b", "a\ufe0fb",
    "x\u0300" * 50, "Z\u0310\u034a\u0301", "\u20dd",
)  # fmt: skip
EMOJI = (
    "😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "1️⃣", "👨🏿‍🚀", "☠️", "❤️‍🔥", "🧑‍🤝‍🧑",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🇩🇪🇦", "\U0001f1e9",
)  # fmt: skip
SCRIPTS = (
    "李小龍", "こんにちは", "ｶﾀｶﾅ", "한국어", "Ελληνικά", "Кириллица", "ไทยนี้น้ำ", "हिन्दी", "தமிழ்", "བོད་ཡིག", "ქართული",
    "Հայերեն", "አማርኛ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈", "ﷺ", "𒐫", "꧅", "раураl", "аdmin", "Аnn", "Ａｎｎ", "ʇxǝʇ", "ⓐⓑ", "٣٤٥", "Ⅳ", "½",
    "²", "①", "𝟙𝟚𝟛",
)  # fmt: skip
NAMES = (
    "O'Brien", "Anne-Marie", "D'Angelo", "van der Berg", "Null", "Test", "Jr.", "José", "Søren", "Ng", "X Æ A-12",
    "Robert'); --", "Mc\u2019Donald", "Ann \"Annie\" Lee", "Lee, Ann", "A.", "de la Cruz", "Nguyễn", "Þór", "Ŧest",
)  # fmt: skip
EDGES = (
    "\U0010ffff", "\ufffe", "\uffff", "\ufffd", "\ue000", "\U000f0000", "\x80", "\x9f", "\x7f", "\x01", "\x1f",
    "a" * 255, "a" * 256, "ä" * 300, "😀" * 200, "x" * 5000, "a b " * 300, "\"" * 100, "'" * 100, "<" * 200,
    "\\" * 101, "(" * 500, "{" * 300, "\n" * 20 + "x", "x" + "\n" * 20,
)  # fmt: skip

BROKEN = ("\0", "nul\0in it", "half \ud800", "\udfff", "\udc00\ud800")


def _markup() -> Iterator[str]:
    for tag in TAGS:
        yield f"<{tag}>{MARK}()</{tag}>"
        yield f"<{tag} {HANDLERS[len(tag) % len(HANDLERS)]}={MARK}()>"
    for handler in HANDLERS:
        yield f'x" {handler}="{MARK}()'
        yield f"x' {handler}={MARK}() y='"
    for scheme in SCHEMES:
        yield f"{scheme}{MARK}()"
        yield f'<a href="{scheme}{MARK}()">x</a>'
    for broken in BREAKS:
        yield f"a{broken}b"
        yield f"{broken}<script>{MARK}()</script>"


def _all() -> Iterator[str]:
    yield from _markup()
    groups: Sequence[Sequence[str]] = (
        SQL, LIKE, SOQL, SEARCH, TEMPLATES, SHELL, SHEETS, HEADERS, LOGS, HOSTS, JSONS, YAMLS, CELLS, CASES, BIDI,
        UNSEEN, EMOJI, SCRIPTS, NAMES, EDGES,
    )  # fmt: skip
    for group in groups:
        yield from group
    yield from (f"a{chr(number)}b" for number in (*range(1, 32), *range(127, 160)))


HOSTILE: Sequence[str] = tuple(dict.fromkeys(text for text in _all() if not text.isspace()))
