//! Files that are made to mislead: sizes that are not there, foreign members, names that command a terminal.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use wengert_core::{Param, Tensor};
use wengert_io::{Load, Problem, load_state, npy, npz, safetensors, state_from_bytes};
use wengert_nn::optim::Optimizer;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive with these members, deflated.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// A safetensors file with this header, and data of `bytes` zeros.
fn file(header: &str, bytes: usize) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), &vec![0; bytes]].concat()
}

fn refusal(bytes: &[u8]) -> String {
    safetensors::from_bytes::<f32>(bytes).unwrap_err().to_string()
}

#[test]
fn a_bomb_in_an_archive_is_refused_before_it_is_inflated() {
    // A member of 64 MB behind a header that claims four numbers, and one that claims more than there is.
    let zeros = vec![0; 1 << 26];
    for (shape, says) in
        [("(4,)", "expected 16 bytes"), ("(1000000000000,)", "expected 4000000000000 bytes")]
    {
        let bytes = archive(&[("x.npy", &array("<f4", shape, &zeros))]);
        assert!(bytes.len() < 1 << 17);
        let start = Instant::now();
        let error = npz::from_bytes::<f32>(&bytes).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("tensor `x`"), "{error}");
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    }
    // A directory that claims more than inflating can give. The size stands 24 bytes into the entry.
    let mut bytes = archive(&[("x.npy", &array("<f4", "(250000000,)", &[0; 64]))]);
    let entry = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let size = array("<f4", "(250000000,)", &[]).len() as u32 + 1_000_000_000;
    bytes[entry + 24..entry + 28].copy_from_slice(&size.to_le_bytes());
    let error = npz::from_bytes::<f32>(&bytes).unwrap_err().to_string();
    assert!(error.contains("can be inflated to"), "{error}");
}

#[test]
fn members_that_share_their_bytes_are_refused() {
    let bytes = npz::to_bytes(&[("x".to_owned(), Tensor::<f32>::ones([1000]))].into()).unwrap();
    let entry = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    let (local, entry, end) = (&bytes[..entry], &bytes[entry..end], &bytes[end..]);
    let entries: Vec<u8> = (b'a'..=b'z')
        .flat_map(|name| replaced(entry, b"x.npy", &[name, b'.', b'n', b'p', b'y']))
        .collect();
    // The numbers of entries, and the size of the directory.
    let mut end = end.to_vec();
    (end[8], end[10]) = (26, 26);
    end[12..16].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    let error = npz::from_bytes::<f32>(&[local, &entries, &end].concat()).unwrap_err().to_string();
    assert!(error.starts_with("expected a zip archive of .npy files, found members of"), "{error}");
}

#[test]
fn a_damaged_member_is_noticed() {
    let mut bytes = npz::to_bytes(&[("x".to_owned(), Tensor::<f32>::ones([9]))].into()).unwrap();
    let data = bytes.windows(4).position(|window| window == 1f32.to_le_bytes()).unwrap();
    bytes[data + 8] ^= 1;
    let error = npz::from_bytes::<f32>(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("tensor `x`: expected a stored or deflated member, undamaged"),
        "{error}"
    );
}

#[test]
fn a_foreign_member_leaves_the_others_readable() {
    let (text, complex) = (array("<U5", "(1,)", &[0; 20]), array("<c8", "(1,)", &[0; 8]));
    let records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
    let length = (records.len() as u16).to_le_bytes();
    let records = [b"\x93NUMPY\x01\x00", &length[..], records.as_bytes(), &[0; 4]].concat();
    let x = npy::to_bytes(&Tensor::<f32>::from([1.0, 2.0]));
    let bytes = archive(&[
        ("names.npy", &text),
        ("x.npy", &x),
        ("z.npy", &complex),
        ("records.npy", &records),
        ("notes.txt", b"text"),
    ]);
    let error = npz::from_bytes::<f32>(&bytes).unwrap_err().to_string();
    assert!(error.starts_with("tensor `names`: byte 10: expected a dtype of f2"), "{error}");
    let mut archive = npz::Archive::from_bytes(&bytes).unwrap();
    assert_eq!(archive.names(), ["names", "x", "z", "records", "notes.txt"]);
    assert_eq!(archive.array::<f64>("x").unwrap(), Tensor::from([1.0, 2.0]));
    assert!(archive.array::<f32>("z").unwrap_err().to_string().ends_with("found `<c8`"));
    let missing = archive.array::<f32>("y").unwrap_err().to_string();
    assert_eq!(missing, "expected an array `y`, found only names, x, z, records, notes.txt");
    let (arrays, left_out) = archive.numbers::<f32>();
    assert_eq!(arrays.keys().collect::<Vec<_>>(), ["x"]);
    let names: Vec<_> = left_out.iter().map(|error| error.tensor().unwrap()).collect();
    assert_eq!(names, ["names", "z", "records", "notes.txt"]);
}

#[test]
fn names_are_unique() {
    let x = npy::to_bytes(&Tensor::<f32>::ones([1]));
    for members in [[("x.npy", &*x), ("x", &*x)], [("x.npy", &*x), ("y.npy", &*x)]] {
        let bytes = archive(&members);
        let twice = replaced(&bytes, b"y.npy", b"x.npy");
        let error = npz::from_bytes::<f32>(&twice).unwrap_err().to_string();
        assert!(error.contains("twice") || error.contains("two members of one name"), "{error}");
    }
    let w = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let v = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#;
    let error = refusal(&file(&format!("{{{w},{v}}}"), 8));
    assert!(
        error.starts_with(
            "tensor `w`: expected dtype, shape and data_offsets, found the name twice"
        ),
        "{error}"
    );
    let error = refusal(&file(&format!(r#"{{"__metadata__":{{"a":"","a":""}},{w}}}"#), 4));
    assert!(error.contains("expected metadata of strings, found a key twice"), "{error}");
    let error = refusal(&file(&format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},{w}}}"#), 4));
    assert!(error.contains("expected metadata of strings, found the name twice"), "{error}");
    let error =
        refusal(&file(r#"{"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#, 4));
    assert!(error.contains("tensor `w`") && error.contains("duplicate field `shape`"), "{error}");
    assert!(state_from_bytes::<f32>(&file(&format!("{{{w},{v}}}"), 8)).is_err());
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn a_header_is_bounded_in_bytes_and_time() {
    let error = refusal(&100_000_001u64.to_le_bytes());
    assert_eq!(
        error,
        "byte 0: expected a header of at most 100000000 bytes, found 100000001 bytes"
    );
    let start = Instant::now();
    let axes = vec!["1"; 1_000_000].join(",");
    let error = refusal(&file(
        &format!(r#"{{"w":{{"dtype":"F32","shape":[{axes}],"data_offsets":[0,4]}}}}"#),
        4,
    ));
    assert!(error.contains("tensor `w`") && error.contains("more than 64 axes"), "{error}");
    let names = |i| {
        format!(r#""{i}":{{"dtype":"F32","shape":[],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
    };
    let many =
        file(&format!("{{{}}}", (0..50_000).map(names).collect::<Vec<_>>().join(",")), 200_000);
    let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
    let error = Load::new().bytes(&many, &mut model).unwrap_err().to_string();
    assert!(error.len() < 1000 && error.contains(" and 49979 more"), "{error}");
    let error = Load::new().rename("x", "y").bytes(&many, &mut model).unwrap_err().to_string();
    assert!(error.len() < 1000, "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn messages_are_bounded_and_command_no_terminal() {
    let evil = r"\u001b[2J\u0007\u202e".to_owned() + &"x".repeat(100_000);
    let tensor = |dtype: &str| {
        let header =
            format!(r#"{{"{evil}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,8]}}}}"#);
        file(&header, 8)
    };
    let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
    let mut messages =
        vec![refusal(&tensor("C64")), refusal(&tensor(&evil)), refusal(&tensor("F64")[..50_000])];
    messages.push(Load::new().bytes(&tensor("F64"), &mut model).unwrap_err().to_string());
    messages.push(
        Load::new().rename("a", "b").bytes(&tensor("F64"), &mut model).unwrap_err().to_string(),
    );
    messages.push(Load::new().lenient().bytes(&tensor("F64"), &mut model).unwrap().to_string());
    let text = "\u{1b}[2J".repeat(10_000);
    messages.push(npy::from_bytes::<f32>(&array(&text, "(1,)", &[0; 4])).unwrap_err().to_string());
    messages.push(npy::from_bytes::<f32>(&array("<f4", &text, &[0; 4])).unwrap_err().to_string());
    messages
        .push(npz::from_bytes::<f32>(&archive(&[(&text[..40_000], b"")])).unwrap_err().to_string());
    let (folder, mut optimizer) =
        (tempfile::tempdir().unwrap(), Optimizer::from_toml("kind = 'sgd'").unwrap());
    let path = folder.path().join("state.safetensors");
    std::fs::write(&path, tensor("F64")).unwrap();
    let error = load_state(&path, &mut optimizer, &model).unwrap_err();
    assert!(matches!(error.problem(), Problem::StateMismatch(_)));
    messages.push(error.to_string());
    for message in messages {
        assert!(message.len() < 1200, "{} bytes", message.len());
        assert!(
            !message.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
            "{message:?}"
        );
    }
}

#[test]
fn files_of_other_formats_are_told_for_what_they_are() {
    let checkpoint = archive(&[("archive/data.pkl", b"\x80\x02"), ("archive/data/0", &[0; 8])]);
    let old = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let npz = archive(&[("x.npy", &npy::to_bytes(&Tensor::<f32>::ones([1])))]);
    let npy = npy::to_bytes(&Tensor::<f32>::ones([1]));
    for (bytes, says) in [
        (&*checkpoint, "a PyTorch checkpoint"),
        (old, "safetensors.torch.save_file(torch.load(\"model.pt\"), \"model.safetensors\")"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "a Python pickle"),
        (&*npz, "an .npz file; `npz::read`"),
        (&*npy, "an .npy file; `npy::read`"),
        (b"\x89HDF\r\n\x1a\n\0\0\0", "an HDF5 file"),
        (b"GGUF\x03\0\0\0\0\0", "a GGUF file"),
    ] {
        let error = refusal(bytes);
        assert!(error.starts_with("byte 0: expected a safetensors file, found "), "{error}");
        assert!(error.contains(says), "{error}");
    }
    let error = npz::from_bytes::<f32>(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("a PyTorch checkpoint"), "{error}");
    // A header of 640 bytes begins with the bytes of a pickle.
    let header = format!("{:640}", r#"{"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#);
    assert_eq!(file(&header, 4)[..2], [0x80, 2]);
    assert!(safetensors::from_bytes::<f32>(&file(&header, 4)).is_ok());
}

#[test]
fn integers_are_rounded_once() {
    // Between two neighbours of f32: through f64 they would be rounded to a tie first, and then down.
    let (above, below) = ((1i64 << 60) + (1 << 36) + 1, -(1i64 << 60) - (1 << 36) - 1);
    let step = 2f32.powi(60 - 23);
    let header = |dtype, end| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":[{}],"data_offsets":[0,{end}]}}}}"#, end / 8)
    };
    let mut bytes = file(&header("I64", 16), 0);
    bytes.extend([above.to_le_bytes(), below.to_le_bytes()].concat());
    let read = &safetensors::from_bytes::<f32>(&bytes).unwrap()["w"];
    assert_eq!(read, &Tensor::from([2f32.powi(60) + step, -2f32.powi(60) - step]));
    let mut bytes = file(&header("U64", 8), 0);
    bytes.extend(above.to_le_bytes());
    let read = &safetensors::from_bytes::<f32>(&bytes).unwrap()["w"];
    assert_eq!(read, &Tensor::from([2f32.powi(60) + step]));
    for (descr, bytes) in [("<i8", above.to_le_bytes()), (">u8", above.to_be_bytes())] {
        let read = npy::from_bytes::<f32>(&array(descr, "(1,)", &bytes)).unwrap();
        assert_eq!(read, Tensor::from([2f32.powi(60) + step]));
    }
    let exact = npy::from_bytes::<f64>(&array("<i8", "(1,)", &above.to_le_bytes())).unwrap();
    assert_eq!(exact, Tensor::from([2f64.powi(60) + 2f64.powi(36)]));
}

#[test]
fn an_array_without_a_byte_order_has_that_of_the_machine() {
    let bytes = 1.5f32.to_ne_bytes();
    for descr in ["=f4", "f4", "|f4"] {
        let read = npy::from_bytes::<f32>(&array(descr, "(1,)", &bytes)).unwrap();
        assert_eq!(read, Tensor::from([1.5]), "{descr}");
    }
    assert_eq!(npy::from_bytes::<f32>(&array("u1", "(1,)", &[7])).unwrap(), Tensor::from([7.0]));
    for descr in ["<f16", "f", "", "<", "é4", "?4"] {
        npy::from_bytes::<f32>(&array(descr, "(1,)", &bytes)).unwrap_err();
    }
}

#[test]
fn the_first_of_two_renames_counts() {
    let file = safetensors::to_bytes(&[("a.w".to_owned(), Tensor::<f32>::from([1.0, 2.0]))].into());
    let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
    let load = Load::new().rename("a.w", "0").rename("a.*", "b.*");
    assert!(load.bytes(&file.unwrap(), &mut model).unwrap().is_complete());
    assert_eq!(model[0].value(), &Tensor::from([1.0, 2.0]));
}

#[test]
fn a_wrong_type_is_an_error_in_a_lenient_load_too() {
    let header = r#"{"0":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#;
    let mut model = vec![Param::new(Tensor::<f32>::zeros([1]))];
    let error = Load::new().lenient().bytes(&file(header, 8), &mut model).unwrap_err();
    assert_eq!(error.tensor(), Some("0"));
    // A tensor that the model does not have may hold anything.
    let header = header.replace("\"0\"", "\"other\"");
    let report = Load::new().lenient().bytes(&file(&header, 8), &mut model).unwrap();
    assert_eq!((report.missing, report.unexpected), (vec!["0".into()], vec!["other".into()]));
}

#[test]
fn allowed_names_are_no_mismatch() {
    let tensors = ["0", "pooler.bias", "pooler.weight"];
    let tensors = tensors.map(|name| (name.to_owned(), Tensor::<f32>::ones([2])));
    let file = safetensors::to_bytes(&tensors.into()).unwrap();
    let mut model = vec![Param::new(Tensor::<f32>::zeros([2])), Param::new(Tensor::zeros([3]))];
    let load = Load::new().allow_unexpected("pooler.*");
    let error = load.bytes(&file, &mut model).unwrap_err().to_string();
    assert_eq!(error, "does not fit the model\n  missing: 1");
    assert_eq!(model[0].value(), &Tensor::zeros([2]));
    let error = Load::new().allow_missing("1").bytes(&file, &mut model).unwrap_err().to_string();
    assert_eq!(error, "does not fit the model\n  unexpected: pooler.bias, pooler.weight");
    let report = load.clone().allow_missing("*").bytes(&file, &mut model).unwrap();
    assert!(report.is_complete() && model[0].value() == &Tensor::ones([2]));
    // An allowed name does not allow another shape.
    let mut model = vec![Param::new(Tensor::<f32>::zeros([3]))];
    load.clone().allow_unexpected("*").allow_missing("*").bytes(&file, &mut model).unwrap_err();
}
