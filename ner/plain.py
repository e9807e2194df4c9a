"""A caption without its markup and with one kind of white space; offsets lead back to it.

Everything behind this module reads plain text: words with single blanks between them, a blank line
(`PARAGRAPH`) where the caption has one. HTML, Markdown and LaTeX are read as what they stand for.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

PARAGRAPH = "\n\n"
# Stands between a word and what is set above or below its line: "cells" and "1", no "cells1".
RAISED = "\u2063"


class Plain(NamedTuple):
    """Plain text and where its characters come from.

    Attributes:
        text: the plain text.
        starts: for each of its characters the first one of the caption that it stands for; None
            where the caption is plain already.
        ends: likewise the end-exclusive last one.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the caption that text[start:end] stands for; start < end."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


# Characters that plain text has seldom (one set: fast to search for), and what is no plain text.
_SUSPECT = re.compile(
    r"[\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
    r"<*_`~\\$^#\[²³¹⁰-₉]"
)
_NOT_PLAIN = re.compile(r"[^\S ]|[<*_`~\\$^\u200b\u2060\ufeff²³¹⁰-₉]|\]\(|(?:^|\s)#")


def plain(caption: str) -> Plain:
    """Return a caption as plain text; most are it already, which a quick look tells."""
    if not (
        (_SUSPECT.search(caption) is not None and _NOT_PLAIN.search(caption) is not None)
        or "  " in caption
        or ("&" in caption and _ENTITY.search(caption) is not None)
    ):
        return Plain(caption)
    found = Plain(caption, range(len(caption)), range(1, len(caption) + 1))
    for _ in range(4):  # "&amp;amp;lt;": escaped more than once
        decoded = _replaced(found, _ENTITY, _entity)
        if decoded is found:
            break
        found = decoded
    latex = _LATEX.search(found.text) is not None
    for pattern, replace in _MARKUP:
        if latex or pattern is not _BRACES:
            found = _replaced(found, pattern, replace)
    return _replaced(found, _GAP, _gap)


# What a match is replaced by: pieces of text, or spans of the match that stay. None: nothing is.
_Pieces = Sequence[str | tuple[int, int]] | None


def _replaced(
    given: Plain, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], _Pieces]
) -> Plain:
    """Return a text with all matches replaced; the same object when there are none."""
    changes = list(_changes(given, pattern, replace))
    if not changes or given.starts is None or given.ends is None:
        return given
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def keep(first: int, last: int) -> None:
        assert given.starts is not None
        assert given.ends is not None
        text.append(given.text[first:last])
        starts.extend(given.starts[first:last])
        ends.extend(given.ends[first:last])

    done = 0
    for match, pieces in changes:
        keep(done, match.start())
        for piece in pieces:
            if isinstance(piece, tuple):
                keep(*piece)
            else:
                text.append(piece)
                starts.extend([given.starts[match.start()]] * len(piece))
                ends.extend([given.ends[match.end() - 1]] * len(piece))
        done = match.end()
    keep(done, len(given.text))
    return Plain("".join(text), starts, ends)


def _changes(
    given: Plain, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], _Pieces]
) -> Iterator[tuple[re.Match[str], Sequence[str | tuple[int, int]]]]:
    for match in pattern.finditer(given.text):
        pieces = replace(match)
        if pieces is not None and match.end() > match.start():
            yield match, pieces


# HTML ------------------------------------------------------------------------------------------

# With a semicolon any name that HTML knows, without one those that text is often found to have.
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};"
    r"|(?:amp|nbsp)|(?:lt|gt|quot)(?![A-Za-z]))"
)


def _entity(match: re.Match[str]) -> _Pieces:
    stands_for = html.unescape(match.group())
    return None if stands_for == match.group() else (stands_for,)


_BLOCKS = (
    "p|div|li|ul|ol|dl|dt|dd|tr|table|thead|tbody|caption|figure|figcaption|section|article|header"
    "|footer|blockquote|pre|hr|h[1-6]|title|body|html|head"
)
_INLINE = (
    "b|i|u|s|em|strong|small|big|span|a|font|mark|abbr|cite|code|q|del|ins|strike|tt|var|kbd|samp"
    "|label|center|img|bold|italic|underline|xref|sc|named-content|styled-content|th|td"
)
# `<b and c>` is no tag: attributes have an equals sign.
_TAG = re.compile(
    rf"<!--.*?-->|</?(?:(?P<raised>sup|sub)|(?P<line>br|wbr)|(?P<block>{_BLOCKS})"
    rf"|(?P<inline>{_INLINE}))"
    r"(?:\s{1,9}[\w:-]{1,40}\s?=\s?(?:\"[^\"]{0,500}\"|'[^']{0,500}'|[^\s\"'<>]{1,200})){0,20}"
    r"\s?/?>",
    re.IGNORECASE | re.DOTALL,
)


def _tag(match: re.Match[str]) -> _Pieces:
    if match["raised"]:
        return (RAISED,)
    if match["line"]:
        return ("" if match["line"].lower() == "wbr" else "\n",)
    if match["block"]:
        return (PARAGRAPH,)
    # Cells of a table stand apart; a letter, a word or a part of one may be set in bold.
    return (" " if match.group().lower().lstrip("</").startswith(("td", "th")) else "",)


# LaTeX -----------------------------------------------------------------------------------------

_LATEX = re.compile(r"\\[A-Za-z(\[{%]|\$[^$]*[\\^_][^$]*\$|[\^_]\{")
_MATH = re.compile(r"\$\$?([^$]{1,300}?)\$\$?")
_SYMBOLS = {
    **{
        name: unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}")
        for name in (
            "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
            "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
        )
    },
    "upmu": "μ", "micro": "μ", "textmu": "μ", "meter": "m", "metre": "m", "lambda": "λ",
    "Delta": "Δ", "times": "×", "texttimes": "×", "pm": "±", "sim": "~", "approx": "≈", "leq": "≤",
    "le": "≤", "geq": "≥", "ge": "≥", "lt": "<", "gt": ">", "cdot": "·", "circ": "°", "degree": "°",
    "textdegree": "°", "percent": "%", "rightarrow": "→", "to": "→", "ldots": "…", "dots": "…",
    "textendash": "–", "textemdash": "—", "quad": " ", "qquad": " ", "newline": "\n", "par": "\n\n",
    "linebreak": "\n", "item": "\n\n", "ss": "ß", "ae": "æ", "oe": "œ", "o": "ø",
}  # fmt: skip
_FONTS = (
    "textit|textbf|textrm|textsf|texttt|textsc|textup|textnormal|text|emph|underline|uline|mbox"
    "|mathrm|mathit|mathbf|mathsf|mathtt|operatorname|rm|it|bf|sf|tt|em|itshape|bfseries|footnotesize"
    "|small|large|noindent|centering|left|right|ensuremath|unit|si|SI|caption"
)
_COMMAND = re.compile(
    r"(?<=[A-Za-z])\\(?:(?P<accent>[\"'`^~])\{?(?P<letter>[aeiouAEIOU])\}?)"
    r"|\\{1,2}(?:"
    rf"(?P<symbol>{'|'.join(sorted(_SYMBOLS, key=len, reverse=True))})(?![A-Za-z])(?:[ ]+|\{{\}})?"
    r"|(?P<raised>textsuperscript|textsubscript)(?![A-Za-z])"
    rf"|(?P<font>{_FONTS})(?![A-Za-z])[ ]*"
    r"|(?P<escape>[nrt])(?![a-z])"
    r"|(?P<space>[,;: ])|(?P<nothing>[!()\[\]/-])"
    r"|(?P<itself>[%&_#${}*'\"`.+~^])"
    r"|(?P<list>(?:begin|end)\{[a-z*]{1,20}\})"
    r"|(?P<aside>(?:cite[a-z]{0,6}|ref|label)\{[^{}]{0,200}\})"
    r")"
    r"|(?P<line>\\\\)"
    r"|(?P<power>\^)(?=[\w{+*-])|(?P<index>_)(?=\{)"
    r"|(?<=\S)(?P<tie>~)(?=[^\s~])"
)
_ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}
_BRACES = re.compile(r"[{}]")


def _math(match: re.Match[str]) -> _Pieces:
    if re.search(r"[\\^_{]", match[1]) is None:
        return None  # "$5 and $6"
    return (match.span(1), "{}" if re.search(r"\\[A-Za-z]+$", match[1]) else "")


def _command(match: re.Match[str]) -> _Pieces:
    if match["symbol"]:
        return (_SYMBOLS[match["symbol"]],)
    if match["raised"] or match["power"] or match["index"]:
        return (RAISED,)
    if match["escape"] or match["line"]:
        return (" " if match["escape"] == "t" else "\n",)
    if match["list"]:
        return (PARAGRAPH,)
    if match["space"] or match["tie"]:
        return (" ",)
    if match["accent"]:
        return (unicodedata.normalize("NFC", match["letter"] + _ACCENTS[match["accent"]]),)
    return (match.span("itself"),) if match["itself"] else ("",)


# Markdown --------------------------------------------------------------------------------------

_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,500}\)")
# Stars and underscores at a word, not "2 * 2" or "goblet_cell"; a heading is a line of its own.
_EMPHASIS = re.compile(
    r"(?<=\S)(?<!\d)\*{1,3}|\*{1,3}(?=\S)(?!\d)|(?<![A-Za-z0-9])_{1,3}(?=\w)"
    r"|(?<=[^\s_])_{1,3}(?![A-Za-z0-9_])|`{1,3}|~~|(?P<heading>(?:^|(?<=\s))#{1,6}\s(?=\D))"
)


def _emphasis(match: re.Match[str]) -> _Pieces:
    return (PARAGRAPH,) if match["heading"] else ("",)


# Letters above and below the line --------------------------------------------------------------

_DIGITS = re.compile(r"[²³¹⁰⁴-⁹₀-₉]+")
_MARKERS = re.compile(rf"[\u2060\ufeff]|(?<!\w){RAISED}+|{RAISED}+(?!\w)|{RAISED}{{2,}}")


def _digits(match: re.Match[str]) -> _Pieces:
    return (RAISED, unicodedata.normalize("NFKC", match.group()))


def _markers(match: re.Match[str]) -> _Pieces:
    return ("",)


# White space -----------------------------------------------------------------------------------

_GAP = re.compile(r"[\s\u200b]+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def _gap(match: re.Match[str]) -> _Pieces:
    gap = match.group()
    if gap == " ":
        return None
    return (PARAGRAPH if _BLANK_LINE.search(gap) else " ",)


_MARKUP: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], _Pieces]]] = (
    (_TAG, _tag),
    (_LINK, lambda match: (match.span(1),)),
    (_MATH, _math),
    (_COMMAND, _command),
    (_BRACES, _markers),
    (_EMPHASIS, _emphasis),
    (_DIGITS, _digits),
    (_MARKERS, _markers),
)
