//! Recipes as TOML: round trips, and the position of every mistake.

use std::error::Error;

use proptest::prelude::*;
use wengert_nn::optim::{
    Adagrad, Adam, ClipNorm, Rate, Recipe, Registry, RmsProp, Sgd, StepDecay, UnusedParameters,
    WeightDecay,
};

/// Each text with line and column of its mistake, the underlined part, and the start of the message.
#[test]
fn every_mistake_is_located() {
    let cases = [
        // No recipe.
        ("", 1, 1, "", "no optimizer: expected `kind = ..`"),
        ("lr = 0.1", 1, 1, "l", "no optimizer: expected `kind = ..`"),
        ("x = 1\n[optimizer]\nlr = 1", 2, 1, "[optimizer]", "no optimizer: expected `kind = ..`"),
        (
            "[optimiser]\nkind = 'sgd'",
            1,
            2,
            "optimiser",
            "unknown key `optimiser`; did you mean `optimizer`?",
        ),
        ("knd = 'sgd'", 1, 1, "knd", "unknown key `knd`; did you mean `kind`?"),
        ("optimizer = 'adam'", 1, 13, "'adam'", "`optimizer`: expected a table, found string"),
        // Keys beside the table would have no effect.
        (
            "[optimizer]\nkind = 'adam'\n[[groups]]\nparams = '*'",
            3,
            3,
            "groups",
            "`groups` stands outside of `[optimizer]`: expected `optimizer.groups`",
        ),
        ("lr = 1\n[optimizer]\nkind = 'adam'", 1, 1, "lr", "`lr` stands outside of `[optimizer]`"),
        // Kinds.
        (
            "kind = 'adamm'",
            1,
            8,
            "'adamm'",
            "unknown optimizer `adamm`; did you mean `adam`? Expected one of `ada",
        ),
        ("kind = 'xyz'", 1, 8, "'xyz'", "unknown optimizer `xyz`; expected one of `ada"),
        ("kind = 3", 1, 8, "3", "`kind`: expected a string, found integer"),
        // Keys and types.
        (
            "[optimizer]\nkind = 'adam'\r\nbeta = [0.9, 0.99]\r\n",
            3,
            1,
            "beta",
            "unknown key `beta`; did you mean `betas`? Expected one of `betas`, `eps`, `amsgrad`, \
             `lr`, `clip_value`, `clip_tensor_norm`, `clip_norm`, `maximize`, `weight_decay`, \
             `decoupled_weight_decay`, `ema`, `accumulate`, `non_finite`, \
             `unused_parameters`, `groups`",
        ),
        ("kind = 'sgd'\n# ü\n\"ü\" = 1", 3, 1, "\"ü\"", "unknown key `ü`; expected one of"),
        (
            "optimizer.kind = 'sgd'\noptimizer.x = 1",
            2,
            11,
            "x",
            "unknown key `x`; expected one of `momentum`",
        ),
        ("kind = 'adam'\nbetas = 0.9", 2, 9, "0.9", "`betas`: expected an array of 2, found float"),
        (
            "kind = 'adam'\nbetas = [0.9]",
            2,
            9,
            "[0.9]",
            "`betas`: expected an array of 2, found one of 1",
        ),
        (
            "kind = 'adam'\nbetas = [0.9, 'ü']",
            2,
            15,
            "'ü'",
            "`betas`: expected a number, found string",
        ),
        (
            "kind = 'adam'\namsgrad = 1",
            2,
            11,
            "1",
            "`amsgrad`: expected `true` or `false`, found integer",
        ),
        // Ranges.
        (
            "kind = 'adam'\nbetas = [0.9, 1.5]",
            2,
            15,
            "1.5",
            "`betas`: expected a number of at least 0 and below 1, found 1.5",
        ),
        ("kind = 'adam'\nbetas = [nan, 0]", 2, 10, "nan", "`betas`: expected a number of at"),
        (
            "kind = 'adam'\neps = -1e-8",
            2,
            7,
            "-1e-8",
            "`eps`: expected a finite number of at least 0, found -1e-8",
        ),
        ("kind = 'sgd'\nmomentum = inf", 2, 12, "inf", "`momentum`: expected a finite number"),
        ("kind = 'sgd'\nnesterov = true", 2, 12, "true", "`nesterov`: needs a momentum above 0"),
        (
            "kind = 'nesterov'\nmomentum = 0",
            2,
            12,
            "0",
            "`momentum`: expected a number above 0 for `nesterov`, found 0",
        ),
        (
            "kind = 'nesterov'\ndampening = 0.5",
            1,
            8,
            "'nesterov'",
            "`nesterov`: needs a dampening of 0, found 0.5",
        ),
        // Shared keys.
        ("kind = 'sgd'\nclip_norm = 0", 2, 13, "0", "`clip_norm`: expected a finite number above"),
        (
            "kind = 'sgd'\nclip_norm = 'a'",
            2,
            13,
            "'a'",
            "`clip_norm`: expected a number, found string",
        ),
        ("kind = 'sgd'\nweight_decay = -1", 2, 16, "-1", "`weight_decay`: expected a finite"),
        ("kind = 'adamw'\nweight_decay = -1", 2, 16, "-1", "`weight_decay`: expected a finite"),
        (
            "kind = 'sgd'\nunused_parameters = 'skp'",
            2,
            21,
            "'skp'",
            "unknown value `skp`; did you mean `skip`? Expected one of `error`, `skip`",
        ),
        (
            "kind = 'sgd'\nunused_parameters = 1",
            2,
            21,
            "1",
            "`unused_parameters`: expected one of \"error\", \"skip\", found integer",
        ),
        // Rates.
        ("kind = 'sgd'\nlr = -0.1", 2, 6, "-0.1", "`lr`: expected a finite number of at least 0"),
        ("kind = 'sgd'\nlr = nan", 2, 6, "nan", "`lr`: expected a finite number of at least 0"),
        ("kind = 'sgd'\nlr = '1'", 2, 6, "'1'", "`lr`: expected a number, or a table with the"),
        (
            "kind = 'sgd'\nlr = { lr = 1 }",
            2,
            6,
            "{ lr = 1 }",
            "missing key `kind`: the name of a s",
        ),
        ("kind = 'sgd'\nlr = { knd = 1 }", 2, 8, "knd", "unknown key `knd`; did you mean `kind`?"),
        (
            "kind = 'sgd'\nlr = { kind = 'stp' }",
            2,
            15,
            "'stp'",
            "unknown schedule `stp`; did you mean `step`? Expected one of `constant`",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1 }",
            2,
            15,
            "'step'",
            "missing key `step_size`",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 0 }",
            2,
            43,
            "0",
            "`step_size`: expected a number of at least 1, found 0",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 1.5 }",
            2,
            43,
            "1.5",
            "`step_size`: expected a whole number of at least 0, found 1.5",
        ),
        (
            "kind = 'sgd'\nlr.kind = 'step'\nlr.lr = 1\nlr.stepsize = 2",
            4,
            4,
            "stepsize",
            "unknown key `stepsize`; did you mean `step_size`? Expected one of `lr`, `step_size`",
        ),
        // The long form.
        (
            "kind = 'sgd'\n[[chain]]\nkind = 'sgd'",
            2,
            3,
            "chain",
            "both `kind` and `chain`: expected",
        ),
        ("lr = 1\nchain = []", 2, 9, "[]", "the chain is empty: expected at least one rule"),
        ("lr = 1\nchain = 3", 2, 9, "3", "`chain`: expected an array of tables, found integer"),
        ("lr = 1\nchain = [3]", 2, 10, "3", "`chain`: expected a table, found integer"),
        ("[[chain]]\nkind = 'sgd'", 1, 1, "[", "missing key `lr`: the long form needs it"),
        ("lr = 1\n[[chain]]\neps = 1", 2, 1, "[[chain]]", "missing key `kind`: the name of a rule"),
        ("lr = 1\n[[chain]]\nkid = 'sgd'", 3, 1, "kid", "unknown key `kid`; did you mean `kind`?"),
        (
            "lr = 1\n[[chain]]\nkind = 'adamw'\nclip_norm = 1",
            4,
            1,
            "clip_norm",
            "unknown key `clip_norm`; in the long form it is a transform of the chain. Expected one of `b",
        ),
        (
            "lr = 1\nclip_norm = 1\n[[chain]]\nkind = 'sgd'",
            2,
            1,
            "clip_norm",
            "unknown key `clip_norm`: in the long form it is a transform of the chain",
        ),
        // Not TOML.
        ("kind = 'sgd'\nlr = 1\nlr = 2", 3, 1, "lr", "duplicate key"),
        ("kind = 'sgd", 1, 12, "", "invalid literal string, expected `'`"),
        ("kind = 'sgd'\n\tlr = =", 2, 7, "=", "extra `=`"),
    ];
    for (text, line, column, underlined, message) in cases {
        let error = crate::read(text).unwrap_err();
        let shown = error.to_string();
        assert_eq!((error.line(), error.column()), (line, column), "{text:?}\n{shown}");
        assert!(error.message().starts_with(message), "{text:?}\n{shown}");
        let caret = shown.lines().last().unwrap().trim_start_matches([' ', '|', '\t']);
        assert_eq!(caret, "^".repeat(underlined.chars().count().max(1)), "{text:?}\n{shown}");
    }
}

#[test]
fn an_error_shows_file_line_and_caret() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("wengert-recipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("adam.toml");
    std::fs::write(&path, "[data]\nbatch = 64\n\n[optimizer]\nkind = 'adam'\n\tbeta = [0.9]\n")?;
    let shown = Registry::default().load(&path).unwrap_err().to_string();
    let expected = format!(
        "{}:6:2: unknown key `beta`; did you mean `betas`? Expected one of `betas`, `eps`, \
         `amsgrad`, `lr`, `clip_value`, `clip_tensor_norm`, `clip_norm`, `maximize`, `weight_decay`, \
         `decoupled_weight_decay`, `ema`, `accumulate`, `non_finite`, `unused_parameters`, \
         `groups`\n  \
           |\n\
         6 | \tbeta = [0.9]\n  \
           | \t^^^^",
        path.display()
    );
    assert_eq!(shown, expected);
    // `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`.
    assert_eq!(format!("{:?}", Registry::default().load(&path).unwrap_err()), expected);

    std::fs::write(&path, "[data]\nbatch = 64\n\n[optimizer]\nkind = 'adam'\n")?;
    assert_eq!(Registry::default().load(&path)?, crate::read("kind = 'adam'")?);

    std::fs::remove_dir_all(&folder)?;
    let error = Registry::default().load(&path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: cannot be read: ", path.display())));
    assert_eq!((error.line(), error.file()), (0, Some(path.as_path())));
    assert!(error.source().is_some());
    Ok(())
}

#[test]
fn the_long_form_keeps_the_order_of_its_transforms() {
    let text = "
        lr = 0.1
        unused_parameters = 'skip'
        [[chain]]
        kind = 'momentum'
        [[chain]]
        kind = 'clip_norm'
        max_norm = 2
        [[chain]]
        kind = 'adamw'
        weight_decay = 0.5
    ";
    let expected = Recipe::new(0.1, Sgd { momentum: 0.9, ..Sgd::default() })
        .then(ClipNorm { max_norm: 2.0 })
        .then(Adam::default())
        .then(WeightDecay { weight_decay: 0.5 })
        .with_unused_parameters(UnusedParameters::Skip);
    assert_eq!(crate::read(text).unwrap(), expected);
}

#[test]
fn weight_decay_is_an_l2_penalty_except_in_adamw() {
    let kinds = |text: &str| -> Vec<_> {
        crate::read(text).unwrap().chain().iter().map(|transform| transform.kind()).collect()
    };
    let shared = "weight_decay = 0.1\nclip_norm = 1";
    assert_eq!(kinds(&format!("kind = 'adam'\n{shared}")), ["clip_norm", "weight_decay", "adam"]);
    assert_eq!(kinds(&format!("kind = 'adamw'\n{shared}")), ["clip_norm", "adam", "weight_decay"]);
    assert_eq!(kinds("kind = 'adamw'"), ["adam", "weight_decay"]);
    let l2 = "kind = 'adamw'\ndecoupled_weight_decay = false";
    assert_eq!(kinds(l2), ["weight_decay", "adam"]);
    let decoupled = "kind = 'adam'\nweight_decay = 0.1\ndecoupled_weight_decay = true\nema = 0.5";
    assert_eq!(kinds(decoupled), ["adam", "weight_decay", "ema"]);
}

/// Generates recipes of one to four rules with random settings.
fn recipe() -> impl Strategy<Value = Recipe> {
    let rule = (0..6, 0.0..1.0, 0.0..1e-3, any::<[bool; 2]>());
    let rates = (any::<bool>(), 0.0..2.0, 1..1_000_000u64, 0.0..1.5);
    (rates, prop::collection::vec(rule, 1..5), any::<bool>()).prop_map(
        |((staircase, lr, step_size, gamma), rules, skip)| {
            let rate: Rate =
                if staircase { StepDecay { lr, step_size, gamma }.into() } else { lr.into() };
            // The first rule changes nothing.
            let mut recipe = Recipe::new(rate, Sgd::default());
            for (rule, x, eps, [a, b]) in rules {
                recipe = match rule {
                    0 => recipe.then(Sgd { momentum: x, dampening: eps, nesterov: false }),
                    1 => recipe.then(RmsProp {
                        alpha: x,
                        eps,
                        centered: a,
                        eps_inside_sqrt: b,
                        ..RmsProp::default()
                    }),
                    2 => recipe.then(Adagrad { lr_decay: x, eps, ..Adagrad::default() }),
                    3 => recipe.then(Adam { betas: [x, 1.0 - eps / 2.0 - 1e-9], eps, amsgrad: a }),
                    4 => recipe.then(WeightDecay { weight_decay: x }),
                    _ => recipe.then(ClipNorm { max_norm: x + 1e-300 }),
                };
            }
            let unused = if skip { UnusedParameters::Skip } else { UnusedParameters::Error };
            recipe.with_unused_parameters(unused)
        },
    )
}

/// Short forms that together use the whole grammar.
const SHORT: [&str; 3] = [
    "kind = 'adamw'\nbetas = [0.9, 0.99]\nweight_decay = 0.1\nunused_parameters = \"skip\"\n",
    "[optimizer]\nkind = 'nesterov'\nlr = { kind = 'step', lr = 1e-3, step_size = 3 } # fast\n",
    "[model]\nlayers = [1, 2]\n[optimizer]\nkind = 'rmsprop'\ncentered = true\nclip_norm = 1\n",
];

proptest! {
    #[test]
    fn a_printed_recipe_reads_back_equal(recipe in recipe()) {
        let text = recipe.to_string();
        let read = crate::read(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read, recipe);
    }

    /// A recipe with random edits is still a recipe, or the error has a position.
    #[test]
    fn a_mutated_recipe_is_valid_or_its_mistake_is_located(
        base in prop_oneof![recipe().prop_map(|r| r.to_string()), (0..3usize).prop_map(|i| SHORT[i].to_owned())],
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4, any::<char>()), 1..4),
    ) {
        let mut text: Vec<char> = base.chars().collect();
        for (at, edit, c) in edits {
            let at = at.index(text.len());
            // The text never becomes empty, so that there is always something to edit.
            match edit {
                0 if text.len() > 1 => { text.remove(at); }
                0 => {}
                1 => text.insert(at, c),
                2 => text[at] = char::from(b' ' + (c as u32 % 95) as u8),
                _ => text.truncate(at.max(1)),
            }
        }
        let text: String = text.into_iter().collect();
        match crate::read(&text) {
            Ok(recipe) => prop_assert_eq!(crate::read(&recipe.to_string()).ok(), Some(recipe)),
            Err(error) => {
                let line = text.split('\n').nth(error.line() - 1);
                let length = line.map(|line| line.chars().count());
                prop_assert!(length.is_some_and(|n| (1..=n + 1).contains(&error.column())));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = crate::read(&text).map_err(|error| error.to_string());
    }
}
