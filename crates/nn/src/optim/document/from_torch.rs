//! The recipe of an optimizer of PyTorch, from the groups of its `state_dict`.

use super::json;
use crate::optim::error::{ConfigError, Diagnostic};
use crate::optim::recipe::Recipe;
use crate::optim::toml::{Registry, recipe_of_entries};
use crate::optim::value::{Data, Entries, Key, Value};

/// PyTorch's classes, with their kinds here.
const CLASSES: [(&str, &str); 10] = [
    ("SGD", "sgd"),
    ("RMSprop", "rmsprop"),
    ("Adagrad", "adagrad"),
    ("Adadelta", "adadelta"),
    ("Adam", "adam"),
    ("AdamW", "adamw"),
    ("Adamax", "adamax"),
    ("NAdam", "nadam"),
    ("RAdam", "radam"),
    ("Muon", "muon"),
];

/// Keys of a group that say how PyTorch computes, and not what; and those that its schedulers leave there.
const IGNORED: [&str; 11] = [
    "params",
    "foreach",
    "capturable",
    "differentiable",
    "fused",
    "initial_lr",
    "max_lr",
    "min_lr",
    "max_momentum",
    "base_momentum",
    "swa_lr",
];

impl Recipe {
    /// Returns the recipe of an optimizer of PyTorch: its class, and the groups of its `state_dict`, as JSON.
    ///
    /// In Python, `json.dumps({"class": type(opt).__name__, "param_groups": opt.state_dict()["param_groups"]})` writes
    /// the text. Several groups need names, which PyTorch keeps if the optimizer was given
    /// `model.named_parameters()`. The rate is the present one: a scheduler is not part of the groups.
    ///
    /// ```
    /// use wengert_nn::optim::Recipe;
    ///
    /// let text = r#"{"class": "Adam", "param_groups": [
    ///     {"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-08, "weight_decay": 0, "amsgrad": false,
    ///      "maximize": false, "foreach": null, "decoupled_weight_decay": false, "params": [0, 1]}]}"#;
    /// let recipe: Recipe = "kind = 'adam'\nlr = 0.01\nbetas = [0.9, 0.99]".parse()?;
    /// assert_eq!(Recipe::from_torch(text)?, recipe);
    /// let error = Recipe::from_torch(&text.replace("0.99", "1.99")).unwrap_err();
    /// assert_eq!((error.line(), error.column()), (2, 33));
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not such JSON, the class has no equivalent, a setting is unknown or out of range, or several groups
    /// have no names. The error gives line and column.
    pub fn from_torch(text: &str) -> Result<Self, ConfigError> {
        recipe_of_entries(&Registry::default(), text, entries(text))
    }
}

/// Returns the recipe as the entries of a table.
fn entries(text: &str) -> Result<Entries, Diagnostic> {
    let root = json::read(text)?;
    let Value { data: Data::Table(mut root), span } = root else {
        return Err(Diagnostic::new(
            root.span,
            "expected an object with `class` and `param_groups`",
        ));
    };
    let mut take = |key: &str| {
        let missing =
            || Diagnostic::new(span.start..span.start + 1, format!("missing key `{key}`"));
        root.remove(key).ok_or_else(missing)
    };
    let (key, class) = take("class")?;
    let Some(name) = class.as_text() else { return Err(class.unlike("class", "a string")) };
    let kind = CLASSES.iter().find(|(theirs, _)| *theirs == name).map(|(_, kind)| *kind);
    let Some(kind) = kind else {
        let classes = CLASSES.iter().map(|(class, _)| *class);
        return Err(Diagnostic::unknown(class.span.clone(), "class", name, classes));
    };
    let kind = (
        Key::new("kind", key.span),
        Value { span: class.span.clone(), data: Data::Text(kind.into()) },
    );
    let (_, groups) = take("param_groups")?;
    let Data::Array(groups) = groups.data else {
        return Err(groups.unlike("param_groups", "an array of groups"));
    };
    let several = groups.len() > 1;
    let groups = groups.into_iter().map(|group| settings(group, several));
    let mut groups = groups.collect::<Result<Vec<_>, _>>()?.into_iter();
    let Some((mut recipe, _)) = groups.next() else {
        return Err(Diagnostic::new(
            span.start..span.start + 1,
            "`param_groups`: expected a group, found none",
        ));
    };
    recipe.push(kind.0.clone(), kind.1.clone());
    let mut others = Vec::new();
    for (mut group, names) in groups {
        let Some((key, names)) = names else { continue };
        group.push(Key { name: "params".into(), ..key }, names.clone());
        group.push(kind.0.clone(), kind.1.clone());
        others.push(Value { span: names.span, data: Data::Table(group) });
    }
    if !others.is_empty() {
        let value = Value { span: class.span, data: Data::Array(others) };
        recipe.push(Key::new("groups", value.span.clone()), value);
    }
    Ok(recipe)
}

/// Returns the settings of a group, and the names of its parameters, which it needs if there are several groups.
fn settings(group: Value, several: bool) -> Result<(Entries, Option<(Key, Value)>), Diagnostic> {
    let span = group.span.start..group.span.start + 1;
    let Data::Table(mut settings) = group.data else {
        return Err(group.unlike("param_groups", "a table for each group"));
    };
    for key in IGNORED {
        settings.remove(key);
    }
    let names = settings.remove("param_names");
    if several && names.is_none() {
        let message = "several groups need `param_names`: give the optimizer `model.named_parameters()`, so that \
                       PyTorch keeps them";
        return Err(Diagnostic::new(span, message));
    }
    Ok((settings, names))
}
