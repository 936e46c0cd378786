//! Serialisation of tensors with serde, as `{ shape, data }` with the data in row-major order.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::{Shape, Tensor};

/// The fields as read, before they are checked.
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
                let mut tensor = serializer.serialize_struct("Tensor", 2)?;
                tensor.serialize_field("shape", &*self.shape())?;
                tensor.serialize_field("data", self.as_slice())?;
                tensor.end()
            }
        }

        impl<'de> Deserialize<'de> for Tensor<$F> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Raw { shape, data } = Raw::<$F>::deserialize(deserializer)?;
                let shape = Shape::try_new(&shape).map_err(D::Error::custom)?;
                if shape.numel() != data.len() {
                    let len = data.len();
                    return Err(D::Error::custom(format!("{len} elements do not fill {shape:?}")));
                }
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
    fn malformed_tensors_are_errors() {
        for (text, says) in [
            (r#"{"shape":[2,2],"data":[1.0]}"#, "1 elements do not fill [2, 2]"),
            (r#"{"shape":[4294967296,4294967296],"data":[]}"#, "is too large"),
            (r#"{"shape":[4294967296,4294967296,0],"data":[]}"#, "is too large"),
            (r#"{"shape":[1,1,1,1,1,1,1,1,1],"data":[1.0]}"#, "9 axes, at most 8"),
            (r#"{"shape":[],"data":[1.0],"dtype":"f32"}"#, "unknown field `dtype`"),
        ] {
            let error = serde_json::from_str::<Tensor<f64>>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
