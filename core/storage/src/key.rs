//! Order-preserving keys: tuples of strings, bytes and numbers whose encoded bytes sort as the tuples do.
//!
//! Text and bytes end in `00 01` with inner zero bytes written as `00 FF`, so that a key is never a prefix of its
//! neighbour by accident and `("a", _)` sorts before `("a\0", _)`. Numbers are big-endian, signed ones with the sign
//! bit flipped.

/// Something that can be written as (part of) a key.
pub trait ToKey {
    /// Appends the encoded form.
    fn encode(&self, out: &mut Vec<u8>);
}

/// The owned form of a key, and the borrowed shape it is looked up by.
pub trait Key: Sized {
    /// What a look-up passes: `(&str, u64)` for `(String, u64)`.
    type Borrowed<'a>: ToKey;

    /// Reads one key from the front of `input`. `None` when the bytes are not such a key.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

const ESCAPE: u8 = 0x00;
const END: u8 = 0x01;
const ZERO: u8 = 0xFF;

impl ToKey for &[u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        for &byte in *self {
            out.push(byte);
            if byte == ESCAPE {
                out.push(ZERO);
            }
        }
        out.extend([ESCAPE, END]);
    }
}

impl ToKey for &str {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }
}

impl Key for Vec<u8> {
    type Borrowed<'a> = &'a [u8];

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            if byte != ESCAPE {
                bytes.push(byte);
                continue;
            }
            let (&mark, rest) = input.split_first()?;
            *input = rest;
            match mark {
                END => return Some(bytes),
                ZERO => bytes.push(ESCAPE),
                _ => return None,
            }
        }
    }
}

impl Key for String {
    type Borrowed<'a> = &'a str;

    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::from_utf8(Vec::decode(input)?).ok()
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

macro_rules! unsigned_key {
    ($($number:ty),*) => {$(
        impl ToKey for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }
        }
        impl Key for $number {
            type Borrowed<'a> = $number;
            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self::from_be_bytes)
            }
        }
    )*};
}
unsigned_key!(u8, u32, u64);

impl ToKey for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).encode(out);
    }
}

impl Key for i64 {
    type Borrowed<'a> = i64;

    fn decode(input: &mut &[u8]) -> Option<Self> {
        u64::decode(input).map(|bits| (bits ^ (1 << 63)).cast_signed())
    }
}

impl ToKey for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for bool {
    type Borrowed<'a> = bool;

    fn decode(input: &mut &[u8]) -> Option<Self> {
        match take::<1>(input)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

macro_rules! tuple_key {
    ($($part:ident . $index:tt),*) => {
        impl<$($part: ToKey),*> ToKey for ($($part,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)*
            }
        }
        impl<$($part: Key),*> Key for ($($part,)*) {
            type Borrowed<'a> = ($($part::Borrowed<'a>,)*);
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode(input)?,)*))
            }
        }
    };
}
tuple_key!(A.0);
tuple_key!(A.0, B.1);
tuple_key!(A.0, B.1, C.2);
tuple_key!(A.0, B.1, C.2, D.3);
tuple_key!(A.0, B.1, C.2, D.3, E.4);

impl ToKey for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Key for () {
    type Borrowed<'a> = ();

    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(key: impl ToKey) -> Vec<u8> {
        let mut out = Vec::new();
        key.encode(&mut out);
        out
    }

    proptest! {
        #[test]
        fn order_is_kept(a: (String, i64, Vec<u8>), b: (String, i64, Vec<u8>)) {
            let left = encoded((a.0.as_str(), a.1, a.2.as_slice()));
            let right = encoded((b.0.as_str(), b.1, b.2.as_slice()));
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        }

        #[test]
        fn round_trips(key: (String, u64, Vec<u8>, bool)) {
            let bytes = encoded((key.0.as_str(), key.1, key.2.as_slice(), key.3));
            let mut input = bytes.as_slice();
            prop_assert_eq!(<(String, u64, Vec<u8>, bool)>::decode(&mut input), Some(key));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _ = <(String, i64, bool)>::decode(&mut bytes.as_slice());
        }
    }

    #[test]
    fn a_text_that_begins_another_sorts_first() {
        assert!(encoded(("a", "z")) < encoded(("a\0", "a")));
        assert!(encoded(("a", "z")) < encoded(("ab", "a")));
    }
}
