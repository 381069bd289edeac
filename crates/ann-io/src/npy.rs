//! NumPy's `.npy`, versions 1.0 to 3.0: a Python dictionary in text, then the values.
//!
//! Layout: `\x93NUMPY`, a version (2 bytes), the text's length (`u16` in version 1, `u32` later), the text with the
//! keys `descr`, `fortran_order` and `shape`, padded so that the values begin at a multiple of 64 bytes. Source:
//! `numpy.lib.format`, NEP 1. We read two dimensions in C order and little-endian, and say what to do about others;
//! the text is parsed as exactly that dictionary, never evaluated.

use std::io::{Read, Write};
use std::path::Path;

use ann_core::MatrixView;
use half::f16;

use crate::bin::put_values;
use crate::sink::{WriteError, put};
use crate::source::{ReadError, Source};
use crate::vectors::{Scalar, VectorData, rows};

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// A dictionary of three short entries; only structured types, which are not read here, need more.
const MAX_HEADER_BYTES: u32 = 1 << 16;
const ALIGNMENT: usize = 64;

pub(crate) fn read<R: Read>(source: &mut Source<R>, limit: u64) -> Result<VectorData, ReadError> {
    let header = Header::read(source)?;
    match header.descr.as_str() {
        "<f4" => body::<f32, _>(source, &header, limit),
        "<f8" => body::<f64, _>(source, &header, limit),
        "<f2" => body::<f16, _>(source, &header, limit),
        "|u1" | "<u1" => body::<u8, _>(source, &header, limit),
        "|i1" | "<i1" => body::<i8, _>(source, &header, limit),
        "<i4" => body::<i32, _>(source, &header, limit),
        "<u4" => body::<u32, _>(source, &header, limit),
        "<i8" => body::<i64, _>(source, &header, limit),
        "<u8" => body::<u64, _>(source, &header, limit),
        big if big.starts_with('>') => Err(ReadError::Unsupported {
            what: format!("big-endian type {big:?}"),
            hint: "save the array after .astype(a.dtype.newbyteorder('<'))",
        }),
        other => Err(ReadError::Unsupported {
            what: format!("type {other:?}"),
            hint: "save f4, f8, f2, u1, i1, i4, u4, i8 or u8",
        }),
    }
}

fn body<T: Scalar, R: Read>(source: &mut Source<R>, header: &Header, limit: u64) -> Result<VectorData, ReadError> {
    if header.fortran_order {
        return Err(ReadError::Unsupported {
            what: "Fortran order".to_owned(),
            hint: "save the array after numpy.ascontiguousarray",
        });
    }
    let &[count, dim] = header.shape.as_slice() else {
        return Err(ReadError::Unsupported {
            what: format!("an array of {} dimensions", header.shape.len()),
            hint: "save rows of equal length, shape (n, d)",
        });
    };
    let Some(columns) = usize::try_from(dim).ok().filter(|&dim| dim > 0) else {
        return Err(source.bad_header("a shape of at least one column", format!("({count}, {dim})")));
    };
    let bytes = count.checked_mul(dim).and_then(|values| values.checked_mul(size_of::<T>() as u64));
    source.require_len(bytes.and_then(|bytes| bytes.checked_add(source.position())), "the rows")?;
    // `limit * dim` cannot overflow where `count * dim` did not.
    Ok(rows::<T>(source.values(count.min(limit) * dim, "the rows")?, columns)?.into())
}

impl<R: Read> Source<R> {
    fn bad_header(&self, expected: &'static str, found: String) -> ReadError {
        ReadError::Header { offset: self.position(), expected, found }
    }
}

/// The dictionary.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    fn read<R: Read>(source: &mut Source<R>) -> Result<Self, ReadError> {
        let magic: [u8; 6] = source.array("the magic number")?;
        if magic != MAGIC {
            return Err(source.bad_header("\\x93NUMPY", format!("{}", magic.escape_ascii())));
        }
        let [major, minor] = source.array("the version")?;
        let len = match (major, minor) {
            (1, 0) => u16::from_le_bytes(source.array("the header's length")?).into(),
            (2 | 3, 0) => source.u32("the header's length")?,
            _ => return Err(source.bad_header("version 1.0, 2.0 or 3.0", format!("{major}.{minor}"))),
        };
        if len > MAX_HEADER_BYTES {
            return Err(source.bad_header("a header of at most 65536 bytes", len.to_string()));
        }
        let start = source.position();
        let text: Vec<u8> = source.values(len.into(), "the header")?;
        let mut literal = Literal { text: &text, at: 0 };
        literal.header().ok_or_else(|| ReadError::Header {
            offset: start + literal.at as u64,
            expected: "a dictionary of descr, fortran_order and shape",
            found: text
                .get(literal.at..)
                .unwrap_or_default()
                .iter()
                .take(40)
                .copied()
                .flat_map(std::ascii::escape_default)
                .map(char::from)
                .collect(),
        })
    }
}

/// A cursor over the text of a Python dictionary. `None` means: not here.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

impl Literal<'_> {
    fn header(&mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b"{")?;
        while self.expect(b"}").is_none() {
            let key = self.string()?;
            self.expect(b":")?;
            // A key that comes twice would make two readers disagree about the file.
            let first = match key.as_str() {
                "descr" => descr.replace(self.string()?).is_none(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            if !first {
                return None;
            }
            if self.expect(b",").is_none() {
                self.expect(b"}")?;
                break;
            }
        }
        self.skip_space();
        (self.at == self.text.len()).then_some(())?;
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }

    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut values = Vec::new();
        self.expect(b"(")?;
        while self.expect(b")").is_none() {
            values.push(self.integer()?);
            if self.expect(b",").is_none() {
                self.expect(b")")?;
                break;
            }
        }
        Some(values)
    }

    fn integer(&mut self) -> Option<u64> {
        self.skip_space();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = std::str::from_utf8(self.rest().get(..digits)?).ok()?.parse().ok()?;
        self.at += digits;
        // Python 2 wrote long integers with a suffix.
        let _ = self.expect(b"L");
        Some(value)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.expect(b"True").map(|()| true).or_else(|| self.expect(b"False").map(|()| false))
    }

    fn string(&mut self) -> Option<String> {
        self.skip_space();
        let quote = *self.rest().first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let inner = self.rest().get(1..)?;
        let len = inner.iter().position(|&byte| byte == quote)?;
        let value = String::from_utf8(inner.get(..len)?.to_vec()).ok()?;
        self.at += len + 2;
        Some(value)
    }

    fn expect(&mut self, token: &[u8]) -> Option<()> {
        self.skip_space();
        self.rest().starts_with(token).then(|| self.at += token.len())
    }

    fn skip_space(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }
}

pub(crate) fn write<T: Scalar>(
    writer: &mut impl Write,
    matrix: MatrixView<'_, T>,
    path: &Path,
) -> Result<(), WriteError> {
    let (count, dim) = (matrix.len(), matrix.dim());
    if dim == 0 {
        return Err(WriteError::Shape { what: "dimension", found: 0, expected: "at least one column" });
    }
    let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({count}, {dim}), }}", T::DESCR);
    // Magic, version and length take 10 bytes, the final newline one. Two 20-digit numbers fit a u16 length.
    let used = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', used.next_multiple_of(ALIGNMENT) - used));
    text.push('\n');
    put(writer, &MAGIC, path)?;
    put(writer, &[1, 0], path)?;
    put(writer, &(text.len() as u16).to_le_bytes(), path)?;
    put(writer, text.as_bytes(), path)?;
    put_values(writer, matrix.as_slice(), path)
}

#[cfg(test)]
mod tests {
    use ann_core::Matrix;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<VectorData, ReadError> {
        read(&mut Source::new(bytes, bytes.len() as u64), u64::MAX)
    }

    fn file(version: u8, text: &str, values: &[u8]) -> Vec<u8> {
        let len = text.len() as u32;
        let len = if version == 1 { (len as u16).to_le_bytes().to_vec() } else { len.to_le_bytes().to_vec() };
        [&MAGIC, [version, 0].as_slice(), &len, text.as_bytes(), values].concat()
    }

    #[test]
    fn bytes_are_those_that_numpy_saves() {
        let mut bytes = Vec::new();
        let matrix = Matrix::new(vec![1.0f32, 2.0], 2).unwrap();
        write(&mut bytes, matrix.view(), Path::new("rows.npy")).unwrap();
        let text = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
        assert_eq!(bytes[..text.len()], text[..]);
        assert!(bytes[text.len()..127].iter().all(|&byte| byte == b' '));
        assert_eq!(bytes[127..], *b"\n\x00\x00\x80\x3f\x00\x00\x00\x40");
    }

    #[test]
    fn every_version_and_spelling_is_read() {
        for text in [
            "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }\n",
            "{\"shape\":(2L,1L),\"fortran_order\":False,\"descr\":\"<i4\"}",
        ] {
            for version in 1..=3 {
                let data = parse(&file(version, text, &[1, 0, 0, 0, 255, 255, 255, 255])).unwrap();
                assert_eq!(data, Matrix::new(vec![1i32, -1], 1).unwrap().into());
            }
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let error = |descr: &str, order: &str, shape: &str| {
            let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
            parse(&file(1, &text, &[0; 8])).unwrap_err().to_string()
        };
        assert!(error(">f4", "False", "(1, 2)").contains("newbyteorder"));
        assert!(error("<f4", "True", "(1, 2)").contains("ascontiguousarray"));
        assert!(error("<c8", "False", "(1, 1)").contains("\"<c8\""));
        assert!(error("<f4", "False", "(2,)").contains("1 dimensions"));
        assert!(error("<f4", "False", "(2, 0)").contains("at least one column"));
        assert!(error("<f4", "False", "(-1, 2)").contains("header at byte"));
        assert!(error("<f4", "Maybe", "(1, 2)").contains("Maybe"));
    }

    #[test]
    fn shapes_that_overflow_are_truncation() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 3), }";
        assert!(matches!(parse(&file(1, text, &[0; 8])), Err(ReadError::Truncated { expected: u64::MAX, .. })));
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 3), }";
        assert!(matches!(parse(&file(1, text, &[0; 8])), Err(ReadError::Header { .. })));
    }

    #[test]
    fn repeated_and_unknown_keys_are_refused() {
        for text in [
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'x': 'y'}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)} + x",
        ] {
            assert!(matches!(parse(&file(1, text, &[0; 8])), Err(ReadError::Header { .. })), "{text}");
        }
    }

    #[test]
    fn a_long_header_is_refused_before_it_is_read() {
        let error = parse(&[&MAGIC, [2, 0].as_slice(), &[0xff; 4]].concat()).unwrap_err();
        assert!(error.to_string().contains("at most 65536 bytes, found 4294967295"), "{error}");
    }
}
