//! What is read from class files against what `javap` prints of the same ones, for the libraries of the demo's
//! base: well-known ones, by several compilers, from Java 5 to 17.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ferry_link::{Kind, Names, Uses};
use ferry_rig::maven::base_jar;
use zip::ZipArchive;

/// Small ones, for every run: some 500 classes in all.
const FEW: &[&str] = &[
    "slf4j-api-2.0.13.jar",
    "snakeyaml-2.2.jar",
    "failureaccess-1.0.1.jar",
];

#[tokio::test]
async fn references_are_those_that_javap_prints() -> Result<()> {
    compare(|file| FEW.contains(&file)).await
}

/// Every library of the base: 22,000 classes, some minutes.
#[tokio::test]
#[ignore = "takes minutes: cargo xtask corpus --references"]
async fn references_of_every_library_are_those_that_javap_prints() -> Result<()> {
    compare(|_| true).await
}

async fn compare(wanted: impl Fn(&str) -> bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let jars = unpack(&base_jar().await?, folder.path(), wanted)?;
    let printed = folder.path().join("javap.txt");
    let java = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Javap.java");
    let status = Command::new(ferry_rig::tools::jdk()?.java())
        .arg("-XX:+UseSerialGC")
        .arg(java)
        .arg(&printed)
        .args(&jars)
        .status()
        .context("java does not start")?;
    ensure!(status.success(), "javap ended with {status}");
    let (mut classes, mut members, mut unused) = (0, 0, 0);
    let mut open: BTreeMap<String, ZipArchive<File>> = BTreeMap::new();
    let mut told: Option<(String, Told)> = None;
    let mut finish = |told: Option<(String, Told)>| -> Result<()> {
        let Some((of, told)) = told else {
            return Ok(());
        };
        let (jar, entry) = of.split_once('\t').context("a jar and an entry")?;
        if !open.contains_key(jar) {
            open.insert(jar.to_owned(), ZipArchive::new(File::open(jar)?)?);
        }
        let zip = open.get_mut(jar).expect("it was put there");
        let mut bytes = Vec::new();
        zip.by_name(entry)?.read_to_end(&mut bytes)?;
        let read =
            Read::of(&Uses::parse(&bytes, &mut Names::default()).with_context(|| of.clone())?);
        let own = entry.trim_end_matches(".class");
        read.agrees(own, &told).with_context(|| of.clone())?;
        classes += 1;
        members += read.members.len();
        unused += told.pool_members.difference(&read.members).count();
        Ok(())
    };
    for line in BufReader::new(File::open(&printed)?).lines() {
        let line = line?;
        match line.strip_prefix("@@ ") {
            Some(of) => finish(told.replace((of.to_owned(), Told::default())))?,
            None => {
                let (of, told) = told.as_mut().context("javap speaks of a class")?;
                let own = of.split_once('\t').map_or("", |(_, entry)| entry);
                told.line(own.trim_end_matches(".class"), &line);
            }
        }
    }
    finish(told)?;
    println!(
        "{} jars, {classes} classes, {members} fields and methods: the same as javap's; {unused} constants that no code uses",
        jars.len()
    );
    ensure!(classes > 0 && members > classes);
    Ok(())
}

fn unpack(base: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut base = ZipArchive::new(File::open(base)?)?;
    let mut jars = Vec::new();
    for index in 0..base.len() {
        let mut entry = base.by_index(index)?;
        let name = entry.name().to_owned();
        let file = name.strip_prefix("BOOT-INF/lib/").unwrap_or_default();
        if file.ends_with(".jar") && wanted(file) {
            let path = to.join(file);
            std::io::copy(&mut entry, &mut File::create(&path)?)?;
            jars.push(path);
        }
    }
    Ok(jars)
}

type Member = (String, String, String);

/// What was read.
struct Read {
    members: BTreeSet<Member>,
    classes: BTreeSet<String>,
}

impl Read {
    fn of(uses: &Uses) -> Self {
        let mut read = Self {
            members: BTreeSet::new(),
            classes: BTreeSet::new(),
        };
        for one in &uses.uses {
            match &one.member {
                Some((name, descriptor)) => {
                    let member = (
                        one.class.to_string(),
                        name.to_string(),
                        descriptor.to_string(),
                    );
                    read.members.insert(member);
                }
                None if one.kind == Kind::Class => {
                    read.classes.insert(one.class.to_string());
                }
                None => {}
            }
        }
        read
    }

    /// All that instructions name was read, and nothing that the class does not name.
    fn agrees(&self, own: &str, told: &Told) -> Result<()> {
        let missed: Vec<_> = told.code_members.difference(&self.members).collect();
        ensure!(missed.is_empty(), "not read: {missed:?}");
        let invented: Vec<_> = self.members.difference(&told.pool_members).collect();
        ensure!(invented.is_empty(), "not there: {invented:?}");
        let missed: Vec<_> = told
            .code_classes
            .difference(&self.classes)
            .filter(|class| *class != own)
            .collect();
        ensure!(missed.is_empty(), "classes not read: {missed:?}");
        let invented: Vec<_> = self.classes.difference(&told.pool_classes).collect();
        ensure!(invented.is_empty(), "classes not there: {invented:?}");
        Ok(())
    }
}

/// What javap told of a class.
#[derive(Default)]
struct Told {
    code_members: BTreeSet<Member>,
    code_classes: BTreeSet<String>,
    pool_members: BTreeSet<Member>,
    pool_classes: BTreeSet<String>,
}

impl Told {
    fn line(&mut self, own: &str, line: &str) {
        let Some((before, comment)) = line.split_once("//") else {
            return;
        };
        let words: Vec<&str> = before.split_whitespace().collect();
        // `#7 = Methodref  #2.#3  // a/B.c:()V`
        if let [number, "=", tag, ..] = words.as_slice()
            && number.starts_with('#')
        {
            let comment = comment.trim();
            match *tag {
                "Fieldref" | "Methodref" | "InterfaceMethodref" => {
                    self.pool_members.extend(member(own, comment));
                }
                "Class" => self.pool_classes.extend(class(comment)),
                // A method type's classes are asked for when the call site is made.
                "MethodType" => self.pool_classes.extend(types(comment)),
                _ => {}
            }
            return;
        }
        // `12: invokevirtual #7  // Method a/B.c:()V`
        let is_code = words.first().is_some_and(|word| word.ends_with(':'));
        if let (true, Some((kind, of))) = (is_code, comment.trim().split_once(' ')) {
            match kind {
                "Field" | "Method" | "InterfaceMethod" => self.code_members.extend(member(own, of)),
                "class" => self.code_classes.extend(class(of)),
                _ => {}
            }
        }
    }
}

/// `a/B.c:()V`, `c:()V` for the class's own, `"[La/B;".clone:()V`; none for an array's methods, which are
/// everyone's.
fn member(own: &str, text: &str) -> Option<Member> {
    let (before, descriptor) = text.rsplit_once(':')?;
    let (owner, name) = match before.strip_prefix('"') {
        Some(rest) if rest.starts_with('[') => return None,
        Some(_) => (own, before),
        None => before.split_once('.').unwrap_or((own, before)),
    };
    let plain = |text: &str| text.trim_matches('"').to_owned();
    Some((plain(owner), plain(name), descriptor.to_owned()))
}

fn class(text: &str) -> Option<String> {
    let name = text.trim().trim_matches('"');
    match name.strip_prefix('[') {
        None => Some(name.to_owned()),
        Some(rest) => {
            let element = rest.trim_start_matches('[').strip_prefix('L')?;
            Some(element.strip_suffix(';')?.to_owned())
        }
    }
}

fn types(descriptor: &str) -> Vec<String> {
    let mut rest = descriptor;
    let mut names = Vec::new();
    while let Some((name, after)) = rest
        .split_once('L')
        .and_then(|(_, after)| after.split_once(';'))
    {
        names.push(name.to_owned());
        rest = after;
    }
    names
}
