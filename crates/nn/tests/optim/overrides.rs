//! Overrides of the settings of a file, as from a command line.

use wengert_nn::optim::{ConfigError, Recipe, Registry};

const FILE: &str = "
[optimizer]
kind = 'adamw'
lr = { kind = 'cosine', lr = 1e-3, t_max = 100 }
betas = [0.9, 0.99]
[[optimizer.groups]]
params = '*.bias'
weight_decay = 0.0
";

fn with_overrides(text: &str, overrides: &[&str]) -> Result<Recipe, ConfigError> {
    Registry::default().overridden(overrides).read(text)
}

#[test]
fn an_override_replaces_a_setting() -> Result<(), ConfigError> {
    let cases = [
        ("optimizer.lr=0.01", "lr = { kind = 'cosine', lr = 1e-3, t_max = 100 }", "lr = 0.01"),
        ("lr.t_max = 7", "t_max = 100", "t_max = 7"),
        ("optimizer.lr.warmup_steps=5", "t_max = 100", "t_max = 100, warmup_steps = 5"),
        ("betas=[0.5, 0.6]", "betas = [0.9, 0.99]", "betas = [0.5, 0.6]"),
        ("optimizer.betas.1=0.6", "0.99", "0.6"),
        ("kind=nadam", "'adamw'", "'nadam'"),
        ("kind='nadam'", "'adamw'", "'nadam'"),
        ("optimizer.clip_norm=1", "betas", "clip_norm = 1\nbetas"),
        ("groups.0.params=*.weight", "*.bias", "*.weight"),
        ("groups.0.weight_decay=0.5", "weight_decay = 0.0", "weight_decay = 0.5"),
        ("accumulate=4", "betas", "accumulate = 4\nbetas"),
    ];
    for (change, from, to) in cases {
        assert_ne!(FILE.replace(from, to), FILE, "{change}");
        assert_eq!(
            with_overrides(FILE, &[change])?,
            crate::read(&FILE.replace(from, to))?,
            "{change}"
        );
    }
    Ok(())
}

#[test]
fn a_recipe_at_top_level_has_the_same_paths() -> Result<(), ConfigError> {
    let expected = crate::read("kind = 'sgd'\nlr = 0.5")?;
    assert_eq!(with_overrides("kind = 'sgd'", &["optimizer.lr=0.5"])?, expected);
    assert_eq!(with_overrides("kind = 'sgd'", &["lr=0.5"])?, expected);
    Ok(())
}

#[test]
fn the_last_override_wins() -> Result<(), ConfigError> {
    let expected = crate::read("kind = 'sgd'\nlr = 0.5\nmomentum = 0.1")?;
    assert_eq!(
        with_overrides("kind = 'adam'", &["kind=sgd", "lr=1", "momentum=0.1", "lr=0.5"])?,
        expected
    );
    Ok(())
}

#[test]
fn a_mistake_in_an_override_is_located_in_it() {
    let cases = [
        ("lr", 1, "expected an override `key=value`"),
        ("=3", 1, "expected the name of a setting"),
        ("optimizer.lr=-1", 14, "`lr`: expected a finite number of at least 0, found -1"),
        ("optimizer.beta=[0.1, 0.2]", 11, "unknown key `beta`; did you mean `betas`?"),
        ("optimizer.betas=[0.1, 1.2]", 23, "`betas`: expected a number of at least 0 and below 1"),
        ("betas.2=0.1", 7, "expected a position below 2, found `2`"),
        ("betas.x=0.1", 7, "expected a position below 2, found `x`"),
        ("eps.x=0.1", 1, "unknown key `eps.x`"),
        ("kind.x=1", 1, "`kind` is a string, and has no settings"),
        ("lr=1 2", 4, "expected a TOML value or a word, found `1 2`"),
        ("lr=1\nkind='sgd'", 4, "expected a TOML value or a word"),
        ("lr.kind=stp", 9, "unknown schedule `stp`; did you mean `step`?"),
        ("kind=adma", 6, "unknown optimizer `adma`; did you mean `adam`?"),
        ("groups.1.frozen=true", 8, "expected a position below 1, found `1`"),
        (
            "optimzer.lr=1",
            1,
            "unknown key `optimzer`; did you mean `optimizer`? Expected `optimizer`",
        ),
        ("Optimizer.lr.t_max=1", 1, "unknown key `Optimizer`; did you mean `optimizer`?"),
    ];
    for (change, column, message) in cases {
        if change.starts_with("eps") {
            // `eps` is not in the file: the path makes a table, which is not a number.
            let error = with_overrides(FILE, &[change]).unwrap_err();
            assert_eq!(error.file().and_then(|file| file.to_str()), Some("override"), "{error}");
            continue;
        }
        let error = with_overrides(FILE, &["clip_norm=1.0", change]).unwrap_err();
        assert_eq!(error.file().and_then(|file| file.to_str()), Some("override"), "{error}");
        assert_eq!((error.line(), error.column()), (1, column), "{error}");
        assert!(error.message().starts_with(message), "{error}");
        let first = change.lines().next().unwrap();
        assert!(error.to_string().contains(&format!("1 | {first}")), "{error}");
    }
    // An element of an array that the text does not give.
    for change in ["betas.0=0.5", "optimizer.betas.0=0.5", "groups.0.lr=1"] {
        let error = with_overrides("kind = 'adam'", &[change]).unwrap_err();
        let name = if change.contains("betas") { "betas" } else { "groups" };
        assert_eq!(error.column(), change.find(name).unwrap() + 1, "{error}");
        let message =
            format!("the recipe gives no `{name}`, of which an element could be replaced");
        assert!(error.message().starts_with(&message), "{error}");
    }
    // A mistake in the file is located in the file.
    let error = with_overrides("kind = 'sgd'\nlr = -1", &["momentum=0.5"]).unwrap_err();
    assert_eq!((error.file(), error.line(), error.column()), (None, 2, 6));
}
