"""Wrong and strange CSVs: what each holds, and what reading it says.

`WRONG`: name -> (content, message). `RIGHT`: name -> (content, rankings, warnings). FILE stands for the file's path.
"""

import codecs

from preference.data.rankings import Ranking

HEADER = "prompt,answer,rank\n"
GOOD = HEADER + "p,a,1\np,b,2\n"
PAIR = [Ranking("p", ["a", "b"], [1, 2])]

_EMPTY = "FILE:1: the file is empty; its first line must be prompt,answer,rank"
_NO_PAIR = "FILE:1: no prompt has two answers with different ranks: {}; rank at least two answers to one prompt"
_NOT_UTF8 = "FILE:{}: not UTF-8: byte {}; save the file as UTF-8, which spreadsheets call 'CSV UTF-8'"
_NUL = "FILE:{}: a NUL character is no text; save the file as UTF-8, which spreadsheets call 'CSV UTF-8'"
_QUOTES = 'FILE:{}: unbalanced quotes: {}; write a cell that contains quotes "like ""this"" one"'
_WRITE_1 = "; write 1 for the best answer, 2 for the next"


def _no_column(header: str, *names: str, line: int = 1) -> str:
    return "\n".join(
        f"FILE:{line}: no column '{name}' in the header {header!r}; it must name prompt, answer, rank" for name in names
    )


def _rank(text: str, line: int | str = 2) -> str:
    return f"FILE:{line}: rank must be a number, not {text!r}{_WRITE_1}"


def _with_rank(text: str) -> tuple[str, str]:
    return f"{HEADER}p,a,{text}\np,b,2\n", _rank(text)


WRONG: dict[str, tuple[str | bytes, str]] = {
    # nothing in it
    "empty": ("", _EMPTY),
    "only a byte-order mark": (codecs.BOM_UTF8, _EMPTY),
    "only line ends": ("\n\r\n\n", _EMPTY),
    "only empty cells": (",,\n,,\n", _EMPTY),
    "only the header": (HEADER, _NO_PAIR.format("0 rows, 0 prompts")),
    "only the header, without a line end": (HEADER.strip(), _NO_PAIR.format("0 rows, 0 prompts")),
    # encodings
    "UTF-16 LE": (codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le"), _NOT_UTF8.format(1, "0xff at the start of the line")),
    "UTF-16 BE": (codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"), _NOT_UTF8.format(1, "0xfe at the start of the line")),
    "UTF-16 LE without a mark": (GOOD.encode("utf-16-le"), _NUL.format(1)),
    "UTF-16 BE without a mark": (GOOD.encode("utf-16-be"), _NUL.format(1)),
    "UTF-32 LE": (codecs.BOM_UTF32_LE + GOOD.encode("utf-32-le"), _NOT_UTF8.format(1, "0xff at the start of the line")),
    "UTF-32 BE": (codecs.BOM_UTF32_BE + GOOD.encode("utf-32-be"), _NOT_UTF8.format(1, r"0xfe after '\x00\x00'")),
    "Latin-1": ((GOOD + "p,café,3\n").encode("latin-1"), _NOT_UTF8.format(4, "0xe9 after 'p,caf'")),
    "Latin-1 with CR line ends": ((GOOD + "p,café,3\n").replace("\n", "\r").encode("latin-1"),
                                  _NOT_UTF8.format(4, "0xe9 after 'p,caf'")),
    "Latin-1 in a cell of three lines": ((HEADER + 'p,"a\r\nb\r\né",1\n').encode("latin-1"),
                                         _NOT_UTF8.format(4, "0xe9 at the start of the line")),
    "Latin-1 after a long text": (GOOD.encode() + b"p," + b"x" * 100 + b"\xe9,3\n",
                                  _NOT_UTF8.format(4, f"0xe9 after {'x' * 30!r}")),
    "Windows-1252 quotes": ((GOOD + "p,“yes”,3\n").encode("windows-1252"), _NOT_UTF8.format(4, "0x93 after 'p,'")),
    "UTF-8 cut in a character": (GOOD.encode() + "p,é".encode()[:-1], _NOT_UTF8.format(4, "0xc3 after 'p,'")),
    "overlong UTF-8": (GOOD.encode() + b"p,\xc0\xaf,3\n", _NOT_UTF8.format(4, "0xc0 after 'p,'")),
    "a lone surrogate": (GOOD.encode() + b"p,\xed\xa0\xbd,3\n", _NOT_UTF8.format(4, "0xed after 'p,'")),
    "NUL in an answer": (HEADER + "p,a,1\np,b\0,2\n", _NUL.format(3)),
    "NUL in a further column": (HEADER.strip() + ",note\np,a,1,x\np,b,2,y\0\n", _NUL.format(3)),
    "NUL bytes at the end": (GOOD + "\0\0\0", _NUL.format(4)),
    # headers
    "no rank": ("prompt,answer\np,a\n", _no_column("prompt,answer", "rank")),
    "no header": ("p,a,1\np,b,2\n", _no_column("p,a,1", "prompt", "answer", "rank")),
    "the header after an empty line": ("\nprompt,answer\np,a\n", _no_column("prompt,answer", "rank", line=2)),
    "two columns of one name": ("prompt,answer,rank,rank\np,a,1,1\n",
                                "FILE:1: two columns are named 'rank'; rename one"),
    "two columns group": ("prompt,answer,rank,group,group\np,a,1,x,y\n",
                          "FILE:1: two columns are named 'group'; rename one"),
    "a semicolon in another column's name": ("prompt,reply,rank,a;b\n", _no_column("prompt,reply,rank,a;b", "answer")),
    # quotes and numbers of cells
    "a quote not closed": (HEADER + 'p,a,1\np,"b,2\np,c,3\n', _QUOTES.format(3, """'p,"b,2'""")),
    "a quote not closed on the last line": (HEADER + 'p,a,1\np,"b', _QUOTES.format(3, """'p,"b'""")),
    "a quote not closed in the header": ('prompt,"answer,rank\np,a,1\n',
                                         _QUOTES.format(1, """'prompt,"answer,rank'""")),
    "a quote not doubled": (HEADER + 'p,"say "hi" now",1\n', _QUOTES.format(2, """'p,"say "hi" now",1'""")),
    "a quote with a backslash": (HEADER + 'p,"a\nb",1\np,"say \\"hi\\"",2\n',
                                 _QUOTES.format(4, r"""'p,"say \\"hi\\"",2'""")),
    "a comma without quotes": (
        HEADER + "p,a,1\np,b, yes,2\n",
        "FILE:3: 4 cells where the header has 3: 'p,b, yes,2'; put a cell that contains a comma in double quotes",
    ),
    "a comma in quotes that follow a space": (
        HEADER + 'p, "b, yes",2\n',
        """FILE:2: 4 cells where the header has 3: 'p, "b, yes",2'; """
        "put a cell that contains a comma in double quotes",
    ),
    "too few cells": (HEADER + "p,a,1\np,1\n",
                      "FILE:3: 2 cells where the header has 3: 'p,1'; give every column a cell"),
    "semicolons in one row": (HEADER + "p,a,1\np;b;2\n",
                              "FILE:3: 1 cell where the header has 3: 'p;b;2'; give every column a cell"),
    # empty cells
    "an empty prompt": (GOOD + ",c,3\n", "FILE:4: empty prompt: ''; write the text or delete the row"),
    "a prompt of white space": (GOOD + "\u3000\t\u00a0,c,3\n",
                                r"FILE:4: empty prompt: '\u3000\t\xa0'; write the text or delete the row"),
    "an empty answer": (GOOD + 'p,"",3\n', "FILE:4: empty answer: ''; write the text or delete the row"),
    "an answer of line ends": (GOOD + 'p,"\n\n",3\n',
                               r"FILE:4: empty answer: '\n\n'; write the text or delete the row"),
    "only a rank": (
        GOOD + ",,3\n",
        "FILE:4: empty prompt: ''; write the text or delete the row\nFILE:4: empty answer: ''; "
        "write the text or delete the row",
    ),
    # ranks
    **{
        f"the rank {text!r}": _with_rank(text)
        for text in ["first", "1e9", "1e0", "inf", "1.5.1", "1st", "#1", "+", "1.0.0", "٣", "１", "½", "0x1",
                     "TRUE", "=1"]
    },
    "a negative rank": (GOOD + "p,c,-5\n", f"FILE:4: rank must not be negative: '-5'{_WRITE_1}"),
    "a rank of ten digits": (GOOD + "p,c,1000000000\n", f"FILE:4: rank is too large: '1000000000'{_WRITE_1}"),
    "a rank of 10,000 digits": (GOOD + f"p,c,{'9' * 10_000}\n",
                                f"FILE:4: rank is too large: {'9' * 57 + '...'!r}{_WRITE_1}"),
    "a wrong rank after a cell of three lines": (HEADER + 'p,"a\n\nb",1\np,c,x\n', _rank("x", "5 (row 3, prompt 'p')")),
    "the header again": (GOOD + GOOD, _rank("rank", line=4)),
    "another file behind it": (GOOD.encode() + codecs.BOM_UTF8 + GOOD.encode(), _rank("rank", line=4)),
    # contradictions and nothing to compare
    "one answer with two ranks": (
        GOOD + " p , a ,3\n",
        "FILE:4: the same answer to one prompt has rank 3 here and rank 1 on line 2: 'a'; keep one of the two rows",
    ),
    "one answer with two ranks in a group": (
        "group,prompt,answer,rank\ng,p,a,1\nh,p,a,2\n g ,p,a,3\n",
        "FILE:4: the same answer to one prompt in group 'g' has rank 3 here and rank 1 on line 2: 'a'; "
        "keep one of the two rows",
    ),
    "one row": (HEADER + "p,a,1\n", _NO_PAIR.format("1 row, 1 prompt")),
    "one answer for each prompt": (HEADER + "p,a,1\nq,b,2\n", _NO_PAIR.format("2 rows, 2 prompts")),
    "all ties": (HEADER + "p,a,1\np,b,1\np,c,1\n", _NO_PAIR.format("3 rows, 1 prompt")),
    "one row, twice": (HEADER + "p,a,1\np,a,1\n", _NO_PAIR.format("2 rows, 1 prompt")),
    "one answer in each group": (
        "prompt,answer,rank,group\np,a,1,g\np,b,2,h\n",
        "FILE:1: no prompt has two answers with different ranks in one group: 2 rows, 1 prompt, 2 rankings;"
        " rank at least two answers to one prompt in one group",
    ),
    "several problems, in the order of their lines": (
        HEADER + "p,a,no\n,b,1\np,c,1\np,c,2\np,d,no\n",
        "\n".join([
            _rank("no"),
            "FILE:3: empty prompt: ''; write the text or delete the row",
            "FILE:5: the same answer to one prompt has rank 2 here and rank 1 on line 4: 'c'; keep one of the two rows",
            _rank("no", line=6),
        ]),
    ),
    "21 problems": (HEADER + "p,a,no\n" * 21,
                    "\n".join(_rank("no", line) for line in range(2, 22)) + "\n... and 1 more problem"),
    "25 problems": (HEADER + "p,a,no\n" * 25,
                    "\n".join(_rank("no", line) for line in range(2, 22)) + "\n... and 5 more problems"),
}  # fmt: skip


def _answers(*texts: str) -> list[Ranking]:
    return [Ranking("p", list(texts), list(range(1, len(texts) + 1)))]


def _rows(*texts: str) -> str:
    return HEADER + "".join(f"p,{text},{rank}\n" for rank, text in enumerate(texts, 1))


_UNRANKED = "FILE: left out {} without a rank: {}"

RIGHT: dict[str, tuple[str | bytes, list[Ranking], list[str]]] = {
    # form
    "a byte-order mark": (codecs.BOM_UTF8 + GOOD.encode(), PAIR, []),
    "a byte-order mark before a quoted header": (codecs.BOM_UTF8 + GOOD.replace("prompt", '"prompt"').encode(), PAIR,
                                                 []),
    "CR LF line ends": (GOOD.replace("\n", "\r\n"), PAIR, []),
    "CR line ends": (GOOD.replace("\n", "\r"), PAIR, []),
    "mixed line ends": (HEADER.strip() + "\rp,a,1\r\np,b,2\n", PAIR, []),
    "no line end at the end": (GOOD.strip(), PAIR, []),
    "empty lines": ("\n\n" + GOOD.replace("\n", "\n\n"), PAIR, []),
    "rows of empty cells": (GOOD + ",,\n,,\n", PAIR, []),
    "rows of white space": (GOOD + " \n , ,\u00a0\n\t\n", PAIR, []),
    "two byte-order marks": (codecs.BOM_UTF8 * 2 + GOOD.encode(), PAIR, []),
    "semicolons": (GOOD.replace(",", ";"), PAIR, []),
    "semicolons, quotes and a byte-order mark": ('\ufeff"prompt";"answer";"rank"\r\n"p";"a";"1"\r\n"p";"b";"2"\r\n',
                                                 PAIR, []),
    "tabs": (GOOD.replace(",", "\t"), PAIR, []),
    "bars": (GOOD.replace(",", "|"), PAIR, []),
    "the separator named first": ("sep=;\n" + GOOD.replace(",", ";"), PAIR, []),
    "a title": ("Table 1\n" + GOOD, PAIR, []),
    "empty columns at the end": ("prompt,answer,rank,,\np,a,1,,\np,b,2,,\n", PAIR, []),
    "commas at the end": (HEADER + "p,a,1,,\np,b,2,\n", PAIR, []),
    "capital letters": (GOOD.replace("prompt,answer,rank", "Prompt,ANSWER,Rank"), PAIR, []),
    "merged cells": (
        HEADER + "p,a,1\n,b,2\n", PAIR,
        ["FILE: 1 line without a prompt belongs to the prompt above it, from line 3 on"],
    ),
    "columns in another order": ("rank,prompt,answer\n1,p,a\n2,p,b\n", PAIR, []),
    "further columns": ("note,rank,answer,by,prompt\nx,1,a,me,p\n,2,b,,p\n", PAIR, []),
    "further columns of one name": ("note,note,prompt,answer,rank\n,,p,a,1\n,,p,b,2\n", PAIR, []),
    "white space around everything": (" prompt ,\tanswer , rank\n p , a , 1 \np,\u00a0b\u3000,2\n", PAIR, []),
    "everything in quotes": ('"prompt","answer","rank"\n"p","a","1"\n"p","b","2"\n', PAIR, []),
    "quotes in a cell without quotes": (_rows('a 5" screen', "it's"), _answers('a 5" screen', "it's"), []),
    "quotes and commas in quotes": (_rows('"say ""hi"", twice"', '""""'), _answers('say "hi", twice', '"'), []),
    "line ends in quotes": (_rows('"a\n\nb"', '"a\r\nb"', '"a\rb"'), _answers("a\n\nb", "a\r\nb", "a\rb"), []),
    "line ends that only Unicode knows": (_rows("a\u2028b", "a\x85b", "a\x0bb"),
                                          _answers("a\u2028b", "a\x85b", "a\x0bb"), []),
    "an answer of 10 MB": (_rows("x" * 10_000_000, "b"), _answers("x" * 10_000_000, "b"), []),
    # texts, to the letter
    "answers that read as missing": (_rows("N/A", "None", "nan", "NULL", "-", "#N/A"),
                                     _answers("N/A", "None", "nan", "NULL", "-", "#N/A"), []),
    "answers that read as numbers": (_rows("007", "1e5", "TRUE", "1.0", "1"),
                                     _answers("007", "1e5", "TRUE", "1.0", "1"), []),
    "answers that read as formulas": (
        _rows("=1+1", "+1", "-1", "@SUM(A1)", "'=1", '"=HYPERLINK(""x"",""y"")"'),
        _answers("=1+1", "+1", "-1", "@SUM(A1)", "'=1", '=HYPERLINK("x","y")'), [],
    ),
    "right-to-left text": (_rows("שלום", "مرحبا", "\u202eabc"), _answers("שלום", "مرحبا", "\u202eabc"), []),
    "emoji": (_rows("🙂", "👩‍👩‍👧", "🇩🇪", "👍🏽"), _answers("🙂", "👩‍👩‍👧", "🇩🇪", "👍🏽"), []),
    "composed and decomposed": (_rows("\u00e9", "e\u0301"), _answers("\u00e9", "e\u0301"), []),
    "one text in capital letters": (_rows("yes", "YES"), _answers("yes", "YES"), []),
    "control characters": (_rows("a\x1b[31m", "b\x07\x01"), _answers("a\x1b[31m", "b\x07\x01"), []),
    "zero-width characters": (_rows("\u200b", "\ufeff"), _answers("\u200b", "\ufeff"), []),
    "a backslash before a quote's end": (_rows(r'"a\"', r"b\n"), _answers("a\\", r"b\n"), []),
    # ranks
    "ranks as spreadsheets write them": (HEADER + 'p,a,1.0\np,b,"2"\np,c,+3\np,d,004\np,e,5.\n', _answers(*"abcde"),
                                         []),
    "ties and gaps": (HEADER + "p,a,7\np,b,2\np,c,2\n", [Ranking("p", ["a", "b", "c"], [7, 2, 2])], []),
    "ranks from 0": (HEADER + "p,a,0\np,b,1\n", PAIR, []),
    "ranks of 1.5": (HEADER + "p,a,1.5\np,b,1.5\np,c,3.0\n", [Ranking("p", ["a", "b", "c"], [1, 1, 2])], []),
    "ranks with decimal commas": ("prompt;answer;rank\np;a;1,0\np;b;2,5\n", PAIR, []),
    "answers without a rank": (
        GOOD + "p,c,\np,d,N/A\nq,e,\n", PAIR,
        ["FILE: left out 1 prompt with no rank: 'q'", _UNRANKED.format("3 lines", "4, 5, 6")],
    ),
    "the largest rank": (HEADER + "p,a,1\np,b,999999999\n", [Ranking("p", ["a", "b"], [1, 999_999_999])], []),
    "prompts mixed": (HEADER + "p,a,1\nq,c,2\np,b,2\nq,d,1\n", [*PAIR, Ranking("q", ["c", "d"], [2, 1])], []),
    "the prompt as an answer": (HEADER + "p,p,1\np,b,2\n", _answers("p", "b"), []),
    # left out
    "a row twice": (GOOD + "p, b ,2.0\n", PAIR, ["FILE: left out 1 exact duplicate line: 4"]),
    "a row five times": (GOOD + "p,b,2\n" * 4, PAIR,
                         ["FILE: left out 4 exact duplicate lines: 4, 5, 6 and 1 more"]),
    "a prompt with one answer": (GOOD + "q,a,1\n", PAIR, ["FILE: left out 1 prompt with only one answer: 'q'"]),
    "prompts with only ties": (
        GOOD + "".join(f"q{i},{a},1\n" for i in range(5) for a in "ab"),
        PAIR,
        ["FILE: left out 5 prompts with only ties: 'q0', 'q1', 'q2' and 2 more"],
    ),
    # groups
    "an empty column group": ("prompt,answer,rank,group\np,a,1,\np,b,2,\n", PAIR, []),
    **{
        f"two people in a column {name}": (
            f"prompt,answer,rank,{name}\np,a,1,ann\np,b,2,ann\np,a,2,bob\np,b,1,bob\n",
            [Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["a", "b"], [2, 1], rater="bob")], [],
        )
        for name in ("rater", "annotator", "annotator_id", "Judge")
    },
    "a group and none": (
        "group,prompt,answer,rank\n,p,a,1\ng ,p,a,2\n,p,b,2\n g,p,c,1\n",
        [*PAIR, Ranking("p", ["a", "c"], [2, 1], "g")], [],
    ),
    "groups left out": (
        "prompt,answer,rank,group\np,a,1,g\np,b,2,g\np,a,1,h\np,b,1,h\nq,c,1,g\nq,d,1,h\nr,e,1,\n",
        [Ranking("p", ["a", "b"], [1, 2], "g")],
        [
            "FILE: left out 3 rankings with only one answer: 'q' (group 'g'), 'q' (group 'h'), 'r'",
            "FILE: left out 1 ranking with only ties: 'p' (group 'h')",
        ],
    ),
}  # fmt: skip
