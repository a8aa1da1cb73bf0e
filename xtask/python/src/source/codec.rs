//! Encodings under the names that Python has for them.

use std::fmt;

use encoding_rs::Encoding;

/// How bytes become text, where it is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Codec {
    Ascii,
    Latin1,
    /// Latin-1 with six Turkish letters.
    Latin5,
    Table(&'static Encoding),
    /// ASCII below 128. What stands above is not known here, and is of no
    /// interest: it occurs in strings and comments.
    Opaque,
}

/// Why a declared encoding cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCodec {
    /// Python does not know it either.
    Unknown(String),
    /// Python knows it, but reads no source with it, or none that starts with
    /// a declaration in ASCII.
    NotForSource(String),
}

impl fmt::Display for NoCodec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoCodec::Unknown(name) => write!(out, "unknown encoding: {name}"),
            NoCodec::NotForSource(name) => write!(out, "`{name}` is not an encoding for sources"),
        }
    }
}

/// Bytes that the encoding does not have.
#[derive(Debug, PartialEq, Eq)]
pub struct BadBytes {
    /// Place of the first of them.
    pub at: usize,
    pub message: String,
}

/// A declared name as CPython's tokenizer first sees it: `utf-8` and
/// `iso-8859-1` in many spellings, anything else as it is.
pub fn plain(name: &str) -> String {
    let lower = name.chars().take(12).map(|letter| match letter {
        '_' => '-',
        other => other.to_ascii_lowercase(),
    });
    let lower: String = lower.collect();
    let is = |known: &str| {
        let rest = lower.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if is("utf-8") {
        "utf-8".to_owned()
    } else if is("latin-1") || is("iso-8859-1") || is("iso-latin-1") {
        "iso-8859-1".to_owned()
    } else {
        name.to_owned()
    }
}

impl Codec {
    /// The codec that Python has under a name, `None` for UTF-8; case and
    /// punctuation are of no account.
    pub fn named(name: &str) -> Result<Option<Codec>, NoCodec> {
        let dense: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        let label = |label: &str| Encoding::for_label(label.as_bytes()).map(Codec::Table);
        let found = match dense.as_str() {
            "utf8" | "u8" | "utf" | "utf8ucs2" | "utf8ucs4" | "cp65001" | "utf8sig" => {
                return Ok(None);
            }
            "ascii" | "usascii" | "646" | "ansix341968" | "ansix341986" | "cp367" | "csascii"
            | "ibm367" | "iso646us" | "isoir6" | "us" | "iso646irv1991" => Some(Codec::Ascii),
            "latin" | "latin1" | "l1" | "88591" | "iso88591" | "iso885911987" | "isoir100"
            | "cp819" | "ibm819" | "csisolatin1" | "isolatin1" => Some(Codec::Latin1),
            "latin5" | "l5" | "88599" | "iso88599" | "isoir148" | "csisolatin5" => {
                Some(Codec::Latin5)
            }
            "gb2312" | "gbk" | "936" | "cp936" | "ms936" | "euccn" | "gb18030" | "gb180302000"
            | "chinese" | "csiso58gb231280" | "eucgb2312cn" | "gb231280" | "gb23121980"
            | "isoir58" => label("gb18030"),
            "big5" | "big5tw" | "csbig5" | "big5hkscs" | "hkscs" | "cp950" | "950" | "ms950" => {
                label("big5")
            }
            "shiftjis" | "sjis" | "sj" | "csshiftjis" | "cp932" | "932" | "ms932" | "mskanji"
            | "windows31j" | "shiftjis2004" | "shiftjisx0213" => label("shift_jis"),
            "eucjp" | "ujis" | "ujisx0208" | "eucjis2004" | "eucjisx0213" | "ujisx0213" => {
                label("euc-jp")
            }
            "euckr" | "korean" | "ksc5601" | "ksc56011987" | "ksx1001" | "cp949" | "949"
            | "ms949" | "uhc" => label("euc-kr"),
            "iso2022jp" | "csiso2022jp" => label("iso-2022-jp"),
            "koi8r" | "cskoi8r" => label("koi8-r"),
            "koi8u" => label("koi8-u"),
            "macroman" | "macintosh" => label("macintosh"),
            "maccyrillic" => label("x-mac-cyrillic"),
            "latin2" | "l2" => label("iso-8859-2"),
            "latin3" | "l3" => label("iso-8859-3"),
            "latin4" | "l4" => label("iso-8859-4"),
            "latin6" | "l6" => label("iso-8859-10"),
            "latin8" | "l8" => label("iso-8859-14"),
            "latin9" | "l9" => label("iso-8859-15"),
            "latin10" | "l10" => label("iso-8859-16"),
            "cyrillic" => label("iso-8859-5"),
            "arabic" => label("iso-8859-6"),
            "greek" | "greek8" => label("iso-8859-7"),
            "hebrew" => label("iso-8859-8"),
            "thai" | "tis620" | "tis6200" | "iso885911" => label("windows-874"),
            "latin7" | "l7" => label("iso-8859-13"),
            "charmap" | "koi8t" | "kz1048" | "ptcp154" | "hproman8" | "roman8" | "r8"
            | "palmos" | "maccentraleurope" | "macgreek" | "maciceland" | "maclatin2"
            | "macturkish" | "maccroatian" | "macfarsi" | "macarabic" | "macromanian" | "johab"
            | "rawunicodeescape" | "unicodeescape" | "idna" => Some(Codec::Opaque),
            "utf7" | "u7" | "unicode11utf7" | "hz" | "hzgb" | "hzgb2312" | "utf16" | "u16"
            | "utf16le" | "utf16be" | "utf32" | "u32" | "utf32le" | "utf32be" | "punycode"
            | "undefined" | "rot13" | "hex" | "base64" | "bz2" | "zlib" | "zip" | "uu"
            | "quopri" => return Err(NoCodec::NotForSource(name.to_owned())),
            other => numbered(other),
        };
        found
            .map(Some)
            .ok_or_else(|| NoCodec::Unknown(name.to_owned()))
    }

    /// The text of `bytes`.
    pub fn decode(self, bytes: &[u8]) -> Result<String, BadBytes> {
        match self {
            Codec::Ascii => match bytes.iter().position(|byte| !byte.is_ascii()) {
                Some(place) => Err(bad(bytes, place, "ASCII")),
                None => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            },
            Codec::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Codec::Latin5 => Ok(bytes.iter().map(|byte| latin5(*byte)).collect()),
            Codec::Opaque => {
                let text = bytes.iter().map(|byte| match byte.is_ascii() {
                    true => char::from(*byte),
                    false => char::REPLACEMENT_CHARACTER,
                });
                Ok(text.collect())
            }
            Codec::Table(table) => with_table(table, bytes),
        }
    }
}

/// `cp1252`, `windows-1252`, `ibm850`, `iso8859-15`.
fn numbered(dense: &str) -> Option<Codec> {
    let table = |label: String| Encoding::for_label(label.as_bytes()).map(Codec::Table);
    let number = |prefix: &str| dense.strip_prefix(prefix)?.parse::<u16>().ok();
    if let Some(part) = number("iso8859").or_else(|| number("8859")) {
        return match part {
            2..=8 | 10 | 13..=16 => table(format!("iso-8859-{part}")),
            _ => None,
        };
    }
    let page = number("cp")
        .or_else(|| number("windows"))
        .or_else(|| number("ibm"));
    match page.or_else(|| number(""))? {
        page @ 1250..=1258 => table(format!("windows-{page}")),
        866 => table("ibm866".to_owned()),
        874 => table("windows-874".to_owned()),
        437 | 720 | 737 | 775 | 850 | 852 | 855..=858 | 860..=865 | 869 | 1006 | 1125 => {
            Some(Codec::Opaque)
        }
        _ => None,
    }
}

fn with_table(table: &'static Encoding, bytes: &[u8]) -> Result<String, BadBytes> {
    // A code page has no letter where this table has a control character.
    let undefined = |letter: char| matches!(letter, '\u{80}'..='\u{9f}');
    let strict = table.name().starts_with("windows-");
    let decoded = table.decode_without_bom_handling_and_without_replacement(bytes);
    match decoded {
        Some(text) if !strict || !text.contains(undefined) => Ok(text.into_owned()),
        // Where it goes wrong is looked for only now.
        _ => {
            let fails = |end: &usize| {
                let part = &bytes[*end - 1..*end];
                let text = table.decode_without_bom_handling_and_without_replacement(part);
                text.is_none_or(|text| strict && text.contains(undefined))
            };
            let high = (1..=bytes.len()).filter(|end| !bytes[end - 1].is_ascii());
            let first = if table.is_single_byte() {
                high.clone().find(fails)
            } else {
                high.clone().next()
            };
            Err(bad(bytes, first.map_or(0, |end| end - 1), table.name()))
        }
    }
}

fn bad(bytes: &[u8], at: usize, encoding: &str) -> BadBytes {
    let byte = bytes.get(at).copied().unwrap_or_default();
    BadBytes {
        at,
        message: format!(
            "byte 0x{byte:02x} and what follows is not {encoding}, the declared encoding"
        ),
    }
}

fn latin5(byte: u8) -> char {
    match byte {
        0xd0 => 'Ğ',
        0xdd => 'İ',
        0xde => 'Ş',
        0xf0 => 'ğ',
        0xfd => 'ı',
        0xfe => 'ş',
        other => char::from(other),
    }
}
