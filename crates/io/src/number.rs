//! Numbers as files hold them, and as a model does.

use wengert_core::{Float, MAX_RANK, Shape};

use crate::FileError;

/// A type of number that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Kind {
    /// The kind that precision `F` is written as.
    pub(crate) fn of<F: Float>() -> Self {
        if size_of::<F>() == 4 { Kind::F32 } else { Kind::F64 }
    }

    /// Bytes to a number.
    pub(crate) fn size(self) -> usize {
        match self {
            Kind::Bool | Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 | Kind::F16 | Kind::BF16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// The numbers that these bytes are, each rounded to the nearest of precision `F`. The bytes may
    /// begin anywhere: they are taken one number at a time.
    pub(crate) fn decode<F: Float>(self, bytes: &[u8], big_endian: bool) -> Vec<F> {
        macro_rules! each {
            ($T:ty, |$x:ident| $number:expr) => {{
                let number = |bytes: &[u8; size_of::<$T>()]| {
                    let from = if big_endian { <$T>::from_be_bytes } else { <$T>::from_le_bytes };
                    let $x = from(*bytes);
                    F::of($number)
                };
                bytes.as_chunks().0.iter().map(number).collect()
            }};
        }
        match self {
            Kind::Bool => each!(u8, |x| f64::from(u8::from(x != 0))),
            Kind::U8 => each!(u8, |x| f64::from(x)),
            Kind::I8 => each!(i8, |x| f64::from(x)),
            Kind::U16 => each!(u16, |x| f64::from(x)),
            Kind::I16 => each!(i16, |x| f64::from(x)),
            Kind::U32 => each!(u32, |x| f64::from(x)),
            Kind::I32 => each!(i32, |x| f64::from(x)),
            Kind::U64 => each!(u64, |x| x as f64),
            Kind::I64 => each!(i64, |x| x as f64),
            Kind::F16 => each!(u16, |x| half(x)),
            Kind::BF16 => each!(u16, |x| f64::from(f32::from_bits(u32::from(x) << 16))),
            Kind::F32 => each!(f32, |x| f64::from(x)),
            Kind::F64 => each!(f64, |x| x),
        }
    }
}

/// The number of half precision with these bits: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// The bytes of numbers in their own precision, little-endian.
pub(crate) fn encode<F: Float>(numbers: &[F]) -> Vec<u8> {
    match Kind::of::<F>() {
        Kind::F32 => numbers.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect(),
    }
}

/// The shape of these extents, which come from a file: not too many axes, and so few elements that no
/// product of extents overflows, with or without the empty axes.
pub(crate) fn shape(extents: &[usize]) -> Result<Shape, FileError> {
    if extents.len() > MAX_RANK {
        return Err(FileError::content(
            format!("at most {MAX_RANK} axes"),
            format!("the shape {extents:?}"),
        ));
    }
    let most = extents.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent.max(1)));
    match most {
        Some(most) if most <= isize::MAX as usize / 8 => Ok(Shape::new(extents)),
        _ => Err(FileError::content("a shape that fits memory", format!("the shape {extents:?}"))),
    }
}
