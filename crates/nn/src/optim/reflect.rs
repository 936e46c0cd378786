//! What serde knows of a settings struct: the names of its fields, and its values as TOML.

use serde::Serialize;
use serde::de::value::Error as Refused;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::range::InvalidSetting;

/// What the settings of a kind look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fields {
    /// A struct with these fields, in the order of their declaration.
    Named(&'static [&'static str]),
    /// A unit struct: nothing to set.
    Unit,
    /// Something else, a map for example; its keys are not known beforehand.
    Open,
}

impl Fields {
    /// The names, where they are known.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Fields::Named(names) => names,
            Fields::Unit | Fields::Open => &[],
        }
    }
}

/// Asks `T` to deserialize itself from a source that only listens to what it is asked for.
pub(crate) fn of<T: DeserializeOwned>() -> Fields {
    let mut fields = Fields::Open;
    // The listener always refuses: what it heard is the answer.
    let _ = T::deserialize(Listener(&mut fields));
    fields
}

/// The settings as a TOML table.
pub(crate) fn settings<T: Serialize + DeserializeOwned>(
    value: &T,
) -> Result<toml::Table, InvalidSetting> {
    if of::<T>() == Fields::Unit {
        return Ok(toml::Table::new());
    }
    toml::Table::try_from(value).map_err(|e| {
        InvalidSetting::new("", format!("the settings cannot be written as TOML: {e}"))
    })
}

struct Listener<'a>(&'a mut Fields);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Refused;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Fields::Named(names);
        Err(Refused::custom("listening"))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Fields::Unit;
        Err(Refused::custom("listening"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::custom("listening"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A setting as serde knows it, under one of its names.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    /// The setting without a default that is given by this name, which may be a second one.
    pub(crate) gives: Option<&'static str>,
}

/// What a setting may hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Number,
    /// Of at least 0.
    Whole,
    Flag,
    Text,
    Word(&'static [&'static str]),
    /// A list, of so many elements if that is fixed.
    List(Box<Type>, Option<usize>),
    /// Anything else.
    Open,
}

impl Type {
    /// Some value of the type.
    fn sample(&self) -> toml::Value {
        match self {
            Type::Number => 0.5.into(),
            Type::Whole => 1.into(),
            Type::Flag => true.into(),
            Type::Text | Type::Open => "".into(),
            Type::Word(words) => words.first().copied().unwrap_or("").into(),
            Type::List(of, length) => vec![of.sample(); length.unwrap_or(0)].into(),
        }
    }
}

/// The settings of `T` under all of their names.
pub(crate) fn describe<T: DeserializeOwned>() -> Vec<Setting> {
    let names = of::<T>().names();
    let reads = |given: &[&'static str]| {
        let sample = |name: &&'static str| ((*name).to_owned(), type_of::<T>(name).sample());
        toml::Value::Table(given.iter().map(sample).collect()).try_into::<T>().map(drop)
    };
    let mut needed = Vec::new();
    while let Err(error) = reads(&needed) {
        let lacks = |name: &&&'static str| error.message() == format!("missing field `{name}`");
        match names.iter().find(lacks) {
            Some(name) if !needed.contains(name) => needed.push(name),
            _ => break,
        }
    }
    let setting = |name: &&'static str| {
        let gives = |at: &usize| {
            let mut given = needed.clone();
            given[*at] = *name;
            reads(&given).is_ok()
        };
        let gives = (0..needed.len()).find(gives).map(|at| needed[at]);
        Setting { name, of: type_of::<T>(name), gives }
    };
    names.iter().map(setting).collect()
}

/// The type of the setting `name`: what `T` asks for when it is offered.
fn type_of<T: DeserializeOwned>(name: &'static str) -> Type {
    let mut found = Type::Open;
    // As above: what was heard is the answer.
    let _ = T::deserialize(Offer { name, found: Some(&mut found) });
    found
}

/// A table with one setting.
struct Offer<'a> {
    name: &'static str,
    found: Option<&'a mut Type>,
}

impl<'de> Deserializer<'de> for Offer<'_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Offer<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        seed.deserialize(self.name.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        match self.found.take() {
            Some(found) => seed.deserialize(Asked(found)),
            None => Err(Refused::custom("listening")),
        }
    }
}

/// A value that writes down as what it is wanted.
struct Asked<'a>(&'a mut Type);

/// Methods that write down a type, and refuse.
macro_rules! asked {
    ($($solver:ident => $of:expr,)*) => {
        $(fn $solver<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            *self.0 = $of;
            Err(Refused::custom("listening"))
        })*
    };
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Refused;

    asked! {
        deserialize_any => Type::Open,
        deserialize_bool => Type::Flag,
        deserialize_f32 => Type::Number,
        deserialize_f64 => Type::Number,
        deserialize_u8 => Type::Whole,
        deserialize_u16 => Type::Whole,
        deserialize_u32 => Type::Whole,
        deserialize_u64 => Type::Whole,
        deserialize_str => Type::Text,
        deserialize_string => Type::Text,
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Type::Word(words);
        Err(Refused::custom("listening"))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        let heard = visitor.visit_seq(Asked(&mut of));
        *self.0 = Type::List(Box::new(of), None);
        heard
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        let heard = visitor.visit_seq(Asked(&mut of));
        *self.0 = Type::List(Box::new(of), Some(length));
        heard
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 char bytes byte_buf unit unit_struct newtype_struct tuple_struct
        map struct identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Asked<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        seed.deserialize(Asked(self.0)).map(Some)
    }
}
