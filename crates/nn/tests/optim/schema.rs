//! The JSON schema for editors: it is up to date, accepts every recipe, and refuses mistakes.

use serde_json::Value;
use wengert_nn::optim::Registry;

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

/// Returns whether `value` follows `schema`. Knows the part of draft 7 that the schema uses, and panics at
/// anything else.
fn follows(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return schema == &Value::Bool(true) };
    let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    schema.iter().all(|(key, rule)| match key.as_str() {
        "$schema" | "title" | "definitions" | "then" | "else" => true,
        "$ref" => follows(root, root.pointer(&rule.as_str().unwrap()[1..]).unwrap(), value),
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("type {other}"),
        },
        "const" => value == rule,
        "enum" => list("enum").any(|word| value == word),
        "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
        "minItems" => value.as_array().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap()),
        "items" => value.as_array().is_none_or(|v| v.iter().all(|v| follows(root, rule, v))),
        "required" => value
            .as_object()
            .is_none_or(|v| list("required").all(|key| v.contains_key(key.as_str().unwrap()))),
        "properties" => value.as_object().is_none_or(|v| {
            v.iter().all(|(key, v)| rule.get(key).is_none_or(|rule| follows(root, rule, v)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|v| {
            assert_eq!(rule, false);
            v.keys().all(|key| schema["properties"].get(key).is_some())
        }),
        "allOf" => list("allOf").all(|rule| follows(root, rule, value)),
        "anyOf" => list("anyOf").any(|rule| follows(root, rule, value)),
        "if" => {
            let branch = if follows(root, rule, value) { "then" } else { "else" };
            schema.get(branch).is_none_or(|rule| follows(root, rule, value))
        }
        other => panic!("the checker does not know `{other}`"),
    })
}

fn accepts(toml: &str) -> bool {
    let schema: Value = serde_json::from_str(&Registry::default().schema()).unwrap();
    let value = toml::from_str::<toml::Table>(toml).unwrap();
    follows(&schema, &schema, &serde_json::to_value(value).unwrap())
}

#[test]
fn every_kind_is_accepted_in_both_forms() {
    for kind in Registry::default().rules() {
        let text = format!("kind = '{kind}'\nlr = 0.1\nclip_norm = 1.0\nema = 0.9");
        // Some kinds, such as solvers, do not accept these shared keys.
        let text = if crate::read(&text).is_ok() { text } else { format!("kind = '{kind}'") };
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
