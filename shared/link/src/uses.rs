//! What a class refers to. Goes in: a class file. Comes out: [`Uses`]: each
//! class, field and method that it needs, whether the code around it is ready
//! for its absence, and what tells that the class itself is optional.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use noak::reader::attributes::{
    AttributeContent, BootstrapMethod, BootstrapMethods, Code, RawInstruction,
};
use noak::reader::cpool::{
    Class as ClassRef, ConstantPool, FieldRef, Index, Item, MethodKind, NameAndType,
};
use noak::reader::{self, Attribute};

use crate::class::{Class, ClassError, element, text, types};

/// What is done with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It is a super class, an interface or the type of a caught exception: the
    /// JVM looks at it before any code of the class runs.
    Ancestor,
    /// Created, cast to, asked for, a class constant.
    Class,
    /// A field of an object is read or written.
    Field,
    /// A field of the class is read or written.
    StaticField,
    /// A class's method is called on an object.
    Method,
    /// A class's method is called without an object.
    StaticMethod,
    /// An interface's method is called on an object.
    InterfaceMethod,
    /// An interface's method is called without an object.
    StaticInterfaceMethod,
    /// It stands in the descriptor of an own field or method: it is looked at
    /// by reflection only.
    Declared,
}

impl Kind {
    /// Whether the member that is meant is one of the class, not of an object.
    pub(crate) fn is_static(self) -> bool {
        matches!(
            self,
            Self::StaticField | Self::StaticMethod | Self::StaticInterfaceMethod
        )
    }

    pub(crate) fn is_field(self) -> bool {
        matches!(self, Self::Field | Self::StaticField)
    }

    /// Whether it says that its class is an interface.
    pub(crate) fn is_interface(self) -> bool {
        matches!(self, Self::InterfaceMethod | Self::StaticInterfaceMethod)
    }
}

/// A name that many references share.
pub type Name = Arc<str>;

/// The names of all classes of one module, each once: its classes refer to the same few over and over.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<Name>);

impl Names {
    fn of(&mut self, name: &str) -> Name {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name = Name::from(name);
        self.0.insert(name.clone());
        name
    }
}

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// What is done with it.
    pub kind: Kind,
    /// The class; an array's element where it is one.
    pub class: Name,
    /// Name and descriptor of a field or method.
    pub member: Option<(Name, Name)>,
    /// The method that it stands in; none for what the whole class needs.
    pub method: Option<Name>,
    /// Every place in that method is ready for its absence: it catches
    /// `NoClassDefFoundError` or what that descends from.
    pub guarded: bool,
    /// The method has a Spring condition.
    pub conditional: bool,
}

/// A class and what it refers to.
#[derive(Debug, Clone)]
pub struct Uses {
    /// The class itself.
    pub class: Class,
    /// Each reference once a method, in order.
    pub uses: Vec<Use>,
    /// The class has a Spring condition.
    pub conditional: bool,
    /// Names of classes in its texts, as `Class.forName` takes them, with
    /// slashes.
    pub asked: BTreeSet<String>,
}

/// Who catches one of these is ready for a class or member that is missing.
const CATCHES: &[&str] = &[
    "java/lang/Throwable",
    "java/lang/Error",
    "java/lang/LinkageError",
    "java/lang/NoClassDefFoundError",
    "java/lang/IncompatibleClassChangeError",
    "java/lang/NoSuchMethodError",
    "java/lang/NoSuchFieldError",
];

impl Uses {
    /// Reads a class file, code and all.
    ///
    /// # Errors
    /// [`ClassError`] where the bytes are no class file.
    pub fn parse(bytes: &[u8], names: &mut Names) -> Result<Self, ClassError> {
        let file = reader::Class::new(bytes)?;
        let pool = file.pool();
        let class = Class::of(&file)?;
        let mut found = Collector::default();
        for name in class.super_class.iter().chain(&class.interfaces) {
            found.put(Kind::Ancestor, name, None, &Place::default());
        }
        for member in class.fields.iter().chain(&class.methods) {
            for name in types(&member.descriptor) {
                found.put(Kind::Declared, name, None, &Place::default());
            }
        }
        let bootstraps: Vec<_> = match file
            .attributes()
            .find_attribute::<BootstrapMethods<'_>>(pool)?
        {
            Some(table) => table.methods().iter().collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let reading = Reading {
            pool,
            bootstraps: &bootstraps,
        };
        for method in file.methods() {
            let method = method?;
            let attributes = method.attributes();
            let mut place = Place {
                method: Some(text(pool.retrieve(method.name())?)),
                guarded: false,
                conditional: conditional(attributes.iter(), pool)?,
            };
            let Some(code) = attributes.find_attribute::<Code<'_>>(pool)? else {
                continue;
            };
            let mut guards = Vec::new();
            for handler in code.exception_handlers() {
                let Some(caught) = handler.catch_type() else {
                    continue;
                };
                let caught = text(pool.retrieve(caught)?.name);
                if CATCHES.contains(&caught.as_str()) {
                    guards.push(handler.start().as_u32()..handler.end().as_u32());
                }
                found.put(Kind::Ancestor, &caught, None, &Place::default());
            }
            for instruction in code.raw_instructions() {
                let (at, instruction) = instruction?;
                place.guarded = guards.iter().any(|guard| guard.contains(&at.as_u32()));
                found.instruction(&instruction, reading, &place)?;
            }
        }
        let mut asked = BTreeSet::new();
        for item in pool.iter() {
            if let Item::String(constant) = item {
                let content = pool.get(constant.string)?.content;
                asked.extend(content.to_str().and_then(class_named));
            }
        }
        let own = class.name.clone();
        Ok(Self {
            conditional: conditional(file.attributes().iter(), pool)?,
            class,
            uses: found.done(&own, names),
            asked,
        })
    }
}

/// Where a reference stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    method: Option<String>,
    guarded: bool,
    conditional: bool,
}

#[derive(Default)]
struct Collector {
    /// By reference and method: whether all of them are guarded.
    uses: BTreeMap<Key, bool>,
}

/// Kind, class, member, method, and whether that has a condition.
type Key = (Kind, String, Option<(String, String)>, Option<String>, bool);

impl Collector {
    fn put(&mut self, kind: Kind, class: &str, member: Option<(String, String)>, place: &Place) {
        // Of an array only the element can be missing; its methods are Object's.
        let Some(plain) = element(class) else { return };
        let (kind, member) = match plain.len() == class.len() {
            true => (kind, member),
            false => (Kind::Class, None),
        };
        let key = (
            kind,
            plain.to_owned(),
            member,
            place.method.clone(),
            place.conditional,
        );
        let guarded = self.uses.entry(key).or_insert(true);
        *guarded &= place.guarded;
    }

    fn done(self, own: &str, names: &mut Names) -> Vec<Use> {
        let mut uses: Vec<Use> = self
            .uses
            .into_iter()
            .filter(|((kind, class, ..), _)| {
                class != own || !matches!(kind, Kind::Class | Kind::Declared)
            })
            .map(
                |((kind, class, member, method, conditional), guarded)| Use {
                    kind,
                    class: names.of(&class),
                    member: member.map(|(name, of)| (names.of(&name), names.of(&of))),
                    method: method.map(|method| names.of(&method)),
                    guarded,
                    conditional,
                },
            )
            .collect();
        // They are kept until the whole module is proven.
        uses.shrink_to_fit();
        uses
    }

    fn instruction(
        &mut self,
        instruction: &RawInstruction<'_>,
        code: Reading<'_, '_>,
        place: &Place,
    ) -> Result<(), ClassError> {
        use RawInstruction as I;
        let pool = code.pool;
        match instruction {
            I::New { index }
            | I::ANewArray { index }
            | I::CheckCast { index }
            | I::InstanceOf { index }
            | I::MultiANewArray { index, .. } => {
                let name = text(pool.retrieve(*index)?.name);
                self.put(Kind::Class, &name, None, place);
            }
            I::GetField { index } | I::PutField { index } => {
                self.field(false, pool.get(*index)?, pool, place)?;
            }
            I::GetStatic { index } | I::PutStatic { index } => {
                self.field(true, pool.get(*index)?, pool, place)?;
            }
            I::InvokeVirtual { index } => {
                let method = pool.get(*index)?;
                self.method(
                    Kind::Method,
                    method.class,
                    method.name_and_type,
                    pool,
                    place,
                )?;
            }
            I::InvokeInterface { index, .. } => {
                let method = pool.get(*index)?;
                let kind = Kind::InterfaceMethod;
                self.method(kind, method.class, method.name_and_type, pool, place)?;
            }
            I::InvokeSpecial { index } => self.either(false, pool.get(*index)?, pool, place)?,
            I::InvokeStatic { index } => self.either(true, pool.get(*index)?, pool, place)?,
            I::InvokeDynamic { index } => {
                let at = pool.get(*index)?.bootstrap_method_attr;
                self.bootstrap(at, code, place, DEPTH)?;
            }
            I::LdC { index } | I::LdCW { index } | I::LdC2W { index } => {
                self.constant(pool.get(*index)?, code, place, DEPTH)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn field(
        &mut self,
        is_static: bool,
        field: &FieldRef<'_>,
        pool: &ConstantPool<'_>,
        place: &Place,
    ) -> Result<(), ClassError> {
        let kind = match is_static {
            true => Kind::StaticField,
            false => Kind::Field,
        };
        self.method(kind, field.class, field.name_and_type, pool, place)
    }

    /// A method of a class or of an interface, as the constant tells.
    fn either(
        &mut self,
        is_static: bool,
        item: &Item<'_>,
        pool: &ConstantPool<'_>,
        place: &Place,
    ) -> Result<(), ClassError> {
        let (kind, class, member) = match (item, is_static) {
            (Item::MethodRef(it), false) => (Kind::Method, it.class, it.name_and_type),
            (Item::MethodRef(it), true) => (Kind::StaticMethod, it.class, it.name_and_type),
            (Item::InterfaceMethodRef(it), false) => {
                (Kind::InterfaceMethod, it.class, it.name_and_type)
            }
            (Item::InterfaceMethodRef(it), true) => {
                (Kind::StaticInterfaceMethod, it.class, it.name_and_type)
            }
            _ => return Ok(()),
        };
        self.method(kind, class, member, pool, place)
    }

    fn method(
        &mut self,
        kind: Kind,
        class: Index<ClassRef<'_>>,
        member: Index<NameAndType<'_>>,
        pool: &ConstantPool<'_>,
        place: &Place,
    ) -> Result<(), ClassError> {
        let class = text(pool.retrieve(class)?.name);
        let member = pool.get(member)?;
        let name = text(pool.get(member.name)?.content);
        let descriptor = text(pool.get(member.descriptor)?.content);
        self.put(kind, &class, Some((name, descriptor)), place);
        Ok(())
    }

    /// What a constant brings along when it is loaded.
    fn constant(
        &mut self,
        item: &Item<'_>,
        code: Reading<'_, '_>,
        place: &Place,
        depth: usize,
    ) -> Result<(), ClassError> {
        let pool = code.pool;
        match item {
            Item::Class(class) => {
                let name = text(pool.get(class.name)?.content);
                self.put(Kind::Class, &name, None, place);
            }
            Item::MethodType(kind) => {
                for name in types(&text(pool.get(kind.descriptor)?.content)) {
                    self.put(Kind::Class, name, None, place);
                }
            }
            Item::MethodHandle(handle) => {
                let target = pool.get(handle.reference)?;
                match (handle.kind, target) {
                    (MethodKind::GetField | MethodKind::PutField, Item::FieldRef(field)) => {
                        self.field(false, field, pool, place)?;
                    }
                    (_, Item::FieldRef(field)) => self.field(true, field, pool, place)?,
                    (MethodKind::InvokeStatic, method) => self.either(true, method, pool, place)?,
                    (_, method) => self.either(false, method, pool, place)?,
                }
            }
            Item::Dynamic(constant) => {
                self.bootstrap(constant.bootstrap_method_attr, code, place, depth)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The method that makes a call site or a constant, and what it is given: a
    /// lambda's body is among that.
    fn bootstrap(
        &mut self,
        at: u16,
        code: Reading<'_, '_>,
        place: &Place,
        depth: usize,
    ) -> Result<(), ClassError> {
        let (Some(method), Some(depth)) =
            (code.bootstraps.get(usize::from(at)), depth.checked_sub(1))
        else {
            return Ok(());
        };
        let handle = Item::MethodHandle(code.pool.get(method.method_ref())?.clone());
        self.constant(&handle, code, place, depth)?;
        for argument in method.arguments() {
            self.constant(code.pool.get(argument?)?, code, place, depth)?;
        }
        Ok(())
    }
}

/// Dynamic constants may stand in dynamic constants; a file that lies could
/// make that endless.
const DEPTH: usize = 8;

#[derive(Clone, Copy)]
struct Reading<'a, 'input> {
    pool: &'a ConstantPool<'input>,
    bootstraps: &'a [BootstrapMethod<'input>],
}

/// Whether one of Spring's conditions, or one made of them, stands on a class or
/// a method: by their names, as the annotation itself may be missing.
fn conditional<'input>(
    attributes: impl Iterator<Item = Result<Attribute<'input>, noak::error::DecodeError>>,
    pool: &ConstantPool<'input>,
) -> Result<bool, ClassError> {
    for attribute in attributes {
        let attribute = attribute?;
        let is_it = pool.retrieve(attribute.name())?.as_bytes() == b"RuntimeVisibleAnnotations";
        if !is_it {
            continue;
        }
        let AttributeContent::RuntimeVisibleAnnotations(list) = attribute.read_content(pool)?
        else {
            continue;
        };
        for annotation in list.annotations() {
            let name = text(pool.retrieve(annotation?.type_())?);
            let simple = name.rsplit(['/', '$']).next().unwrap_or_default();
            if simple.starts_with("Conditional") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A text that is a class's name with its package: `a.b.C`; handed back with
/// slashes.
fn class_named(text: &str) -> Option<String> {
    let name = text.trim_start_matches('[');
    let name = match name.len() < text.len() {
        true => name.strip_prefix('L')?.strip_suffix(';')?,
        false => name,
    };
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    let parts = name.split(['.', '/']);
    (parts.clone().count() > 1 && parts.clone().all(word)).then(|| name.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_name_classes() {
        assert_eq!(class_named("a.b.C").as_deref(), Some("a/b/C"));
        assert_eq!(class_named("a/b/C$D").as_deref(), Some("a/b/C$D"));
        assert_eq!(class_named("[La.b.C;").as_deref(), Some("a/b/C"));
        for other in ["", "C", "a b.C", "1.2.3", "a.b.", "Hello, world.", ".a"] {
            assert_eq!(class_named(other), None, "{other}");
        }
    }
}
