//! The confusion matrix as a table.

use std::fmt::Write as _;

use super::html::escape;
use super::results::Confusion;

/// The matrix with the share of rows that each class gets right. Shades tell the share of the row's class. Nothing if
/// no row was counted.
pub(crate) fn table(confusion: &Confusion) -> String {
    let n = confusion.classes.len();
    let count = |actual: usize, predicted: usize| {
        confusion.counts.get(actual).and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    };
    let actual = |class| (0..n).map(|predicted| count(class, predicted)).sum::<u64>();
    let predicted = |class| (0..n).map(|actual| count(actual, class)).sum::<u64>();
    if (0..n).map(actual).sum::<u64>() == 0 {
        return String::new();
    }
    let mut html = String::from(
        "<figure class=\"confusion\">\n<figcaption>Confusion matrix <span class=\"dim\">rows: the class in the data; \
         columns: the class predicted; recall and precision in percent</span></figcaption>\n\
         <div class=\"scroll\"><table>\n<tr><td></td>",
    );
    for class in &confusion.classes {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(class));
    }
    html.push_str("<th scope=\"col\" class=\"dim\" style=\"text-align:right\">recall</th></tr>\n");
    for (i, class) in confusion.classes.iter().enumerate() {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(class));
        for (j, other) in confusion.classes.iter().enumerate() {
            let (rows, share) = (count(i, j), share(count(i, j), actual(i)).unwrap_or(0.0));
            let kind = if i == j { "right" } else { "wrong" };
            // The smallest shade that is seen.
            let shade = if rows == 0 { 0.0 } else { 0.12 + 0.88 * share };
            let _ = write!(
                html,
                "<td class=\"{kind}\" style=\"--a:{shade:.2}\" title=\"{}, predicted {}: {rows}\">{}</td>",
                escape(class),
                escape(other),
                if rows == 0 { String::new() } else { rows.to_string() },
            );
        }
        let _ = writeln!(
            html,
            "<td class=\"number\">{}</td></tr>",
            percent(share(count(i, i), actual(i)))
        );
    }
    html.push_str("<tr><th scope=\"row\" class=\"dim\">precision</th>");
    for j in 0..n {
        let _ =
            write!(html, "<td class=\"number\">{}</td>", percent(share(count(j, j), predicted(j))));
    }
    html.push_str("<td></td></tr>\n</table></div>\n</figure>\n");
    html
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "\u{2013}".to_owned(), |share| format!("{:.0}", 100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_and_precision_stand_at_the_margins() {
        let mut confusion = Confusion::new(["<cat>", "dog", "fox"]);
        confusion.counts = vec![vec![3, 1, 0], vec![1, 7, 0], vec![0, 0, 0]];
        let html = table(&confusion);
        let numbers: Vec<_> = html
            .split("<td class=\"number\">")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap())
            .collect();
        assert_eq!(numbers, ["75", "88", "\u{2013}", "75", "88", "\u{2013}"]);
        assert!(html.contains("&lt;cat&gt;, predicted dog: 1") && !html.contains("<cat>"));
        assert_eq!(table(&Confusion::new(["a", "b"])), "");
        assert_eq!(table(&Confusion { classes: vec!["a".into()], counts: vec![] }), "");
    }
}
