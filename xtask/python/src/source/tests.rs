//! Encodings, declared or not, checked against what CPython 3.11 does.

use super::*;

fn text(bytes: &[u8]) -> Result<String, String> {
    decode(bytes.to_vec()).map_err(|error| error.to_string())
}

fn fine(bytes: &[u8], expected: &str) {
    assert_eq!(text(bytes).as_deref(), Ok(expected));
}

fn wrong(bytes: &[u8], expected: &str) {
    assert_eq!(text(bytes), Err(expected.to_owned()));
}

#[test]
fn utf8_is_the_default() {
    fine("x = 'ü€'".as_bytes(), "x = 'ü€'");
    fine(b"", "");
    fine(b"\xef\xbb\xbfx\r\n", "x\r\n");
    fine(b"\xef\xbb\xbf# coding: utf-8\n", "# coding: utf-8\n");
    let bad = "byte 0xff is not UTF-8, and nothing else is declared";
    wrong(b"a\r\nb\rc\n\xc3\xbc\xff", &format!("4:2: {bad}"));
    wrong(b"#\xff", &format!("1:2: {bad}"));
    wrong(b"# coding: utf-8\n#\xff", &format!("2:2: {bad}"));
    wrong(b"\xff\xfex\0", &format!("1:1: {bad}"));
}

#[test]
fn null_bytes_are_refused() {
    wrong(b"a\nb\0", "2:2: null byte");
    wrong(b"# coding: latin-1\n\xe9\0", "2:2: null byte");
}

#[test]
fn declarations_stand_in_a_comment_of_the_first_two_lines() {
    for declares in [
        "# coding: latin-1\n",
        "# -*- coding: latin-1 -*-\n",
        "#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\n",
        " \t\x0c#coding=latin-1\n",
        "\n#coding:\t latin-1\n",
        "#a\r#coding: latin-1\r",
        "#a\r\n#coding: latin-1\r\n",
        "#xcoding=Latin_1-unix\n",
        "#coding :x coding: iso-latin-1\n",
        "#coding: l1\n",
        "#coding: iso8859-1\n",
        "#coding: 8859",
    ] {
        let bytes = [declares.as_bytes(), b"#\xe9\x80"].concat();
        match declares.ends_with("8859") {
            true => wrong(&bytes, "1:1: unknown encoding: 8859"),
            false => fine(&bytes, &format!("{declares}#é\u{80}")),
        }
    }
    for silent in [
        "x = 1\n# coding: foo\n",
        "\n\n# coding: foo\n",
        "'''\n# coding: foo\n'''",
        "x # coding: foo\n",
        "# coding foo\n",
        "# coding: !\n",
        "# coding:\x0cfoo\n",
        "# CODING: foo\n",
    ] {
        fine(silent.as_bytes(), silent);
    }
}

#[test]
fn encodings_have_the_names_that_python_gives_them() {
    for (name, bytes, expected) in [
        ("cp1252", &b"\x80\xe9"[..], "€é"),
        ("Windows-1251", b"\xff", "я"),
        ("koi8-r", b"\xf0\xd2", "Пр"),
        ("koi8_u", b"\xa4", "є"),
        ("iso-8859-15", b"\xa4", "€"),
        ("ISO8859_2", b"\xb1", "ą"),
        ("latin9", b"\xa4", "€"),
        ("latin-5", b"\xfd\x80", "ı\u{80}"),
        ("iso-8859-9", b"\xd0", "Ğ"),
        ("euc_jp", b"\xa4\xa2", "あ"),
        ("shift-jis", b"\x82\xa0", "あ"),
        ("cp932", b"\x82\xa0", "あ"),
        ("iso2022_jp", b"\x1b$B$\"\x1b(B", "あ"),
        ("gbk", b"\xc4\xe3", "你"),
        ("gb2312", b"\xc4\xe3", "你"),
        ("big5", b"\xa7\x41", "你"),
        ("euc-kr", b"\xb0\xa1", "가"),
        ("mac_roman", b"\x8e", "é"),
        ("cp866", b"\x80", "А"),
        ("utf8", "é".as_bytes(), "é"),
        ("utf-8-sig", "é".as_bytes(), "é"),
        ("ascii", b"a", "a"),
        // The letters of old code pages are not known, but what is around is.
        ("cp437", b"a\x81b", "a\u{fffd}b"),
        ("IBM850", b"\x81", "\u{fffd}"),
    ] {
        let declared = format!("#coding: {name}\n#");
        let all = [declared.as_bytes(), bytes].concat();
        fine(&all, &format!("{declared}{expected}"));
    }
}

#[test]
fn encodings_are_strict() {
    wrong(
        b"#coding: ascii\n#\xe9",
        "2:2: byte 0xe9 and what follows is not ASCII, the declared encoding",
    );
    wrong(
        b"# coding: cp1252\na\n#\x80\x81",
        "3:3: byte 0x81 and what follows is not windows-1252, the declared encoding",
    );
    wrong(
        b"# coding: utf8\n#\xff",
        "2:2: byte 0xff is not UTF-8, and nothing else is declared",
    );
    wrong(
        b"# coding: euc-jp\n#\xa4",
        "2:2: byte 0xa4 and what follows is not EUC-JP, the declared encoding",
    );
}

#[test]
fn unknown_and_unfit_encodings_are_refused() {
    wrong(b"# coding: uft-8\n", "1:1: unknown encoding: uft-8");
    wrong(b"\n# coding: foo\n", "2:1: unknown encoding: foo");
    for name in [
        "utf-16",
        "utf_32_le",
        "utf7",
        "rot13",
        "hex",
        "punycode",
        "undefined",
    ] {
        let expected = format!("1:1: `{name}` is not an encoding for sources");
        wrong(format!("#coding:{name}\n").as_bytes(), &expected);
    }
    let mark = |name: &str| [BOM, b"#coding: ", name.as_bytes(), b"\n"].concat();
    let said = "the file is UTF-8 by its byte order mark, but declares";
    wrong(&mark("latin-1"), &format!("1:1: {said} iso-8859-1"));
    // CPython does not look behind the name here, either.
    wrong(&mark("utf8"), &format!("1:1: {said} utf8"));
    fine(&mark("UTF_8-unix"), "#coding: UTF_8-unix\n");
}
