//! The readers on the inputs that fuzzing has found; see `tests/fuzz/README.md`.

#[path = "../fuzz/readers.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets include it too")]
mod readers;

/// Runs a reader on the inputs in its folder.
fn all(name: &str, reader: fn(&[u8])) {
    let folder = format!("{}/tests/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(files.len() > 20);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let read = std::panic::catch_unwind(|| reader(&bytes));
        assert!(read.is_ok(), "{}", file.display());
    }
}

#[test]
fn safetensors() {
    all("safetensors", readers::safetensors);
}

#[test]
fn npy() {
    all("npy", readers::npy);
}

#[test]
fn npz() {
    all("npz", readers::npz);
}

#[test]
fn recipe() {
    all("recipe", readers::recipe);
}
