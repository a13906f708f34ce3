//! `config`, see `ferry_fuzz::config`. In: bytes of libFuzzer. Out: nothing; a panic is a finding.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_fuzz::config(data));
