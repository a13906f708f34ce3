//! `manifest`, see `ferry_fuzz::manifest`. In: bytes of libFuzzer. Out: nothing; a panic is a finding.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_fuzz::manifest(data));
