//! The derivative of every operation against finite differences, on random shapes and in random
//! programs; `.ci/mutants` breaks each derivative in turn and expects a test of this program to fail.

mod common;
mod einsum;
mod elementwise;
mod enlarge;
mod graphs;
mod index;
mod linalg;
mod order;
mod program;
mod reduce;
mod shape;
mod window;
