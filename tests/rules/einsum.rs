//! Einstein summation: values against loops over every index, derivatives against finite differences.

use crate::common::{differentiates, mistake, near, of, property, property_of_values};
use proptest::prelude::*;
use wengert::f64::prelude::*;

/// The sum over all values of all indices, by a plain loop. `inputs` and `output` have their ellipses written out.
fn loops(inputs: &[&str], output: &str, x: &[Tensor]) -> Tensor {
    let mut names = inputs.concat().into_bytes();
    names.sort_unstable();
    names.dedup();
    let extent = |name: u8| {
        let axes = inputs.iter().zip(x).flat_map(|(input, x)| {
            let extents = input.bytes().zip(x.shape().to_vec());
            extents.filter(move |(other, _)| *other == name).map(|(_, n)| n)
        });
        axes.fold(1, |longest, n| if n == 1 { longest } else { n })
    };
    let extents = names.iter().map(|&name| extent(name)).collect::<Vec<_>>();
    let out = output.bytes().map(extent).collect::<Vec<_>>();
    let mut sums = vec![0.0; out.iter().product()];
    for flat in 0..extents.iter().product() {
        let mut rest: usize = flat;
        let mut values = vec![0; names.len()];
        for k in (0..names.len()).rev() {
            values[k] = rest % extents[k];
            rest /= extents[k];
        }
        let value = |name: u8| values[names.iter().position(|n| *n == name).unwrap()];
        let product = inputs.iter().zip(x).fold(1.0, |product, (input, x)| {
            let shape = x.shape();
            let place = input.bytes().zip(&*shape).map(|(n, &e)| value(n).min(e - 1));
            product * x.at(&place.collect::<Vec<_>>())
        });
        let place = output.bytes().zip(&out).fold(0, |flat, (name, n)| flat * n + value(name));
        sums[place] += product;
    }
    Tensor::from_vec(sums, &*out)
}

fn holds(spec: &str, spelled: &[&str], output: &str, extents: &[&[usize]]) {
    let operands = extents.iter().map(|extents| of(extents)).collect::<Vec<_>>();
    property_of_values(spec, operands, |x| {
        near(spec, &einsum(spec, &x), &loops(spelled, output, &x))?;
        differentiates(|x| einsum(spec, x), x)
    });
}

#[test]
fn one_operand() {
    holds("ij->ji", &["ij"], "ji", &[&[2, 3]]);
    holds("ji", &["ji"], "ij", &[&[2, 3]]);
    holds("ij->", &["ij"], "", &[&[2, 3]]);
    holds("ij -> i", &["ij"], "i", &[&[2, 3]]);
    holds("ii", &["ii"], "", &[&[3, 3]]);
    holds("ii->i", &["ii"], "i", &[&[3, 3]]);
    holds("iji->ji", &["iji"], "ji", &[&[2, 3, 2]]);
    holds("iii->i", &["iii"], "i", &[&[3, 3, 3]]);
    holds("iijj->ij", &["iijj"], "ij", &[&[2, 2, 3, 3]]);
    holds("...ij->...ji", &["abij"], "abji", &[&[2, 1, 3, 2]]);
    holds("...i->i", &["abi"], "i", &[&[2, 2, 3]]);
    holds("i...->...", &["iab"], "ab", &[&[2, 2, 3]]);
    holds("...", &["ab"], "ab", &[&[2, 3]]);
}

#[test]
fn two_operands() {
    holds("ij,jk->ik", &["ij", "jk"], "ik", &[&[2, 3], &[3, 2]]);
    holds("ij,jk", &["ij", "jk"], "ik", &[&[2, 3], &[3, 2]]);
    holds("ji,kj->ki", &["ji", "kj"], "ki", &[&[3, 2], &[2, 3]]);
    holds("bij,bkj->bik", &["bij", "bkj"], "bik", &[&[2, 3, 2], &[2, 2, 2]]);
    holds("i,i", &["i", "i"], "", &[&[3], &[3]]);
    holds("i,i->i", &["i", "i"], "i", &[&[3], &[3]]);
    holds("i,j->ij", &["i", "j"], "ij", &[&[3], &[2]]);
    holds("i,j->ji", &["i", "j"], "ji", &[&[3], &[2]]);
    holds("ij,kl->jk", &["ij", "kl"], "jk", &[&[2, 3], &[2, 2]]);
    holds("ij,ij->", &["ij", "ij"], "", &[&[2, 3], &[2, 3]]);
    holds(",ij->ij", &["", "ij"], "ij", &[&[], &[2, 3]]);
    holds("ii,ij->j", &["ii", "ij"], "j", &[&[2, 2], &[2, 3]]);
    holds("bhqd,bhkd->bhqk", &["bhqd", "bhkd"], "bhqk", &[&[2, 2, 3, 2], &[2, 2, 2, 2]]);
    holds("...ij,...jk->...ik", &["abij", "bjk"], "abik", &[&[2, 2, 2, 3], &[2, 3, 2]]);
    holds("...ij,...jk->...ik", &["abij", "bjk"], "abik", &[&[2, 1, 2, 3], &[3, 3, 2]]);
    holds("i...,i...", &["iab", "ib"], "ab", &[&[3, 2, 2], &[3, 2]]);
    holds("ij,jk->ik", &["ij", "jk"], "ik", &[&[2, 1], &[3, 2]]);
    holds("Ba,aB->aB", &["Ba", "aB"], "aB", &[&[2, 3], &[3, 2]]);
}

#[test]
fn more_operands() {
    holds("ij,jk,kl->il", &["ij", "jk", "kl"], "il", &[&[2, 3], &[3, 2], &[2, 2]]);
    holds("i,ij,j", &["i", "ij", "j"], "", &[&[2], &[2, 3], &[3]]);
    holds("i,i,i->i", &["i", "i", "i"], "i", &[&[3], &[3], &[3]]);
    holds("bn,anm,bm->ba", &["bn", "anm", "bm"], "ba", &[&[2, 2], &[3, 2, 2], &[2, 2]]);
    holds("ab,cd,ac,bd->a", &["ab", "cd", "ac", "bd"], "a", &[&[2, 3], &[2, 2], &[2, 2], &[3, 2]]);
}

/// Specifications of two or three operands over four letters, drawn at random.
#[test]
fn random_specifications() {
    let operand = || prop::collection::vec(0usize..4, 0..=3);
    let drawn = (prop::collection::vec(operand(), 1..=3), prop::collection::vec(1usize..=3, 4))
        .prop_flat_map(|(operands, extents)| {
            let mut used = operands.concat();
            used.sort_unstable();
            used.dedup();
            let shapes = operands.iter().map(|operand| {
                of(&operand.iter().map(|&letter| extents[letter]).collect::<Vec<_>>())
            });
            let (x, many) = (shapes.collect::<Vec<_>>(), used.len());
            (Just(operands), Just(used).prop_shuffle(), 0..=many, x)
        });
    property("einsum", drawn, |(operands, letters, many, x)| {
        let word = |letters: &[usize]| {
            letters.iter().map(|&letter| (b'a' + letter as u8) as char).collect::<String>()
        };
        let inputs = operands.iter().map(|operand| word(operand)).collect::<Vec<_>>();
        let output = word(&letters[..many]);
        let spec = format!("{}->{output}", inputs.join(","));
        let inputs = inputs.iter().map(String::as_str).collect::<Vec<_>>();
        near(&spec, &einsum(&spec, &x), &loops(&inputs, &output, &x))?;
        differentiates(|x| einsum(&spec, x), x).map_err(|error| format!("{spec}: {error}"))
    });
}

#[test]
fn dot_and_outer() {
    property("dot", (of(&[3]), of(&[3])), |(a, b)| {
        near("dot", &a.dot(&b), &loops(&["i", "i"], "", &[a.clone(), b.clone()]))?;
        differentiates(|x| x[0].dot(x[1]), [a, b])
    });
    property("outer", (of(&[3]), of(&[2])), |(a, b)| {
        near("outer", &a.outer(&b), &loops(&["i", "j"], "ij", &[a.clone(), b.clone()]))?;
        differentiates(|x| x[0].outer(x[1]), [a, b])
    });
    assert_eq!(Tensor::zeros([0]).dot(Tensor::zeros([0])), Tensor::scalar(0.0));
    let empty = einsum("ij,jk->ik", &[Tensor::zeros([2, 0]), Tensor::zeros([0, 3])]);
    assert_eq!(empty, Tensor::zeros([2, 3]));
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_say_what_is_wrong_with_the_specification() {
    let (a, b) = (Tensor::zeros([2, 3]), Tensor::zeros([4, 5]));
    let both = [a.clone(), b.clone()];
    mistake("einsum: 'ij->' names 1 operands, there are 2", || { einsum("ij->", &both); });
    mistake("index 'j' is 3, but 4 in [4, 5]", || { einsum("ij,jk", &both); });
    mistake("'ijk' does not name the 2 axes of [2, 3]", || { einsum("ijk,jk", &both); });
    mistake("'i' does not name the 2 axes of [2, 3]", || { einsum("i,jk", &both); });
    mistake("index 'x' of the output occurs in no operand", || { einsum("ij,kl->x", &both); });
    mistake("index 'i' occurs twice in the output", || { einsum("ij,kl->ii", &both); });
    mistake("'1' in 'i1'", || { einsum("i1,kl", &both); });
    mistake("'.' in 'i.'", || { einsum("i.,kl", &both); });
    mistake("'-' in 'kl-k'", || { einsum("ij,kl-k", &both); });
    mistake("index 'i' is 2, but 3 in [2, 3]", || { einsum("ii,kl", &both); });
    mistake("einsum: there are no operands", || { einsum::<Tensor>("", &[]); });
    mistake("dot: [2, 3] and [4, 5] are not two vectors of one length", || { a.dot(&b); });
    mistake("outer: [2, 3] and [4, 5] are not both vectors", || { a.outer(&b); });
}
