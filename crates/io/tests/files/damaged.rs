//! Files that are damaged or do not fit the model: an error that says where, and an unchanged model.

use wengert_core::{Buffer, Param, Tensor, params_f32};
use wengert_io::{
    FileError, Load, Problem, load, named, npy, npz, safetensors, save, state_from_bytes,
    state_to_bytes,
};
use wengert_nn::optim::{Optimizer, OptimizerState};

struct Net {
    weight: Param<f32>,
    mean: Buffer<f32>,
}
params_f32! { Net { weight, mean } }

fn net(value: f32) -> Net {
    Net { weight: Tensor::full([2, 2], value).into(), mean: Buffer::new(Tensor::full([2], value)) }
}

/// A safetensors file with this header, and data of `bytes` ones.
fn file(header: &str, bytes: usize) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), &vec![1; bytes]].concat()
}

#[test]
fn every_truncation_is_an_error_and_the_model_is_unchanged() {
    let whole = safetensors::to_bytes(&named(&net(3.0))).unwrap();
    for end in 0..whole.len() {
        let mut net = net(1.0);
        Load::new().bytes(&whole[..end], &mut net).unwrap_err();
        Load::new().lenient().bytes(&whole[..end], &mut net).unwrap_err();
        assert_eq!(named(&net), named(&self::net(1.0)));
    }
    let array = npy::to_bytes(&Tensor::<f64>::ones([2, 3]));
    assert!((0..array.len()).all(|end| npy::from_bytes::<f64>(&array[..end]).is_err()));
    let arrays = npz::to_bytes(&named(&net(3.0))).unwrap();
    assert!((0..arrays.len()).all(|end| npz::from_bytes::<f32>(&arrays[..end]).is_err()));
}

#[test]
fn false_claims_are_reported_with_the_tensor() {
    let of = |dtype: &str, shape: &str, range: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{range}}}}}"#)
    };
    let huge = "[1152921504606846976]";
    for (header, bytes, says) in [
        (of("F32", "[2]", "[0,4]"), 4, "tensor `w`: expected the bytes of F32 [2], found 4 bytes"),
        (of("F32", huge, "[0,4]"), 4, "found 4 bytes"),
        (
            of("F32", "[2]", "[0,8]"),
            4,
            "expected data_offsets in the 4 bytes of data, found [0, 8]",
        ),
        (of("F32", "[1]", "[8,4]"), 8, "found [8, 4]"),
        (of("F32", "[1]", "[4,8]"), 8, "expected data_offsets that begin at 0"),
        (of("F32", "[1]", "[0,4]"), 8, "expected 4 bytes of data, found 8 bytes"),
        (of("F32", "[-1]", "[0,4]"), 4, "tensor `w`: expected dtype, shape and data_offsets"),
        (of("Q7", "[1]", "[0,4]"), 4, "unknown variant `Q7`"),
        (of("C64", "[1]", "[0,8]"), 8, "tensor `w`: expected F64, F32, F16, BF16"),
        (of("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "tensor `w`: expected at most 8 axes"),
        (of("F32", "[0,4294967296,4294967296]", "[0,0]"), 0, "a shape that fits in memory"),
        ("[]".to_owned(), 0, "byte 8: expected a header in JSON"),
    ] {
        let error = safetensors::from_bytes::<f32>(&file(&header, bytes)).unwrap_err().to_string();
        assert!(error.contains(says), "{header}: {error}");
    }
    // The bytes of a NaN as the length of a header.
    let error = safetensors::from_bytes::<f32>(&f64::NAN.to_le_bytes()).unwrap_err().to_string();
    assert_eq!(
        error,
        "byte 0: expected a header of at most 100000000 bytes, found 9221120237041090560 bytes"
    );
    let error = safetensors::from_bytes::<f32>(&7u64.to_le_bytes()).unwrap_err().to_string();
    assert_eq!(error, "byte 8: expected a header of 7 bytes, found 0 bytes");
}

#[test]
fn numbers_need_not_be_aligned() {
    let header = r#"{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}} "#;
    let mut bytes = file(header, 0);
    bytes.extend(0.1f64.to_le_bytes());
    for shift in 0..8 {
        let shifted = [&vec![0; shift], bytes.as_slice()].concat();
        let read = safetensors::from_bytes::<f64>(&shifted[shift..]).unwrap();
        assert_eq!(read["w"], Tensor::from([0.1]));
    }
}

#[test]
fn a_strict_load_reports_all_differences_and_a_lenient_one_loads_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let tensors = [("weight", vec![3, 2]), ("mean", vec![2]), ("extra", vec![])];
    let tensors = tensors.map(|(name, shape)| (name.to_owned(), Tensor::<f32>::ones(&*shape)));
    safetensors::write(&path, &tensors.into()).unwrap();
    let mut net = net(0.0);
    let error = load(&path, &mut net).unwrap_err();
    assert_eq!(error.file(), Some(&*path));
    assert!(
        matches!(error.problem(), Problem::ModelMismatch(report) if report.unexpected == ["extra"])
    );
    assert!(error.to_string().ends_with(
        "unexpected: extra\n  shape mismatch: weight is [2, 2] in the model, [3, 2] in the file"
    ));
    assert_eq!(named(&net), named(&self::net(0.0)));
    let report = Load::new().lenient().file(&path, &mut net).unwrap();
    assert_eq!((report.shape_mismatch[0].found.as_slice(), report.missing.len()), (&[3, 2][..], 0));
    assert_eq!(net.mean.value(), &Tensor::ones([2]));

    let error = |load: Load, net: &mut Net| load.file(&path, net).unwrap_err().to_string();
    let unused = error(Load::new().lenient().rename("mena", "mean"), &mut net);
    assert!(unused.contains("rename from `mena`, found only extra, mean, weight"), "{unused}");
    let double = error(Load::new().lenient().rename("extra", "mean"), &mut net);
    assert!(
        double.contains("tensor `mean`") && double.contains("two tensors that would"),
        "{double}"
    );
}

#[test]
fn a_file_that_cannot_be_written_or_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").join("x.safetensors");
    let written: Result<(), FileError> = save(&path, &net(0.0));
    assert!(matches!(written.unwrap_err().problem(), Problem::Write(_)));
    let error = load(&path, &mut net(0.0)).unwrap_err();
    assert!(matches!(error.problem(), Problem::Read(_)) && error.file() == Some(&*path));
    assert_eq!(format!("{error:?}"), error.to_string());
    assert_eq!(format!("{:?}", error.problem()), error.problem().to_string());
}

#[test]
fn a_state_distinguishes_numbers_from_scalar_tensors() {
    let state = OptimizerState::<f64> {
        tensors: [("b/adam.exp_avg".to_owned(), Tensor::scalar(0.5))].into(),
        numbers: [("b/adam.count".to_owned(), 3.0), ("steps".to_owned(), f64::INFINITY)].into(),
    };
    let bytes = state_to_bytes(&state).unwrap();
    assert_eq!(state_from_bytes::<f64>(&bytes).unwrap(), state);
    assert_eq!(bytes, state_to_bytes(&state).unwrap());
    // Numbers keep double precision in a model of single precision.
    let state = OptimizerState::<f32> {
        tensors: [].into(),
        numbers: [("steps".to_owned(), 16_777_217.0)].into(),
    };
    let bytes = state_to_bytes(&state).unwrap();
    assert_eq!(state_from_bytes::<f32>(&bytes).unwrap(), state);

    // The state of a recipe without the average: the rest is loaded, the average reported as missing.
    let mut plain = Optimizer::<f32>::from_toml("kind = 'adam'\nema = 0.5").unwrap();
    let restored = plain.restore_lenient(&net(0.0), state_from_bytes(&bytes).unwrap());
    assert_eq!(plain.steps(), 16_777_217);
    assert!(restored.missing.contains(&"weight/ema.average".to_owned()));
}
