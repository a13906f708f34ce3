//! The rule that tells what is optional from what must be there, and how members are looked up: each sentence
//! of it by a small world. What a real JVM does is in `tests/corpus`.

use std::collections::{BTreeMap, BTreeSet};

use ferry_link::{
    Broken, Builder, Carried, Class, Exports, Fault, Kind, Member, Module, Optional, Outcome,
    Platform, Shapes, Use, Uses, Verdict, World, access, prove,
};

const OBJECT: &str = "java/lang/Object";

fn class(name: &str) -> Class {
    Class {
        name: name.to_owned(),
        major: 61,
        access: access::PUBLIC,
        super_class: Some(OBJECT.to_owned()),
        interfaces: Vec::new(),
        fields: Vec::new(),
        methods: Vec::new(),
    }
}

fn with(mut class: Class, access: u16, name: &str, descriptor: &str) -> Class {
    let member = Member {
        name: name.to_owned(),
        descriptor: descriptor.to_owned(),
        access,
    };
    match descriptor.starts_with('(') {
        true => class.methods.push(member),
        false => class.fields.push(member),
    }
    class
}

fn interface(name: &str) -> Class {
    Class {
        access: access::PUBLIC | access::INTERFACE,
        ..class(name)
    }
}

/// A class of the module, and what it needs.
struct Needs(Carried);

fn own(name: &str) -> Needs {
    Needs(Carried {
        uses: Uses {
            class: class(name),
            uses: Vec::new(),
            conditional: false,
            asked: BTreeSet::new(),
        },
        library: None,
    })
}

fn of_library(name: &str) -> Needs {
    let mut needs = own(name);
    needs.0.library = Some("lib/tools-1.0.jar".to_owned());
    needs
}

impl Needs {
    fn put(mut self, kind: Kind, class: &str, member: Option<(&str, &str)>) -> Self {
        self.0.uses.uses.push(Use {
            kind,
            class: class.into(),
            member: member.map(|(name, descriptor)| (name.into(), descriptor.into())),
            method: Some("go".into()),
            guarded: false,
            conditional: false,
        });
        self
    }

    fn class(self, class: &str) -> Self {
        self.put(Kind::Class, class, None)
    }

    fn calls(self, kind: Kind, class: &str, name: &str, descriptor: &str) -> Self {
        self.put(kind, class, Some((name, descriptor)))
    }

    fn last(mut self, change: impl FnOnce(&mut Use)) -> Self {
        change(self.0.uses.uses.last_mut().expect("it needs something"));
        self
    }

    fn asks(mut self, name: &str) -> Self {
        self.0.uses.asked.insert(name.to_owned());
        self
    }

    fn conditional(mut self) -> Self {
        self.0.uses.conditional = true;
        self
    }

    fn like(mut self, change: impl FnOnce(Class) -> Class) -> Self {
        self.0.uses.class = change(self.0.uses.class);
        self
    }
}

#[derive(Default)]
struct Place {
    base: Vec<Class>,
    out_of_reach: bool,
    left_out: BTreeMap<String, String>,
    sealed: BTreeMap<String, String>,
    broken: Vec<Broken>,
    roots: BTreeSet<String>,
    exports: Exports,
    denied: Exports,
}

fn platform() -> Platform {
    let mut builder = Builder::default();
    let source = builder.source("java.base");
    let object = Class {
        super_class: None,
        ..with(class(OBJECT), access::PUBLIC, "hashCode", "()I")
    };
    builder.add(source, 0, &object);
    Platform {
        version: "17.0.1".to_owned(),
        classes: builder.build(),
        closed: BTreeSet::from(["jdk/internal".to_owned()]),
    }
}

impl Place {
    fn prove(self, needs: Vec<Needs>) -> Verdict {
        self.prove_on(Some(&platform()), needs)
    }

    fn prove_on(self, platform: Option<&Platform>, needs: Vec<Needs>) -> Verdict {
        let (mut base, mut module) = (Builder::default(), Builder::with_private());
        let jar = base.source("base-1.0.jar");
        for class in self.base {
            base.add(jar, 0, &class);
        }
        let classes: Vec<Carried> = needs.into_iter().map(|needs| needs.0).collect();
        for one in &classes {
            let source = module.source(one.library.as_deref().unwrap_or_default());
            module.add(source, 0, &one.uses.class);
        }
        let (base, module): (Shapes, Shapes) = (base.build(), module.build());
        let world = World {
            platform,
            base: &base,
            in_reach: &[!self.out_of_reach],
            exports: &self.exports,
            denied: &self.denied,
            module: &module,
        };
        let module = Module {
            classes: &classes,
            broken: &self.broken,
            own: "demo",
            roots: &self.roots,
            left_out: &self.left_out,
            sealed: &self.sealed,
        };
        prove(&module, &world)
    }
}

fn place(base: Vec<Class>) -> Place {
    Place {
        base,
        ..Place::default()
    }
}

fn refused(verdict: &Verdict) -> &Fault {
    assert_eq!(verdict.outcome, Outcome::Refused, "{verdict:#?}");
    &verdict.faults[0].fault
}

fn gap(verdict: &Verdict) -> Optional {
    assert_eq!(verdict.outcome, Outcome::LinksWithGaps, "{verdict:#?}");
    verdict.gaps[0].optional.expect("a gap says why")
}

#[test]
fn what_is_there_links() {
    let base = vec![with(
        class("b/C"),
        access::PUBLIC | access::STATIC,
        "m",
        "()V",
    )];
    let needs = own("demo/Main")
        .calls(Kind::StaticMethod, "b/C", "m", "()V")
        .calls(Kind::Method, "b/C", "hashCode", "()I");
    let verdict = place(base).prove(vec![needs]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
    assert_eq!((verdict.classes, verdict.references), (1, 2));
}

#[test]
fn what_the_module_itself_needs_must_be_there() {
    let verdict = Place::default().prove(vec![own("demo/Main").class("x/Gone")]);
    assert!(matches!(
        refused(&verdict),
        Fault::MissingClass { left_out: None, .. }
    ));
    assert_eq!(verdict.faults[0].error, "NoClassDefFoundError");
    assert_eq!(verdict.faults[0].needed_by, "demo/Main");
}

#[test]
fn who_catches_its_absence_can_do_without() {
    let needs = own("demo/Main")
        .class("x/Gone")
        .last(|one| one.guarded = true);
    assert_eq!(gap(&Place::default().prove(vec![needs])), Optional::Guarded);
}

#[test]
fn spring_s_conditions_decide_on_classes_nested_ones_and_methods() {
    let whole = own("demo/Configuration").conditional().class("x/Gone");
    let nested = own("demo/Configuration$Inner").class("x/Gone");
    let verdict = Place::default().prove(vec![whole, nested]);
    assert_eq!(gap(&verdict), Optional::Conditional);
    let method = own("demo/Main")
        .class("x/Gone")
        .last(|one| one.conditional = true);
    assert_eq!(
        gap(&Place::default().prove(vec![method])),
        Optional::Conditional
    );
}

#[test]
fn who_asks_for_a_class_by_name_can_do_without_its_package() {
    let needs = own("demo/Main").class("x/Gone").asks("x/Other");
    assert_eq!(gap(&Place::default().prove(vec![needs])), Optional::Asked);
    let other = own("demo/Main").class("x/Gone").asks("y/Gone");
    refused(&Place::default().prove(vec![other]));
}

#[test]
fn asking_counts_for_where_it_leads_if_every_way_asks() {
    let asking = || own("demo/Main").class("t/Tools").asks("b/Gone");
    let tools = || of_library("t/Tools").class("b/Gone");
    let base = || place(vec![class("b/C")]);
    assert_eq!(gap(&base().prove(vec![asking(), tools()])), Optional::Asked);
    let straight = own("demo/Other").class("t/Tools");
    refused(&base().prove(vec![asking(), straight, tools()]));
}

#[test]
fn a_library_lives_without_what_nobody_has_anything_of() {
    let main = || own("demo/Main").class("t/Tools");
    let tools = || of_library("t/Tools").class("x/Gone");
    assert_eq!(
        gap(&Place::default().prove(vec![main(), tools()])),
        Optional::NoSuchLibrary
    );
    // The base has the package, so the library is there in another version.
    refused(&place(vec![class("x/Here")]).prove(vec![main(), tools()]));
    // Slimming took it away.
    let left_out = BTreeMap::from([("x/Gone".to_owned(), "lib/x-1.0.jar".to_owned())]);
    let taken = Place {
        left_out,
        ..Place::default()
    };
    let verdict = taken.prove(vec![main(), tools()]);
    assert!(matches!(
        refused(&verdict),
        Fault::MissingClass {
            left_out: Some(_),
            ..
        }
    ));
    assert!(verdict.faults[0].remedy.contains("lib/x-1.0.jar"));
}

#[test]
fn what_nothing_leads_to_does_not_matter_unless_spring_starts_it() {
    let base = || place(vec![class("b/C")]);
    let needs = || vec![own("demo/Main"), of_library("t/Tools").class("b/Gone")];
    assert_eq!(gap(&base().prove(needs())), Optional::NotReached);
    let started = Place {
        roots: BTreeSet::from(["t/Tools".to_owned()]),
        ..base()
    };
    refused(&started.prove(needs()));
}

#[test]
fn guarded_and_conditional_references_lead_nowhere() {
    let main = own("demo/Main")
        .class("t/Tools")
        .last(|one| one.guarded = true);
    let tools = of_library("t/Tools").class("b/Gone");
    let verdict = place(vec![class("b/C")]).prove(vec![main, tools]);
    assert_eq!(gap(&verdict), Optional::NotReached);
}

#[test]
fn descriptors_alone_are_no_need() {
    let needs = own("demo/Main").put(Kind::Declared, "x/Gone", None);
    assert_eq!(
        gap(&Place::default().prove(vec![needs])),
        Optional::Declared
    );
}

#[test]
fn what_the_platform_keeps_to_itself_depends_on_options() {
    let needs = own("demo/Main").class("jdk/internal/Thing");
    assert_eq!(gap(&Place::default().prove(vec![needs])), Optional::Options);
}

#[test]
fn a_platform_that_is_not_known_is_taken_for_granted() {
    let needs = own("demo/Main")
        .calls(Kind::Method, "java/util/List", "anything", "()V")
        .calls(Kind::Method, "b/C", "toString", "()Ljava/lang/String;");
    let verdict = place(vec![class("b/C")]).prove_on(None, vec![needs]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
    assert_eq!((verdict.assumed, verdict.java), (2, None));
    let missing = own("demo/Main").calls(Kind::Method, "b/C", "gone", "()V");
    refused(&place(vec![class("b/C")]).prove_on(None, vec![missing]));
}

#[test]
fn members_are_looked_up_as_the_jvm_does() {
    let above = with(class("b/Above"), access::PUBLIC, "m", "()V");
    let face = with(
        interface("b/Face"),
        access::PUBLIC | access::STATIC,
        "F",
        "I",
    );
    let face = with(face, access::PUBLIC, "d", "()V");
    let below = Class {
        super_class: Some("b/Above".to_owned()),
        interfaces: vec!["b/Face".to_owned()],
        ..with(class("b/Below"), access::PUBLIC, "<init>", "()V")
    };
    let base = || place(vec![above.clone(), face.clone(), below.clone()]);
    let good = own("demo/Main")
        .calls(Kind::Method, "b/Below", "m", "()V")
        .calls(Kind::Method, "b/Below", "d", "()V")
        .calls(Kind::StaticField, "b/Below", "F", "I")
        .calls(Kind::Method, "b/Below", "<init>", "()V")
        .calls(Kind::InterfaceMethod, "b/Face", "hashCode", "()I");
    let verdict = base().prove(vec![good]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
    for (kind, class, name, descriptor, error) in [
        (Kind::Method, "b/Below", "m", "(I)V", "NoSuchMethodError"),
        (
            Kind::Method,
            "b/Above",
            "<init>",
            "()V",
            "NoSuchMethodError",
        ),
        (Kind::StaticField, "b/Below", "F", "J", "NoSuchFieldError"),
        (
            Kind::Field,
            "b/Below",
            "F",
            "I",
            "IncompatibleClassChangeError",
        ),
        (
            Kind::StaticMethod,
            "b/Below",
            "m",
            "()V",
            "IncompatibleClassChangeError",
        ),
        (
            Kind::Method,
            "b/Face",
            "d",
            "()V",
            "IncompatibleClassChangeError",
        ),
        (
            Kind::InterfaceMethod,
            "b/Below",
            "m",
            "()V",
            "IncompatibleClassChangeError",
        ),
    ] {
        let verdict = base().prove(vec![own("demo/Main").calls(kind, class, name, descriptor)]);
        refused(&verdict);
        assert_eq!(verdict.faults[0].error, error, "{class}.{name}{descriptor}");
    }
}

#[test]
fn what_is_for_a_package_is_for_that_of_one_loader() {
    let hidden = Class {
        access: 0,
        ..class("b/Hidden")
    };
    let base = || place(vec![with(class("b/C"), 0, "m", "()V"), hidden.clone()]);
    for needs in [
        own("b/Mine").calls(Kind::Method, "b/C", "m", "()V"),
        own("b/Mine").class("b/Hidden"),
    ] {
        let main = own("demo/Main").class("b/Mine");
        let verdict = base().prove(vec![main, needs]);
        assert!(matches!(refused(&verdict), Fault::NoAccess { .. }));
    }
    // Within the module a package is one, and a nest shares what is private.
    let mine = own("demo/Mine").like(|it| with(it, access::PRIVATE, "m", "()V"));
    let main = own("demo/Main").calls(Kind::Method, "demo/Mine", "m", "()V");
    assert_eq!(
        Place::default().prove(vec![main, mine]).outcome,
        Outcome::Links
    );
}

#[test]
fn a_class_whose_ancestor_is_gone_cannot_be_used() {
    let orphan = Class {
        super_class: Some("x/Gone".to_owned()),
        ..class("b/Orphan")
    };
    let verdict = place(vec![orphan]).prove(vec![own("demo/Main").class("b/Orphan")]);
    let Fault::MissingAncestor { ancestor, .. } = refused(&verdict) else {
        panic!("{verdict:#?}")
    };
    assert_eq!(ancestor, "x/Gone");
}

#[test]
fn a_type_that_is_there_twice_must_not_cross() {
    let service = with(class("b/Service"), access::PUBLIC, "take", "(Lb/Type;)V");
    let base = || place(vec![service.clone(), class("b/Type")]);
    let main = || own("demo/Main").calls(Kind::Method, "b/Service", "take", "(Lb/Type;)V");
    let mine = || of_library("b/Type");
    assert_eq!(base().prove(vec![main()]).outcome, Outcome::Links);
    assert_eq!(
        base()
            .prove(vec![own("demo/Main").class("b/Type"), mine()])
            .outcome,
        Outcome::Links
    );
    let verdict = base().prove(vec![main(), mine()]);
    assert!(matches!(refused(&verdict), Fault::Duplicate { .. }));
    let overrides = own("demo/Main").like(|it| Class {
        super_class: Some("b/Service".to_owned()),
        ..with(it, access::PUBLIC, "take", "(Lb/Type;)V")
    });
    let verdict = base().prove(vec![overrides, mine()]);
    assert!(matches!(refused(&verdict), Fault::Duplicate { .. }));
}

#[test]
fn loaders_are_asked_in_ark_s_order() {
    let exports = || {
        let mut exports = Exports::default();
        exports.add("b.*", "");
        exports
    };
    let needs = || {
        vec![
            own("demo/Main").calls(Kind::Method, "b/C", "mine", "()V"),
            { of_library("b/C").like(|it| with(it, access::PUBLIC, "mine", "()V")) },
        ]
    };
    let base = || place(vec![class("b/C")]);
    // The module's own comes before the base's.
    assert_eq!(base().prove(needs()).outcome, Outcome::Links);
    // What a plugin exports comes before the module's own, unless that is denied.
    let exported = Place {
        exports: exports(),
        ..base()
    };
    assert!(matches!(
        refused(&exported.prove(needs())),
        Fault::MissingMethod { .. }
    ));
    let denied = Place {
        exports: exports(),
        denied: exports(),
        ..base()
    };
    assert_eq!(denied.prove(needs()).outcome, Outcome::Links);
    // What is not declared is out of reach.
    let undeclared = Place {
        out_of_reach: true,
        ..base()
    };
    let verdict = undeclared.prove(vec![own("demo/Main").class("b/C")]);
    assert!(matches!(refused(&verdict), Fault::OutOfReach { .. }));
    assert!(verdict.faults[0].remedy.contains("base-1.0.jar"));
}

#[test]
fn a_class_file_of_a_newer_java_is_refused() {
    let needs = own("demo/Main").like(|it| Class { major: 65, ..it });
    let verdict = Place::default().prove(vec![needs]);
    assert_eq!(refused(&verdict), &Fault::TooNew { needs: 21, has: 17 });
}

/// An interface of the base with a method that who was built against an older one does not know.
fn newer() -> Class {
    with(
        interface("b/Newer"),
        access::PUBLIC | access::ABSTRACT,
        "added",
        "()V",
    )
}

fn implementing(needs: Needs) -> Needs {
    needs
        .like(|class| Class {
            interfaces: vec!["b/Newer".to_owned()],
            ..class
        })
        .put(Kind::Ancestor, "b/Newer", None)
}

#[test]
fn a_method_that_is_not_implemented_and_called_by_the_module_refuses_it() {
    let calls = own("demo/Main").calls(Kind::InterfaceMethod, "b/Newer", "added", "()V");
    let verdict = place(vec![newer()]).prove(vec![calls, implementing(own("demo/Old"))]);
    assert!(matches!(refused(&verdict), Fault::NotImplemented { .. }));
    assert_eq!(verdict.faults[0].error, "AbstractMethodError");
    assert_eq!(verdict.faults[0].needed_by, "demo/Old");
    // Who implements it, or has it from a class above, does not lack it.
    let calls = || own("demo/Main").calls(Kind::InterfaceMethod, "b/Newer", "added", "()V");
    let whole = implementing(own("demo/Old")).like(|it| with(it, access::PUBLIC, "added", "()V"));
    let verdict = place(vec![newer()]).prove(vec![calls(), whole]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
    let body = with(interface("b/Newer"), access::PUBLIC, "added", "()V");
    let verdict = place(vec![body]).prove(vec![calls(), implementing(own("demo/Old"))]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
}

#[test]
fn a_class_that_is_handed_to_the_base_must_implement_what_it_calls() {
    let registry = with(
        class("b/Registry"),
        access::PUBLIC | access::STATIC,
        "put",
        "(Lb/Newer;)V",
    );
    let hands = own("demo/Main").calls(Kind::StaticMethod, "b/Registry", "put", "(Lb/Newer;)V");
    let verdict = place(vec![newer(), registry]).prove(vec![hands, implementing(own("demo/Old"))]);
    assert!(matches!(refused(&verdict), Fault::NotImplemented { .. }));
    // The code of a class above it can call what that class leaves open.
    let above = with(class("b/Above"), access::PUBLIC, "run", "()V");
    let above = with(above, access::PROTECTED | access::ABSTRACT, "step", "()V");
    let extends = |name| {
        own(name).like(|class| Class {
            super_class: Some("b/Above".to_owned()),
            ..class
        })
    };
    let runs = own("demo/Main").calls(Kind::Method, "demo/Old", "run", "()V");
    let verdict = place(vec![above]).prove(vec![runs, extends("demo/Old")]);
    assert!(matches!(refused(&verdict), Fault::NotImplemented { .. }));
}

#[test]
fn what_nobody_is_known_to_call_may_be_left_open() {
    let verdict = place(vec![newer()]).prove(vec![implementing(own("demo/Old"))]);
    assert_eq!(gap(&verdict), Optional::NotCalled);
    // So may a library: it is not the one that is called, for all that is known.
    let calls = own("demo/Main")
        .calls(Kind::InterfaceMethod, "b/Newer", "added", "()V")
        .class("t/Old");
    let verdict = place(vec![newer()]).prove(vec![calls, implementing(of_library("t/Old"))]);
    assert_eq!(gap(&verdict), Optional::NotCalled);
}

#[test]
fn a_sealed_class_of_the_base_is_for_nobody_else() {
    let sealed = Class {
        access: access::PUBLIC | access::SEALED,
        ..class("b/Sealed")
    };
    let extends = own("demo/Main")
        .like(|class| Class {
            super_class: Some("b/Sealed".to_owned()),
            ..class
        })
        .put(Kind::Ancestor, "b/Sealed", None);
    let verdict = place(vec![sealed.clone()]).prove(vec![extends]);
    assert!(matches!(refused(&verdict), Fault::OtherKind { is, .. } if is == "sealed"));
    let uses = own("demo/Main").class("b/Sealed");
    assert_eq!(
        place(vec![sealed]).prove(vec![uses]).outcome,
        Outcome::Links
    );
}

#[test]
fn a_sealed_package_takes_no_class_of_another_jar() {
    let sealed = BTreeMap::from([("t".to_owned(), "lib/tools-1.0.jar".to_owned())]);
    let main = || own("demo/Main").class("t/Tools").class("t/More");
    let mut more = own("t/More");
    more.0.library = Some("lib/more-1.0.jar".to_owned());
    let split = Place {
        sealed: sealed.clone(),
        ..Place::default()
    };
    let verdict = split.prove(vec![main(), of_library("t/Tools"), more]);
    assert!(matches!(refused(&verdict), Fault::SealedPackage { .. }));
    let whole = Place {
        sealed,
        ..Place::default()
    };
    let verdict = whole.prove(vec![main(), of_library("t/Tools"), of_library("t/More")]);
    assert_eq!(verdict.outcome, Outcome::Links, "{verdict:#?}");
}

#[test]
fn protected_members_are_for_those_that_descend() {
    let base = || vec![with(class("demo/Base"), access::PROTECTED, "m", "()V")];
    let calls = |name| own(name).calls(Kind::Method, "demo/Base", "m", "()V");
    // The package has the same name, and another loader.
    let verdict = place(base()).prove(vec![calls("demo/Main")]);
    assert!(matches!(refused(&verdict), Fault::NoAccess { .. }));
    let child = calls("demo/Child").like(|class| Class {
        super_class: Some("demo/Base".to_owned()),
        ..class
    });
    assert_eq!(place(base()).prove(vec![child]).outcome, Outcome::Links);
}

fn broken(entry: &str, class: &str) -> Broken {
    Broken {
        entry: entry.to_owned(),
        class: Some(class.to_owned()),
        at_root: !entry.starts_with("lib/"),
    }
}

fn with_broken(base: Vec<Class>, one: Broken) -> Place {
    Place {
        broken: vec![one],
        ..place(base)
    }
}

#[test]
fn a_broken_class_of_the_module_s_own_refuses_it() {
    let one = broken("demo/Bad.class", "demo/Bad");
    let verdict = with_broken(Vec::new(), one).prove(vec![own("demo/Main")]);
    let entry = "demo/Bad.class".to_owned();
    assert_eq!(refused(&verdict), &Fault::Broken { entry });
    assert_eq!(verdict.faults[0].error, "ClassFormatError");
    assert_eq!(verdict.faults[0].source, "the module");
}

#[test]
fn a_broken_class_of_a_library_refuses_only_where_a_way_leads_there() {
    let lib = || broken("lib/x-1.0.jar!/x/Bad.class", "x/Bad");
    let verdict = with_broken(Vec::new(), lib()).prove(vec![own("demo/Main")]);
    assert_eq!(gap(&verdict), Optional::NotReached);
    let unreached = vec![own("demo/Main"), of_library("x/Other").class("x/Bad")];
    let verdict = with_broken(Vec::new(), lib()).prove(unreached);
    assert_eq!(gap(&verdict), Optional::NotReached);
    assert_eq!(verdict.gaps.len(), 1, "{verdict:#?}");

    for leading in [
        own("demo/Main").class("x/Bad"),
        // Nobody catches a ClassFormatError by catching what is missing.
        own("demo/Main").class("x/Bad").last(|it| it.guarded = true),
        own("demo/Main").class("x/Bad").asks("x/Bad"),
        own("demo/Main")
            .like(|it| Class {
                super_class: Some("x/Bad".to_owned()),
                ..it
            })
            .put(Kind::Ancestor, "x/Bad", None),
    ] {
        let verdict = with_broken(Vec::new(), lib()).prove(vec![leading]);
        assert!(
            matches!(refused(&verdict), Fault::Broken { entry } if entry.ends_with("x/Bad.class"))
        );
        assert_eq!(verdict.faults[0].needed_by, "demo/Main");
    }
    let started = Place {
        roots: BTreeSet::from(["x/Bad".to_owned()]),
        ..with_broken(Vec::new(), lib())
    };
    assert!(matches!(
        refused(&started.prove(vec![own("demo/Main")])),
        Fault::Broken { .. }
    ));
}

#[test]
fn the_module_s_broken_class_hides_the_base_s_good_one() {
    let lib = || broken("lib/x-1.0.jar!/x/Bad.class", "x/Bad");
    let needs = || vec![own("demo/Main").class("x/Bad")];
    let verdict = with_broken(vec![class("x/Bad")], lib()).prove(needs());
    assert!(matches!(refused(&verdict), Fault::Broken { .. }));
    // What plugins export comes before the module's own.
    let mut given = with_broken(vec![class("x/Bad")], lib());
    given.exports.add("x", "");
    assert_eq!(gap(&given.prove(needs())), Optional::NotReached);
}

#[test]
fn a_jar_that_is_no_jar_is_passed_over() {
    let jar = Broken {
        entry: "lib/odd-1.0.jar".to_owned(),
        class: None,
        at_root: false,
    };
    let verdict = with_broken(Vec::new(), jar).prove(vec![own("demo/Main")]);
    assert_eq!(gap(&verdict), Optional::NotReached);
}
