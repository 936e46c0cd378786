//! From a data file to a trained model: data, batches, metrics, training that resumes, reports, sweeps.

