//! Many classes in little room. Goes in: [`Class`]es, and where each comes
//! from. Comes out: [`Shapes`], found by name; its bytes are the same for the
//! same classes.
//!
//! Each name is there once; classes and members are rows of numbers. The
//! 30,000 classes of a base take some 10 MB so, and are ready as soon as they
//! are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::class::{Class, Member, access};

/// A table of classes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shapes {
    /// All names, sorted, one behind the other.
    text: String,
    /// How long each is, in bytes.
    lengths: Vec<u32>,
    /// Where classes come from: a jar, or a module of the platform.
    sources: Vec<u32>,
    /// By name.
    classes: Vec<Row>,
    interfaces: Vec<u32>,
    /// Fields and methods: name, descriptor, access.
    members: Vec<(u32, u32, u16)>,
    /// Classes that are in further sources too, which nobody loads.
    also: Vec<(u32, u16)>,
    /// Where each name begins; made when it is read.
    #[serde(skip)]
    starts: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    name: u32,
    source: u16,
    access: u16,
    major: u16,
    /// The first eight bytes of the file's SHA-256; zero where nobody asks.
    print: u64,
    /// One more than the name's number; zero for none.
    super_class: u32,
    /// Where its interfaces, fields and methods end; they begin where the ones
    /// before end.
    interfaces: u32,
    fields: u32,
    methods: u32,
}

/// Collects classes for a table. Each name is held once, and a class is a few
/// numbers: a base has 340,000 members.
#[derive(Debug, Default)]
pub struct Builder {
    private: bool,
    sources: Vec<u32>,
    numbers: BTreeMap<Arc<str>, u32>,
    /// By their numbers.
    names: Vec<Arc<str>>,
    /// By the number of the name.
    classes: BTreeMap<u32, Draft>,
    also: BTreeSet<(u32, u16)>,
}

/// A class before names have their last numbers.
#[derive(Debug)]
struct Draft {
    source: u16,
    print: u64,
    access: u16,
    major: u16,
    super_class: Option<u32>,
    interfaces: Box<[u32]>,
    fields: Box<[(u32, u32, u16)]>,
    methods: Box<[(u32, u32, u16)]>,
}

impl Builder {
    /// Keeps private members: classes of one nest link to each other's.
    #[must_use]
    pub fn with_private() -> Self {
        Self {
            private: true,
            ..Self::default()
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let (number, name) = (small(self.names.len()), Arc::<str>::from(name));
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// Names a place that classes come from; the order is the class path's.
    pub fn source(&mut self, name: &str) -> u16 {
        let number = self.number(name);
        self.sources.push(number);
        // A base has some hundred jars, the platform 70 modules.
        u16::try_from(self.sources.len() - 1).unwrap_or(u16::MAX)
    }

    /// Adds a class of a source. The first of a name counts, as on a class
    /// path. Private members are left out, unless asked for: nobody else links
    /// to them.
    pub fn add(&mut self, source: u16, print: u64, class: &Class) {
        let name = self.number(&class.name);
        if self.classes.contains_key(&name) {
            self.also.insert((name, source));
            return;
        }
        let mut members = |list: &[Member]| -> Box<[(u32, u32, u16)]> {
            let private = self.private;
            let stays = |one: &&Member| {
                (private || one.access & access::PRIVATE == 0) && one.name != "<clinit>"
            };
            list.iter()
                .filter(stays)
                .map(|one| {
                    let name = self.number(&one.name);
                    (name, self.number(&one.descriptor), one.access)
                })
                .collect()
        };
        let (fields, methods) = (members(&class.fields), members(&class.methods));
        let super_class = class.super_class.as_deref().map(|it| self.number(it));
        let interfaces = class.interfaces.iter().map(|it| self.number(it));
        let draft = Draft {
            source,
            print,
            access: class.access,
            major: class.major,
            super_class,
            interfaces: interfaces.collect(),
            fields,
            methods,
        };
        self.classes.insert(name, draft);
    }

    /// Keeps only the classes whose names are asked for, and all that they
    /// descend from.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        let mut kept: BTreeSet<u32> = BTreeSet::new();
        let asked = |number: &&u32| wanted(&self.names[**number as usize]);
        let mut open: Vec<u32> = self.classes.keys().filter(asked).copied().collect();
        while let Some(name) = open.pop() {
            if let Some(class) = self.classes.get(&name)
                && kept.insert(name)
            {
                open.extend(class.super_class.iter().chain(&class.interfaces));
            }
        }
        self.classes.retain(|name, _| kept.contains(name));
    }

    /// The table.
    #[must_use]
    pub fn build(self) -> Shapes {
        let mut used: BTreeSet<(&str, u32)> = BTreeSet::new();
        let mut take = |number: u32| {
            used.insert((&*self.names[number as usize], number));
        };
        self.sources.iter().copied().for_each(&mut take);
        for (name, class) in &self.classes {
            take(*name);
            class.super_class.iter().copied().for_each(&mut take);
            class.interfaces.iter().copied().for_each(&mut take);
            for (name, descriptor, _) in class.fields.iter().chain(&class.methods) {
                take(*name);
                take(*descriptor);
            }
        }
        let mut last = vec![0; self.names.len()];
        for (at, (_, number)) in used.iter().enumerate() {
            last[*number as usize] = small(at);
        }
        let last = |number: &u32| last[*number as usize];
        let mut shapes = Shapes {
            text: used.iter().map(|(name, _)| *name).collect(),
            lengths: used.iter().map(|(name, _)| small(name.len())).collect(),
            sources: self.sources.iter().map(last).collect(),
            ..Shapes::default()
        };
        let mut classes: Vec<(u32, &Draft)> = self
            .classes
            .iter()
            .map(|(name, class)| (last(name), class))
            .collect();
        classes.sort_unstable_by_key(|(name, _)| *name);
        for (name, class) in classes {
            shapes.interfaces.extend(class.interfaces.iter().map(last));
            let mut add = |list: &[(u32, u32, u16)]| {
                let rows = list.iter();
                let rows = rows.map(|(name, of, access)| (last(name), last(of), *access));
                shapes.members.extend(rows);
                small(shapes.members.len())
            };
            let (fields, methods) = (add(&class.fields), add(&class.methods));
            shapes.classes.push(Row {
                name,
                source: class.source,
                access: class.access,
                major: class.major,
                print: class.print,
                super_class: class.super_class.as_ref().map_or(0, |it| last(it) + 1),
                interfaces: small(shapes.interfaces.len()),
                fields,
                methods,
            });
        }
        shapes.also = self
            .also
            .iter()
            .filter(|(name, _)| self.classes.contains_key(name))
            .map(|(name, source)| (last(name), *source))
            .collect();
        shapes.also.sort_unstable();
        shapes.starts();
        shapes
    }
}

/// Tables stay far below 4 billion names.
fn small(count: usize) -> u32 {
    u32::try_from(count).expect("a table of classes has fewer than 2^32 rows")
}

/// One class of a table.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    table: &'a Shapes,
    at: usize,
}

impl Shapes {
    /// Reads what [`Self::to_bytes`] wrote; none where it is anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut shapes: Self = postcard::from_bytes(bytes).ok()?;
        shapes.starts();
        shapes.is_sound().then_some(shapes)
    }

    /// The same classes give the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("numbers and strings always serialize")
    }

    fn starts(&mut self) {
        let mut start = 0u32;
        self.starts = Vec::with_capacity(self.lengths.len());
        for length in &self.lengths {
            self.starts.push(start);
            start = start.saturating_add(*length);
        }
    }

    /// Whether every number is one of a row that is there: a table that was
    /// read may be damaged, and must not stop who asks it.
    fn is_sound(&self) -> bool {
        let names = small(self.lengths.len());
        let all: u64 = self.lengths.iter().map(|length| u64::from(*length)).sum();
        let cut = |start: &u32| self.text.is_char_boundary(*start as usize);
        let source = |source: u16| usize::from(source) < self.sources.len();
        let ends = |end: fn(&Row) -> u32, list: usize| {
            self.classes.is_sorted_by_key(end)
                && self
                    .classes
                    .last()
                    .is_none_or(|row| end(row) as usize <= list)
        };
        all == self.text.len() as u64
            && self.starts.iter().all(cut)
            && self.sources.iter().all(|name| *name < names)
            && self.interfaces.iter().all(|name| *name < names)
            && self
                .members
                .iter()
                .all(|(name, descriptor, _)| *name < names && *descriptor < names)
            && self
                .also
                .iter()
                .all(|(name, place)| *name < names && source(*place))
            && self.classes.iter().all(|row| {
                row.name < names
                    && row.super_class <= names
                    && source(row.source)
                    && row.fields <= row.methods
            })
            && self.classes.is_sorted_by_key(|row| row.name)
            && ends(|row| row.interfaces, self.interfaces.len())
            && ends(|row| row.fields, self.members.len())
            && ends(|row| row.methods, self.members.len())
            && self
                .classes
                .windows(2)
                .all(|two| two[0].methods <= two[1].fields)
    }

    fn name(&self, number: u32) -> &str {
        let start = self.starts[number as usize] as usize;
        &self.text[start..start + self.lengths[number as usize] as usize]
    }

    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// A class by its name, such as `java/util/Map`.
    #[must_use]
    pub fn get(&self, class: &str) -> Option<Shape<'_>> {
        let found = self
            .classes
            .binary_search_by(|row| self.name(row.name).cmp(class));
        found.ok().map(|at| Shape { table: self, at })
    }

    /// Every class, by name.
    pub fn iter(&self) -> impl Iterator<Item = Shape<'_>> {
        (0..self.classes.len()).map(|at| Shape { table: self, at })
    }

    /// Where classes come from, in the order of the class path.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|number| self.name(*number))
    }

    /// Whether a class lies in a package.
    #[must_use]
    pub fn has_package(&self, package: &str) -> bool {
        let first = self.classes.partition_point(|row| {
            let name = self.name(row.name);
            match name.strip_prefix(package) {
                Some(rest) => rest < "/",
                None => name < package,
            }
        });
        self.classes[first..]
            .iter()
            .map(|row| self.name(row.name))
            .map_while(|name| name.strip_prefix(package)?.strip_prefix('/'))
            .any(|rest| !rest.contains('/'))
    }
}

impl<'a> Shape<'a> {
    fn row(self) -> &'a Row {
        &self.table.classes[self.at]
    }

    fn begin(self, end: impl Fn(&Row) -> u32) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |before| end(&self.table.classes[before]) as usize)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.table.name(self.row().name)
    }

    /// Where it comes from: the number of [`Shapes::sources`].
    #[must_use]
    pub fn source(self) -> usize {
        usize::from(self.row().source)
    }

    /// The name of where it comes from.
    #[must_use]
    pub fn source_name(self) -> &'a str {
        self.table.name(self.table.sources[self.source()])
    }

    /// Every source that holds a class of this name, the one that counts first.
    pub fn sources(self) -> impl Iterator<Item = usize> + 'a {
        let name = self.row().name;
        let also = &self.table.also;
        let first = also.partition_point(|(other, _)| *other < name);
        let more = also[first..]
            .iter()
            .take_while(move |(other, _)| *other == name)
            .map(|(_, source)| usize::from(*source));
        std::iter::once(self.source()).chain(more)
    }

    /// Its access flags.
    #[must_use]
    pub fn access(self) -> u16 {
        self.row().access
    }

    /// The class file's major version.
    #[must_use]
    pub fn major(self) -> u16 {
        self.row().major
    }

    /// A fingerprint of its bytes; zero where none was taken.
    #[must_use]
    pub fn print(self) -> u64 {
        self.row().print
    }

    /// Its super class.
    #[must_use]
    pub fn super_class(self) -> Option<&'a str> {
        let number = self.row().super_class.checked_sub(1)?;
        Some(self.table.name(number))
    }

    /// Its super class and its interfaces, in that order.
    pub fn ancestors(self) -> impl Iterator<Item = &'a str> {
        self.super_class().into_iter().chain(self.interfaces())
    }

    /// Its interfaces.
    pub fn interfaces(self) -> impl Iterator<Item = &'a str> {
        let table = self.table;
        table.interfaces[self.begin(|row| row.interfaces)..self.row().interfaces as usize]
            .iter()
            .map(|number| table.name(*number))
    }

    fn members(self, from: usize, to: u32) -> impl Iterator<Item = (&'a str, &'a str, u16)> {
        let table = self.table;
        table.members[from..to as usize]
            .iter()
            .map(|(name, descriptor, access)| (table.name(*name), table.name(*descriptor), *access))
    }

    /// Its fields: name, descriptor, access.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, &'a str, u16)> {
        self.members(self.begin(|row| row.methods), self.row().fields)
    }

    /// Its methods: name, descriptor, access.
    pub fn methods(self) -> impl Iterator<Item = (&'a str, &'a str, u16)> {
        self.members(self.row().fields as usize, self.row().methods)
    }
}

impl std::fmt::Debug for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, methods: &[(&str, u16)]) -> Class {
        Class {
            name: name.to_owned(),
            major: 61,
            access: access::PUBLIC,
            super_class: (name != "java/lang/Object").then(|| "java/lang/Object".to_owned()),
            interfaces: vec!["a/I".to_owned()],
            fields: vec![Member {
                name: "f".to_owned(),
                descriptor: "I".to_owned(),
                access: 0,
            }],
            methods: methods
                .iter()
                .map(|(name, access)| Member {
                    name: (*name).to_owned(),
                    descriptor: "()V".to_owned(),
                    access: *access,
                })
                .collect(),
        }
    }

    fn table() -> Shapes {
        let mut builder = Builder::default();
        let (one, two) = (builder.source("one.jar"), builder.source("two.jar"));
        builder.add(
            one,
            7,
            &class("b/C", &[("m", 1), ("hidden", access::PRIVATE)]),
        );
        builder.add(one, 8, &class("b/C/D", &[]));
        builder.add(two, 9, &class("b/C", &[("other", 1)]));
        builder.add(two, 9, &class("a/I", &[("n", 1)]));
        builder.build()
    }

    #[test]
    fn what_goes_in_is_found() {
        let table = table();
        let shape = table.get("b/C").unwrap();
        assert_eq!(shape.super_class(), Some("java/lang/Object"));
        assert_eq!(shape.interfaces().collect::<Vec<_>>(), ["a/I"]);
        assert_eq!(shape.fields().collect::<Vec<_>>(), [("f", "I", 0)]);
        assert_eq!(shape.methods().collect::<Vec<_>>(), [("m", "()V", 1)]);
        assert_eq!((shape.source_name(), shape.print()), ("one.jar", 7));
        assert_eq!(shape.sources().collect::<Vec<_>>(), [0, 1]);
        assert!(table.get("b/X").is_none());
        assert!(table.has_package("b") && table.has_package("b/C") && table.has_package("a"));
        assert!(!table.has_package("b/X") && !table.has_package("") && !table.has_package("c"));
    }

    #[test]
    fn bytes_go_round_and_damage_is_seen() {
        let table = table();
        let bytes = table.to_bytes();
        assert_eq!(Shapes::from_bytes(&bytes).unwrap(), table);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5a;
            // Damage may pass unseen where only a name changes; it never panics.
            if let Some(table) = Shapes::from_bytes(&damaged) {
                for shape in table.iter() {
                    let _ = (shape.name(), shape.super_class(), shape.source_name());
                    let _ = shape.interfaces().count() + shape.fields().count();
                    let _ = shape.methods().count() + shape.sources().count();
                }
            }
            assert!(Shapes::from_bytes(&bytes[..at]).is_none());
        }
    }
}
