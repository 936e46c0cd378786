//! Where pictures go, and their colours. Used by 17 to 22.

use std::path::PathBuf;

use plotters::style::RGBColor;

/// Ten colours that colour-blind readers can tell apart (Tol 2021, "muted").
pub const COLOURS: [RGBColor; 10] = [
    RGBColor(204, 102, 119),
    RGBColor(51, 34, 136),
    RGBColor(221, 204, 119),
    RGBColor(17, 119, 51),
    RGBColor(136, 204, 238),
    RGBColor(136, 34, 85),
    RGBColor(68, 170, 153),
    RGBColor(153, 153, 51),
    RGBColor(170, 68, 153),
    RGBColor(150, 150, 150),
];

/// Returns the path that the arguments of the program have, or one in the folder for temporary files.
pub fn path(name: &str) -> PathBuf {
    let given =
        std::env::args_os().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    given.map_or_else(|| std::env::temp_dir().join(name), PathBuf::from)
}
