//! Proves a slimmed jar. Goes in: the archive as it will be installed, what was
//! left out, the base profile. Comes out: [`Verdict`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Seek};
use std::mem::take;

use ferry_ark::{ArkManifest, Manifest};
use ferry_link::{Broken, Builder, Carried, Exports, Module, Names, Uses, Verdict, World, prove};

use crate::SlimError;
use crate::archive::Archive;
use crate::classes::{USUAL_RELEASE, each_class, manifest};
use crate::inspect::is_library;
use crate::library::{Library, class_name, class_of};
use crate::limits::{Budget, MAX_MANIFEST};
use crate::profile::{BaseProfile, OWN};
use crate::shake::Instead;

/// What Spring makes at the start, by the keys of `spring.factories`. Others
/// (failure analysers, template providers) it tries, or makes when they are
/// needed.
const STARTED: &[&str] = &[
    "org.springframework.boot.autoconfigure.EnableAutoConfiguration",
    "org.springframework.boot.env.EnvironmentPostProcessor",
    "org.springframework.boot.SpringApplicationRunListener",
    "org.springframework.context.ApplicationContextInitializer",
    "org.springframework.context.ApplicationListener",
];

/// What the module says of itself.
pub(crate) struct Told<'a> {
    pub(crate) ark: &'a ArkManifest,
    pub(crate) manifest: &'a Manifest,
    /// `declared-libraries` as it will be.
    pub(crate) declared: &'a [String],
}

/// Reads what stays of a module and proves it.
pub(crate) fn prove_module<R: Read + Seek>(
    archive: &mut Archive<R>,
    stays: &dyn Fn(&str) -> bool,
    told: &Told<'_>,
    left_out: &BTreeMap<String, String>,
    instead: &Instead,
    profile: &BaseProfile,
    budget: &mut Budget,
) -> Result<Verdict, SlimError> {
    let platform = profile.java.as_ref().map(|java| &java.0);
    let release = platform
        .and_then(ferry_link::Platform::release)
        .unwrap_or(USUAL_RELEASE);
    let mut carried = Collected {
        table: Builder::with_private(),
        ..Collected::default()
    };
    carried.collect(archive, None, release, budget)?;
    for index in 0..archive.entries.len() {
        let name = archive.entries[index].name.clone();
        if !is_library(&name) || !stays(&name) {
            continue;
        }
        if let Some(bytes) = instead.get(&name) {
            let mut jar = Archive::open(Cursor::new(bytes), Some(&name), budget)?;
            carried.collect(&mut jar, Some(&name), release, budget)?;
            continue;
        }
        match archive.nested(index, budget)? {
            Some(mut jar) => carried.collect(&mut jar, Some(&name), release, budget)?,
            None => carried.broken.push(Broken {
                entry: name,
                class: None,
                at_root: false,
            }),
        }
    }

    let mut exports = Exports::default();
    for plugin in profile.plugins.values() {
        exports.packages.extend(plugin.packages.iter().cloned());
        exports.stems.extend(plugin.stems.iter().cloned());
        exports.classes.extend(plugin.classes.iter().cloned());
    }
    let mut denied = Exports::default();
    let of = |key| told.manifest.get(key).unwrap_or_default();
    denied.add(of("deny-import-packages"), of("deny-import-classes"));
    let world = World {
        platform,
        base: &profile.classes,
        in_reach: &in_reach(profile, told.declared),
        exports: &exports,
        denied: &denied,
        module: &take(&mut carried.table).build(),
    };
    Ok(prove(
        &Module {
            classes: &carried.classes,
            broken: &carried.broken,
            own: &own_packages(&told.ark.main_class),
            roots: &carried.roots,
            left_out,
            sealed: &carried.sealed,
        },
        &world,
    ))
}

/// Which of the base's sources a module may load from: all without declared
/// mode; else what is declared, plugins, and jars whose name tells no
/// artifactId.
fn in_reach(profile: &BaseProfile, declared: &[String]) -> Vec<bool> {
    let by_file: BTreeMap<&str, &Library> = profile
        .libraries
        .iter()
        .map(|library| (library.file.as_str(), library))
        .collect();
    profile
        .classes
        .sources()
        .map(|source| {
            if declared.is_empty() {
                return true;
            }
            let id = by_file
                .get(source)
                .map(|library| library.declared_as.as_deref());
            source != OWN
                && (profile.plugins.contains_key(source)
                    || id
                        .flatten()
                        .is_none_or(|id| declared.iter().any(|one| one == id)))
        })
        .collect()
}

/// What the packages of a module's own classes begin with: the first two words
/// of its start class's package.
fn own_packages(main_class: &str) -> String {
    let mut words: Vec<&str> = main_class.split('.').collect();
    words.pop();
    words.truncate(2);
    words.join("/")
}

#[derive(Default)]
struct Collected {
    classes: Vec<Carried>,
    broken: Vec<Broken>,
    roots: BTreeSet<String>,
    /// Packages that a library keeps to itself, and which.
    sealed: BTreeMap<String, String>,
    names: Names,
    /// The fields and methods of all classes.
    table: Builder,
}

impl Collected {
    fn collect<R: Read + Seek>(
        &mut self,
        jar: &mut Archive<R>,
        library: Option<&str>,
        release: u16,
        budget: &mut Budget,
    ) -> Result<(), SlimError> {
        if let Some(library) = library {
            let seals = seals(manifest(jar, budget)?.as_ref());
            let names = jar.entries.iter().filter_map(|entry| class_of(&entry.name));
            for (package, _) in names.filter(|_| seals) {
                self.sealed
                    .entry(package.to_owned())
                    .or_insert_with(|| library.to_owned());
            }
        }
        let source = self.table.source(library.unwrap_or_default());
        each_class(jar, "", release, budget, &mut |entry, bytes| match bytes
            .map(|bytes| Uses::parse(bytes, &mut self.names))
        {
            Some(Ok(mut uses)) => {
                // Here, as a class's own members would take more room than all else of it.
                self.table.add(source, 0, &uses.class);
                uses.class.fields = Vec::new();
                uses.class.methods = Vec::new();
                self.classes.push(Carried {
                    uses,
                    library: library.map(str::to_owned),
                });
            }
            _ => self.broken.push(Broken {
                entry: entry.to_owned(),
                class: class_by_place(entry),
                at_root: library.is_none(),
            }),
        })?;
        for index in 0..jar.entries.len() {
            let name = &jar.entries[index].name;
            let imports = name.starts_with("META-INF/spring/") && name.ends_with(".imports");
            let factories = name == "META-INF/spring.factories";
            if imports || factories {
                let text = jar.read_small(index, MAX_MANIFEST, budget)?;
                let text = text.unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                match factories {
                    true => self.roots.extend(factories_started(&text)),
                    false => self.roots.extend(named(text.lines())),
                }
            }
        }
        Ok(())
    }
}

/// Whether a library seals all of its packages. The few that seal some of them
/// only are not looked at.
fn seals(manifest: Option<&Manifest>) -> bool {
    let sealed = manifest.and_then(|manifest| manifest.get("Sealed"));
    sealed.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The class that an entry should be, by where it lies.
fn class_by_place(entry: &str) -> Option<String> {
    class_name(entry.rsplit_once("!/").map_or(entry, |(_, path)| path))
}

/// Names of classes, one a line, without comments.
fn named<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    lines
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('.', "/"))
}

/// The classes of a `spring.factories` that are made at the start.
fn factories_started(text: &str) -> Vec<String> {
    let whole = text.replace("\\\r\n", "").replace("\\\n", "");
    whole
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once(['=', ':']))
        .filter(|(key, _)| STARTED.contains(&key.trim()))
        .flat_map(|(_, names)| named(names.split(',')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_packages_are_those_of_the_start_class() {
        assert_eq!(own_packages("com.acme.shop.cart.Main"), "com/acme");
        assert_eq!(own_packages("demo.Hello"), "demo");
        assert_eq!(own_packages("Main"), "");
    }

    #[test]
    fn factories_name_what_is_started() {
        let text = "# a list\norg.springframework.context.ApplicationListener=\\\n  a.B,\\\n  a.C$D\norg.springframework.boot.diagnostics.FailureAnalyzer=a.X\n";
        assert_eq!(factories_started(text), ["a/B", "a/C$D"]);
    }
}
