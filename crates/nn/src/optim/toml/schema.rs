//! A JSON schema of recipes, for editors.

use std::fmt::Write;

use super::registry::{OneSchedule, Registry, ScheduleKind};
use super::shared::{self, RECIPE, SHARED, Value};
use super::training::PATTERN;
use crate::optim::asked::Type;
use crate::optim::recipe::{Choice, NonFinite, UnusedParameters};
use crate::optim::reflect::Setting;

impl Registry {
    /// Returns a JSON schema (draft 7) of the recipes that these kinds allow, in the short and the long
    /// form. With it an editor completes keys and marks mistakes in TOML files. It covers names and
    /// types; ranges are checked when a file is read.
    ///
    /// `docs/recipe.schema.json` is the schema of the library's own kinds.
    pub fn schema(&self) -> String {
        let mut text = String::from(
            "{\n\"$schema\": \"http://json-schema.org/draft-07/schema#\",\n\
             \"title\": \"A recipe of wengert: at top level, or in a table `optimizer`\",\n\
             \"type\": \"object\",\n\
             \"if\": {\"required\": [\"optimizer\"]},\n\
             \"then\": {\"properties\": {\"optimizer\": {\"$ref\": \"#/definitions/recipe\"}}},\n\
             \"else\": {\"$ref\": \"#/definitions/recipe\"},\n\
             \"definitions\": {",
        );
        let mut separator = "";
        for (name, schema) in self.definitions() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}\n{}: {schema}", string(&name));
            separator = ",";
        }
        text + "\n}\n}\n"
    }

    fn definitions(&self) -> Vec<(String, String)> {
        let mut all = shared();
        let mut any = Object::default();
        for (kind, rule) in &self.rules {
            let settings = (rule.describe)();
            let own = |key: &str| settings.iter().any(|setting| setting.name == key);
            let scheduled: &dyn Fn(&Type) -> String =
                if rule.solver { &of_type } else { &scheduled };
            let transform = Object::of(kind, &settings, scheduled);
            let mut short = transform.clone();
            let keys = shared::keys().take(if rule.solver { 1 } else { usize::MAX });
            keys.filter(|key| !own(key)).for_each(|key| short.put(key, reference(key)));
            let mut group = short.clone();
            RECIPE.iter().filter(|key| !own(key)).for_each(|key| short.put(key, reference(key)));
            any.properties
                .extend(group.properties.iter().filter(|(key, _)| key != "kind").cloned());
            if rule.lr.is_nan() && !own("lr") {
                short.required.push(vec!["lr"]);
            }
            group.required.clear();
            group.of_group();
            all.push((format!("link.{kind}"), transform.text()));
            all.push((format!("short.{kind}"), short.text()));
            all.push((format!("group.{kind}"), group.text()));
        }
        for (kind, schedule) in &self.schedules {
            let object = match schedule {
                ScheduleKind::One(schedule) => self.schedule_object(schedule),
                ScheduleKind::Joined => {
                    let required = vec![vec!["milestones"], vec!["pieces"]];
                    let mut object = Object { required, ..Object::of(kind, &[], &of_type) };
                    object.put("milestones", list(&steps()));
                    object.put("pieces", list(&reference("lr")));
                    object.put_warmup();
                    object
                }
            };
            all.push((format!("schedule.{kind}"), object.text()));
        }
        let rules = || self.rules.keys().copied();
        let schedules = by_kind("schedule", self.schedules.keys().copied());
        all.push(("lr".into(), choose("{\"type\": \"object\"}", &schedules, TYPE_NUMBER)));
        all.push(("link".into(), by_kind("link", rules())));
        let required = vec![vec!["lr"], vec!["chain"]];
        let mut long = Object { required, ..Object::default() };
        ["lr", "chain"].iter().chain(&RECIPE).for_each(|key| long.put(key, reference(key)));
        all.push(("long".into(), long.text()));
        all.push((
            "recipe".into(),
            choose(&has("chain"), &reference("long"), &by_kind("short", rules())),
        ));
        let (mut frozen, mut chained) = (Object::default(), Object::default());
        frozen.of_group();
        ["lr", "chain"].iter().for_each(|key| chained.put(key, reference(key)));
        chained.of_group();
        any.of_group();
        any.unite();
        let is_frozen =
            "{\"required\": [\"frozen\"], \"properties\": {\"frozen\": {\"const\": true}}}";
        let trained = choose(&has("kind"), &by_kind("group", rules()), &any.text());
        let trained = choose(&has("chain"), &chained.text(), &trained);
        all.push(("group".into(), choose(is_frozen, &frozen.text(), &trained)));
        all.push(("chain".into(), list(&reference("link"))));
        all.push(("groups".into(), list(&reference("group"))));
        all.sort();
        all
    }

    /// Returns the schema of a schedule with its settings.
    fn schedule_object(&self, schedule: &OneSchedule) -> Object {
        let counts_steps = |name: &str| {
            (schedule.field_of)(name).is_some_and(|field| schedule.steps.contains(&field))
        };
        let mut settings = (schedule.describe)();
        let mut object = Object::of(schedule.kind, &settings, &of_type);
        settings.retain(|setting| counts_steps(setting.name));
        for setting in settings {
            object.put(
                setting.name,
                match setting.of {
                    Type::List(..) => list(&steps()),
                    _ => steps(),
                },
            );
        }
        if schedule.own_warmup.is_none() {
            object.put_warmup();
        }
        if let Some(length) = schedule.length {
            object.put("total_steps", steps());
            let needed = object.required.iter().position(|names| names.contains(&length));
            match needed {
                // The reader knows the length of the training.
                Some(needed) if self.training.is_some() => _ = object.required.remove(needed),
                Some(needed) => object.required[needed].push("total_steps"),
                None => {}
            }
        }
        object
    }
}

/// Returns the schema of a number of steps, in all its forms.
fn steps() -> String {
    format!("{{\"anyOf\": [{TYPE_WHOLE}, {{\"type\": \"string\", \"pattern\": \"{PATTERN}\"}}]}}")
}

const TYPE_NUMBER: &str = "{\"type\": \"number\"}";
const TYPE_WHOLE: &str = "{\"type\": \"integer\", \"minimum\": 0}";
const TYPE_FLAG: &str = "{\"type\": \"boolean\"}";
const TYPE_TEXT: &str = "{\"type\": \"string\"}";

/// Returns the definitions of the keys that belong to no kind.
fn shared() -> Vec<(String, String)> {
    fn words<C: Choice>() -> String {
        one_of(C::ALL.iter().map(|(word, _)| *word))
    }
    let patterns = format!("{{\"anyOf\": [{TYPE_TEXT}, {}]}}", list(TYPE_TEXT));
    let mut all: Vec<(String, String)> = [
        ("params", patterns),
        ("accumulate", "{\"type\": \"integer\", \"minimum\": 1}".into()),
        ("non_finite", words::<NonFinite>()),
        ("unused_parameters", words::<UnusedParameters>()),
    ]
    .map(|(key, schema)| (key.into(), schema))
    .into();
    for shared in &SHARED {
        let of = match shared.value {
            Value::Number(_) => reference("lr"),
            Value::Flag(_) => TYPE_FLAG.into(),
        };
        all.push((shared.key.into(), of));
    }
    all
}

/// Schema of a table. Of each list in `required`, one name must be given.
#[derive(Clone, Default)]
struct Object {
    properties: Vec<(String, String)>,
    required: Vec<Vec<&'static str>>,
}

impl Object {
    /// Returns the schema of a kind with its settings, each of which has the schema that `of_type` returns.
    fn of(kind: &str, settings: &[Setting], of_type: &dyn Fn(&Type) -> String) -> Self {
        let mut object = Object::default();
        object.put("kind", format!("{{\"const\": {}}}", string(kind)));
        for setting in settings {
            object.put(setting.name, of_type(&setting.of));
            let Some(provides) = setting.provides else { continue };
            match object.required.iter_mut().find(|names| names.contains(&provides)) {
                Some(names) => names.push(setting.name),
                None if provides == setting.name => object.required.push(vec![provides]),
                None => object.required.push(vec![provides, setting.name]),
            }
        }
        object
    }

    fn of_group(&mut self) {
        self.put("params", reference("params"));
        self.put("frozen", TYPE_FLAG.into());
        self.required.push(vec!["params"]);
    }

    /// Lets a key that has several schemas have any of them.
    fn unite(&mut self) {
        self.properties.sort();
        self.properties.dedup();
        let same = self.properties.chunk_by(|(one, _), (other, _)| one == other);
        let united = same.map(|same| match same {
            [only] => only.clone(),
            several => {
                let schemas = several.iter().map(|(_, schema)| schema.as_str());
                let schemas = schemas.collect::<Vec<_>>().join(", ");
                (several[0].0.clone(), format!("{{\"anyOf\": [{schemas}]}}"))
            }
        });
        self.properties = united.collect();
    }

    fn put_warmup(&mut self) {
        self.put("warmup_steps", steps());
        self.put("warmup_start_factor", TYPE_NUMBER.into());
    }

    /// Sets the schema of a key.
    fn put(&mut self, key: &str, schema: String) {
        match self.properties.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = schema,
            None => self.properties.push((key.into(), schema)),
        }
    }

    fn text(&self) -> String {
        let property = |(key, schema): &(String, String)| format!("{}: {schema}", string(key));
        let properties = self.properties.iter().map(property).collect::<Vec<_>>().join(", ");
        let required = self.required.iter().map(|names| {
            let mut names = names.clone();
            names.sort();
            names.dedup();
            let names: Vec<String> = names.into_iter().map(has).collect();
            format!("{{\"anyOf\": [{}]}}", names.join(", "))
        });
        let required = match required.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => none,
            some => format!(", \"allOf\": [{some}]"),
        };
        format!(
            "{{\"type\": \"object\", \"properties\": {{{properties}}}, \
             \"additionalProperties\": false{required}}}"
        )
    }
}

/// Returns the schema of a setting whose numbers may follow schedules.
fn scheduled(of: &Type) -> String {
    match of {
        Type::Number => reference("lr"),
        Type::List(of, length) if **of == Type::Number => list_of(&reference("lr"), *length),
        other => of_type(other),
    }
}

fn of_type(of: &Type) -> String {
    match of {
        Type::Number => TYPE_NUMBER.into(),
        Type::Whole => TYPE_WHOLE.into(),
        Type::Signed => "{\"type\": \"integer\"}".into(),
        Type::Flag => TYPE_FLAG.into(),
        Type::Text => TYPE_TEXT.into(),
        Type::Word(words) => one_of(words.iter().copied()),
        Type::List(of, length) => list_of(&of_type(of), *length),
        Type::Table(_) => "{\"type\": \"object\"}".into(),
        Type::Open => "true".into(),
    }
}

/// Returns the schema of a table that follows the definition named by its `kind`.
fn by_kind<'a>(family: &str, kinds: impl Iterator<Item = &'a str> + Clone) -> String {
    let branch = |kind: &str| {
        let condition =
            format!("{{\"properties\": {{\"kind\": {{\"const\": {}}}}}}}", string(kind));
        format!("{{\"if\": {condition}, \"then\": {}}}", reference(&format!("{family}.{kind}")))
    };
    format!(
        "{{\"type\": \"object\", \"required\": [\"kind\"], \"properties\": {{\"kind\": {}}}, \
         \"allOf\": [{}]}}",
        one_of(kinds.clone()),
        kinds.map(branch).collect::<Vec<_>>().join(", ")
    )
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("{{\"enum\": [{}]}}", words.map(string).collect::<Vec<_>>().join(", "))
}

fn choose(condition: &str, then: &str, otherwise: &str) -> String {
    format!("{{\"if\": {condition}, \"then\": {then}, \"else\": {otherwise}}}")
}

fn has(key: &str) -> String {
    format!("{{\"required\": [{}]}}", string(key))
}

fn list(of: &str) -> String {
    list_of(of, None)
}

fn list_of(of: &str, length: Option<usize>) -> String {
    let length =
        length.map_or(String::new(), |n| format!(", \"minItems\": {n}, \"maxItems\": {n}"));
    format!("{{\"type\": \"array\", \"items\": {of}{length}}}")
}

fn reference(name: &str) -> String {
    format!("{{\"$ref\": {}}}", string(&format!("#/definitions/{name}")))
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
