//! Families: libraries whose types cross the border between a module and its
//! base. Goes in: the classes that a jar holds, two versions. Comes out: the
//! family, and whether the base's version can serve the module's.
//!
//! Why these: each was tried on a real base (Koupleless 2.1.6, Spring Boot
//! 3.2.6), with all else left out, and the module keeping its own copy of
//!
//! | family | what came of it |
//! |---|---|
//! | Spring, all or part | does not start: "BizApplicationContextInitializer is not assignable": the base's ark plugins name factories that implement the *base's* Spring |
//! | servlet | starts; its filters are never called, a handler with `HttpServletRequest` answers 500 |
//! | logging | a module that logs does not start: "RootLogLevelConfigurator not a subtype" |
//! | Jackson | starts; `@JsonProperty` is ignored, so the JSON is another |
//! | annotations | starts; `@PostConstruct` is never run |
//! | metrics | starts; no `MeterRegistry` is injected |
//!
//! Most of these pass a probe, so only leaving the whole family to the base is
//! right. The other direction is sound: a member that the base lacks
//! (spring-tx) stays in the module and links to the base's Spring.

use serde::{Deserialize, Serialize};

/// A group of libraries that must not be split between the two class loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Spring and Spring Boot.
    Spring,
    /// SOFAArk's and Koupleless' own runtime.
    Ark,
    /// The servlet API and Tomcat.
    Servlet,
    /// SLF4J, Logback, Log4j.
    Logging,
    /// Jackson.
    Jackson,
    /// `jakarta.annotation`, `.inject`, `.validation`.
    Annotations,
    /// Micrometer.
    Metrics,
}

/// How hard a family is tied to the base, where the module runs on the base's
/// Spring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// Only the base's works: a version that the base cannot serve is refused.
    Base,
    /// The base's is right; one that it cannot serve is kept whole, for use
    /// inside the module, and that is said.
    Shared,
}

const PACKAGES: &[(Family, &[&str])] = &[
    (Family::Spring, &["org/springframework/"]),
    (
        Family::Ark,
        &["com/alipay/sofa/ark/", "com/alipay/sofa/koupleless/"],
    ),
    (
        Family::Servlet,
        &[
            "jakarta/servlet/",
            "javax/servlet/",
            "jakarta/el/",
            "javax/el/",
            "jakarta/websocket/",
            "javax/websocket/",
            "org/apache/catalina/",
            "org/apache/coyote/",
            "org/apache/el/",
            "org/apache/jasper/",
            "org/apache/naming/",
            "org/apache/tomcat/",
        ],
    ),
    (
        Family::Logging,
        &[
            "org/slf4j/",
            "ch/qos/logback/",
            "org/apache/logging/",
            "org/apache/log4j/",
            "org/apache/commons/logging/",
        ],
    ),
    (Family::Jackson, &["com/fasterxml/jackson/"]),
    (
        Family::Annotations,
        &[
            "jakarta/annotation/",
            "javax/annotation/",
            "jakarta/inject/",
            "javax/inject/",
            "jakarta/validation/",
            "javax/validation/",
        ],
    ),
    (Family::Metrics, &["io/micrometer/"]),
];

impl Family {
    /// The family of a jar: the one that most of its packages belong to, so
    /// that a shaded copy of SLF4J does not make a jar one of logging.
    pub(crate) fn of<'a>(packages: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let all = packages.clone().count();
        PACKAGES.iter().find_map(|(family, prefixes)| {
            let inside = packages
                .clone()
                .filter(|package| {
                    prefixes.iter().any(|prefix| {
                        package.starts_with(prefix) || *package == prefix.trim_end_matches('/')
                    })
                })
                .count();
            (inside * 2 > all).then_some(*family)
        })
    }

    pub(crate) fn tie(self) -> Tie {
        match self {
            Self::Spring | Self::Ark | Self::Servlet | Self::Logging => Tie::Base,
            Self::Jackson | Self::Annotations | Self::Metrics => Tie::Shared,
        }
    }

    /// As it is written in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spring => "Spring",
            Self::Ark => "ark",
            Self::Servlet => "servlet",
            Self::Logging => "logging",
            Self::Jackson => "Jackson",
            Self::Annotations => "annotations",
            Self::Metrics => "metrics",
        }
    }
}

/// Whether a base's version serves a module that was built with another one:
/// the same major version, and a minor one no older. Libraries of these
/// families add to their API in minor versions and break it in major ones.
pub(crate) fn serves(base: Option<&str>, module: Option<&str>) -> bool {
    match (base.and_then(line), module.and_then(line)) {
        (Some(base), Some(module)) => base.0 == module.0 && base.1 >= module.1,
        _ => false,
    }
}

fn line(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split(['.', '-', '_']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_is_what_most_packages_say() {
        let of = |packages: &[&str]| Family::of(packages.iter().copied());
        assert_eq!(of(&["org/slf4j", "org/slf4j/spi"]), Some(Family::Logging));
        assert_eq!(of(&["org/springframework/core", "cglib"]), None);
        assert_eq!(
            of(&["org/springframework/core", "org/springframework/asm", "x"]),
            Some(Family::Spring)
        );
        assert_eq!(of(&["com/example", "org/slf4j", "com/example/b"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_base_serves_its_own_line_and_older() {
        assert!(serves(Some("6.1.8"), Some("6.1.6")));
        assert!(serves(Some("6.1.8"), Some("6.1.9")));
        assert!(serves(Some("6.1.8"), Some("6.0.23")));
        assert!(!serves(Some("6.1.8"), Some("6.2.0")));
        assert!(!serves(Some("6.1.8"), Some("5.3.39")));
        assert!(!serves(Some("6.1.8"), None));
        assert!(serves(Some("4.1.110.Final"), Some("4.1.99.Final")));
    }
}
