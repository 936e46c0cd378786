//! Random recipes read back equal, and a random typo in one is located.

use proptest::prelude::*;
use proptest::sample::Index;
use wengert_nn::optim::{
    Adadelta, Adagrad, Adam, Adamax, ClipNorm, ClipTensorNorm, ClipValue, Ema, Lion, Maximize,
    NAdam, NonFinite, Plan, RAdam, Recipe, RmsProp, Sgd, StepDecay, Transform, UnusedParameters,
    WeightDecay,
};

use crate::any::any_rate;

/// Generates transforms with settings in range.
fn any_transform() -> impl Strategy<Value = Transform> {
    (0..15, 0.001..1.0f64, 0.0..1.0f64, 0.0..1e-3f64, any::<[bool; 2]>()).prop_map(
        |(kind, x, y, eps, [a, b])| {
            let betas = [x / 2.0, y];
            match kind {
                0 => Transform::new(Sgd { momentum: x, dampening: y, nesterov: false }),
                1 => Transform::new(Sgd { momentum: x, dampening: 0.0, nesterov: a }),
                2 => Transform::new(RmsProp {
                    alpha: y,
                    eps,
                    centered: a,
                    momentum: x,
                    eps_inside_sqrt: b,
                }),
                3 => Transform::new(Adagrad { lr_decay: x, initial_accumulator_value: y, eps }),
                4 => Transform::new(Adadelta { rho: y, eps }),
                5 => Transform::new(Adam { betas, eps, amsgrad: a }),
                6 => Transform::new(Adamax { betas, eps }),
                7 => Transform::new(NAdam { betas, eps, momentum_decay: x }),
                8 => Transform::new(RAdam { betas, eps }),
                9 => Transform::new(Lion { betas }),
                10 => Transform::new(WeightDecay { weight_decay: y }),
                11 => Transform::new(ClipValue { clip_value: x }),
                12 => Transform::new(ClipTensorNorm { max_norm: x }),
                13 => Transform::new(ClipNorm { max_norm: x }),
                _ => Transform::new(Maximize {}),
            }
        },
    )
}

/// Lets the first numeric setting of some transforms follow a schedule, in the range of all settings.
fn scheduled(transform: Transform, follows: bool) -> Transform {
    let number = transform.settings().iter().find_map(|(name, value)| match value {
        toml::Value::Float(number) => Some((name.clone(), *number)),
        toml::Value::Array(list) => Some((format!("{name}.1"), list[1].as_float()?)),
        _ => None,
    });
    match number {
        Some((name, lr)) if follows && lr > 0.0 => {
            transform.scheduled(&name, StepDecay { lr, step_size: 9, gamma: 0.5 })
        }
        _ => transform,
    }
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let transform = (any_transform(), any::<bool>());
    let transform = transform.prop_map(|(transform, follows)| scheduled(transform, follows));
    let transforms = prop::collection::vec(transform, 0..4);
    (any_rate(), transforms, any::<bool>(), 0.0..1.0f64).prop_map(
        |(lr, transforms, average, decay)| {
            // The first rule changes nothing.
            let plan =
                transforms.into_iter().fold(Plan::new(lr, Sgd::default()), Plan::then_transform);
            if average { plan.then(Ema { decay }) } else { plan }
        },
    )
}

pub(crate) fn any_recipe() -> impl Strategy<Value = Recipe> {
    let groups = prop::collection::vec((any::<bool>(), any_plan()), 0..3);
    (any_plan(), groups, 1..9u64, 0..3usize, any::<bool>()).prop_map(
        |(plan, groups, accumulate, non_finite, skip)| {
            let non_finite = [NonFinite::Ignore, NonFinite::Error, NonFinite::Skip][non_finite];
            let unused = if skip { UnusedParameters::Skip } else { UnusedParameters::Error };
            let recipe = Recipe::from(plan)
                .with_accumulate(accumulate)
                .with_non_finite(non_finite)
                .with_unused_parameters(unused);
            groups.into_iter().zip([["*.bias", "ü"], ["a.*", "x"]]).fold(
                recipe,
                |recipe, ((frozen, plan), params)| {
                    if frozen { recipe.freeze(params) } else { recipe.group(params, plan) }
                },
            )
        },
    )
}

/// Returns the bytes of the key and the value of one setting of a printed recipe.
fn setting(text: &str, which: Index) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let places: Vec<usize> = text.match_indices(" = ").map(|(at, _)| at).collect();
    let end = places[which.index(places.len())];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text[..end].rfind(|c| !word(c)).map_or(0, |before| before + 1);
    let (value, mut depth, mut quoted) = (end + 3, 0, false);
    let length = text[value..].find(|c| {
        quoted ^= c == '"';
        match c {
            _ if quoted => return false,
            '[' | '{' => depth += 1,
            // A bracket that was not opened here closes the table around the setting.
            ']' | '}' => depth -= 1,
            _ => {}
        }
        depth < 0 || depth == 0 && matches!(c, ',' | ' ' | '\n')
    });
    (start..end, value..value + length.unwrap_or(text.len() - value))
}

/// Returns line and column of a byte, both counted from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    (text[..at].matches('\n').count() + 1, text[line..at].chars().count() + 1)
}

/// Returns a value of another type than this one.
fn of_another_type(value: &str, choice: bool) -> &'static str {
    match value.as_bytes()[0] {
        b'"' => ["3", "true"][usize::from(choice)],
        b'[' => ["0.5", "true"][usize::from(choice)],
        b'{' => ["true", "\"x\""][usize::from(choice)],
        b't' | b'f' => ["1", "\"true\""][usize::from(choice)],
        _ => ["\"1\"", "true"][usize::from(choice)],
    }
}

proptest! {
    #[test]
    fn a_printed_recipe_reads_back_equal(recipe in any_recipe()) {
        let text = recipe.to_string();
        let read = crate::read(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read, recipe);
    }

    #[test]
    fn a_value_of_another_type_is_located(
        recipe in any_recipe(), which in any::<Index>(), choice in any::<bool>(),
    ) {
        let mut text = recipe.to_string();
        let (_, value) = setting(&text, which);
        let wrong = of_another_type(&text[value.clone()], choice);
        text.replace_range(value.clone(), wrong);
        let error = crate::read(&text).map(|_| text.clone()).unwrap_err();
        prop_assert_eq!((error.line(), error.column()), place(&text, value.start), "{}", error);
    }

    #[test]
    fn a_typo_in_a_key_is_located(
        recipe in any_recipe(), which in any::<Index>(), letter in any::<Index>(),
    ) {
        let mut text = recipe.to_string();
        let (key, _) = setting(&text, which);
        let at = key.start + letter.index(key.len());
        text.replace_range(at..=at, "Q");
        let error = crate::read(&text).map(|_| text.clone()).unwrap_err();
        prop_assert_eq!((error.line(), error.column()), place(&text, key.start), "{}", error);
        prop_assert!(error.message().starts_with("unknown key `"), "{}", error);
    }

    #[test]
    fn a_typo_in_a_word_is_located(
        recipe in any_recipe(), which in any::<Index>(), letter in any::<Index>(),
    ) {
        let mut text = recipe.to_string();
        let (key, value) = setting(&text, which);
        if !text[value.clone()].starts_with('"') || &text[key] == "params" {
            return Ok(());
        }
        let at = value.start + 1 + letter.index(value.len() - 2);
        text.replace_range(at..=at, "Q");
        let error = crate::read(&text).map(|_| text.clone()).unwrap_err();
        prop_assert_eq!((error.line(), error.column()), place(&text, value.start), "{}", error);
    }

    /// A number with another digit may be valid; if not, the error is in its line.
    #[test]
    fn another_digit_is_valid_or_located(
        recipe in any_recipe(), which in any::<Index>(), at in any::<Index>(), digit in 0..10u8,
    ) {
        let mut text = recipe.to_string();
        let (key, value) = setting(&text, which);
        let digits: Vec<usize> =
            value.clone().filter(|at| text.as_bytes()[*at].is_ascii_digit()).collect();
        let key = text[key].to_owned();
        if digits.is_empty() || key == "params" {
            return Ok(());
        }
        let at = digits[at.index(digits.len())];
        text.replace_range(at..=at, &digit.to_string());
        match crate::read(&text) {
            Ok(read) => prop_assert_eq!(crate::read(&read.to_string()).ok(), Some(read)),
            // A momentum that became 0 is reported at the setting that requires it.
            Err(error) if error.message().starts_with("`nesterov`") => {}
            Err(error) => {
                let (line, _) = place(&text, at);
                prop_assert_eq!(error.line(), line, "{}", error);
                // A schedule that leaves the range of its setting is reported as a whole.
                let of_key = error.message().starts_with(&format!("`{key}`"));
                let of_schedule = !of_key || error.message().contains(" at step ");
                let first = if of_schedule { 1 } else { place(&text, value.start).1 };
                let columns = first..=place(&text, value.end).1;
                prop_assert!(columns.contains(&error.column()), "{}", error);
            }
        }
    }
}
