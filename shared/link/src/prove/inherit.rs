//! What a class has from those that it descends from. Goes in: a class of the
//! module. Comes out: what it may not reach of theirs, the methods without a
//! body that it leaves so, and packages that are not for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::class::{access, package, types};
use crate::uses::{Kind, Use};
use crate::verdict::{Fault, Optional};
use crate::world::{Found, Reach, Side};

use super::{Proof, Resolved, source, together};

/// What the module's reached code does with methods.
#[derive(Default)]
struct Calls<'w> {
    /// Methods that it calls: who has it, name and descriptor.
    called: BTreeSet<(&'w str, String, String)>,
    /// Types that it hands to the base.
    handed: BTreeSet<String>,
    /// Classes of the base whose own code it runs on its objects.
    runs: BTreeSet<&'w str>,
}

impl<'a, 'w> Proof<'a, 'w> {
    /// A member that is for its package only, or for those that descend from
    /// its class. Private ones of the module are its compiler's business.
    pub(super) fn no_access(
        &self,
        owner: Found<'_>,
        flags: u16,
        one: &Use,
        holder: &str,
    ) -> Option<Fault> {
        let open = flags & access::PUBLIC != 0
            || together(owner, holder)
            || (owner.side == Side::Module && flags & access::PRIVATE != 0)
            || (flags & access::PROTECTED != 0 && self.extends(holder, owner.shape.name()));
        let (name, _) = one.member.as_ref()?;
        (!open).then(|| Fault::NoAccess {
            class: owner.shape.name().to_owned(),
            member: Some(name.to_string()),
            from: source(owner),
        })
    }

    /// Whether a class of the module descends from another; it may where not
    /// all that it descends from is known.
    fn extends(&self, class: &str, from: &str) -> bool {
        let Some(shape) = self.world.module.get(class) else {
            return true;
        };
        let side = Side::Module;
        let (mut at, mut seen) = (Found { side, shape }, BTreeSet::new());
        loop {
            if at.shape.name() == from {
                return true;
            }
            let Some(above) = at.shape.super_class() else {
                return false;
            };
            match self.world.find(at.side, above) {
                Reach::Found(found) if seen.insert(above) => at = found,
                _ => return true,
            }
        }
    }

    /// Methods without a body that classes of the module do not implement, as
    /// what they descend from is newer than what they were built against. The
    /// JVM throws when such a method is called, so this refuses only the
    /// module's own classes, and only where a call is known: the module's own
    /// code calls it, hands the class to the base by a type that has it, or
    /// runs code of a class of the base that has it. The rest is a gap.
    pub(super) fn check_abstract(&mut self) {
        let calls = self.calls();
        let mut found = Vec::new();
        for at in self.index.values().copied() {
            let class = &self.carried(at).uses.class;
            let is_abstract = class.access & (access::ABSTRACT | access::INTERFACE) != 0;
            if is_abstract || !self.reached.contains_key(&at) || !self.is_module_s(&class.name) {
                continue;
            }
            for (fault, known) in self.lacking(&class.name, &calls) {
                let optional = match known && self.is_own(at) {
                    true => self.optional(&fault, at, None),
                    false => Some(Optional::NotCalled),
                };
                found.push((fault, (at, None, optional)));
            }
        }
        for (fault, needed) in found {
            self.findings.entry(fault).or_default().push(needed);
        }
    }

    /// What a class lacks, and whether a call of it is known.
    fn lacking(&self, name: &str, calls: &Calls<'_>) -> Vec<(Fault, bool)> {
        let Some(family) = self.family(name) else {
            return Vec::new();
        };
        let hidden = access::PRIVATE | access::STATIC;
        let mut lacking = Vec::new();
        for above in &family {
            // The platform's newer methods all have a body.
            if above.side == Side::Platform {
                continue;
            }
            for (method, descriptor, flags) in above.shape.methods() {
                let for_all = flags & (access::PUBLIC | access::PROTECTED) != 0;
                if flags & access::ABSTRACT == 0 || !for_all {
                    continue;
                }
                let has_body = family.iter().any(|one| {
                    one.shape.methods().any(|(other, kind, flags)| {
                        other == method
                            && kind == descriptor
                            && flags & (hidden | access::ABSTRACT) == 0
                    })
                });
                if has_body {
                    continue;
                }
                let from = above.shape.name();
                let key = (from, method.to_owned(), descriptor.to_owned());
                // Types of the class by which the method can be called.
                let mut by = family.iter().filter(|one| {
                    one.side == Side::Base
                        && (one.shape.name() == from || self.descends(**one, from))
                });
                let known = calls.called.contains(&key)
                    || by.any(|one| {
                        let name = one.shape.name();
                        calls.handed.contains(name) || calls.runs.contains(name)
                    });
                let fault = Fault::NotImplemented {
                    class: from.to_owned(),
                    name: method.to_owned(),
                    descriptor: descriptor.to_owned(),
                    by: name.to_owned(),
                    from: source(*above),
                };
                lacking.push((fault, known));
            }
        }
        lacking
    }

    /// A class and all that it descends from; none where not all is known.
    fn family(&self, class: &str) -> Option<Vec<Found<'w>>> {
        let shape = self.world.module.get(class)?;
        let side = Side::Module;
        self.all_above(Found { side, shape })
    }

    fn all_above(&self, of: Found<'w>) -> Option<Vec<Found<'w>>> {
        let (mut all, mut seen, mut at) = (vec![of], BTreeSet::new(), 0);
        while let Some(one) = all.get(at).copied() {
            for above in one.shape.ancestors() {
                if !seen.insert(above) {
                    continue;
                }
                match self.world.find(one.side, above) {
                    Reach::Found(found) => all.push(found),
                    _ => return None,
                }
            }
            at += 1;
        }
        Some(all)
    }

    fn descends(&self, one: Found<'w>, from: &str) -> bool {
        let all = self.all_above(one);
        all.is_some_and(|all| all.iter().any(|above| above.shape.name() == from))
    }

    /// What the reached code of the module does with methods.
    fn calls(&self) -> Calls<'w> {
        let mut calls = Calls::default();
        for at in self.reached.keys() {
            for one in &self.carried(*at).uses.uses {
                let Some((name, descriptor)) = &one.member else {
                    continue;
                };
                let key = (one.kind, &*one.class, one.member.as_ref());
                let Some(Resolved::Member(_, owner, flags)) = self.looked_up.get(&key) else {
                    continue;
                };
                if one.kind.is_field() || one.guarded || one.conditional {
                    continue;
                }
                let who = owner.shape.name();
                calls
                    .called
                    .insert((who, name.to_string(), descriptor.to_string()));
                if owner.side != Side::Base {
                    continue;
                }
                let taken = descriptor.rsplit_once(')').map_or("", |(taken, _)| taken);
                calls.handed.extend(types(taken).map(str::to_owned));
                let is_class = owner.shape.access() & access::INTERFACE == 0;
                if one.kind == Kind::Method
                    && is_class
                    && flags & access::STATIC == 0
                    && &**name != "<init>"
                {
                    calls.runs.insert(who);
                }
            }
        }
        calls
    }

    /// Packages that a library keeps to itself: a loader that has a class of one
    /// from there takes none from elsewhere, and the other way round.
    pub(super) fn check_sealed(&mut self) {
        if self.module.sealed.is_empty() {
            return;
        }
        // Where the reached classes of each such package lie.
        let mut places: BTreeMap<&str, BTreeMap<Option<&str>, usize>> = BTreeMap::new();
        for at in self.reached.keys() {
            let carried = self.carried(*at);
            let of = package(&carried.uses.class.name);
            if self.module.sealed.contains_key(of) && self.is_module_s(&carried.uses.class.name) {
                let place = places.entry(of).or_default();
                place.entry(carried.library.as_deref()).or_insert(*at);
            }
        }
        for (package, places) in places {
            let jar = &self.module.sealed[package];
            if !places.contains_key(&Some(jar.as_str())) {
                continue;
            }
            for (other, at) in places {
                if other == Some(jar.as_str()) {
                    continue;
                }
                let fault = Fault::SealedPackage {
                    package: package.to_owned(),
                    jar: jar.clone(),
                    other: other.unwrap_or("the module").to_owned(),
                };
                self.note(fault, at, None);
            }
        }
    }
}
