//! Layers, losses and whole models: against PyTorch, against the fixture, and against the pages.

mod copies;
mod digits;
mod distributions;
mod empty;
mod fixture;
mod from_pytorch;
mod layers;
mod modes;
mod outside_rules;
mod programs;
mod summary;
mod unreached;
