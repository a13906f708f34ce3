//! Which field or method a reference means. Goes in: a class, a name and a
//! descriptor. Comes out: [`Member`]: who has it, or that nobody has.
//! Source: chapter 5.4.3 of the JVM's specification.

use std::collections::BTreeSet;

use crate::class::access;
use crate::world::{Found, Reach, Side, World};

/// What becomes of a reference to a member.
pub(crate) enum Lookup<'a> {
    /// The class that has it, and its access flags.
    Found(Found<'a>, u16),
    /// Nobody has it.
    Missing,
    /// An ancestor is not there, so the class itself cannot be loaded: its name.
    Broken(&'a str),
    /// An ancestor is not known.
    Unknown,
}

/// The two whose methods take whatever they are called with.
const POLYMORPHIC: &[&str] = &[
    "java/lang/invoke/MethodHandle",
    "java/lang/invoke/VarHandle",
];

/// What every object can, for where the platform's classes are not known.
const OBJECT: &[&str] = &[
    "clone",
    "equals",
    "finalize",
    "getClass",
    "hashCode",
    "notify",
    "notifyAll",
    "toString",
    "wait",
];

/// A field: of the class, of its interfaces, of its super class, in that order.
pub(crate) fn field<'a>(
    world: &World<'a>,
    of: Found<'a>,
    name: &str,
    descriptor: &str,
) -> Lookup<'a> {
    let mut seen = BTreeSet::new();
    let mut unsure = None;
    if let Some(found) = field_of(world, of, name, descriptor, &mut seen, &mut unsure) {
        return found;
    }
    unsure.unwrap_or(Lookup::Missing)
}

fn field_of<'a>(
    world: &World<'a>,
    of: Found<'a>,
    name: &str,
    descriptor: &str,
    seen: &mut BTreeSet<&'a str>,
    unsure: &mut Option<Lookup<'a>>,
) -> Option<Lookup<'a>> {
    if !seen.insert(of.shape.name()) {
        return None;
    }
    let mut own = of.shape.fields();
    if let Some((_, _, access)) = own.find(|(field, kind, _)| *field == name && *kind == descriptor)
    {
        return Some(Lookup::Found(of, access));
    }
    for above in of.shape.interfaces().chain(of.shape.super_class()) {
        if let Some(above) = ancestor(world, of.side, above, unsure)
            && let Some(found) = field_of(world, above, name, descriptor, seen, unsure)
        {
            return Some(found);
        }
    }
    None
}

/// A method: of the class and its super classes, then of all its interfaces. An
/// interface has `Object`'s too.
pub(crate) fn method<'a>(
    world: &World<'a>,
    of: Found<'a>,
    name: &str,
    descriptor: &str,
) -> Lookup<'a> {
    let mut unsure = None;
    let mut chain = vec![of];
    let mut seen = BTreeSet::from([of.shape.name()]);
    while let Some(above) = chain.last().and_then(|last| {
        let name = last.shape.super_class()?;
        seen.insert(name)
            .then(|| ancestor(world, last.side, name, &mut unsure))?
    }) {
        chain.push(above);
    }
    for class in &chain {
        if let Some(access) = declares(*class, name, descriptor) {
            return Lookup::Found(*class, access);
        }
    }
    // Constructors are never inherited, and what they descend from is no help.
    if name == "<init>" {
        return Lookup::Missing;
    }
    let mut open: Vec<Found<'a>> = chain;
    while let Some(class) = open.pop() {
        for interface in class.shape.interfaces() {
            if !seen.insert(interface) {
                continue;
            }
            if let Some(found) = ancestor(world, class.side, interface, &mut unsure) {
                if let Some(access) = declares(found, name, descriptor) {
                    return Lookup::Found(found, access);
                }
                open.push(found);
            }
        }
    }
    match unsure {
        Some(unsure) => unsure,
        None if world.platform.is_none() && OBJECT.contains(&name) => Lookup::Unknown,
        None => Lookup::Missing,
    }
}

fn declares(class: Found<'_>, name: &str, descriptor: &str) -> Option<u16> {
    let any = POLYMORPHIC.contains(&class.shape.name());
    class.shape.methods().find_map(|(method, kind, access)| {
        let takes_any =
            any && access & (access::NATIVE | access::VARARGS) == access::NATIVE | access::VARARGS;
        (method == name && (kind == descriptor || takes_any)).then_some(access)
    })
}

/// What a class of `side` descends from. What is not there is noted: the class
/// can then not be loaded at all.
pub(crate) fn ancestor<'a>(
    world: &World<'a>,
    side: Side,
    name: &'a str,
    unsure: &mut Option<Lookup<'a>>,
) -> Option<Found<'a>> {
    match world.find(side, name) {
        Reach::Found(found) => return Some(found),
        Reach::Missing | Reach::OutOfReach(_) => *unsure = Some(Lookup::Broken(name)),
        // Its methods are known to everybody: see `OBJECT`.
        Reach::Unknown if name == "java/lang/Object" => {}
        Reach::Unknown | Reach::Closed => {
            unsure.get_or_insert(Lookup::Unknown);
        }
    }
    None
}
