//! The header of a safetensors file: JSON that lists the tensors, their types, shapes and places.

use std::collections::BTreeMap;
use std::fmt;

use ::safetensors::tensor::Dtype;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::FileError;

/// The key that holds metadata instead of a tensor.
pub(crate) const METADATA: &str = "__metadata__";

/// Bytes of the longest header, as in the reference implementation.
pub(crate) const MAX_BYTES: u64 = 100_000_000;

/// Bytes of the header's length, which come first in a file.
pub(crate) const LENGTH: usize = 8;

/// A parsed header.
#[derive(Default)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Info>,
}

/// What the header says of a tensor.
#[derive(serde::Deserialize)]
pub(crate) struct Info {
    pub(crate) dtype: Dtype,
    #[serde(deserialize_with = "extents")]
    pub(crate) shape: Vec<usize>,
    /// The first byte in the data, and the one after the last.
    pub(crate) data_offsets: (u64, u64),
}

impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, FileError> {
        let (mut header, mut entry) = (Header::default(), None);
        let mut json = serde_json::Deserializer::from_slice(json);
        let seed = Reader { header: &mut header, entry: &mut entry };
        let parsed = seed.deserialize(&mut json).and_then(|()| {
            entry = None;
            json.end()
        });
        let Err(error) = parsed else { return Ok(header) };
        Err(match entry {
            None => FileError::content("a header in JSON", error.to_string()).at_byte(LENGTH),
            Some(name) if name == METADATA => {
                FileError::content("metadata of strings", error.to_string())
            }
            Some(name) => {
                let expected = "dtype, shape and data_offsets";
                FileError::content(expected, error.to_string()).in_tensor(&name)
            }
        })
    }
}

/// Fills a header. After an error, `entry` has the name of the entry that is wrong.
struct Reader<'a> {
    header: &'a mut Header,
    entry: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { header, entry } = self;
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            *entry = Some(name.clone());
            let is_again = if name == METADATA {
                header.metadata = map.next_value::<Strings>()?.0;
                std::mem::replace(&mut has_metadata, true)
            } else {
                header.tensors.insert(name, map.next_value()?).is_some()
            };
            if is_again {
                return Err(A::Error::custom("the name twice"));
            }
            *entry = None;
        }
        Ok(())
    }
}

/// An object of strings without duplicate keys.
struct Strings(BTreeMap<String, String>);

impl<'de> serde::Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strings, A::Error> {
                let mut strings = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    if strings.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key twice"));
                    }
                }
                Ok(Strings(strings))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

/// Reads a shape. One with too many axes is refused before its memory grows.
fn extents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    /// As many axes as PyTorch allows.
    const MAX_AXES: usize = 64;
    struct Extents;

    impl<'de> Visitor<'de> for Extents {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of extents")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<usize>, A::Error> {
            let mut extents = Vec::new();
            while let Some(extent) = list.next_element()? {
                if extents.len() == MAX_AXES {
                    return Err(A::Error::custom(format!("more than {MAX_AXES} axes")));
                }
                extents.push(extent);
            }
            Ok(extents)
        }
    }

    deserializer.deserialize_seq(Extents)
}
