//! Which modules a change concerns.
//!
//! In: changed paths and the globs of the configuration. Out: names of modules, sorted.

use ferry_config::{Config, glob_set};
use ferry_runtime::Fault;

/// The modules of a repository whose globs match one of the paths. A path that the repository
/// ignores concerns no module.
///
/// # Errors
/// When a glob is broken, which a checked configuration does not have.
pub fn modules(config: &Config, repository: &str, paths: &[String]) -> Result<Vec<String>, Fault> {
    let broken =
        |error: globset::Error| Fault(format!("a glob of repository {repository}: {error}"));
    let ignore: &[String] = config
        .repositories
        .get(repository)
        .map_or(&[], |found| &found.ignore);
    let ignored = glob_set(ignore.iter().map(String::as_str)).map_err(broken)?;
    let mut touched = Vec::new();
    for (name, module) in config.modules_of_repository(repository) {
        let globs = module.path_globs();
        let wanted = glob_set(globs.iter().map(String::as_str)).map_err(broken)?;
        if paths
            .iter()
            .any(|path| !ignored.is_match(path) && wanted.is_match(path))
        {
            touched.push(name.to_owned());
        }
    }
    Ok(touched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = r#"
            [repositories.shop]
            url = "https://git.example/acme/shop.git"
            forge = "github"
            secret = "env:HOOK"
            ignore = ["**/*.md", "docs/**"]
            [modules.cart]
            repository = "shop"
            path = "cart"
            [modules.prices]
            repository = "shop"
            path = "prices"
            paths = ["prices/**", "common/**"]
            [modules.whole]
            repository = "shop"
            [environments.pre]
            [pools.pre]
            environment = "pre"
        "#;
        toml::from_str(text).expect("a configuration")
    }

    fn touched(paths: &[&str]) -> Vec<String> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        modules(&config(), "shop", &paths).unwrap()
    }

    #[test]
    fn a_module_is_concerned_by_its_folder_or_its_globs() {
        assert_eq!(touched(&["cart/src/A.java"]), ["cart", "whole"]);
        assert_eq!(touched(&["common/pom.xml"]), ["prices", "whole"]);
        assert_eq!(touched(&["pom.xml"]), ["whole"]);
        assert_eq!(
            touched(&["carts/x"]),
            ["whole"],
            "a folder is no prefix of another's name"
        );
    }

    #[test]
    fn ignored_paths_concern_nobody_by_themselves() {
        assert!(touched(&["cart/README.md", "docs/a/b.txt"]).is_empty());
        assert_eq!(
            touched(&["cart/README.md", "prices/p.csv"]),
            ["prices", "whole"]
        );
        assert!(touched(&[]).is_empty());
    }
}
