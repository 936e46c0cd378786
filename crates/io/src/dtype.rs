//! The types of numbers in files, and conversion to and from a model's precision.

use std::io::{self, Read, Write};

use wengert_core::{Float, MAX_RANK, Shape};

use crate::FileError;

/// A type of numbers that files can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
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

impl Dtype {
    /// The type that numbers of precision `F` are written as.
    pub(crate) fn of<F: Float>() -> Self {
        if size_of::<F>() == 4 { Dtype::F32 } else { Dtype::F64 }
    }

    /// Bytes per number.
    pub(crate) fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::U8 | Dtype::I8 => 1,
            Dtype::U16 | Dtype::I16 | Dtype::F16 | Dtype::BF16 => 2,
            Dtype::U32 | Dtype::I32 | Dtype::F32 => 4,
            Dtype::U64 | Dtype::I64 | Dtype::F64 => 8,
        }
    }

    /// Reads `count` numbers of this type, each rounded once to precision `F`. Memory grows with the numbers
    /// that are there, piece by piece for the bytes; what the machine cannot give is an error.
    pub(crate) fn read<F: Float>(
        self,
        from: &mut impl Read,
        count: usize,
        big_endian: bool,
    ) -> Result<Vec<F>, FileError> {
        let mut numbers = Vec::new();
        if numbers.try_reserve_exact(count).is_err() {
            let found = format!("{count} numbers of type {self:?}");
            return Err(FileError::content("numbers that fit in memory", found));
        }
        let mut piece = vec![0; PIECE.min(count * self.size())];
        while numbers.len() < count {
            let size = PIECE.min((count - numbers.len()) * self.size());
            from.read_exact(&mut piece[..size]).map_err(FileError::read)?;
            self.decode(&piece[..size], big_endian, &mut numbers);
        }
        Ok(numbers)
    }

    /// Appends the numbers in bytes of this type.
    fn decode<F: Float>(self, bytes: &[u8], big_endian: bool, numbers: &mut Vec<F>) {
        macro_rules! each {
            ($T:ty, |$x:ident| $number:expr) => {
                numbers.extend(bytes.as_chunks().0.iter().map(|bytes: &[u8; size_of::<$T>()]| {
                    let from = if big_endian { <$T>::from_be_bytes } else { <$T>::from_le_bytes };
                    let $x = from(*bytes);
                    F::of($number)
                }))
            };
        }
        // An integer of 64 bits on its way to f32 must not be rounded to f64 first.
        let single = Dtype::of::<F>() == Dtype::F32;
        match self {
            Dtype::Bool => each!(u8, |x| f64::from(u8::from(x != 0))),
            Dtype::U8 => each!(u8, |x| f64::from(x)),
            Dtype::I8 => each!(i8, |x| f64::from(x)),
            Dtype::U16 => each!(u16, |x| f64::from(x)),
            Dtype::I16 => each!(i16, |x| f64::from(x)),
            Dtype::U32 => each!(u32, |x| f64::from(x)),
            Dtype::I32 => each!(i32, |x| f64::from(x)),
            Dtype::U64 if single => each!(u64, |x| f64::from(x as f32)),
            Dtype::I64 if single => each!(i64, |x| f64::from(x as f32)),
            Dtype::U64 => each!(u64, |x| x as f64),
            Dtype::I64 => each!(i64, |x| x as f64),
            Dtype::F16 => each!(u16, |x| half(x)),
            Dtype::BF16 => each!(u16, |x| f64::from(f32::from_bits(u32::from(x) << 16))),
            Dtype::F32 => each!(f32, |x| f64::from(x)),
            Dtype::F64 => each!(f64, |x| x),
        }
    }
}

/// Bytes that are converted at a time, a multiple of the size of every type.
const PIECE: usize = 1 << 16;

/// The number with these bits in half precision (IEEE 754 binary16): a sign, five bits of exponent, ten of
/// fraction.
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

/// Writes numbers in their own precision, little-endian.
pub(crate) fn write<F: Float>(numbers: &[F], to: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE.min(size_of_val(numbers)));
    for numbers in numbers.chunks(PIECE / size_of::<F>()) {
        piece.clear();
        match Dtype::of::<F>() {
            Dtype::F32 => {
                piece.extend(numbers.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()))
            }
            _ => piece.extend(numbers.iter().flat_map(|x| x.to_f64().to_le_bytes())),
        }
        to.write_all(&piece)?;
    }
    Ok(())
}

/// Checks a shape that a file claims: few enough axes, and few enough elements that no product of extents
/// overflows, even without the extents that are 0.
pub(crate) fn checked_shape(extents: &[usize]) -> Result<Shape, FileError> {
    let wrong = |expected: &str| Err(FileError::content(expected, format!("shape {extents:?}")));
    if extents.len() > MAX_RANK {
        return wrong(&format!("at most {MAX_RANK} axes"));
    }
    let most = extents.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent.max(1)));
    match most {
        Some(most) if most <= isize::MAX as usize / 8 => Ok(Shape::new(extents)),
        _ => wrong("a shape that fits in memory"),
    }
}

#[cfg(test)]
mod tests {
    use wengert_core::MAX_NUMEL;

    use super::*;

    #[test]
    fn a_shape_is_refused_where_a_tensor_would_refuse_it() {
        assert_eq!(checked_shape(&[0, MAX_NUMEL]).unwrap(), Shape::new(&[0, MAX_NUMEL]));
        assert!(checked_shape(&[0, MAX_NUMEL + 1]).is_err());
    }
}
