//! The deserializer that settings structs are read from.
//!
//! A struct that derives `Deserialize` asks its deserializer for what it needs. [`Asked`] notes what it is asked for,
//! and answers with a value of the text or with a sample. As it is the only deserializer, serde's code for each
//! struct is compiled once.

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::error::Diagnostic;
use super::refused::Refused;
use super::value::{Data, Key, Value};

/// Form of a settings type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fields {
    /// A struct with these fields, in order of declaration. Includes serde aliases.
    Named(&'static [&'static str]),
    /// A unit struct, which has no settings.
    Unit,
    /// Any other type, such as a map, whose keys are unknown beforehand.
    Open,
}

impl Fields {
    /// Returns the names, as far as they are known.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Fields::Named(names) => names,
            Fields::Unit | Fields::Open => &[],
        }
    }
}

/// Type of a setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Number,
    /// A whole number of at least 0.
    Whole,
    /// A whole number.
    Signed,
    Flag,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list, with its length if that is fixed.
    List(Box<Type>, Option<usize>),
    Table(Fields),
    /// Any other type.
    Open,
}

/// Deserializer that notes the type which it is asked for, and answers with a value or a sample.
pub(crate) struct Asked<'a> {
    pub(crate) value: &'a Value,
    pub(crate) of: &'a mut Type,
}

impl Asked<'_> {
    /// Returns the error for a value of another type than the one noted.
    fn unlike(&self) -> Refused {
        let expected = match &*self.of {
            Type::Number => "a number".into(),
            Type::Whole => "a whole number of at least 0".into(),
            Type::Signed => "a whole number".into(),
            Type::Flag => "`true` or `false`".into(),
            Type::Text => "a string".into(),
            Type::Word(words) => format!("one of \"{}\"", words.join("\", \"")),
            Type::List(_, None) => "an array".into(),
            Type::List(_, Some(length)) => format!("an array of {length}"),
            Type::Table(_) => "a table".into(),
            Type::Open => "another type".to_owned(),
        };
        let whole = matches!(self.of, Type::Whole | Type::Signed);
        let found = match (&self.value.data, &*self.of) {
            (Data::Whole(number), _) if whole => number.to_string(),
            (Data::Float(number), _) if whole => format!("{number:?}"),
            (Data::Array(values), Type::List(..)) => format!("one of {}", values.len()),
            _ => self.value.type_name().to_owned(),
        };
        Refused::Said(Some(self.value.span.clone()), format!("expected {expected}, found {found}"))
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Number;
        match self.value.data {
            Data::Sample => visitor.visit_f64(0.5),
            Data::Whole(number) => visitor.visit_f64(number as f64),
            Data::Float(number) => visitor.visit_f64(number),
            _ => Err(self.unlike()),
        }
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Whole;
        match self.value.data {
            Data::Sample => visitor.visit_u64(1),
            Data::Whole(number) if number >= 0 => visitor.visit_u64(number.unsigned_abs()),
            _ => Err(self.unlike()),
        }
    }

    fn signed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Signed;
        match self.value.data {
            Data::Sample => visitor.visit_i64(1),
            Data::Whole(number) => visitor.visit_i64(number),
            _ => Err(self.unlike()),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Text;
        match &self.value.data {
            Data::Sample => visitor.visit_str(""),
            Data::Text(text) => visitor.visit_str(text),
            _ => Err(self.unlike()),
        }
    }

    fn list<'de, V: Visitor<'de>>(
        self,
        length: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        match &self.value.data {
            Data::Sample => {
                let samples: Vec<_> = (0..length.unwrap_or(1)).map(|_| Value::sample()).collect();
                let read = visitor.visit_seq(Elements { values: samples.iter(), of: &mut of });
                *self.of = Type::List(Box::new(of), length);
                read
            }
            // The type is not noted, which would allocate: a step reads settings that follow schedules.
            Data::Array(values) if length.is_none_or(|length| length == values.len()) => {
                visitor.visit_seq(Elements { values: values.iter(), of: &mut of })
            }
            _ => {
                *self.of = Type::List(Box::new(of), length);
                Err(self.unlike())
            }
        }
    }

    fn table<'de, V: Visitor<'de>>(self, fields: Fields, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Table(fields);
        match &self.value.data {
            Data::Table(entries) => {
                visitor.visit_map(Pairs { entries: entries.as_slice(), of: self.of })
            }
            _ => Err(self.unlike()),
        }
    }
}

/// Methods that pass on to a method of [`Asked`].
macro_rules! asks {
    ($($method:ident => $ask:ident($($argument:expr)?);)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.$ask($($argument,)? visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Refused;

    asks! {
        deserialize_f32 => number();
        deserialize_f64 => number();
        deserialize_u8 => whole();
        deserialize_u16 => whole();
        deserialize_u32 => whole();
        deserialize_u64 => whole();
        deserialize_i8 => signed();
        deserialize_i16 => signed();
        deserialize_i32 => signed();
        deserialize_i64 => signed();
        deserialize_char => text();
        deserialize_str => text();
        deserialize_string => text();
        deserialize_seq => list(None);
        deserialize_map => table(Fields::Open);
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Flag;
        match self.value.data {
            Data::Sample => visitor.visit_bool(true),
            Data::Flag(flag) => visitor.visit_bool(flag),
            _ => Err(self.unlike()),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.list(Some(length), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.list(Some(length), visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.table(Fields::Named(names), visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        *self.of = Type::Table(Fields::Unit);
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        *self.of = Type::Word(words);
        match &self.value.data {
            Data::Sample => {
                visitor.visit_enum(StrDeserializer::new(words.first().copied().unwrap_or("")))
            }
            Data::Text(word) if words.contains(&&**word) => {
                visitor.visit_enum(StrDeserializer::new(word))
            }
            Data::Text(word) => {
                let span = self.value.span.clone();
                let words = words.iter().copied();
                Err(Refused::Located(Diagnostic::unknown(span, "value", word, words)))
            }
            // A variant with data.
            Data::Table(entries) if entries.keys().all(|key| words.contains(&&*key.name)) => {
                visitor.visit_enum(MapAccessDeserializer::new(Pairs {
                    entries: entries.as_slice(),
                    of: self.of,
                }))
            }
            _ => Err(self.unlike()),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.of = Type::Open;
        match &self.value.data {
            Data::Sample => Err(self.unlike()),
            Data::Whole(number) => visitor.visit_i64(*number),
            Data::Float(number) => visitor.visit_f64(*number),
            Data::Flag(flag) => visitor.visit_bool(*flag),
            Data::Text(text) | Data::Date(text) => visitor.visit_str(text),
            Data::Array(_) => self.list(None, visitor),
            Data::Table(_) => self.table(Fields::Open, visitor),
        }
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit identifier ignored_any }
}

/// The elements of a list.
struct Elements<'a> {
    values: std::slice::Iter<'a, Value>,
    of: &'a mut Type,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let read = seed.deserialize(Asked { value, of: self.of });
        read.map(Some).map_err(|refused| refused.in_element(value))
    }
}

/// The entries of a table.
struct Pairs<'a> {
    entries: &'a [(Key, Value)],
    of: &'a mut Type,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some((key, value)) = self.entries.first() else { return Ok(None) };
        let read = seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(&*key.name));
        read.map(Some).map_err(|refused| refused.in_entry(key, value))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let ((key, value), rest) =
            self.entries.split_first().expect("serde asks for the key first");
        self.entries = rest;
        let read = seed.deserialize(Asked { value, of: self.of });
        read.map_err(|refused| refused.in_entry(key, value))
    }
}
