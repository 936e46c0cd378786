//! The page for those who come from PyTorch names what exists: each word of code in the last column of
//! its tables stands somewhere in the sources.

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/from_pytorch.md");

/// Words of a name's length; shorter ones stand for somebody's variables.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.len() > 2 && !word.starts_with(|c: char| c.is_ascii_digit()))
}

/// The words of the sources under `folder`, without comments.
fn collect(folder: &Path, known: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, known);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            code.for_each(|line| known.extend(words(line).map(str::to_owned)));
        }
    }
}

#[test]
fn every_name_in_the_right_column_exists() {
    let mut known = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"), &mut known);
    let (mut count, mut unknown) = (0, Vec::new());
    for row in PAGE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let bars = row.trim_end_matches('|').replace("\\|", " ");
        let ours = bars.rsplit('|').next().expect("a column");
        // Between backticks stands code.
        for word in ours.split('`').skip(1).step_by(2).flat_map(words) {
            count += 1;
            if !known.contains(word) {
                unknown.push(format!("`{word}` in {row}"));
            }
        }
    }
    assert!(unknown.is_empty(), "in no source:\n{}", unknown.join("\n"));
    assert!(count > 200, "{count} names: the tables were not read");
}
