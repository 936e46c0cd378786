//! Fashion-MNIST, a set of images that is installed with the system.

use std::path::{Path, PathBuf};

use super::{Dataset, idx};
use crate::DataError;

/// The folder of Debian's package `dataset-fashion-mnist`.
const USUAL_PLACE: &str = "/usr/share/datasets/fashion-mnist";

const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Fashion-MNIST: grey images `[n, 1, 28, 28]` from 0 to 1 of clothes of ten classes.
///
/// H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
/// Algorithms, 2017, <https://arxiv.org/abs/1708.07747>.
#[derive(Clone, Debug)]
pub struct FashionMnist {
    /// 60,000 images to train on.
    pub train: Dataset,
    /// 10,000 images to test with.
    pub test: Dataset,
}

/// Reads Fashion-MNIST from a folder with its four files, compressed by gzip or not. Default: the folder of Debian's
/// package `dataset-fashion-mnist`.
///
/// # Errors
/// If the folder or a file is not there, with a line that tells how to get it; if a file is no IDX file or has another
/// content.
///
/// ```
/// use std::path::Path;
/// use wengert_train::data::fashion_mnist;
///
/// let error = fashion_mnist(Some(Path::new("no/such/folder"))).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "no/such/folder: Fashion-MNIST is not there; install it with `apt install dataset-fashion-mnist`, or give the \
///      folder of its four files with `--data`"
/// );
/// ```
pub fn fashion_mnist(folder: Option<&Path>) -> Result<FashionMnist, DataError> {
    let folder = folder.unwrap_or(Path::new(USUAL_PLACE));
    let part = |name: &str| {
        let images = file(folder, &format!("{name}-images-idx3-ubyte"))?;
        idx::images(images, file(folder, &format!("{name}-labels-idx1-ubyte"))?, CLASSES)
    };
    Ok(FashionMnist { train: part("train")?, test: part("t10k")? })
}

/// Returns the path of a file, compressed or not.
fn file(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    let candidates = [folder.join(format!("{name}.gz")), folder.join(name)];
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let absent = match folder.is_dir() {
            true => format!("Fashion-MNIST's file {name}.gz is not there"),
            false => "Fashion-MNIST is not there".to_owned(),
        };
        let remedy = "install it with `apt install dataset-fashion-mnist`, or give the folder of its four files with \
                      `--data`";
        DataError::new(format!("{absent}; {remedy}")).in_file(folder)
    })
}
