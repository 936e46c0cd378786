//! A picture of a confusion matrix. Used by 17 and 18.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use wengert::train::metrics::ConfusionMatrix;

use picture::COLOURS;

#[path = "picture.rs"]
mod picture;

/// Draws the counts of each class: darker for a larger share of its rows, green on the diagonal, wine-red elsewhere.
/// The file has this name in the folder for temporary files, unless the arguments of the program give a path.
pub fn draw(name: &str, title: &str, confusion: &ConfusionMatrix) -> Result<(), Box<dyn Error>> {
    let path = picture::path(name);
    let names = confusion.names();
    let (left, top, size) = (120, 70, 56.max(240 / names.len() as i32));
    let side = size * names.len() as i32;
    let extents = ((left + side + 30) as u32, (top + side + 60) as u32);
    let area = SVGBackend::new(&path, extents).into_drawing_area();
    area.fill(&WHITE)?;
    println!("picture: {}", path.display());
    let area = area.margin(8, 0, 0, 0).titled(title, ("sans-serif", 20))?;
    let text = |size: i32, colour: &RGBColor, h, v| {
        ("sans-serif", size).into_font().color(colour).pos(Pos::new(h, v))
    };
    let small = text(14, &BLACK, HPos::Right, VPos::Center);
    let centred = text(14, &BLACK, HPos::Center, VPos::Bottom);
    area.draw(&Text::new("predicted", (left + side / 2, top - 40), centred.clone()))?;
    for (class, (name, row)) in names.iter().zip(confusion.rows()).enumerate() {
        let place = |class: usize| class as i32 * size;
        area.draw(&Text::new(
            name.as_str(),
            (left - 8, top + place(class) + size / 2),
            small.clone(),
        ))?;
        // Long names stand on two levels.
        let level = if names.len() > 5 { class as i32 % 2 * 16 } else { 0 };
        let above = (left + place(class) + size / 2, top - 6 - level);
        area.draw(&Text::new(name.as_str(), above, centred.clone()))?;
        let total = row.iter().sum::<u64>().max(1) as f64;
        for (predicted, &count) in row.iter().enumerate() {
            let (x, y) = (left + place(predicted), top + place(class));
            let share = count as f64 / total;
            // The square root shows small counts too.
            let strength = share.sqrt();
            let RGBColor(r, g, b) = COLOURS[if class == predicted { 3 } else { 5 }];
            let shade = |full: u8| (255.0 - strength * (255.0 - f64::from(full))) as u8;
            let colour = RGBColor(shade(r), shade(g), shade(b));
            area.draw(&Rectangle::new(
                [(x + 1, y + 1), (x + size - 1, y + size - 1)],
                colour.filled(),
            ))?;
            let ink = if strength > 0.6 { WHITE } else { BLACK };
            if count > 0 {
                let style = text((size / 3).min(18), &ink, HPos::Center, VPos::Center);
                area.draw(&Text::new(count.to_string(), (x + size / 2, y + size / 2), style))?;
            }
        }
    }
    area.present()?;
    Ok(())
}
