//! `docs/optimizers.md` agrees with the library: each kind, setting and default; each block is a recipe.

use std::collections::BTreeMap;

use wengert_nn::optim::Registry;

const PAGE: &str = include_str!("../../../../docs/optimizers.md");

/// Returns the rows of the table under this heading: the other cells by kind.
fn table(heading: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(str::trim);
    rows.map(|row| (cells(row).next().unwrap().trim_matches('`'), cells(row).skip(1).collect()))
        .collect()
}

/// Returns the settings of a cell, each with its default if there is one.
fn settings(cell: &str) -> Vec<(&str, Option<&str>)> {
    let setting = |text| match str::split_once(text, " = ") {
        Some((name, default)) => (name, Some(default)),
        None => (text, None),
    };
    cell.split('`').skip(1).step_by(2).map(setting).collect()
}

#[test]
fn the_page_lists_every_rule_and_transform_with_its_defaults() {
    let (rules, transforms) = (table("Rules"), table("Transforms"));
    let mut known: Vec<_> = rules.keys().chain(transforms.keys()).copied().collect();
    known.sort();
    assert_eq!(known, Registry::default().rules().collect::<Vec<_>>());
    for (kind, row) in rules.iter().chain(&transforms) {
        let recipe = format!("lr = 1\n[[chain]]\nkind = '{kind}'");
        let mut printed = crate::read(&recipe).unwrap().to_string();
        let settings = settings(row[1]);
        let decay = "[[optimizer.chain]]\nkind = \"weight_decay\"\n";
        let mut lines: Vec<String> = Vec::new();
        for (name, default) in &settings {
            lines.push(format!("{name} = {}", default.unwrap_or_else(|| panic!("{kind}.{name}"))));
            // A decay of 0 makes no transform.
            if *kind == "lion" && *name == "weight_decay" {
                lines.pop();
                let given = format!("{recipe}\nweight_decay = 0.5");
                assert_eq!(crate::read(&given).unwrap().chain().len(), 2);
            }
        }
        if *kind == "adamw" {
            printed = printed.replace(&format!("\n{decay}"), "");
        }
        // The formula stands beside the definition of the rule too.
        for transform in crate::read(&recipe).unwrap().chain() {
            if transform.kind() == *kind && row[0].contains('=') {
                let formula = row[0].replace('`', "");
                let (formula, after) =
                    formula.split_once("; then weight_decay").unwrap_or((&formula, ""));
                assert!(
                    after.is_empty() && formula.starts_with(transform.formula()),
                    "{kind}: {formula}"
                );
                assert!(!transform.formula().is_empty(), "{kind}");
            }
        }
        let found: Vec<_> =
            printed.lines().skip_while(|l| !l.starts_with("kind")).skip(1).collect();
        assert_eq!(found, lines, "{kind}");
    }
    for (kind, row) in rules {
        let printed = crate::read(&format!("kind = '{kind}'")).unwrap().lr().to_string();
        assert_eq!(printed.parse::<f64>(), row[2].parse::<f64>(), "{kind}");
    }
    for (kind, row) in transforms {
        let key = row[2].trim_matches('`');
        let value = if kind == "maximize" { "true" } else { "0.5" };
        let recipe = crate::read(&format!("kind = 'sgd'\n{key} = {value}")).unwrap();
        assert!(recipe.chain().iter().any(|transform| transform.kind() == kind), "{key}");
    }
}

#[test]
fn the_page_lists_every_schedule_with_its_defaults() {
    let schedules = table("Schedules");
    assert!(schedules.keys().copied().eq(Registry::default().schedules()));
    for (kind, row) in schedules {
        let settings = settings(row[1]);
        let needed: Vec<String> = settings
            .iter()
            .filter(|(_, default)| default.is_none())
            .map(|(name, _)| match *name {
                "milestones" => "milestones = []".into(),
                "pieces" => "pieces = [{ kind = 'exponential', lr = 1, gamma = 1 }]".into(),
                name => format!("{name} = 1"),
            })
            .collect();
        let read = |needed: &[String]| {
            let settings: String = needed.iter().map(|setting| format!(", {setting}")).collect();
            // With a warm-up even a constant rate prints as a table. A cycle has a warm-up of its own.
            let warmup = if kind.starts_with("one_cycle") { "" } else { ", warmup_steps = 0" };
            let lr = format!("lr = {{ kind = '{kind}'{warmup}{settings} }}");
            crate::read(&format!("kind = 'sgd'\n{lr}")).map(|r| r.lr().to_string())
        };
        let printed = read(&needed).unwrap_or_else(|error| panic!("{error}"));
        let mut rest = printed.as_str();
        for (name, default) in &settings {
            let text = format!(", {name} = {}", default.unwrap_or(""));
            let at = rest.find(&text).unwrap_or_else(|| panic!("{text} is not in {printed}"));
            rest = &rest[at + text.len()..];
        }
        let common = match kind {
            "one_cycle" | "one_cycle_momentum" => " }",
            _ => ", warmup_steps = 0, warmup_start_factor = 0.0 }",
        };
        assert!(rest.ends_with(common), "{printed}");
        let count = |text: &str| text.matches(" = ").count();
        if kind != "joined" {
            assert_eq!(count(&printed), settings.len() + 1 + count(common), "{printed}");
        }
        // A setting without a default on the page is required.
        for i in 0..needed.len() {
            let mut fewer = needed.clone();
            fewer.remove(i);
            assert!(read(&fewer).is_err(), "{kind} without {}", needed[i]);
        }
    }
}

#[test]
fn every_block_is_a_recipe() {
    let blocks: Vec<_> = PAGE.split("```toml\n").skip(1).map(|b| b.split("```").next()).collect();
    assert!(blocks.len() >= 5);
    let recipes: Vec<_> = blocks
        .iter()
        .map(|block| {
            let registry = Registry::default().training(10, 100);
            registry.read(block.unwrap()).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect();
    // The long form on the page is what the short form prints.
    let (short, long) = (&recipes[0], &recipes[4]);
    assert_eq!((short.lr(), short.chain()), (long.lr(), long.chain()));
    assert_eq!(long.to_string().trim(), blocks[4].unwrap().trim());
}
