//! A base profile, ready to be asked about one library. Goes in: the profile.
//! Comes out: the library of the same bytes, of the same artifact, of the same
//! API, where the base has one.

use std::collections::BTreeMap;

use crate::family::Family;
use crate::library::Library;
use crate::profile::BaseProfile;

/// From how many of its classes on a jar counts as an API that the base has by
/// another name. An API's own jar and its server's differ in helpers only:
/// Tomcat 10.1 has 82 of the 85 classes of jakarta.servlet-api 6.0, and the
/// three are not public. Kept, that jar switches a module's filters off.
const SAME_API_PERCENT: usize = 90;

/// A profile, ready to be asked.
pub(super) struct Base<'a> {
    pub(super) by_bytes: BTreeMap<&'a str, &'a Library>,
    by_artifact: BTreeMap<&'a str, Vec<&'a Library>>,
    families: BTreeMap<Family, Vec<&'a Library>>,
    declared_as: BTreeMap<&'a str, &'a Library>,
}

impl<'a> Base<'a> {
    pub(super) fn new(profile: &'a BaseProfile) -> Self {
        let mut base = Self {
            by_bytes: BTreeMap::new(),
            by_artifact: BTreeMap::new(),
            families: BTreeMap::new(),
            declared_as: BTreeMap::new(),
        };
        for library in &profile.libraries {
            base.by_bytes.insert(&library.sha256, library);
            if let Some(artifact) = &library.artifact {
                base.by_artifact.entry(artifact).or_default().push(library);
            }
            if let Some(family) = library.family() {
                base.families.entry(family).or_default().push(library);
            }
            if let Some(id) = &library.declared_as {
                base.declared_as.insert(id, library);
            }
        }
        base
    }

    pub(super) fn twin(&self, library: &Library) -> Option<&'a Library> {
        let artifact = library.artifact.as_deref()?;
        let list = self.by_artifact.get(artifact)?;
        list.iter().copied().find(|one| one.same_artifact(library))
    }

    pub(super) fn declares(&self, id: &str) -> bool {
        self.declared_as.contains_key(id)
    }

    pub(super) fn is_spring(&self, id: &str) -> bool {
        self.declared_as
            .get(id)
            .is_some_and(|library| library.family() == Some(Family::Spring))
    }

    /// The base's libraries of a family that together hold a jar's classes, as
    /// tomcat-embed-core does jakarta.servlet-api's, and the classes they lack.
    pub(super) fn holders(
        &self,
        library: &Library,
        family: Family,
    ) -> Option<(Vec<&'a Library>, Vec<String>)> {
        let members = self.families.get(&family)?;
        let mut holders: BTreeMap<&str, &'a Library> = BTreeMap::new();
        let (mut held, mut lacking) = (0, Vec::new());
        for (package, class) in library.each_class() {
            let in_package = |one: &&&Library| one.classes.contains_key(package);
            members.iter().find(in_package)?;
            match members.iter().find(|one| one.has_class(package, class)) {
                Some(holder) => {
                    held += 1;
                    holders.insert(&holder.file, holder);
                }
                None => lacking.push(format!("{package}/{class}")),
            }
        }
        let enough = held * 100 >= (held + lacking.len()) * SAME_API_PERCENT;
        enough.then(|| (holders.into_values().collect(), lacking))
    }
}
