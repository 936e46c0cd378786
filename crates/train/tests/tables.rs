//! Tables of CSV files, and preparations fitted on them.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use wengert_core::Tensor;
use wengert_train::DataError;
use wengert_train::data::{Column, Csv, Fill, Parts, Preparation, Split, Table, Targets};

fn penguins() -> Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/penguins.csv");
    Table::read(file).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Compares inputs in single precision with numbers in double precision.
#[track_caller]
fn assert_near(found: impl IntoIterator<Item = f64>, expected: &[f64], tolerance: f64) {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

#[test]
fn a_preparation_is_that_of_scikit_learn() {
    let expected: Value = serde_json::from_str(include_str!("fixtures/preparation.json")).unwrap();
    let table = penguins();
    let even: Vec<usize> = (0..table.len()).step_by(2).collect();
    let inputs =
        ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "island", "sex"];
    for (name, fill) in
        [("mean", Fill::Mean), ("median", Fill::Median), ("most_frequent", Fill::MostFrequent)]
    {
        let expected = &expected[name];
        let builder = Preparation::builder().classes("species").inputs(inputs).missing(fill);
        let preparation = builder.fit(&table.take_rows(&even)).unwrap();
        assert_eq!(Value::from(preparation.columns()), expected["columns"]);
        assert_eq!(preparation.classes(), ["Adelie", "Chinstrap", "Gentoo"]);

        let data = preparation.apply(&table).unwrap();
        let x = data.numbers();
        for (row, numbers) in expected["rows"].as_object().unwrap() {
            let found = x.take_rows(&[row.parse().unwrap()]);
            assert_near(found.cast::<f64>().to_vec(), &floats(numbers), 1e-6);
        }
        let sums = (0..x.shape()[1]).map(|column| {
            (0..x.shape()[0]).map(|row| f64::from(x.at(&[row, column]))).sum::<f64>()
        });
        assert_near(sums, &floats(&expected["sums"]), 1e-4);
    }

    let builder = Preparation::builder().classes("species").ignore(["year"]).missing(Fill::Drop);
    let preparation = builder.fit(&table).unwrap();
    let lines = preparation.kept_rows(&table).unwrap().into_iter().map(|row| table.line(row));
    assert_eq!(Value::from(lines.collect::<Vec<_>>()), expected["drop"]["lines"]);
    let x = preparation.apply(&table).unwrap().numbers().cast::<f64>();
    assert_eq!(x.shape(), [333, 9].into());
    assert_near(x.as_slice()[3..7].to_vec(), &floats(&expected["drop"]["first"]), 1e-6);
    let numbers = x.as_slice().chunks(9).flat_map(|row| &row[3..7]);
    let squares: f64 = numbers.map(|number| number * number).sum();
    assert_near([squares], &[expected["drop"]["squares"].as_f64().unwrap()], 1e-3);
}

#[test]
fn a_loaded_preparation_is_equal_to_the_bit() {
    let table = penguins();
    let Parts { train, .. } =
        Split::new(table.len()).stratified(&table.categories("species").unwrap()).share(0.3);
    let builder = Preparation::builder().classes("species").missing(Fill::Mean);
    let preparation = builder.fit(&table.take_rows(&train)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preparation.json");
    preparation.save(&path).unwrap();
    let loaded = Preparation::load(&path).unwrap();
    assert_eq!(loaded, preparation);
    assert_eq!(loaded.apply(&table).unwrap(), preparation.apply(&table).unwrap());

    std::fs::write(&path, "{\"inputs\": [],\n \"target\": 3}").unwrap();
    let error = Preparation::load(&path).unwrap_err();
    assert_eq!((error.file(), error.line()), (Some(&*path), Some(2)));
    let absent = folder.path().join("absent.json");
    assert!(Preparation::load(&absent).unwrap_err().to_string().contains("cannot be read"));
    assert!(preparation.save(folder.path()).unwrap_err().to_string().contains("cannot be written"));
    let zero = preparation.to_json().replacen("\"std\": ", "\"std\": -", 1);
    let error = Preparation::from_json(&zero).unwrap_err();
    assert!(error.to_string().contains("expected a `std` above 0"), "{error}");
}

/// Returns the message of the error of reading, fitting or applying.
#[track_caller]
fn mistake<T>(result: Result<T, DataError>) -> String {
    match result {
        Ok(_) => panic!("expected a mistake"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn mistakes_in_files_have_a_place() {
    let read = |text: &str| mistake(Table::from_csv(text));
    assert_eq!(read(""), "expected rows, found an empty file");
    assert_eq!(read("\n\r\n"), "expected rows, found an empty file");
    assert_eq!(read("a,b\n"), "expected rows after the header, found none");
    assert_eq!(read("a,b\n1,2\n\n\n1,2,3\n"), "line 5: expected 2 fields, found 3");
    assert_eq!(read("a,b\n\"1\n1\",2\n1\n"), "line 4: expected 2 fields, found 1");
    assert_eq!(read("a,b,a\n1,2,3\n"), "line 1: two columns have the name `a`");
    let latin1 = mistake(Table::from_csv(b"a,b\n1,caf\xe9\n"));
    assert_eq!(latin1, "line 2, column `b`: expected UTF-8, found `caf\u{fffd}`");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.csv");
    assert!(mistake(Table::read(&path)).contains("trees.csv: cannot be read: "));
    std::fs::write(&path, "height,kind\n1,oak\n2\n").unwrap();
    let error = mistake(Table::read(&path));
    assert!(error.ends_with("trees.csv: line 3: expected 2 fields, found 1"), "{error}");
    std::fs::write(&path, "height,kind\n1,oak\nx,elm\n").unwrap();
    let error = mistake(Table::read(&path).unwrap().column("height"));
    assert!(error.ends_with("trees.csv: line 3, column `height`: expected a number, found `x`"));
}

#[test]
fn columns_have_one_type() {
    let table = Table::from_csv(
        "n,c,mostly text,mostly numbers,nan,huge,id\n1,oak,a,1,1,1,007\n,NA,b,2,NaN,1e999,008\n?,elm,3,x,2,2,009\n",
    )
    .unwrap();
    assert_eq!(table.column("n").unwrap(), Column::Numbers(vec![Some(1.0), None, None]));
    let categories = vec![Some("oak"), None, Some("elm")];
    assert_eq!(table.column("c").unwrap(), Column::Categories(categories));
    assert_eq!(
        mistake(table.column("mostly text")),
        "line 4, column `mostly text`: expected a text as in most rows, found the number `3`; declare the column to \
         hold categories"
    );
    let at = |line: u64, column: &str| format!("line {line}, column `{column}`: ");
    assert_eq!(
        mistake(table.column("mostly numbers")),
        at(4, "mostly numbers") + "expected a number, found `x`"
    );
    assert_eq!(
        mistake(table.column("nan")),
        at(3, "nan") + "expected a finite number, found `NaN`"
    );
    assert_eq!(
        mistake(table.column("huge")),
        at(3, "huge") + "expected a finite number, found `1e999`"
    );
    let ids = Preparation::builder().inputs(["id"]).categories(["id"]).fit(&table).unwrap();
    assert_eq!(ids.columns(), ["id=007", "id=008", "id=009"]);
}

#[test]
fn mistakes_in_rows_have_a_place() {
    let train = Table::from_csv("x,site,kind\n1,wet,oak\n,dry,elm\n4,dry,elm\n").unwrap();
    let builder = Preparation::builder().classes("kind");
    let refused = mistake(builder.fit(&train));
    assert_eq!(refused, "line 3, column `x`: expected a value, found a missing one");

    let preparation = builder.missing(Fill::Median).fit(&train).unwrap();
    let apply = |text: &str| mistake(preparation.apply(&Table::from_csv(text).unwrap()));
    assert_eq!(
        apply("x,site,kind\n1,wet,ok\n"),
        "line 2, column `kind`: unknown class `ok`; did you mean `oak`? Expected one of `elm`, `oak`"
    );
    assert_eq!(
        apply("x,site,kind\n1,wet,\n"),
        "line 2, column `kind`: expected a value, found a missing one"
    );
    assert_eq!(
        apply("x,site,kind\nwet,1,oak\n"),
        "line 2, column `x`: expected a number, found `wet`"
    );
    assert_eq!(
        apply("site,kind,xx\nwet,oak,1\n"),
        "line 1: no column `x`; did you mean `xx`? There are `site`, `kind`, `xx`"
    );
    assert_eq!(
        apply("x,site,kind\n1e200,wet,oak\n"),
        format!("line 2, column `x`: expected a number of usual size, found {}", 1e200)
    );
    assert_eq!(
        mistake(Preparation::builder().ignore(["sit"]).fit(&train)),
        "line 1: no column `sit`; did you mean `site`? There are `x`, `site`, `kind`"
    );
    let outside = Preparation::builder().classes("kind").class_names(["oak", "ash"]);
    assert_eq!(
        mistake(outside.missing(Fill::Mean).fit(&train)),
        "line 3, column `kind`: unknown class `elm`; expected one of `oak`, `ash`"
    );
    let empty = Table::from_csv("x,y\n,1\n,2\n").unwrap();
    assert_eq!(
        mistake(Preparation::builder().missing(Fill::Mean).fit(&empty)),
        "column `x`: expected values, found none"
    );
    let identifiers: String = (0..1001).map(|row| format!("1,name{row}\n")).collect();
    let table = Table::from_csv("x,name\n".to_owned() + &identifiers).unwrap();
    assert_eq!(
        mistake(Preparation::builder().fit(&table)),
        "column `name`: expected 1 to 1000 different values, found 1001"
    );
}

#[test]
fn settings_of_a_preparation() {
    let table =
        Table::from_csv("a,b,site,y,z\n1,7,wet,10,1\n3,7,dry,20,2\n?,7,dry,30,3\n").unwrap();
    let builder = Preparation::builder().values(["y", "z"]).inputs(["site", "b", "a"]);
    let builder = builder.missing_in("a", Fill::Mean);
    let data = builder.clone().fit(&table).unwrap().apply(&table).unwrap();
    // The standard deviation of 1, 3 and the filled 2; b is constant.
    let s = (1.0 / (2.0f64 / 3.0).sqrt()) as f32;
    let inputs = [[0.0, 1.0, 0.0, -s], [1.0, 0.0, 0.0, s], [1.0, 0.0, 0.0, 0.0]];
    assert_eq!(*data.numbers(), Tensor::from(inputs));
    assert_eq!(
        data.targets,
        Targets::Values(Tensor::from([[10.0, 1.0], [20.0, 2.0], [30.0, 3.0]]))
    );

    let raw = builder.without_standardization().allow_unknown_categories().fit(&table).unwrap();
    let rows = Table::from_csv("site,b,a\nlava,8,\n").unwrap();
    assert_eq!(raw.inputs(&rows).unwrap(), Tensor::from([[0.0, 0.0, 8.0, 2.0]]));

    let labels = Table::from_csv("x,digit\n1,10\n1,9\n1,1\n").unwrap();
    let numbers = Preparation::builder().classes("digit").fit(&labels).unwrap();
    assert_eq!(numbers.classes(), ["1", "9", "10"]);

    let dropped = Preparation::builder().missing(Fill::Drop).fit(&table).unwrap();
    assert_eq!(dropped.kept_rows(&table).unwrap(), [0, 1]);
    assert_eq!(dropped.apply(&table).unwrap().len(), 2);
}

#[test]
fn forms_of_csv() {
    let table = Table::from_csv("\u{feff}a , b\r\n\"x, y\",\"1\"\"\"\r\n").unwrap();
    assert_eq!(table.names(), ["a", "b"]);
    assert_eq!(table.categories("a").unwrap(), [Some("x, y")]);
    assert_eq!(table.categories("b").unwrap(), [Some("1\"")]);
    let table = Csv::new().without_header().delimiter(b'\t').parse("1\t2\n3\t4").unwrap();
    assert_eq!(table.numbers("column 2").unwrap(), [Some(2.0), Some(4.0)]);
    assert_eq!((table.line(0), table.line(1)), (1, 2));
    assert!(mistake(table.column("column 3")).starts_with("no column `column 3`"));
    let table = Table::from_csv(",b\n0,1\n").unwrap();
    assert_eq!(table.names(), ["column 1", "b"]);
}

/// Texts that look like CSV, with everything that may be wrong in one.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        4 => "-?[0-9]{1,3}(\\.[0-9]{1,2})?",
        2 => "[a-c]{1,2}",
        1 => Just(String::new()),
        1 => prop::sample::select(
            vec!["NA", "nan", "inf", "1e999", "1e308", "-1e308", "1e-320", "\"", "\"a\nb\"", "\"\"", "\u{202e}", " ", "\r"]
        ).prop_map(String::from),
    ];
    let row = prop::collection::vec(field, 1..5).prop_map(|fields| fields.join(","));
    let text = prop::collection::vec(row, 0..8).prop_map(|rows| rows.join("\n").into_bytes());
    prop_oneof![4 => text, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Whatever stands in a file, there is a result or an error, finite inputs or none.
    #[test]
    fn hostile_files_never_panic(text in hostile(), other in hostile(), header in any::<bool>()) {
        let csv = if header { Csv::new() } else { Csv::new().without_header() };
        let Ok(table) = csv.parse(&text) else { return Ok(()) };
        prop_assert!(!table.is_empty());
        let lines = 1 + text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        prop_assert!((0..table.len()).all(|row| table.line(row) <= lines));
        table.missing();
        for fill in [Fill::Refuse, Fill::Drop, Fill::Mean, Fill::Median, Fill::MostFrequent] {
            let target = table.names()[0].clone();
            let builder = Preparation::builder().missing(fill);
            for builder in [
                builder.clone().classes(&target),
                builder.clone().values([&target]),
                builder.categories(table.names().to_vec()).allow_unknown_categories(),
            ] {
                let Ok(preparation) = builder.fit(&table) else { continue };
                let data = preparation.apply(&table).unwrap();
                prop_assert!(data.numbers().is_finite());
                prop_assert_eq!(preparation.columns().len(), data.numbers().shape()[1]);
                let loaded = Preparation::from_json(&preparation.to_json()).unwrap();
                prop_assert_eq!(&loaded, &preparation);
                if let Ok(other) = csv.parse(&other) {
                    let _ = loaded.apply(&other);
                    let _ = loaded.inputs(&other);
                }
            }
        }
    }
}
