#![no_main]

#[path = "../calls.rs"]
mod calls;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    calls::calls(bytes);
});
