//! Reads settings structs through serde, and inspects them: the names and types of their fields, which
//! of them are required, and their values as TOML.
//!
//! A struct that derives `Deserialize` asks its deserializer for what it needs. The one deserializer here,
//! [`Asked`], notes what it is asked for, and answers with a value of the text or with a sample. As there is
//! only one, serde's code for each struct is compiled once.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::Diagnostic;
use super::range::InvalidSetting;
use super::value::{Data, Entries, Key, Value};

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

/// A setting under one of its names.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    /// The required setting that this name provides: itself, or the one that it is an alias of.
    pub(crate) provides: Option<&'static str>,
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

/// Returns the form of `T`.
pub(crate) fn of<T: DeserializeOwned>() -> Fields {
    let mut of = Type::Open;
    // A struct refuses the sample: the type that it asked for is the answer.
    let _ = T::deserialize(Asked { value: &sample(), of: &mut of });
    match of {
        Type::Table(fields) => fields,
        _ => Fields::Open,
    }
}

/// Reads settings from a table.
pub(crate) fn read<T: DeserializeOwned>(table: &Value) -> Result<T, Refused> {
    T::deserialize(Asked { value: table, of: &mut Type::Open })
}

/// Returns the settings of `T` under all of their names, in order of declaration.
pub(crate) fn describe<T: DeserializeOwned>() -> Vec<Setting> {
    let mut required = Vec::new();
    while let (Err(Refused::Missing(name)), _) = offer::<T>(&required) {
        if required.contains(&name) {
            // A hand-written `Deserialize` may insist; then nothing more can be learned.
            break;
        }
        required.push(name);
    }
    let setting = |&name: &&'static str| {
        let provides = field_of::<T>(name).filter(|field| required.contains(field));
        // Other fields may be missing: the type of this one is noted before that.
        Setting { name, of: offer::<T>(&[name]).1, provides }
    };
    of::<T>().names().iter().map(setting).collect()
}

/// Returns the field of `T` that has this name, perhaps as an alias.
pub(crate) fn field_of<T: DeserializeOwned>(name: &str) -> Option<&'static str> {
    // Offered twice, a field is refused under its own name.
    match offer::<T>(&[name, name]).0 {
        Err(Refused::Duplicate(field)) => Some(field),
        _ => None,
    }
}

/// Offers `T` a table with these keys, each with a sample value. Returns the type of the last.
fn offer<T: DeserializeOwned>(names: &[&str]) -> (Result<(), Refused>, Type) {
    let mut entries = Entries::default();
    for name in names {
        entries.push(Key::new(*name, 0..0), sample());
    }
    let mut of = Type::Open;
    let table = Value { span: 0..0, data: Data::Table(entries) };
    let read = T::deserialize(Asked { value: &table, of: &mut of });
    (read.map(drop), of)
}

fn sample() -> Value {
    Value { span: 0..0, data: Data::Sample }
}

/// Returns the settings as a TOML table.
pub(crate) fn settings<T: Serialize + DeserializeOwned>(
    value: &T,
) -> Result<toml::Table, InvalidSetting> {
    if of::<T>() == Fields::Unit {
        return Ok(toml::Table::new());
    }
    toml::Table::try_from(value).map_err(|error| {
        InvalidSetting::new("", format!("the settings cannot be written as TOML: {error}"))
    })
}

/// Deserializer that notes the type which it is asked for, and answers with a value or a sample.
struct Asked<'a> {
    value: &'a Value,
    of: &'a mut Type,
}

/// Error of [`Asked`].
#[derive(Debug)]
pub(crate) enum Refused {
    /// A required field is missing.
    Missing(&'static str),
    /// A field stands twice, under two names.
    Duplicate(&'static str),
    /// A key is none of the valid ones.
    UnknownKey(&'static [&'static str]),
    /// The value at these bytes, or else the one that was being read, is not the expected one.
    Said(Option<Range<usize>>, String),
    Located(Diagnostic),
}

impl Refused {
    /// Returns the error with its place, unless it has one: the entry with this key and value.
    fn in_entry(self, key: &Key, value: &Value) -> Self {
        let message = |text: String| format!("`{}`: {text}", key.written);
        Refused::Located(match self {
            Refused::Located(diagnostic) => diagnostic,
            Refused::Said(span, text) => {
                Diagnostic::new(span.unwrap_or(value.span.clone()), message(text))
            }
            Refused::Missing(name) => {
                Diagnostic::new(value.span.clone(), message(format!("missing key `{name}`")))
            }
            Refused::Duplicate(name) => {
                Diagnostic::new(value.span.clone(), message(format!("two values for `{name}`")))
            }
            Refused::UnknownKey(valid) => {
                Diagnostic::unknown(key.span.clone(), "key", &key.written, valid.iter().copied())
            }
        })
    }

    /// Returns the error with the place of an element, unless it has one.
    fn in_element(self, value: &Value) -> Self {
        match self {
            Refused::Said(None, text) => Refused::Said(Some(value.span.clone()), text),
            other => other,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refused {}

/// Says what a visitor expected in words of TOML.
fn in_toml(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let of_bits =
        |bits: &str| bits.parse().map_or(u64::MAX, |n: u32| u64::MAX >> (64 - n.clamp(1, 64)));
    if let Some(bits) = text.strip_prefix('u')
        && bits.parse::<u32>().is_ok()
    {
        return format!("a whole number from 0 to {}", of_bits(bits));
    }
    match text.strip_prefix('i').filter(|bits| bits.parse::<u32>().is_ok()) {
        Some(bits) => format!("a whole number of at most {} in size", of_bits(bits) / 2),
        None if text.starts_with("struct ") => "a table".into(),
        None if text == "unit" => "nothing".into(),
        None => text,
    }
}

// Messages of the visitors. Those that come up often are made by `Asked`, which knows the types beforehand.
impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused::Said(None, message.to_string())
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        de::Error::invalid_value(found, expected)
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(flag) => flag.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => format!("{number:?}"),
            Unexpected::Str(text) => format!("`{text}`"),
            Unexpected::Seq => "an array".into(),
            Unexpected::Map => "a table".into(),
            _ => "another type".into(),
        };
        Refused::Said(None, format!("expected {}, found {found}", in_toml(expected)))
    }
    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Refused::Said(None, format!("expected {}, found {found} values", in_toml(expected)))
    }
    fn unknown_field(_: &str, valid: &'static [&'static str]) -> Self {
        Refused::UnknownKey(valid)
    }
    fn missing_field(name: &'static str) -> Self {
        Refused::Missing(name)
    }
    fn duplicate_field(name: &'static str) -> Self {
        Refused::Duplicate(name)
    }
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
        *self.of = Type::List(Box::new(Type::Open), length);
        let samples: Vec<Value>;
        let values = match &self.value.data {
            Data::Sample => {
                samples = (0..length.unwrap_or(1)).map(|_| sample()).collect();
                &samples
            }
            Data::Array(values) if length.is_none_or(|length| length == values.len()) => values,
            _ => return Err(self.unlike()),
        };
        let mut of = Type::Open;
        let read = visitor.visit_seq(Elements { values: values.iter(), of: &mut of });
        *self.of = Type::List(Box::new(of), length);
        read
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
