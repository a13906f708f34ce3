//! Class files that are damaged: they are refused or read, and never stop who reads them.

use std::fs::File;
use std::io::{Cursor, Read};

use anyhow::Result;
use ferry_link::{Class, Names, Uses};
use ferry_rig::maven::base_jar;
use zip::ZipArchive;

/// Numbers that are the same in every run: Knuth's multiplier.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

#[tokio::test]
async fn damaged_class_files_are_refused_or_read() -> Result<()> {
    let mut base = ZipArchive::new(File::open(base_jar().await?)?)?;
    let mut bytes = Vec::new();
    base.by_name("BOOT-INF/lib/snakeyaml-2.2.jar")?
        .read_to_end(&mut bytes)?;
    let mut jar = ZipArchive::new(Cursor::new(bytes))?;
    let (mut dice, mut refused, mut read) = (Dice(7), 0, 0);
    for index in 0..jar.len() {
        let mut entry = jar.by_index(index)?;
        if !entry.name().ends_with(".class") {
            continue;
        }
        let mut class = Vec::new();
        entry.read_to_end(&mut class)?;
        for _ in 0..ROUNDS {
            let mut damaged = class.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(damaged.len());
                damaged[at] = dice.below(256) as u8;
            }
            if dice.below(4) == 0 {
                damaged.truncate(dice.below(class.len()));
            }
            let whole = Class::parse(&damaged).is_ok();
            match Uses::parse(&damaged, &mut Names::default()) {
                Ok(_) => {
                    assert!(whole, "what is read with its code is read without");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
    Ok(())
}

/// For each class.
const ROUNDS: usize = 100;
