//! Arrays in whatever serde writes: `{ shape, data }`, the data in row-major order.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::{MAX_RANK, Tensor};

/// What is written, before it is known to be an array.
#[derive(serde::Deserialize)]
#[serde(rename = "Tensor", deny_unknown_fields)]
struct Raw<F> {
    shape: Vec<usize>,
    data: Vec<F>,
}

macro_rules! serial {
    ($($F:ident),*) => {$(
        impl Serialize for Tensor<$F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut array = serializer.serialize_struct("Tensor", 2)?;
                array.serialize_field("shape", &*self.shape())?;
                array.serialize_field("data", self.as_slice())?;
                array.end()
            }
        }

        impl<'de> Deserialize<'de> for Tensor<$F> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Raw { shape, data } = Raw::<$F>::deserialize(deserializer)?;
                if shape.len() > MAX_RANK {
                    let rank = shape.len();
                    return Err(D::Error::custom(format!("{rank} axes, at most {MAX_RANK}")));
                }
                // Empty axes count as one here, so that no product of extents can overflow later on.
                let most = shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent.max(&1)));
                if most.is_none() || shape.iter().product::<usize>() != data.len() {
                    let len = data.len();
                    return Err(D::Error::custom(format!("{len} elements do not fill {shape:?}")));
                }
                Ok(Tensor::from_vec(data, &*shape))
            }
        }
    )*};
}

serial!(f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_with_the_same_bits() {
        let array = Tensor::<f32>::from([[0.1, -2.5e-30], [3.0, f32::MAX]]);
        let text = serde_json::to_string(&array).unwrap();
        assert_eq!(text, r#"{"shape":[2,2],"data":[0.1,-2.5e-30,3.0,3.4028235e+38]}"#);
        assert_eq!(serde_json::from_str::<Tensor<f32>>(&text).unwrap(), array);
        for array in [Tensor::scalar(0.1), Tensor::zeros([0, 3])] {
            let text = serde_json::to_string(&array).unwrap();
            assert_eq!(serde_json::from_str::<Tensor<f64>>(&text).unwrap(), array);
        }
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        for (text, says) in [
            (r#"{"shape":[2,2],"data":[1.0]}"#, "1 elements do not fill [2, 2]"),
            (r#"{"shape":[4294967296,4294967296],"data":[]}"#, "0 elements do not fill"),
            (r#"{"shape":[4294967296,4294967296,0],"data":[]}"#, "0 elements do not fill"),
            (r#"{"shape":[1,1,1,1,1,1,1,1,1],"data":[1.0]}"#, "9 axes, at most 8"),
            (r#"{"shape":[],"data":[1.0],"dtype":"f32"}"#, "unknown field `dtype`"),
        ] {
            let error = serde_json::from_str::<Tensor<f64>>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
