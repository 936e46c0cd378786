//! Files: from and to PyTorch and NumPy, and the inputs that fuzzing has kept.

mod corpus;
mod interop;
