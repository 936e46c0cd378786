//! The course of a run: `metrics.jsonl` as curves.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Curves of everything that a run logged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The horizontal axis: `"epoch"`, or `"step"` if a split has several lines in one epoch.
    pub over: &'static str,
    /// Numbers of the splits, such as the loss of the training rows. Those without a finite number are kept.
    pub curves: Vec<Curve>,
    /// Numbers of the layers, such as the norm of a weight's gradient.
    pub layers: Vec<Curve>,
    /// The last epoch and the last step.
    pub last: (u64, u64),
    /// The number of lines that could not be read. A run that was killed may leave one, at the end.
    pub unread: usize,
}

/// One number over the course of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Name of the number, such as `loss`, `lr` or `grad_norm`.
    pub quantity: String,
    /// The split, such as `train`, or `one batch` for the losses of single steps; empty for the learning rate. In
    /// [`History::layers`] the parameter.
    pub of: String,
    /// Epochs or steps, with the number there. A number that JSON does not have is NaN.
    pub points: Vec<(f64, f64)>,
}

/// A line of the file, in the order of its keys.
struct Line(Vec<(String, Field)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Number(f64),
    Text(String),
    Layers(Ordered<Option<f64>>),
    Other(serde::de::IgnoredAny),
}

/// The entries of a JSON object in the order of the text.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Ordered<Field>>(text).ok().map(|entries| Self(entries.0))
    }

    fn get(&self, key: &str) -> Option<&Field> {
        self.0.iter().find_map(|(own, field)| (own == key).then_some(field))
    }

    fn number(&self, key: &str) -> f64 {
        self.get(key).and_then(Field::number).unwrap_or(0.0)
    }

    fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Field::Text(text)) => text,
            _ => "",
        }
    }
}

impl Field {
    /// The number. `null` and texts such as `"NaN"` stand for those that JSON does not have.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Other(_) => Some(f64::NAN),
            Self::Layers(_) => None,
        }
    }
}

impl History {
    /// Reads the text of a `metrics.jsonl`.
    ///
    /// ```
    /// use wengert_train::report::History;
    ///
    /// let text = r#"{"epoch":1,"step":38,"split":"train","loss":0.7}
    /// {"epoch":2,"step":76,"split":"train","loss":0.4}"#;
    /// let history = History::parse(text);
    /// assert_eq!(history.curves[0].points, [(1.0, 0.7), (2.0, 0.4)]);
    /// ```
    pub fn parse(text: &str) -> Self {
        let (lines, unread) = lines(text);
        Self::of(&lines, if once_in_an_epoch(&lines) { "epoch" } else { "step" }, unread)
    }

    /// Reads the text of a `metrics.jsonl` as curves over the numbers of this key.
    pub(crate) fn over(text: &str, key: &'static str) -> Self {
        let (lines, unread) = lines(text);
        Self::of(&lines, key, unread)
    }

    fn of(lines: &[Line], over: &'static str, unread: usize) -> Self {
        let mut history = Self { over, unread, ..Self::default() };
        for line in lines {
            history.add(line);
        }
        history
    }

    fn add(&mut self, line: &Line) {
        let x = line.number(self.over);
        let (epoch, step) = (line.number("epoch") as u64, line.number("step") as u64);
        self.last = (self.last.0.max(epoch), self.last.1.max(step));
        for (key, field) in &line.0 {
            match field {
                _ if ["epoch", "step", "split", "kind"].contains(&&**key) => {}
                Field::Layers(numbers) => {
                    for (layer, number) in &numbers.0 {
                        add_point(&mut self.layers, key, layer, (x, number.unwrap_or(f64::NAN)));
                    }
                }
                field => {
                    let of = match (&**key, line.text("kind")) {
                        ("lr", _) => "",
                        (_, "step") => "one batch",
                        _ => line.text("split"),
                    };
                    if let Some(number) = field.number() {
                        add_point(&mut self.curves, key, of, (x, number));
                    }
                }
            }
        }
    }

    /// The names of the quantities among these curves, in the order of the file.
    pub(crate) fn quantities(curves: &[Curve]) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for curve in curves {
            if !names.contains(&&*curve.quantity) {
                names.push(&curve.quantity);
            }
        }
        names
    }
}

/// The lines, and the number of those that cannot be read.
fn lines(text: &str) -> (Vec<Line>, usize) {
    let texts = text.lines().filter(|line| !line.trim().is_empty());
    let parsed = texts.map(Line::parse).collect::<Vec<_>>();
    let unread = parsed.iter().filter(|line| line.is_none()).count();
    (parsed.into_iter().flatten().collect(), unread)
}

fn once_in_an_epoch(lines: &[Line]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    lines.iter().all(|line| seen.insert((line.text("split"), line.number("epoch") as u64)))
}

fn add_point(curves: &mut Vec<Curve>, quantity: &str, of: &str, point: (f64, f64)) {
    let place = curves.iter().position(|curve| curve.quantity == quantity && curve.of == of);
    let place = place.unwrap_or_else(|| {
        let (quantity, of) = (quantity.to_owned(), of.to_owned());
        curves.push(Curve { quantity, of, points: Vec::new() });
        curves.len() - 1
    });
    curves[place].points.push(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_keep_the_order_of_the_file() {
        let text = r#"{"epoch":1,"step":3,"split":"train","loss":2,"grad_norm":{"2.weight":1.5,"10.bias":null,"0.weight":3}}"#;
        let history = History::parse(text);
        let names: Vec<_> = history.layers.iter().map(|curve| &*curve.of).collect();
        assert_eq!(names, ["2.weight", "10.bias", "0.weight"]);
        assert!(history.layers[1].points[0].1.is_nan());
        assert_eq!((history.over, history.last), ("epoch", (1, 3)));
    }

    #[test]
    fn numbers_that_json_lacks_and_a_line_cut_short() {
        let text = "{\"epoch\":1,\"split\":\"train\",\"loss\":null}\n\
                    {\"epoch\":2,\"split\":\"train\",\"loss\":\"inf\"}\n\n{\"epoch\":3,\"spl";
        let history = History::parse(text);
        assert_eq!(history.unread, 1);
        let [(_, first), (_, second)] = history.curves[0].points[..] else { panic!() };
        assert!(first.is_nan() && second == f64::INFINITY);
    }

    #[test]
    fn several_lines_in_an_epoch_run_over_steps() {
        let text = "{\"epoch\":1,\"step\":10,\"split\":\"train\",\"loss\":1,\"kind\":\"step\"}\n\
                    {\"epoch\":1,\"step\":20,\"split\":\"train\",\"loss\":0.5}\n";
        let history = History::parse(text);
        assert_eq!(history.over, "step");
        let curves = history.curves.iter().map(|curve| (&*curve.of, &*curve.points));
        let expected = [("one batch", &[(10.0, 1.0)][..]), ("train", &[(20.0, 0.5)])];
        assert_eq!(curves.collect::<Vec<_>>(), expected);
    }
}
