//! The JSON schema for editors: it is up to date, accepts every recipe, and refuses mistakes.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use toml::Value;
use wengert_nn::optim::Registry;

use crate::mutations::any_recipe;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipe.schema.json");

#[test]
fn the_file_is_up_to_date() {
    let schema = Registry::default().schema();
    if std::env::var_os("WENGERT_BLESS").is_some() {
        std::fs::write(FILE, &schema).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).is_ok_and(|file| file == schema),
        "docs/recipe.schema.json is out of date; `WENGERT_BLESS=1 cargo test -p wengert-nn --test optim \
         schema` writes it anew"
    );
}

/// Returns the validator of the recipes that this registry reads.
fn validator(registry: &Registry) -> Validator {
    jsonschema::draft7::new(&serde_json::from_str(&registry.schema()).unwrap()).unwrap()
}

fn accepts(toml: &str) -> bool {
    static LIBRARY: LazyLock<Validator> = LazyLock::new(|| validator(&Registry::default()));
    let recipe: toml::Table = toml::from_str(toml).unwrap();
    LIBRARY.is_valid(&serde_json::to_value(recipe).unwrap())
}

#[test]
fn every_kind_is_accepted_in_both_forms() {
    for kind in Registry::default().rules() {
        let text = format!("kind = '{kind}'\nlr = 0.1\nclip_norm = 1.0\nema = 0.9");
        // Some kinds, such as solvers, do not accept these shared keys.
        let text =
            if crate::read(&text).is_ok() { text } else { format!("kind = '{kind}'\nlr = 0.1") };
        assert!(accepts(&text), "{text}");
        let printed = crate::read(&text).unwrap().to_string();
        assert!(accepts(&printed), "{printed}");
    }
}

#[test]
fn recipes_are_accepted() {
    let recipes = [
        "kind = 'adamw'\nlr = { kind = 'cosine', peak = 1e-3, warmup_steps = 100, total_steps = 1000 }",
        "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, T_max = 3 }",
        "kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 1, total_steps = 3, anneal_strategy = 'linear' }",
        "kind = 'sgd'\nlr = { kind = 'joined', milestones = [3], pieces = [1, { kind = 'step', lr = 1, step_size = 2 }] }",
        "kind = 'adamw'\n[[groups]]\nparams = ['*.bias', 'a.*']\nweight_decay = 0.0\n[[groups]]\nparams = '*'\nkind = 'sgd'\nlr = 1",
        "kind = 'adam'\n[[groups]]\nparams = '*'\nfrozen = true\n[[groups]]\nparams = 'b'\n[[groups.chain]]\nkind = 'lion'\nweight_decay = 1",
        "kind = 'adam'\n[[groups]]\nparams = '*'\nbetas = [0.9, 0.99]",
        "kind = 'adan'\n[[groups]]\nparams = '*'\nbetas = [0.9, 0.99, 0.999]",
        "[data]\nbatch = 3\n[optimizer]\nlr = 1\n[[optimizer.chain]]\nkind = 'clip_value'\n[[optimizer.chain]]\nkind = 'adamw'",
    ];
    for text in recipes {
        assert!(crate::read(text).is_ok() && accepts(text), "{text}");
        let printed = crate::read(text).unwrap().to_string();
        assert!(accepts(&printed), "{printed}");
    }
}

#[test]
fn mistakes_are_refused() {
    let mistakes = [
        "lr = 1",
        "kind = 'adamm'",
        "kind = 3",
        "kind = 'adam'\nbeta = [0.9, 0.99]",
        "kind = 'adam'\nbetas = [0.9]",
        "kind = 'adam'\nbetas = [0.9, 0.99, 0.999]",
        "kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 1, total_steps = 3, warmup_steps = 1 }",
        "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = '3 years' }",
        "kind = 'sgd'\nlr = { kind = 'plateau', lr = 1, patience = '3 epochs' }",
        "kind = 'adam'\nbetas = 0.9",
        "kind = 'adam'\namsgrad = 1",
        "kind = 'sgd'\nlr = 'fast'",
        "kind = 'sgd'\nlr = { kind = 'stp' }",
        "kind = 'sgd'\nlr = { kind = 'step', lr = 1 }",
        "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1 }",
        "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 1.5 }",
        "kind = 'sgd'\nlr = { kind = 'plateau', lr = 1, mode = 'mn' }",
        "kind = 'sgd'\nlr = { kind = 'joined', milestones = [3], pieces = ['a'] }",
        "kind = 'sgd'\nunused_parameters = 'skp'",
        "kind = 'sgd'\naccumulate = 0",
        "kind = 'sgd'\n[[chain]]\nkind = 'sgd'",
        "[[chain]]\nkind = 'sgd'",
        "lr = 1\nclip_norm = 1\n[[chain]]\nkind = 'sgd'",
        "lr = 1\n[[chain]]\nkind = 'adamw'\nclip_norm = 1",
        "kind = 'sgd'\n[[groups]]\nlr = 1",
        "kind = 'sgd'\n[[groups]]\nparams = 3",
        "kind = 'sgd'\n[[groups]]\nparams = 'a'\nfrozn = true",
        "kind = 'sgd'\n[[groups]]\nparams = 'a'\nfrozen = true\nlr = 1",
        "kind = 'sgd'\n[[groups]]\nparams = 'a'\naccumulate = 2",
    ];
    for text in mistakes {
        assert!(crate::read(text).is_err() && !accepts(text), "{text}");
    }
}

/// Generates recipes in the short form, perhaps with groups.
fn short_form() -> impl Strategy<Value = toml::Table> {
    let kinds: Vec<&str> = Registry::default().rules().collect();
    let keys = [
        ("lr", "0.1"),
        ("lr", "{ kind = 'cosine', peak = 0.1, T_max = 9, warmup_steps = '10%' }"),
        ("lr", "{ kind = 'linear', lr = 0.1, total_steps = '3 epochs' }"),
        ("lr", "{ kind = 'multi_step', lr = 0.1, milestones = [3, '2.5 epochs'] }"),
        ("lr", "{ kind = 'one_cycle', max_lr = 0.1 }"),
        ("lr", "{ kind = 'joined', milestones = ['50%'], pieces = [0.1, 0.2] }"),
        ("clip_value", "0.5"),
        ("clip_norm", "0.5"),
        ("maximize", "true"),
        ("weight_decay", "0.5"),
        ("ema", "0.5"),
        ("accumulate", "2"),
        ("non_finite", "'skip'"),
        ("groups", "[{ params = '*.bias', weight_decay = 0.5 }, { params = 'b', kind = 'sgd' }]"),
        ("groups", "[{ params = ['a', 'b'], frozen = true }]"),
        ("groups", "[{ params = 'a', chain = [{ kind = 'adamw', betas = [0.5, 0.5] }] }]"),
    ];
    let keys = prop::collection::vec(select(keys.to_vec()), 0..6);
    (select(kinds), keys).prop_map(|(kind, keys)| {
        let mut recipe: toml::Table = toml::from_str(&format!("kind = '{kind}'")).unwrap();
        for (key, value) in keys {
            recipe.extend(toml::from_str::<toml::Table>(&format!("{key} = {value}")).unwrap());
        }
        recipe
    })
}

/// Changes one value or key, at any depth.
fn mutate(value: &mut Value, steps: &mut impl Iterator<Item = Index>, mutation: usize) {
    let mut pick = |n: usize| steps.next().map_or(0, |step| step.index(n));
    match value {
        Value::Table(table) if !table.is_empty() => {
            let key = table.keys().nth(pick(table.len())).unwrap().clone();
            let goes_on = (table[&key].is_table() || table[&key].is_array()) && pick(5) > 0;
            match mutation {
                _ if goes_on => mutate(&mut table[&key], steps, mutation),
                0 => _ = table.remove(&key),
                1 => {
                    let value = table.remove(&key).unwrap();
                    table.insert(format!("{key}x"), value);
                }
                2 => _ = table.insert("surplus".into(), 1.into()),
                _ => mutate_whole(&mut table[&key], pick(10)),
            }
        }
        Value::Array(values) if !values.is_empty() => {
            let at = pick(values.len());
            match mutation {
                4 => values.push(values[at].clone()),
                5 => _ = values.remove(at),
                _ => mutate(&mut values[at], steps, mutation),
            }
        }
        other => mutate_whole(other, pick(10)),
    }
}

/// Replaces a value by one that is often of another type.
fn mutate_whole(value: &mut Value, choice: usize) {
    let others: [Value; 10] = [
        0.5.into(),
        3.into(),
        (-3).into(),
        "x".into(),
        "10%".into(),
        "1 epoch".into(),
        true.into(),
        Value::Array(vec![]),
        Value::Array(vec![0.25.into(), 0.5.into()]),
        Value::Table(toml::Table::new()),
    ];
    *value = others[choice].clone();
}

/// Returns whether a message is about a name or a type, and not about a range or a contradiction.
fn is_structural(message: &str) -> bool {
    let types = ["string", "integer", "float", "boolean", "array", "table"];
    let found = message.rsplit_once("found ").map(|(_, found)| found);
    let of_type = found.is_some_and(|found| types.contains(&found) || found.starts_with("one of"));
    of_type
        || ["unknown ", "missing key", "no optimizer"]
            .iter()
            .any(|begin| message.starts_with(begin))
}

proptest! {
    /// What the schema refuses, the reader refuses. What the reader refuses for a name or a type, the schema refuses.
    #[test]
    fn the_schema_and_the_reader_agree(
        recipe in prop_oneof![
            any_recipe().prop_map(|recipe| toml::from_str(&recipe.to_string()).unwrap()),
            short_form(),
        ],
        mutation in 0..7usize,
        steps in prop::collection::vec(any::<Index>(), 12),
    ) {
        static KINDS: LazyLock<(Registry, Validator)> = LazyLock::new(|| {
            let registry = Registry::default().training(10, 50);
            let validator = validator(&registry);
            (registry, validator)
        });
        let (registry, validator) = &*KINDS;
        let mut recipe = Value::Table(recipe);
        if mutation < 6 {
            mutate(&mut recipe, &mut steps.into_iter(), mutation);
        }
        let text = toml::to_string(&recipe).unwrap();
        let accepted = validator.is_valid(&serde_json::to_value(&recipe).unwrap());
        match registry.read(&text) {
            Ok(_) => prop_assert!(accepted, "the schema refuses\n{text}"),
            Err(error) if is_structural(error.message()) => {
                prop_assert!(!accepted, "the schema accepts\n{text}\n{error}");
            }
            Err(_) => {}
        }
    }
}
