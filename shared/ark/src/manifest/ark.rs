//! What a manifest means to a base. Goes in: a [`Manifest`]. Comes out:
//! [`ArkManifest`], or the reason why a base would refuse the jar.

use super::{Manifest, ManifestError};

/// The keys of the main section that a base reads.
pub mod keys {
    /// The module's name.
    pub const NAME: &str = "Ark-Biz-Name";
    /// The module's version; with the name, its whole identity.
    pub const VERSION: &str = "Ark-Biz-Version";
    /// The class with the `main` method.
    pub const MAIN_CLASS: &str = "Main-Class";
    /// The class with the `main` method; wins over `Main-Class`.
    pub const START_CLASS: &str = "Start-Class";
    /// Where a web module answers.
    pub const WEB_CONTEXT_PATH: &str = "web-context-path";
    /// artifactIds whose resources may be looked up in the base.
    pub const DECLARED_LIBRARIES: &str = "declared-libraries";
    /// Packages that are never looked up in plugins.
    pub const DENY_IMPORT_PACKAGES: &str = "deny-import-packages";
    /// Classes that are never looked up in plugins.
    pub const DENY_IMPORT_CLASSES: &str = "deny-import-classes";
    /// Resources that are never looked up in plugins.
    pub const DENY_IMPORT_RESOURCES: &str = "deny-import-resources";
    /// Plugins whose classes are injected.
    pub const INJECT_PLUGIN_DEPENDENCIES: &str = "inject-plugin-dependencies";
    /// Packages exported to those plugins.
    pub const INJECT_EXPORT_PACKAGES: &str = "inject-export-packages";
    /// Order of start at boot; the smaller the earlier.
    pub const PRIORITY: &str = "priority";
    /// When it was built; makes two builds of one commit differ.
    pub const BUILD_TIME: &str = "build-time";
    /// The commit that it was built from.
    pub const COMMIT_ID: &str = "commit-id";
}

/// The part of a manifest that a base acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArkManifest {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version`.
    pub version: String,
    /// `Start-Class`, or where that is missing `Main-Class`.
    pub main_class: String,
    /// `web-context-path` with a leading slash and none at the end; `/` is
    /// the root. None where the key is missing. A base reports it as written.
    pub web_context_path: Option<String>,
    /// `declared-libraries` in its order. Empty means: not in declared mode.
    pub declared_libraries: Vec<String>,
    /// `deny-import-packages`.
    pub deny_import_packages: Vec<String>,
    /// `deny-import-classes`.
    pub deny_import_classes: Vec<String>,
    /// `deny-import-resources`.
    pub deny_import_resources: Vec<String>,
    /// `inject-plugin-dependencies`.
    pub inject_plugin_dependencies: Vec<String>,
    /// `inject-export-packages`.
    pub inject_export_packages: Vec<String>,
    /// `priority`; a base takes 100 where it is missing.
    pub priority: Option<i32>,
    /// `commit-id`, where the build knew its commit.
    pub commit: Option<String>,
}

impl ArkManifest {
    /// Reads the meaning of a manifest.
    ///
    /// # Errors
    /// See [`Manifest::ark`].
    pub fn of(manifest: &Manifest) -> Result<Self, ManifestError> {
        let text = |key| {
            manifest
                .get(key)
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        // A base does not trim the identity, so blanks at its end are part of it.
        let exact = |key| text(key).and_then(|_| manifest.get(key).map(str::to_owned));
        let list = |key| -> Vec<String> {
            manifest
                .get(key)
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            name: exact(keys::NAME).ok_or(ManifestError::NoName)?,
            version: exact(keys::VERSION).ok_or(ManifestError::NoVersion)?,
            main_class: text(keys::START_CLASS)
                .or_else(|| text(keys::MAIN_CLASS))
                .ok_or(ManifestError::NoMainClass)?,
            web_context_path: text(keys::WEB_CONTEXT_PATH)
                .map(|path| format!("/{}", path.trim_matches('/'))),
            declared_libraries: list(keys::DECLARED_LIBRARIES),
            deny_import_packages: list(keys::DENY_IMPORT_PACKAGES),
            deny_import_classes: list(keys::DENY_IMPORT_CLASSES),
            deny_import_resources: list(keys::DENY_IMPORT_RESOURCES),
            inject_plugin_dependencies: list(keys::INJECT_PLUGIN_DEPENDENCIES),
            inject_export_packages: list(keys::INJECT_EXPORT_PACKAGES),
            priority: text(keys::PRIORITY)
                .map(|found| {
                    found
                        .parse()
                        .map_err(|_| ManifestError::BadPriority { found })
                })
                .transpose()?,
            commit: text(keys::COMMIT_ID),
        })
    }

    /// `name:version`, as arklet writes it in its messages.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }

    /// Whether resources of the base are in reach, library by library.
    #[must_use]
    pub fn is_declared_mode(&self) -> bool {
        !self.declared_libraries.is_empty()
    }
}
