//! What the proof came to: for people and for programs. Goes in: what was
//! found. Comes out: [`Verdict`], as JSON by serde and as sentences by `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the proof came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything that is referred to is there.
    Links,
    /// What is missing is optional by nature.
    LinksWithGaps,
    /// Something that must be there is not.
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "links",
            Self::LinksWithGaps => "links with optional gaps",
            Self::Refused => "refused",
        })
    }
}

/// Something that does not resolve. Names have slashes, as in class files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// Nobody has the class.
    MissingClass {
        /// The class.
        class: String,
        /// The entry that held it and was left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<String>,
    },
    /// The base has the class, and the module does not declare its jar.
    OutOfReach {
        /// The class.
        class: String,
        /// The base's jar, or `BOOT-INF/classes`.
        jar: String,
    },
    /// The class is there, and what it descends from is not.
    MissingAncestor {
        /// The class.
        class: String,
        /// What it descends from.
        ancestor: String,
    },
    /// The class is there without this field.
    MissingField {
        /// The class.
        class: String,
        /// The field.
        name: String,
        /// Its type.
        descriptor: String,
        /// Where the class comes from.
        from: String,
    },
    /// The class is there without this method.
    MissingMethod {
        /// The class.
        class: String,
        /// The method.
        name: String,
        /// Its parameters and what it returns.
        descriptor: String,
        /// Where the class comes from.
        from: String,
    },
    /// The class or member is there, of another kind.
    OtherKind {
        /// The class.
        class: String,
        /// The member; none where it is the class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// What it is, such as `an interface`.
        is: String,
        /// Where the class comes from.
        from: String,
    },
    /// The class or member is there, for others.
    NoAccess {
        /// The class.
        class: String,
        /// The member; none where it is the class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// Where the class comes from.
        from: String,
    },
    /// A method without a body that a class of the module does not implement.
    NotImplemented {
        /// The class or interface that has it.
        class: String,
        /// The method.
        name: String,
        /// Its parameters and what it returns.
        descriptor: String,
        /// The class that lacks it.
        by: String,
        /// Where the class comes from.
        from: String,
    },
    /// A library keeps a package to itself, and another of the module's jars
    /// has a class in it.
    SealedPackage {
        /// The package.
        package: String,
        /// The library that seals it.
        jar: String,
        /// Where the other class lies.
        other: String,
    },
    /// Module and base each have the class, and it crosses the border.
    Duplicate {
        /// The class that is there twice.
        class: String,
        /// The base's method or field that it crosses by.
        by: String,
        /// Where the module has it from.
        module: String,
        /// Where the base has it from.
        base: String,
    },
    /// The class file is of a newer Java than the base runs on.
    TooNew {
        /// The Java release that it needs.
        needs: u16,
        /// The Java release of the base.
        has: u16,
    },
    /// The Java platform has the class and exports it to nobody.
    Closed {
        /// The class.
        class: String,
    },
    /// The module carries a class file that cannot be read.
    Broken {
        /// The entry.
        entry: String,
    },
}

impl Fault {
    /// The error that the JVM throws for it, as a base's log shows it.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match self {
            Self::MissingClass { .. } | Self::OutOfReach { .. } | Self::MissingAncestor { .. } => {
                "NoClassDefFoundError"
            }
            Self::MissingField { .. } => "NoSuchFieldError",
            Self::MissingMethod { .. } => "NoSuchMethodError",
            Self::OtherKind { .. } => "IncompatibleClassChangeError",
            Self::NoAccess { .. } | Self::Closed { .. } => "IllegalAccessError",
            Self::NotImplemented { .. } => "AbstractMethodError",
            Self::SealedPackage { .. } => "SecurityException",
            Self::Duplicate { .. } => "LinkageError",
            Self::TooNew { .. } => "UnsupportedClassVersionError",
            Self::Broken { .. } => "ClassFormatError",
        }
    }

    /// The class that it is about; none where it is about a file.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::MissingClass { class, .. }
            | Self::OutOfReach { class, .. }
            | Self::MissingAncestor { class, .. }
            | Self::MissingField { class, .. }
            | Self::MissingMethod { class, .. }
            | Self::OtherKind { class, .. }
            | Self::NoAccess { class, .. }
            | Self::Duplicate { class, .. }
            | Self::NotImplemented { class, .. }
            | Self::Closed { class } => Some(class),
            Self::SealedPackage { .. } | Self::TooNew { .. } | Self::Broken { .. } => None,
        }
    }

    /// What to change so that it goes away.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::MissingClass {
                left_out: Some(entry),
                ..
            } => format!(
                "{entry} was left out for the base's version, which lacks it: build against the base's version, or move to a base that has it"
            ),
            Self::MissingClass { class, .. } => format!(
                "nobody has it: add the library with {} to the module, in the scope `compile`",
                dotted(class)
            ),
            Self::OutOfReach { jar, .. } if jar.ends_with(".jar") => format!(
                "the base has it in {jar}, which `declared-libraries` does not name: declare it, or carry the library"
            ),
            Self::OutOfReach { .. } => {
                "it is one of the base's own classes, which `declared-libraries` puts out of reach: move it into a library of the base that is declared".to_owned()
            }
            Self::MissingAncestor { .. } => {
                "carry the library that holds what it descends from, together with the one that holds it".to_owned()
            }
            Self::MissingField { from, .. }
            | Self::MissingMethod { from, .. }
            | Self::OtherKind { from, .. }
            | Self::NoAccess { from, .. } => format!(
                "it was compiled against another version than that of {from}: build against that one, or carry the other"
            ),
            Self::NotImplemented { by, from, .. } => format!(
                "implement it in {}, or build against the version of {from} that runs",
                dotted(by)
            ),
            Self::SealedPackage { other, .. } => format!(
                "move the class of {other} to a package of its own"
            ),
            Self::Duplicate { module, .. } => format!(
                "two class loaders cannot share it: leave {module} to the base"
            ),
            Self::TooNew { has, .. } => format!("compile with `--release {has}`, or move to a newer base"),
            Self::Closed { .. } => "start the base with `--add-exports` for it".to_owned(),
            Self::Broken { .. } => {
                "build it again, or leave it out: the JVM cannot read it either".to_owned()
            }
        }
    }
}

/// A class's name as people write it.
fn dotted(name: &str) -> String {
    name.replace('/', ".")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |class: &str, member: &Option<String>| match member {
            Some(member) => format!("{}.{member}", dotted(class)),
            None => dotted(class),
        };
        match self {
            Self::MissingClass { class, .. } => write!(f, "there is no {}", dotted(class)),
            Self::OutOfReach { class, .. } => write!(f, "{} is out of reach", dotted(class)),
            Self::MissingAncestor { class, ancestor } => {
                write!(
                    f,
                    "{} needs {}, which is not there",
                    dotted(class),
                    dotted(ancestor)
                )
            }
            Self::MissingField {
                class,
                name,
                descriptor,
                from,
            } => write!(
                f,
                "{from} has no field {}.{name} {descriptor}",
                dotted(class)
            ),
            Self::MissingMethod {
                class,
                name,
                descriptor,
                from,
            } => write!(
                f,
                "{from} has no method {}.{name}{descriptor}",
                dotted(class)
            ),
            Self::OtherKind {
                class,
                member,
                is,
                from,
            } => write!(f, "in {from} {} is {is}", told(class, member)),
            Self::NoAccess {
                class,
                member,
                from,
            } => write!(f, "in {from} {} is not for the module", told(class, member)),
            Self::Duplicate {
                class,
                by,
                module,
                base,
            } => write!(
                f,
                "{} is in the module ({module}) and in the base ({base}), and crosses between them by {}",
                dotted(class),
                dotted(by)
            ),
            Self::NotImplemented {
                class,
                name,
                descriptor,
                by,
                from,
            } => write!(
                f,
                "{} does not implement {}.{name}{descriptor} of {from}",
                dotted(by),
                dotted(class)
            ),
            Self::SealedPackage {
                package,
                jar,
                other,
            } => write!(
                f,
                "{jar} seals the package {}, and {other} has a class in it",
                dotted(package)
            ),
            Self::TooNew { needs, has } => {
                write!(
                    f,
                    "it is compiled for Java {needs}, and the base runs on {has}"
                )
            }
            Self::Closed { class } => {
                write!(f, "the Java platform keeps {} to itself", dotted(class))
            }
            Self::Broken { entry } if entry.ends_with(".jar") => {
                write!(f, "{entry} is no jar that can be read")
            }
            Self::Broken { entry } => write!(f, "{entry} is no class file that can be read"),
        }
    }
}

/// Why something that does not resolve is no reason to refuse. The rule is in
/// `docs/slimming.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optional {
    /// The code around it catches the error.
    Guarded,
    /// The class or method has a Spring condition.
    Conditional,
    /// Who needs it, or whoever leads there, asks for it by name first.
    Asked,
    /// A library needs it, and nobody has anything of the library that it is of.
    NoSuchLibrary,
    /// It stands in a descriptor only: reflection may meet it.
    Declared,
    /// No way leads there from the module's own classes.
    NotReached,
    /// The JVM's options decide.
    Options,
    /// Nothing that is known calls the method.
    NotCalled,
}

impl fmt::Display for Optional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guarded => "the code catches its absence",
            Self::Conditional => "a Spring condition decides",
            Self::Asked => "its name is asked for first",
            Self::NoSuchLibrary => "an optional part of a library",
            Self::Declared => "only reflection would meet it",
            Self::NotReached => "nothing of the module leads there",
            Self::Options => "the base's JVM options decide",
            Self::NotCalled => "nothing that is known calls it",
        })
    }
}

/// Something that does not resolve, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
    /// The error that the JVM would throw.
    pub error: String,
    /// A class that needs it.
    pub needed_by: String,
    /// The method of that class; none where the whole class does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where that class lies: an entry of the jar, or `the module`.
    pub source: String,
    /// How many other classes need it too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: usize,
    /// What to change.
    pub remedy: String,
    /// Why it does not matter; none where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<Optional>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, needed by {}",
            self.error,
            self.fault,
            dotted(&self.needed_by)
        )?;
        if let Some(method) = &self.method {
            write!(f, ".{method}")?;
        }
        write!(f, " ({})", self.source)?;
        match self.others {
            0 => Ok(()),
            1 => f.write_str(" and 1 other"),
            more => write!(f, " and {more} others"),
        }
    }
}

/// What the proof came to, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// What must be there and is not.
    pub faults: Vec<Finding>,
    /// What is missing and optional.
    pub gaps: Vec<Finding>,
    /// How many of the module's classes were read.
    pub classes: usize,
    /// How many references were looked up.
    pub references: usize,
    /// References into the Java platform that nobody could look up, as the
    /// profile knows none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub assumed: usize,
    /// The version of the Java platform that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub java: Option<String>,
}

impl Verdict {
    /// What no proof covers, in one line.
    pub const LIMITS: &'static str = "not proven: what is reached by reflection, by names in texts and configuration, or through resources";
}
