//! The proof. Goes in: what a module carries, and the [`World`] that it will
//! live in. Comes out: [`Verdict`].
//!
//! Every reference of every class that the module carries is looked up. One
//! that does not resolve refuses the module, unless it is optional by nature:
//!
//! 1. What the JVM never looks at while it links is not looked at here:
//!    annotations, generic signatures, `throws`, debug tables.
//! 2. *Guarded*: every place in the method lies in a `try` that catches
//!    `NoClassDefFoundError`, `NoSuchMethodError` or what these descend from.
//! 3. *Conditional*: the class, one that it is nested in, or the method has an
//!    annotation whose name starts with `Conditional`: Spring decides.
//! 4. *Not reached*: no way leads to the class from the module's own classes or
//!    from what its spring.factories and *.imports name, over references that
//!    are neither guarded nor conditional.
//! 5. *Asked*: the class, or every class that leads to it, holds the name of a
//!    class of the same package as a text, as `Class.forName` takes it.
//! 6. *No such library*: a library needs a class, neither module nor base has a
//!    class of that package, and slimming did not take it away: the library
//!    lives without it already.
//! 7. *Declared*: the class stands in the descriptor of a field or method only.
//! 8. *Options*: the platform keeps the class to itself; `--add-exports` may
//!    change that.
//! 9. *Not called*: a method without a body that a class of the module does not
//!    implement, and of which no call is known.
//!
//! A class file that cannot be read refuses the module where it is one of the
//! module's own, or where a way leads to it; nothing is ready for a
//! `ClassFormatError`, so *guarded* and *asked* do not count there. A library's
//! that no way leads to is a gap: nobody loads it. So is a jar that is no jar: a
//! base passes it over, and what is missed of it is told by who needs it.
//!
//! The module's own classes are those at the root of its jar whose package
//! begins like that of its start class; others at the root are a library that
//! was shaded in.

mod inherit;

use std::collections::{BTreeMap, BTreeSet};

use crate::class::{access, package, types};
use crate::members::{self, Lookup};
use crate::uses::{Kind, Name, Use, Uses};
use crate::verdict::{Fault, Finding, Optional, Outcome, Verdict};
use crate::world::{Found, Reach, Side, World};

/// A class that the module carries.
#[derive(Debug)]
pub struct Carried {
    /// The class. Its own fields and methods are looked up in [`World::module`], and may be taken out here.
    pub uses: Uses,
    /// The entry of the library that it lies in; none at the jar's root.
    pub library: Option<String>,
}

/// A class file, or a whole jar, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The entry: `lib/a.jar!/b/C.class`.
    pub entry: String,
    /// The class that it should be, with slashes; none where a whole jar is no jar.
    pub class: Option<String>,
    /// It lies at the root of the module's jar.
    pub at_root: bool,
}

impl Broken {
    fn fault(&self) -> Fault {
        Fault::Broken {
            entry: self.entry.clone(),
        }
    }

    /// Where it lies, as findings tell it.
    fn source(&self) -> &str {
        match self.entry.split_once("!/") {
            Some((jar, _)) => jar,
            None if self.at_root => "the module",
            None => &self.entry,
        }
    }
}

/// What the module carries.
pub struct Module<'a> {
    /// Its classes, in the order of its class path.
    pub classes: &'a [Carried],
    /// What should be class files, or jars of them, and is not.
    pub broken: &'a [Broken],
    /// What the packages of its own classes begin with, such as `com/acme`;
    /// empty for all.
    pub own: &'a str,
    /// Further classes that are made at the start, by the names that
    /// `spring.factories` and `*.imports` list, with slashes.
    pub roots: &'a BTreeSet<String>,
    /// Classes that libraries held which were left out, and which entry.
    pub left_out: &'a BTreeMap<String, String>,
    /// Packages that a library keeps to itself, with slashes, and its entry.
    pub sealed: &'a BTreeMap<String, String>,
}

/// Proves it.
#[must_use]
pub fn prove(module: &Module<'_>, world: &World<'_>) -> Verdict {
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, carried) in module.classes.iter().enumerate() {
        index.entry(&carried.uses.class.name).or_insert(at);
    }
    // The root is in front of all libraries; else what can be read counts, which may hide one that
    // comes first on the class path.
    let mut broken: BTreeMap<&str, &Broken> = BTreeMap::new();
    for one in module.broken {
        let Some(class) = one.class.as_deref() else {
            continue;
        };
        if (one.at_root || !index.contains_key(class)) && !world.is_given(class) {
            broken.entry(class).or_insert(one);
        }
    }
    let mut proof = Proof {
        module,
        world,
        index,
        broken,
        reached: BTreeMap::new(),
        looked_up: BTreeMap::new(),
        findings: BTreeMap::new(),
        references: 0,
        assumed: 0,
    };
    proof.reach();
    proof.check();
    proof.verdict()
}

struct Proof<'a, 'w> {
    module: &'a Module<'a>,
    world: &'a World<'w>,
    /// Each class that counts, by name: the first on the class path.
    index: BTreeMap<&'a str, usize>,
    /// Each class that counts and cannot be read, by name.
    broken: BTreeMap<&'a str, &'a Broken>,
    /// Classes that a way leads to, and which classes lead there; none for the
    /// ways' beginnings.
    reached: BTreeMap<usize, BTreeSet<Option<usize>>>,
    looked_up: BTreeMap<Reference<'a>, Resolved<'w>>,
    findings: BTreeMap<Fault, Vec<Needed<'a>>>,
    references: usize,
    assumed: usize,
}

/// A reference without who has it.
type Reference<'a> = (Kind, &'a str, Option<&'a (Name, Name)>);

/// A class and its method that need something, and why they can do without.
type Needed<'a> = (usize, Option<&'a str>, Option<Optional>);

/// What became of a reference, whoever has it.
#[derive(Clone)]
enum Resolved<'w> {
    Class(Found<'w>),
    Member(Found<'w>, Found<'w>, u16),
    Fault(Box<Fault>),
    Unknown,
}

impl Resolved<'_> {
    fn fault(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl<'a, 'w> Proof<'a, 'w> {
    fn carried(&self, at: usize) -> &'a Carried {
        &self.module.classes[at]
    }

    fn is_own(&self, at: usize) -> bool {
        let carried = self.carried(at);
        carried.library.is_none() && self.is_own_name(&carried.uses.class.name)
    }

    fn is_own_name(&self, class: &str) -> bool {
        let rest = class.strip_prefix(self.module.own);
        rest.is_some_and(|rest| self.module.own.is_empty() || rest.starts_with('/'))
    }

    /// Whether Spring decides on the class or on one that it is nested in.
    fn is_conditional(&self, at: usize) -> bool {
        if self.carried(at).uses.conditional {
            return true;
        }
        let name = self.carried(at).uses.class.name.as_str();
        let outer = name.match_indices('$').map(|(end, _)| &name[..end]);
        outer
            .filter_map(|outer| self.index.get(outer))
            .any(|outer| self.carried(*outer).uses.conditional)
    }

    /// Finds the classes that a way leads to.
    fn reach(&mut self) {
        let roots = self.module.roots;
        let mut open: Vec<(usize, Option<usize>)> = self
            .index
            .iter()
            .filter(|(name, at)| self.is_own(**at) || roots.contains(**name))
            .filter(|(_, at)| !self.is_conditional(**at))
            .map(|(_, at)| (*at, None))
            .collect();
        while let Some((at, from)) = open.pop() {
            let known = self.reached.entry(at).or_default();
            let first = known.is_empty();
            known.insert(from);
            if !first {
                continue;
            }
            for one in &self.carried(at).uses.uses {
                if one.guarded || one.conditional || one.kind == Kind::Declared {
                    continue;
                }
                if let Some(next) = self.index.get(&*one.class)
                    && *next != at
                    && self.is_module_s(&one.class)
                {
                    open.push((*next, Some(at)));
                }
            }
        }
    }

    /// Whether the module's own copy is the one that counts.
    fn is_module_s(&self, class: &str) -> bool {
        let found = self.world.find(Side::Module, class);
        matches!(found, Reach::Found(found) if found.side == Side::Module)
    }

    fn check(&mut self) {
        for at in self.index.values().copied().collect::<Vec<_>>() {
            let name = self.carried(at).uses.class.name.as_str();
            // Another's class of this name comes first: this one is never loaded.
            if !self.is_module_s(name) {
                continue;
            }
            self.check_version(at);
            for one in &self.carried(at).uses.uses {
                self.references += 1;
                if let Some(fault) = self.fault_of(at, one) {
                    self.note(fault, at, Some(one));
                }
            }
            for fault in self.overrides(at) {
                self.note(fault, at, None);
            }
        }
        self.check_abstract();
        self.check_sealed();
    }

    fn check_version(&mut self, at: usize) {
        let needs = self.carried(at).uses.class.major.saturating_sub(44);
        let has = self.world.platform.and_then(|platform| platform.release());
        if let Some(has) = has.filter(|has| needs > *has) {
            self.note(Fault::TooNew { needs, has }, at, None);
        }
    }

    fn fault_of(&mut self, at: usize, one: &'a Use) -> Option<Fault> {
        let key = (one.kind, &*one.class, one.member.as_ref());
        let resolved = match self.looked_up.get(&key) {
            Some(known) => known.clone(),
            None => {
                let found = self.resolve(one);
                self.looked_up.insert(key, found.clone());
                found
            }
        };
        let holder = &self.carried(at).uses.class;
        match resolved {
            Resolved::Fault(fault) => Some(*fault),
            Resolved::Unknown => {
                self.assumed += 1;
                None
            }
            // Descriptors are looked at by name only.
            Resolved::Class(_) if one.kind == Kind::Declared => None,
            Resolved::Class(found) => hidden(found, &holder.name).or_else(|| {
                let super_class = holder.super_class.as_deref() == Some(&*one.class);
                let interface = holder.interfaces.iter().any(|it| **it == *one.class);
                let flags = found.shape.access();
                let is_interface = flags & access::INTERFACE != 0;
                let is = match (one.kind, super_class, interface) {
                    (Kind::Ancestor, true, _) if is_interface => "an interface",
                    (Kind::Ancestor, true, _) if flags & access::FINAL != 0 => "final",
                    (Kind::Ancestor, _, true) if !is_interface => "no interface",
                    // Who may extend it is of its own loader.
                    (Kind::Ancestor, true, _) | (Kind::Ancestor, _, true)
                        if flags & access::SEALED != 0 && found.side != Side::Module =>
                    {
                        "sealed"
                    }
                    _ => return None,
                };
                Some(other_kind(found, None, is))
            }),
            Resolved::Member(class, owner, flags) => hidden(class, &holder.name)
                .or_else(|| self.no_access(owner, flags, one, &holder.name))
                .or_else(|| {
                    let (name, descriptor) = one.member.as_ref()?;
                    let by = format!("{}.{name}", owner.shape.name());
                    self.duplicate(owner.side, descriptor, &by)
                }),
        }
    }

    /// Looks a reference up, whoever has it.
    fn resolve(&self, one: &Use) -> Resolved<'w> {
        let broken = |class: &str| self.broken.get(class).map(|it| Resolved::fault(it.fault()));
        if let Some(fault) = broken(&one.class) {
            return fault;
        }
        let class = match self.world.find(Side::Module, &one.class) {
            Reach::Found(found) => found,
            Reach::Unknown => return Resolved::Unknown,
            Reach::Closed => {
                return Resolved::fault(Fault::Closed {
                    class: one.class.to_string(),
                });
            }
            Reach::OutOfReach(jar) => {
                return Resolved::fault(Fault::OutOfReach {
                    class: one.class.to_string(),
                    jar: jar.to_owned(),
                });
            }
            Reach::Missing => {
                return Resolved::fault(Fault::MissingClass {
                    class: one.class.to_string(),
                    left_out: self.module.left_out.get(&*one.class).cloned(),
                });
            }
        };
        let Some((name, descriptor)) = &one.member else {
            return match one.kind {
                Kind::Declared => Resolved::Class(class),
                // What another loads may still lack its own ancestors.
                _ => match self.ancestors_of(class) {
                    Some(fault) if class.side == Side::Base => Resolved::fault(fault),
                    _ => Resolved::Class(class),
                },
            };
        };
        let is_interface = class.shape.access() & access::INTERFACE != 0;
        if !one.kind.is_field() && is_interface != one.kind.is_interface() {
            let is = match is_interface {
                true => "an interface",
                false => "no interface",
            };
            return Resolved::fault(other_kind(class, None, is));
        }
        let lookup = match one.kind.is_field() {
            true => members::field(self.world, class, name, descriptor),
            false => members::method(self.world, class, name, descriptor),
        };
        match lookup {
            Lookup::Found(_, flags) if (flags & access::STATIC != 0) != one.kind.is_static() => {
                let is = match flags & access::STATIC != 0 {
                    true => "static",
                    false => "not static",
                };
                Resolved::fault(other_kind(class, Some(name), is))
            }
            Lookup::Found(owner, flags) => Resolved::Member(class, owner, flags),
            Lookup::Unknown => Resolved::Unknown,
            Lookup::Broken(ancestor) => broken(ancestor).unwrap_or_else(|| {
                Resolved::fault(Fault::MissingAncestor {
                    class: one.class.to_string(),
                    ancestor: ancestor.to_owned(),
                })
            }),
            Lookup::Missing => {
                let (class, from) = (one.class.to_string(), source(class));
                let (name, descriptor) = (name.to_string(), descriptor.to_string());
                Resolved::fault(match one.kind.is_field() {
                    true => Fault::MissingField {
                        class,
                        name,
                        descriptor,
                        from,
                    },
                    false => Fault::MissingMethod {
                        class,
                        name,
                        descriptor,
                        from,
                    },
                })
            }
        }
    }

    /// Whether all that a class descends from is there.
    fn ancestors_of(&self, class: Found<'w>) -> Option<Fault> {
        let (mut open, mut seen) = (vec![class], BTreeSet::new());
        while let Some(one) = open.pop() {
            for above in one.shape.ancestors() {
                if !seen.insert(above) {
                    continue;
                }
                match self.world.find(one.side, above) {
                    Reach::Found(found) => open.push(found),
                    Reach::Unknown | Reach::Closed => {}
                    Reach::Missing | Reach::OutOfReach(_) => {
                        return Some(Fault::MissingAncestor {
                            class: class.shape.name().to_owned(),
                            ancestor: above.to_owned(),
                        });
                    }
                }
            }
        }
        None
    }

    /// A class of a descriptor that means one thing to the module and another
    /// to the base.
    fn duplicate(&self, owner: Side, descriptor: &str, by: &str) -> Option<Fault> {
        if owner != Side::Base {
            return None;
        }
        types(descriptor).find_map(|name| {
            let (Reach::Found(mine), Reach::Found(theirs)) = (
                self.world.find(Side::Module, name),
                self.world.find(Side::Base, name),
            ) else {
                return None;
            };
            (mine.side == Side::Module && theirs.side == Side::Base).then(|| Fault::Duplicate {
                class: name.to_owned(),
                by: by.to_owned(),
                module: source(mine),
                base: source(theirs),
            })
        })
    }

    /// Methods of the base that a class of the module overrides: their
    /// descriptors must mean the same to both.
    fn overrides(&self, at: usize) -> Vec<Fault> {
        let Some(shape) = self.world.module.get(&self.carried(at).uses.class.name) else {
            return Vec::new();
        };
        let side = Side::Module;
        let (mut open, mut seen) = (vec![Found { side, shape }], BTreeSet::new());
        let mut faults = Vec::new();
        while let Some(one) = open.pop() {
            for above in one.shape.ancestors() {
                if let Reach::Found(found) = self.world.find(one.side, above)
                    && seen.insert(above)
                    && found.side != Side::Platform
                {
                    open.push(found);
                }
            }
            if one.side != Side::Base {
                continue;
            }
            let hidden = access::PRIVATE | access::STATIC;
            for (name, descriptor, _) in shape
                .methods()
                .filter(|(name, _, flags)| flags & hidden == 0 && !name.starts_with('<'))
            {
                let overridden = one.shape.methods().any(|(other, kind, flags)| {
                    other == name && kind == descriptor && flags & hidden == 0
                });
                if overridden {
                    let by = format!("{}.{name}", one.shape.name());
                    faults.extend(self.duplicate(Side::Base, descriptor, &by));
                }
            }
        }
        faults
    }

    fn note(&mut self, fault: Fault, at: usize, one: Option<&'a Use>) {
        let optional = self.optional(&fault, at, one);
        let method = one.and_then(|one| one.method.as_deref());
        let list = self.findings.entry(fault).or_default();
        list.push((at, method, optional));
    }

    /// The rule: see the top of this file.
    fn optional(&self, fault: &Fault, at: usize, one: Option<&Use>) -> Option<Optional> {
        if let Fault::Closed { .. } = fault {
            return Some(Optional::Options);
        }
        let is_broken = matches!(fault, Fault::Broken { .. });
        if one.is_some_and(|one| one.guarded) && !is_broken {
            return Some(Optional::Guarded);
        }
        if one.is_some_and(|one| one.conditional) || self.is_conditional(at) {
            return Some(Optional::Conditional);
        }
        if one.is_some_and(|one| one.kind == Kind::Declared) {
            return Some(Optional::Declared);
        }
        let Some(leading) = self.reached.get(&at) else {
            return Some(Optional::NotReached);
        };
        // What is the whole class's fault is never optional past here.
        let one = one.filter(|_| !is_broken)?;
        let missing = match fault {
            Fault::MissingAncestor { ancestor, .. } => ancestor.as_str(),
            _ => &*one.class,
        };
        let asks = |at: &usize| asks(&self.carried(*at).uses, missing);
        let led = leading.iter().all(|from| from.as_ref().is_some_and(asks));
        if asks(&at) || led {
            return Some(Optional::Asked);
        }
        let absent = match fault {
            Fault::MissingClass { left_out, .. } => left_out.is_none(),
            Fault::MissingAncestor { .. } => true,
            _ => false,
        };
        if absent && !self.is_own(at) && !self.world.knows_package_of(missing) {
            return Some(Optional::NoSuchLibrary);
        }
        None
    }

    fn verdict(self) -> Verdict {
        let (mut faults, mut gaps) = (Vec::new(), Vec::new());
        for one in self.module.broken {
            let (fault, class) = (one.fault(), one.class.as_deref());
            let needed = class.is_some_and(|class| {
                self.broken.get(class) == Some(&one)
                    && (one.at_root && self.is_own_name(class) || self.module.roots.contains(class))
            });
            // Who needs it tells it below; one that nobody may leave out is told all the same.
            let list = self.findings.get(&fault).map_or(&[][..], Vec::as_slice);
            let refuses = list.iter().any(|(_, _, optional)| optional.is_none());
            if refuses || (!needed && !list.is_empty()) {
                continue;
            }
            let optional = (!needed).then_some(Optional::NotReached);
            let finding = Finding {
                error: fault.error().to_owned(),
                remedy: fault.remedy(),
                needed_by: class.unwrap_or(&one.entry).to_owned(),
                method: None,
                source: one.source().to_owned(),
                others: 0,
                optional,
                fault,
            };
            match optional {
                None => faults.push(finding),
                Some(_) => gaps.push(finding),
            }
        }
        for (fault, list) in &self.findings {
            let hard = list.iter().find(|(_, _, optional)| optional.is_none());
            let (at, method, optional) = hard.unwrap_or(&list[0]);
            let carried = self.carried(*at);
            let needing: BTreeSet<usize> = list.iter().map(|(at, ..)| *at).collect();
            let finding = Finding {
                error: fault.error().to_owned(),
                remedy: fault.remedy(),
                needed_by: carried.uses.class.name.clone(),
                method: method.map(str::to_owned),
                source: carried
                    .library
                    .clone()
                    .unwrap_or_else(|| "the module".to_owned()),
                others: needing.len() - 1,
                optional: *optional,
                fault: fault.clone(),
            };
            match optional {
                None => faults.push(finding),
                Some(_) => gaps.push(finding),
            }
        }
        let outcome = match (faults.is_empty(), gaps.is_empty()) {
            (false, _) => Outcome::Refused,
            (true, false) => Outcome::LinksWithGaps,
            (true, true) => Outcome::Links,
        };
        Verdict {
            outcome,
            faults,
            gaps,
            classes: self.index.len(),
            references: self.references,
            assumed: self.assumed,
            java: self.world.platform.map(|it| it.version.clone()),
        }
    }
}

/// Whether a class has the name of one of this package as a text.
fn asks(uses: &Uses, class: &str) -> bool {
    let package = package(class);
    uses.asked.iter().any(|name| {
        name == class || (!package.is_empty() && crate::class::package(name) == package)
    })
}

fn source(found: Found<'_>) -> String {
    match (found.side, found.shape.source_name()) {
        (Side::Module, "") => "the module".to_owned(),
        (_, name) => name.to_owned(),
    }
}

fn other_kind(class: Found<'_>, member: Option<&str>, is: &str) -> Fault {
    Fault::OtherKind {
        class: class.shape.name().to_owned(),
        member: member.map(str::to_owned),
        is: is.to_owned(),
        from: source(class),
    }
}

/// Whether both are of one run-time package: the same name, and one loader.
fn together(one: Found<'_>, holder: &str) -> bool {
    one.side == Side::Module && package(one.shape.name()) == package(holder)
}

/// A class that is for its package only.
fn hidden(class: Found<'_>, holder: &str) -> Option<Fault> {
    let open = class.shape.access() & access::PUBLIC != 0 || together(class, holder);
    (!open).then(|| Fault::NoAccess {
        class: class.shape.name().to_owned(),
        member: None,
        from: source(class),
    })
}
