//! The digits that the examples read, and the messages about malformed files: place, found, expected.
#![allow(unreachable_pub, reason = "modules of an example")]

#[path = "../../examples/03_two_layer_net/digits.rs"]
mod reader;

use reader::Digits;

/// A row with these 64 pixels repeated from one field, and this label.
fn row(pixel: &str, label: &str) -> String {
    format!("{}{label}\n", format!("{pixel},").repeat(64))
}

fn complaint(text: impl AsRef<[u8]>) -> String {
    match Digits::read(text.as_ref(), "digits.csv") {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_file_of_the_repository_holds_1797_digits() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let digits = Digits::load(&folder.join("examples/data/digits.csv")).unwrap();
    assert_eq!((digits.labels.len(), digits.pixels.shape()), (1797, [1797, 64].into()));
    assert_eq!(digits.take_rows(&[1796, 0]).labels, [8, 0]);
    assert!(digits.pixels.as_slice().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    let (seen, unseen) = Digits::split().unwrap();
    assert_eq!((seen.labels.len(), unseen.labels.len()), (1198, 599));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let good = row("16", "9");
    for (text, expected) in [
        (row("0", "10"), "digits.csv:1:129: expected a label, 0 to 9, found `10`"),
        (
            format!("{good}{}", row("17", "0")),
            "digits.csv:2:1: expected a pixel, 0 to 16, found `17`",
        ),
        (format!("{good}1,é,x"), "digits.csv:2:3: expected a pixel, 0 to 16, found `é`"),
        (format!("{good}\r\n\n1,-1"), "digits.csv:4:3: expected a pixel, 0 to 16, found `-1`"),
        (format!("{good}1,2"), "digits.csv:2:4: expected 65 fields, found 2"),
        (row("0", "1,2"), "digits.csv:1:130: expected 65 fields, found 66"),
        (row("0", ""), "digits.csv:1:129: expected a label, 0 to 9, found ``"),
        (String::new(), "digits.csv:1:1: expected a row for each digit, found none"),
    ] {
        assert_eq!(complaint(&text), expected, "{text}");
    }
    assert!(complaint(b"0,\xff,0").starts_with("digits.csv:1:3: expected a pixel"));
}
