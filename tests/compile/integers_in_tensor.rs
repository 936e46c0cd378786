//! A tensor of integers.

use wengert::prelude::*;

fn main() {
    let row = tensor![1, 2];
    let matrix = tensor![[1, 2], [3, 4]];
}
