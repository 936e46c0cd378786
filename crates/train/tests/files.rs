//! IDX files, folders of `.npy` files, Fashion-MNIST.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use wengert_core::Tensor;
use wengert_io::npy;
use wengert_train::DataError;
use wengert_train::data::{Dataset, Targets, fashion_mnist, idx, npy_folder};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of an IDX file.
fn encode(kind: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
    let extents_bytes: Vec<u8> = extents.iter().flat_map(|extent| extent.to_be_bytes()).collect();
    [&[0, 0, kind, extents.len() as u8], &extents_bytes[..], data].concat()
}

#[track_caller]
fn mistake<T>(result: Result<T, DataError>) -> String {
    match result {
        Ok(_) => panic!("expected a mistake"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_type_of_number_is_read() {
    for (kind, data, expected) in [
        (0x08, vec![0, 255], [0.0, 255.0]),
        (0x09, vec![0x80, 0x7f], [-128.0, 127.0]),
        (0x0b, vec![0xff, 0xfe, 1, 0], [-2.0, 256.0]),
        (0x0c, vec![0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0], [-1.0, 65536.0]),
        (0x0d, [1.5f32, -0.25].map(f32::to_be_bytes).concat(), [1.5, -0.25]),
        (0x0e, [1.5f64, -0.25].map(f64::to_be_bytes).concat(), [1.5, -0.25]),
    ] {
        let bytes = encode(kind, &[2], &data);
        assert_eq!(idx::from_bytes(&bytes).unwrap(), Tensor::from(expected));
        assert_eq!(idx::from_bytes(&gzip(&bytes)).unwrap(), Tensor::from(expected));
    }
}

#[test]
fn mistakes_in_idx_files_have_a_place() {
    let read = |bytes: &[u8]| mistake(idx::from_bytes(bytes));
    let start =
        "byte 0: expected an IDX file, which begins with two zeros and a type of numbers, found ";
    assert_eq!(read(b""), format!("{start}[]"));
    assert_eq!(read(b"PK\x03\x04"), format!("{start}[80, 75, 3, 4]"));
    assert_eq!(read(&[0, 0, 7, 1]), format!("{start}[0, 0, 7, 1]"));
    assert_eq!(read(&[0, 0, 8, 2, 0, 0, 0, 1, 0]), "byte 4: expected 2 extents, found 1");
    assert_eq!(
        read(&encode(8, &[1; 9], &[1])),
        "byte 4: expected a usual shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 axes, at most 8 are supported"
    );
    assert!(read(&encode(8, &[u32::MAX; 3], &[])).starts_with("byte 4: expected a usual shape: "));
    assert_eq!(
        read(&encode(0x0c, &[2], &[0; 7])),
        "byte 8: expected 2 numbers of 4 bytes for [2], found 7 bytes"
    );
    assert_eq!(
        read(&encode(8, &[2], &[0; 3])),
        "byte 8: expected 2 numbers of 1 byte for [2], found more bytes"
    );
    let cut = gzip(&encode(8, &[100], &[7; 100]));
    assert!(read(&cut[..cut.len() - 10]).starts_with("cannot be read: "));

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("images"), encode(8, &[2, 1, 2], &[0, 255, 51, 102])).unwrap();
    fs::write(path("labels"), gzip(&encode(8, &[2], &[1, 0]))).unwrap();
    let data = idx::images(path("images"), path("labels"), ["oak", "elm"]).unwrap();
    let images = Tensor::from_vec(vec![0.0, 1.0, 0.2, 0.4], [2, 1, 1, 2]);
    assert_eq!(data, Dataset::new(images, Targets::classes([1, 0], ["oak", "elm"])));
    let error = mistake(idx::images(path("images"), path("labels"), ["oak"]));
    assert!(error.ends_with("labels: expected a class from 0 to 0 in row 0, found 1"), "{error}");
    let error = mistake(idx::images(path("labels"), path("labels"), ["oak"]));
    assert!(error.ends_with("labels: expected images [n, height, width], found [2]"), "{error}");
    fs::write(path("labels"), encode(8, &[3], &[1, 0, 1])).unwrap();
    let error = mistake(idx::images(path("images"), path("labels"), ["oak", "elm"]));
    assert!(error.ends_with("labels: expected 2 labels, found [3]"), "{error}");
    assert!(mistake(idx::read(path("absent"))).contains("absent: cannot be read: "));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_idx_files_never_panic(
        kind in 7u8..16,
        extents in prop::collection::vec(prop_oneof![0u32..5, any::<u32>()], 0..10),
        data in prop::collection::vec(any::<u8>(), 0..60),
        cut in 0usize..100,
    ) {
        let bytes = encode(kind, &extents, &data);
        let bytes = &bytes[..cut.min(bytes.len())];
        let _ = idx::from_bytes(bytes);
        let _ = idx::from_bytes(&gzip(bytes)[..]);
        let _ = idx::from_bytes(&[&[0x1f, 0x8b], bytes].concat());
    }
}

#[test]
fn folders_of_npy_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, array: Tensor<f32>| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        npy::write(path, &array).unwrap();
    };
    let read = || npy_folder(folder.path());
    let error = mistake(read());
    assert!(
        error.ends_with(
            "expected inputs.npy, or a folder for each class with .npy files, found none"
        )
    );

    // A folder for each class.
    write("oak/2.npy", Tensor::from([3.0, 4.0]));
    write("oak/1.npy", Tensor::from([1.0, 2.0]));
    write("elm/1.npy", Tensor::from([5.0, 6.0]));
    fs::write(folder.path().join("oak/notes.txt"), "no array").unwrap();
    let rows = Tensor::from([[5.0, 6.0], [1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(read().unwrap(), Dataset::new(rows, Targets::classes([0, 1, 1], ["elm", "oak"])));
    write("oak/3.npy", Tensor::from([1.0]));
    let error = mistake(read());
    assert!(error.ends_with("3.npy: expected [2] as in the first file, found [1]"), "{error}");

    // Files of all rows.
    let inputs = Tensor::from([[1.0], [2.0], [3.0]]);
    write("inputs.npy", inputs.clone());
    assert_eq!(read().unwrap(), Dataset::new(inputs.clone(), Targets::None));
    write("values.npy", inputs.clone());
    assert_eq!(read().unwrap(), Dataset::new(inputs.clone(), Targets::Values(inputs.clone())));
    write("labels.npy", Tensor::from([2.0, 0.0, 0.0]));
    assert!(mistake(read()).ends_with("expected either labels.npy or values.npy, found both"));
    fs::remove_file(folder.path().join("values.npy")).unwrap();
    let numbered = Targets::classes([2, 0, 0], ["0", "1", "2"]);
    assert_eq!(read().unwrap(), Dataset::new(inputs, numbered));
    fs::write(folder.path().join("classes.txt"), "oak\nelm\n").unwrap();
    let error = mistake(read());
    assert!(
        error.ends_with("labels.npy: expected a class from 0 to 1 in row 0, found 2"),
        "{error}"
    );
    for (labels, ending) in [
        (Tensor::from([0.0, 0.5, 0.0]), "expected a class from 0 to 1 in row 1, found 0.5"),
        (Tensor::from([0.0, 1.0, f32::NAN]), "expected a class from 0 to 1 in row 2, found NaN"),
        (Tensor::from([0.0]), "expected a target for each row, found [1] for inputs [3, 1]"),
        (Tensor::zeros([3, 1]), "expected labels [n], found [3, 1]"),
    ] {
        write("labels.npy", labels);
        let error = mistake(read());
        assert!(error.ends_with(ending), "{error}");
    }
    fs::write(folder.path().join("labels.npy"), "no array").unwrap();
    assert!(mistake(read()).contains("labels.npy: byte 0: expected an .npy file"));
}

#[test]
fn fashion_mnist_is_read_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in [("train", 3), ("t10k", 2)] {
        let path = |what: &str| folder.path().join(format!("{name}-{what}"));
        let pixels = vec![128; rows * 28 * 28];
        let images = encode(8, &[rows as u32, 28, 28], &pixels);
        fs::write(path("images-idx3-ubyte.gz"), gzip(&images)).unwrap();
        fs::write(path("labels-idx1-ubyte"), encode(8, &[rows as u32], &vec![9; rows])).unwrap();
    }
    let data = fashion_mnist(Some(folder.path())).unwrap();
    assert_eq!(data.train.numbers().shape(), [3, 1, 28, 28].into());
    assert_eq!(
        (data.test.labels().as_slice(), data.test.targets.class_names()[9].as_str()),
        (&[9, 9][..], "Ankle boot")
    );
    fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let error = mistake(fashion_mnist(Some(folder.path())));
    assert!(
        error.contains("t10k-labels-idx1-ubyte.gz is not there; install it with `apt install"),
        "{error}"
    );
}

/// Runs where Debian's package is installed.
#[test]
fn the_real_fashion_mnist_has_six_thousand_images_of_each_class() {
    if !Path::new("/usr/share/datasets/fashion-mnist").is_dir() {
        return;
    }
    let data = fashion_mnist(None).unwrap();
    for (part, each) in [(data.train, 6000), (data.test, 1000)] {
        let mut counts = [0; 10];
        part.labels().as_slice().iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, [each; 10]);
    }
}
