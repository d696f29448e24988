"""Rankings as spreadsheets save them, for the ranker to continue and to change."""

# Each: the file, how p's rows are after they were ranked again, and the rows that a new ranking adds.
SPREADSHEETS = {
    "semicolons": ("prompt;answer;rank\r\np;a;1\r\np;\"b;c\";2\r\n", ("p;a;1", "p;a;2", 'p;"b;c";2', 'p;"b;c";1'),
                   'new;"y;z";1\r\nnew;x, w;2\r\n'),
    "tabs": ("prompt\tanswer\trank\np\ta\t1\np\tb;c\t2", ("a\t1", "a\t2", "c\t2", "c\t1"),
             "\nnew\ty;z\t1\nnew\tx, w\t2\n"),
    "sep=": ("sep=;\r\nRank;Prompt;Answer\r\n1;p;a\r\n2;p;\"b;c\"\r\n", ("1;p;a", "2;p;a", "2;p;\"", "1;p;\""),
             '1;new;"y;z"\r\n2;new;x, w\r\n'),
    "title": ("My rankings,,\n,,\nPROMPT,Answer,rank\np,a,1\np,b;c,2\n", ("a,1", "a,2", "c,2", "c,1"),
              'new,y;z,1\nnew,"x, w",2\n'),
    "mark": ("\ufeffPrompt;Answer;Rank\r\np;a;1\r\np;\"b;c\";2\r\n", ("a;1", "a;2", '";2', '";1'),
             'new;"y;z";1\r\nnew;x, w;2\r\n'),
    "empty columns": ("prompt,,answer,rank,,\np,,a,1,,\np,,b;c,2,,\n", ("a,1", "a,2", "c,2", "c,1"),
                      'new,,y;z,1,,\nnew,,"x, w",2,,\n'),
    "extra columns": (
        "id;note;note;Rank;Prompt;Answer\n7;;\"n; o\";1;p;a\n8;q;;2;p;\"b;c\"\n",
        ('"n; o";1', '"n; o";2', "q;;2", "q;;1"), ';;;1;new;"y;z"\n;;;2;new;x, w\n',
    ),
    "merged cells": ("prompt;answer;rank\nq;c;2\n;d;1\np;a;1\n;\"b;c\";2\n", ("p;a;1", "p;a;2", ';"b;c";2', ';"b;c";1'),
                     'new;"y;z";1\n;x, w;2\n'),
    "blank ranks": ("prompt;answer;rank\np;a;1\np;e;\np;\"b;c\";2\nnew;o;\nnew;u;n/a\n", ("a;1", "a;2", 'c";2', 'c";1'),
                    'new;"y;z";1\nnew;x, w;2\n'),
    "ranks from 0, of 1.5": ("prompt;answer;rank\np;a;0\np;\"b;c\";1,5\n", ("a;0", "a;2", "1,5", "1"),
                             'new;"y;z";1\nnew;x, w;2\n'),
    "raters": (
        "rater;prompt;answer;rank\nbob;p;a;2\nbob;p;\"b;c\";1\n;p;a;1\n;p;\"b;c\";2\n",
        ("\n;p;a;1", "\n;p;a;2", '\n;p;"b;c";2', '\n;p;"b;c";1'), ';new;"y;z";1\n;new;x, w;2\n',
    ),
}  # fmt: skip
