//! The Java platform that a base runs on. Goes in: a JDK's or JRE's folder.
//! Comes out: [`Platform`]: all that its modules export.
//!
//! The classes are read from `lib/modules`, the image that the JVM itself
//! starts from: it is in every JDK and JRE since Java 9, in those that `jlink`
//! made too, and holds exactly what this JVM has. `ct.sym` is in JDKs only and
//! leaves out what is exported without being documented, `jmods` are often not
//! installed, and running the JVM would need a compiler beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ferry_link::{Builder, Class, Platform};
use jimage_rs::JImage;

use crate::SlimError;

/// The Java of this machine: of `JAVA_HOME`, else of the `java` that a shell
/// would run.
#[must_use]
pub fn jdk_home() -> Option<PathBuf> {
    let is_one = |home: &PathBuf| home.join("lib/modules").is_file();
    let named = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    named.filter(is_one).or_else(|| {
        let path = std::env::var_os("PATH")?;
        let java = std::env::split_paths(&path)
            .map(|folder| folder.join("java"))
            .find(|java| java.is_file())?;
        let java = java.canonicalize().ok()?;
        java.parent()?.parent().map(PathBuf::from).filter(is_one)
    })
}

/// Reads a platform's classes: some 0.3 s.
///
/// # Errors
/// [`SlimError::NoJdk`] where the folder holds none.
pub fn read_jdk(home: &Path) -> Result<Platform, SlimError> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| SlimError::NoJdk {
        path: home.to_owned(),
        source,
    };
    let release = std::fs::read_to_string(home.join("release")).map_err(|it| refused(it.into()))?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .ok_or_else(|| refused("its file `release` names no JAVA_VERSION".into()))?;
    let image = JImage::open(home.join("lib/modules")).map_err(|it| refused(it.into()))?;
    let mut modules: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for name in image.resource_names_iter() {
        let name = name.map_err(|it| refused(it.into()))?;
        if name.extension == "class" {
            let class = (name.parent.to_string(), name.base.to_string());
            modules
                .entry(name.module.to_string())
                .or_default()
                .push(class);
        }
    }
    let read = |module: &str, path: &str| -> Result<Option<Vec<u8>>, SlimError> {
        let found = image.find_resource(&format!("/{module}/{path}.class"));
        let bytes = found.map_err(|it| refused(it.into()))?;
        Ok(bytes.map(std::borrow::Cow::into_owned))
    };
    let (mut builder, mut closed) = (Builder::default(), BTreeSet::new());
    for (module, classes) in &mut modules {
        classes.sort();
        let exported = match read(module, "module-info")? {
            Some(bytes) => ferry_link::exported(&bytes).map_err(|it| refused(it.into()))?,
            None => BTreeSet::new(),
        };
        let source = builder.source(module);
        for (package, name) in classes.iter().filter(|(_, name)| name != "module-info") {
            if !exported.contains(package) {
                closed.insert(package.clone());
            }
            // What is kept to the platform may still be what others descend from.
            if let Some(bytes) = read(module, &format!("{package}/{name}"))? {
                let class = Class::parse(&bytes).map_err(|it| refused(it.into()))?;
                builder.add(source, 0, &class);
            }
        }
    }
    builder.keep(|class| {
        let package = class.rsplit_once('/').map_or("", |(package, _)| package);
        !closed.contains(package)
    });
    Ok(Platform {
        version,
        classes: builder.build(),
        closed,
    })
}
