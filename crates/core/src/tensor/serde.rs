//! Serialisation of tensors with serde, as `{ shape, data }` with the data in row-major order.
//!
//! JSON has no infinity and no NaN. Formats that people read therefore get `"inf"`, `"-inf"` and `"NaN"`, as text. The
//! `null` that other programs write in JSON is read as NaN.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::{Shape, Tensor};

/// The fields as read, before they are checked.
#[derive(serde::Deserialize)]
#[serde(rename = "Tensor", deny_unknown_fields)]
struct Raw<N> {
    shape: Vec<usize>,
    data: Vec<N>,
}

/// An element, which need not be finite.
struct Number<F>(F);

/// Elements to be written.
struct Numbers<'a, F>(&'a [F]);

/// Reads an element from a number, from the text of one that is not finite, or from nothing.
struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }
    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

macro_rules! serial {
    ($($F:ident),*) => {$(
        impl Serialize for Number<$F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0.is_finite() || !serializer.is_human_readable() {
                    return self.0.serialize(serializer);
                }
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for Number<$F> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return $F::deserialize(deserializer).map(Number);
                }
                deserializer.deserialize_any(AnyNumber).map(|number| Number(number as $F))
            }
        }

        impl Serialize for Numbers<'_, $F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(|&number| Number(number)))
            }
        }

        impl Serialize for Tensor<$F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut tensor = serializer.serialize_struct("Tensor", 2)?;
                tensor.serialize_field("shape", &*self.shape())?;
                tensor.serialize_field("data", &Numbers(self.as_slice()))?;
                tensor.end()
            }
        }

        impl<'de> Deserialize<'de> for Tensor<$F> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Raw { shape, data } = Raw::<Number<$F>>::deserialize(deserializer)?;
                let shape = Shape::try_new(&shape).map_err(D::Error::custom)?;
                if shape.numel() != data.len() {
                    let len = data.len();
                    return Err(D::Error::custom(format!("{len} elements do not fill {shape:?}")));
                }
                let data = data.into_iter().map(|Number(number)| number).collect();
                Ok(Tensor::from_vec(data, shape))
            }
        }
    )*};
}

serial!(f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_keep_their_bits() {
        let tensor = Tensor::<f32>::from([[0.1, -2.5e-30], [3.0, f32::MAX]]);
        let text = serde_json::to_string(&tensor).unwrap();
        assert_eq!(text, r#"{"shape":[2,2],"data":[0.1,-2.5e-30,3.0,3.4028235e+38]}"#);
        assert_eq!(serde_json::from_str::<Tensor<f32>>(&text).unwrap(), tensor);
        for tensor in [Tensor::scalar(0.1), Tensor::zeros([0, 3])] {
            let text = serde_json::to_string(&tensor).unwrap();
            assert_eq!(serde_json::from_str::<Tensor<f64>>(&text).unwrap(), tensor);
        }
    }

    #[test]
    fn numbers_that_are_not_finite_come_back() {
        let tensor = Tensor::<f32>::from([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0]);
        let text = serde_json::to_string(&tensor).unwrap();
        assert_eq!(text, r#"{"shape":[4],"data":["NaN","inf","-inf",1.0]}"#);
        for text in [&*text, r#"{"shape":[4],"data":[null,"inf","-inf",1]}"#] {
            let read = serde_json::from_str::<Tensor<f32>>(text).unwrap().to_vec();
            assert!(read[0].is_nan() && read[1..] == tensor.to_vec()[1..]);
        }
        let value = serde_json::to_value(Tensor::scalar(f64::NAN)).unwrap();
        assert!(serde_json::from_value::<Tensor<f64>>(value).unwrap().item().is_nan());
    }

    #[test]
    fn malformed_tensors_are_errors() {
        for (text, says) in [
            (r#"{"shape":[2,2],"data":[1.0]}"#, "1 elements do not fill [2, 2]"),
            (r#"{"shape":[4294967296,4294967296],"data":[]}"#, "is too large"),
            (r#"{"shape":[4294967296,4294967296,0],"data":[]}"#, "is too large"),
            (r#"{"shape":[1,1,1,1,1,1,1,1,1],"data":[1.0]}"#, "9 axes, at most 8"),
            (r#"{"shape":[],"data":[1.0],"dtype":"f32"}"#, "unknown field `dtype`"),
            (r#"{"shape":[],"data":["one"]}"#, "invalid value: string \"one\", expected a number"),
        ] {
            let error = serde_json::from_str::<Tensor<f64>>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
