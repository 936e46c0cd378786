//! Files from and to PyTorch and NumPy, and inputs that fuzzing has found.

mod corpus;
mod interop;
