//! Addresses and bodies in which names stand: `{base}`, `{zone}`, `{module}`.
//! In: a template and the names. Out: the address or body, or what is wrong with the template.

use url::Url;

use crate::model::{Call, Drain, DrainCheck};

/// What can stand in braces.
const KNOWN: [&str; 3] = ["base", "zone", "module"];

/// The names that a template is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// The base.
    pub base: &'a str,
    /// Its zone.
    pub zone: &'a str,
    /// The module that is changed.
    pub module: &'a str,
}

/// Why a template gives no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

/// Names to try a template with.
const SOME: Names<'static> = Names {
    base: "b",
    zone: "z",
    module: "m",
};

impl Names<'_> {
    /// The text with each name in its place; other braces stay, as those of JSON.
    pub fn fill(&self, template: &str) -> String {
        // A name holds no brace, so none is filled twice.
        template
            .replace("{base}", self.base)
            .replace("{zone}", self.zone)
            .replace("{module}", self.module)
    }

    fn url(&self, template: &str) -> Result<Url, TemplateError> {
        let text = self.fill(template);
        let wrong = |what: String| Err(TemplateError(what));
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(error) => return wrong(format!("{template:?} makes no address: {error}")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong(format!("{template:?} must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "an address here must not hold a user or password; \"secret\" names one".to_owned(),
            );
        }
        if url.fragment().is_some() {
            return wrong(format!("{template:?} must end before \"#\""));
        }
        Ok(url)
    }
}

impl Call {
    /// Whether an answer says that it is done.
    pub fn is_done(&self, status: u16) -> bool {
        match self.status {
            Some(wanted) => status == wanted,
            None => (200..300).contains(&status),
        }
    }

    /// Its address for these names.
    ///
    /// # Errors
    /// When the template makes none; a checked configuration has no such template.
    pub fn url_for(&self, names: &Names<'_>) -> Result<Url, TemplateError> {
        names.url(&self.url)
    }
}

impl Drain {
    /// Whether the load balancer knows a base once for each module; else once for all.
    pub fn is_by_module(&self) -> bool {
        let body = self.drain.body.as_deref().unwrap_or_default();
        self.drain.url.contains("{module}") || body.contains("{module}")
    }
}

impl DrainCheck {
    /// Its address for these names.
    ///
    /// # Errors
    /// As [`Call::url_for`].
    pub fn url_for(&self, names: &Names<'_>) -> Result<Url, TemplateError> {
        names.url(&self.url)
    }

    /// Whether an answer is the one that is waited for.
    pub fn is_met(&self, names: &Names<'_>, status: u16, body: &str) -> bool {
        let contains = |text: &String| body.contains(&names.fill(text));
        // A checked configuration has no broken expression; one that is broken matches nothing.
        let matches = |pattern: &String| {
            regex::Regex::new(&names.fill(pattern)).is_ok_and(|it| it.is_match(body))
        };
        status == self.status
            && self.contains.as_ref().is_none_or(contains)
            && self.matches.as_ref().is_none_or(matches)
    }
}

/// Checks a template of an address.
pub(crate) fn check(template: &str) -> Result<(), String> {
    for part in template.split('{').skip(1) {
        let name = part.split_once('}').map(|(name, _)| name);
        if !name.is_some_and(|name| KNOWN.contains(&name)) {
            return Err(format!(
                "{template:?} has a \"{{\" that begins no name; {{base}}, {{zone}} and {{module}} can stand here"
            ));
        }
    }
    SOME.url(template).map(drop).map_err(|error| error.0)
}

/// Checks a template of a regular expression.
pub(crate) fn check_regex(template: &str) -> Result<(), String> {
    regex::Regex::new(&SOME.fill(template))
        .map(drop)
        .map_err(|error| format!("{template:?} is not a regular expression: {error}"))
}
