//! Recipes that a reader could accept without a word, and that are refused instead.

use serde::{Deserialize, Serialize};
use wengert_core::Float;
use wengert_nn::optim::{Elements, MapProof, Registry, Rule, StepContext};

/// Checks the position of the mistake, what is underlined, and the start of the message.
fn check(text: &str, line: usize, column: usize, underlined: &str, message: &str) {
    let error = crate::read(text).expect_err(text);
    let shown = error.to_string();
    assert!(error.message().starts_with(message), "{text:?}\n{shown}");
    assert_eq!((error.line(), error.column()), (line, column), "{text:?}\n{shown}");
    let caret = shown.lines().last().unwrap().trim_start_matches([' ', '|', '\t']);
    assert_eq!(caret, "^".repeat(underlined.chars().count().max(1)), "{text:?}\n{shown}");
}

#[test]
fn arrays_of_another_length_are_refused() {
    for kind in ["adam", "amsgrad", "adamw", "adamax", "nadam", "radam", "lion"] {
        for (betas, length) in [("[0.9, 0.99, 0.999]", 3), ("[0.9]", 1), ("[]", 0)] {
            let message = format!("`betas`: expected an array of 2, found one of {length}");
            check(&format!("kind = '{kind}'\nbetas = {betas}"), 2, 9, betas, &message);
            let chain = format!("lr = 1\n[[chain]]\nkind = '{kind}'\nbetas = {betas}");
            check(&chain, 4, 9, betas, &message);
        }
    }
}

#[test]
fn keys_outside_of_the_table_are_refused() {
    let recipe = "[optimizer]\nkind = 'adam'";
    for key in
        ["lr", "clip_norm", "clip_value", "clip_tensor_norm", "maximize", "weight_decay", "ema"]
    {
        let message = format!("`{key}` stands outside of `[optimizer]`");
        check(&format!("{key} = 1\n{recipe}"), 1, 1, key, &message);
    }
    for table in ["optimiser", "Optimizer", "optimzer", "group", "scheduler", "lr_scheduler"] {
        let message = format!("unknown table `{table}`; ");
        check(&format!("{recipe}\n[{table}]\nx = 1"), 3, 2, table, &message);
        check(&format!("{recipe}\n[[{table}.groups]]\nparams = '*'"), 3, 3, table, &message);
    }
    check(&format!("clip_nrm = 1\n{recipe}"), 1, 1, "clip_nrm", "unknown key `clip_nrm`; did you");
    // Others belong to the program.
    for table in ["model", "data", "train", "training", "options", "net", "loop", "log", "kinds"] {
        let text = format!("{recipe}\n[{table}]\nbig = 99999999999999999999");
        assert!(crate::read(&text).is_ok(), "{table}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (text, line, column, underlined, message) in [
        (
            "kind = 'amsgrad'\namsgrad = false",
            2,
            11,
            "false",
            "`amsgrad`: expected true for `amsgrad`, found false",
        ),
        (
            "kind = 'nesterov'\nnesterov = false",
            2,
            12,
            "false",
            "`nesterov`: expected true for `nesterov`, found false",
        ),
        (
            "kind = 'momentum'\nmomentum = 0",
            2,
            12,
            "0",
            "`momentum`: expected a number above 0 for `momentum`, found 0",
        ),
        (
            "lr = 1\n[[chain]]\nkind = 'momentum'\nmomentum = 0.0",
            4,
            12,
            "0.0",
            "`momentum`: expected a number above 0 for `momentum`, found 0",
        ),
        (
            "kind = 'adam'\ndecoupled_weight_decay = true",
            2,
            1,
            "decoupled_weight_decay",
            "`decoupled_weight_decay` without `weight_decay`",
        ),
        (
            "kind = 'lion'\ndecoupled_weight_decay = false",
            2,
            1,
            "decoupled_weight_decay",
            "`decoupled_weight_decay` without `weight_decay`",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 1, total_steps = 9, warmup_steps = 3 }",
            2,
            57,
            "warmup_steps",
            "`warmup_steps`: `one_cycle` has a warm-up of its own: expected `pct_start`",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, peak = 2, t_max = 3 }",
            2,
            33,
            "peak",
            "both `lr` and `peak`: expected one of them",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, T_max = 2, t_max = 3 }",
            2,
            44,
            "t_max",
            "both `T_max` and `t_max`: expected one of them",
        ),
        (
            "kind = 'ema'\nlr = 1\nema = 0.5",
            1,
            8,
            "'ema'",
            "`ema` must be last in its chain: `ema` follows it",
        ),
        (
            "kind = 'ema'\nlr = 1\nweight_decay = 0.5\ndecoupled_weight_decay = true",
            1,
            8,
            "'ema'",
            "`ema` must be last in its chain: `weight_decay` follows it",
        ),
        (
            "kind = 'sgd'\nema = 0.5\naverage = 0.5",
            3,
            1,
            "average",
            "both `ema` and `average`: expected one of them",
        ),
    ] {
        check(text, line, column, underlined, message);
    }
    for fine in [
        "kind = 'adamw'\ndecoupled_weight_decay = true",
        "kind = 'adam'\nweight_decay = 0.0\ndecoupled_weight_decay = true",
        "kind = 'adam'\nweight_decay = 0.1\ndecoupled_weight_decay = true\n[[groups]]\nparams = '*'\nweight_decay = 0.0",
        "kind = 'adam'\nweight_decay = 0.1\ndecoupled_weight_decay = true\n[[groups]]\nparams = '*'\nkind = 'sgd'",
    ] {
        assert!(crate::read(fine).is_ok(), "{fine}");
    }
}

#[test]
fn a_pattern_that_stands_twice_is_refused() {
    check(
        "kind = 'sgd'\n[[groups]]\nparams = ['*.bias', 'a']\n[[groups]]\nparams = '*.bias'\nlr = 1",
        5,
        10,
        "'*.bias'",
        "the pattern `*.bias` stands in an earlier group, which all its parameters belong to",
    );
    check(
        "kind = 'sgd'\n[[groups]]\nparams = ['*.bias', '*.bias']",
        3,
        21,
        "'*.bias'",
        "the pattern `*.bias` stands twice in this group",
    );
}

#[test]
fn the_caret_is_under_the_key_as_it_is_written() {
    for (lr, column, underlined, message) in [
        ("kind = 'cosine', peak = -1, t_max = 9", 32, "-1", "`peak`: expected a finite number"),
        ("kind = 'cosine', peak = 1, T_max = 0", 43, "0", "`T_max`: expected a number of at"),
        ("kind = 'cosine', peak = 1, total_steps = 0", 49, "0", "`total_steps`: expected more"),
        ("kind = 'cosine', lr = 1, T_max = 'x'", 41, "'x'", "`T_max`: expected a whole number"),
        ("kind = 'cosine_warm_restarts', lr = 1, T_0 = 0", 53, "0", "`T_0`: expected a number"),
        (
            "kind = 'cosine_warm_restarts', lr = 1, T_0 = 1, T_mult = 0",
            65,
            "0",
            "`T_mult`: expected a number",
        ),
    ] {
        check(&format!("kind = 'sgd'\nlr = {{ {lr} }}"), 2, column, underlined, message);
    }
    check("kind = 'sgd'\naverage = 2", 2, 11, "2", "`average`: expected a number of at least 0");
}

/// Names of Rust's types, and words of serde, say nothing to the author of a recipe.
#[test]
fn no_message_speaks_rust() {
    for value in [
        "99999999999999999999",
        "-99999999999999999999",
        "9223372036854775807",
        "-1",
        "1.5",
        "1e999",
        "'x'",
        "true",
        "[]",
        "[1]",
        "[1, 2, 3]",
        "{}",
        "{ x = 1 }",
        "1979-05-27",
        "nan",
    ] {
        let kinds = wengert_nn::optim::Registry::default();
        let settings = kinds
            .rules()
            .flat_map(|kind| {
                ["betas", "eps", "amsgrad", "momentum", "weight_decay"]
                    .map(|key| format!("kind = '{kind}'\n{key} = {value}"))
            })
            .chain(kinds.schedules().flat_map(|kind| {
                ["lr", "t_max", "milestones", "pieces", "mode", "step_size", "gamma", "three_phase"]
                    .map(|key| format!("kind = 'sgd'\nlr = {{ kind = '{kind}', {key} = {value} }}"))
            }))
            .chain(
                ["kind", "lr", "accumulate", "groups", "chain", "clip_norm", "non_finite", "x"]
                    .map(|key| format!("{key} = {value}\nkind = 'sgd'")),
            );
        for text in settings {
            let Err(error) = crate::read(&text) else { continue };
            let said = error.message();
            let words = [
                "i128", "u128", "i64", "u64", "f64", "usize", "struct", "field", "map", "sequence",
                "variant", "tuple", "invalid", "`()`", "unit",
            ];
            let found = words.iter().find(|word| {
                said.split(|c: char| !c.is_alphanumeric()).any(|found| found == **word)
            });
            // A schedule from the table of kinds may be called so.
            assert!(found.is_none(), "{text:?}: {said}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_column() {
    check("\u{feff}knd = 'sgd'", 1, 1, "knd", "unknown key `knd`; did you mean `kind`?");
    let error = crate::read("\u{feff}kind = 'sdg'").unwrap_err();
    assert!(error.to_string().contains("\n1 | kind = 'sdg'\n"), "{error}");
    assert!(crate::read("\u{feff}kind = 'sgd'").is_ok());
}

#[test]
fn a_message_is_bounded() {
    let long = "x".repeat(200_000);
    for text in [
        format!("kind = 'sgd'\n{long} = 1"),
        format!("kind = '{long}'"),
        format!("kind = 'sgd'\nlr = [{}]", "1, ".repeat(70_000)),
        format!("{}kind = 'sdg'", " ".repeat(200_000)),
        format!("kind = 'sdg' # {long}"),
        format!("kind = 'sgd'\nunused_parameters = '{long}'"),
        format!("kind = 'sgd'\n{long}"),
        format!("[{long}"),
    ] {
        let shown = crate::read(&text).unwrap_err().to_string();
        assert!(shown.len() < 2_000, "{} bytes: {}", shown.len(), &shown[..2_000]);
        // The underlined part is in sight.
        let [carets, line] = shown.lines().rev().take(2).collect::<Vec<_>>()[..] else { panic!() };
        assert!(line.len() >= carets.find('^').unwrap(), "{line}\n{carets}");
    }
}

#[test]
fn carets_line_up_under_wide_letters() {
    let shown = crate::read("kind = 'sgd'\nlr = { kind = '学习', lr = 1 } # 学").unwrap_err();
    assert_eq!((shown.line(), shown.column()), (2, 15));
    let shown = shown.to_string();
    let lines: Vec<&str> = shown.lines().rev().take(2).collect();
    // Each of the two letters fills two columns of a terminal.
    assert_eq!(lines, ["  |               ^^^^^^", "2 | lr = { kind = '学习', lr = 1 } # 学"]);
    let shown = crate::read("\"学习\" = 1\nkind = 'sgd'\n").unwrap_err().to_string();
    assert_eq!(shown.lines().last(), Some("  | ^^^^^^"));
    let shown = crate::read("x = { \"学习\" = 1, y = }").unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(lines[0].find('^'), Some("1 | x = { \"....\" = 1, y = ".len()), "{shown}");
}

/// A rule from outside with settings of many types.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Outside {
    scales: [f64; 3],
    grid: [[u8; 2]; 2],
    range: (f64, bool),
    small: u8,
    offset: i64,
    inner: Inner,
    form: Form,
    maybe: Option<f64>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    depth: u64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    #[default]
    Plain,
    Scaled(f64),
}

impl Rule for Outside {
    const KIND: &'static str = "outside";
    const LR: f64 = 1.0;

    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (g, []))
    }
}

#[test]
fn settings_of_rules_from_outside_are_read_or_refused() {
    let registry = Registry::default().rule::<Outside>();
    for fine in [
        "scales = [1, 2.5, -3]",
        "grid = [[1, 2], [3, 255]]",
        "range = [1, true]",
        "offset = -9223372036854775808",
        "inner = { depth = 3 }",
        "form = 'plain'",
        "form = { scaled = 0.5 }",
        "maybe = 3",
    ] {
        let read = |text: &str| registry.read(text).unwrap_or_else(|error| panic!("{error}"));
        let recipe = read(&format!("kind = 'outside'\n{fine}"));
        if fine != "maybe = 3" {
            // An empty option is left out of TOML.
            assert_eq!(read(&recipe.to_string()), recipe, "{fine}");
        }
    }
    for (text, column, message) in [
        ("scales = [1, 2]", 10, "`scales`: expected an array of 3, found one of 2"),
        ("scales = [1, 2, 3, 4]", 10, "`scales`: expected an array of 3, found one of 4"),
        ("grid = [[1, 2], [3, 4, 5]]", 17, "`grid`: expected an array of 2, found one of 3"),
        (
            "grid = [[1, 2], [3, 256]]",
            21,
            "`grid`: expected a whole number from 0 to 255, found 256",
        ),
        ("range = [1, 2]", 13, "`range`: expected `true` or `false`, found integer"),
        ("range = [1, true, 3]", 9, "`range`: expected an array of 2, found one of 3"),
        ("small = 300", 9, "`small`: expected a whole number from 0 to 255, found 300"),
        ("small = -1", 9, "`small`: expected a whole number of at least 0, found -1"),
        ("offset = 1.5", 10, "`offset`: expected a whole number, found 1.5"),
        ("inner = {}", 9, "`inner`: missing key `depth`"),
        ("inner = { dpth = 1 }", 11, "unknown key `dpth`; did you mean `depth`? Expected `depth`"),
        ("inner = { depth = -1 }", 19, "`depth`: expected a whole number of at least 0, found -1"),
        (
            "form = 'plan'",
            8,
            "unknown value `plan`; did you mean `plain`? Expected one of `plain`, `sc",
        ),
        ("form = { scaled = 'x' }", 19, "`scaled`: expected a number, found string"),
        ("maybe = 'x'", 9, "`maybe`: expected a number, found string"),
    ] {
        let error = registry.read(&format!("kind = 'outside'\n{text}")).unwrap_err();
        assert!(error.message().starts_with(message), "{text}\n{error}");
        assert_eq!((error.line(), error.column()), (2, column), "{text}\n{error}");
    }
}
