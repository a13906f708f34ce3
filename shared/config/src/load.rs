//! From files to a checked configuration: `ferry.toml`, `conf.d/*.toml` beside
//! it, and the files that pools name for their bases.
//! In: a path ([`load`]) or texts ([`parse`], pure). Out: [`Loaded`], or all
//! errors at once.

use std::path::{Path, PathBuf};

use crate::check::{absolute, check};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Config;
use crate::tree::{Node, Source, Tree};

/// The folder beside `ferry.toml` whose `*.toml` are read too.
pub const FOLDER: &str = "conf.d";

/// A configuration and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration, paths absolute, bases of `bases_file`s merged in.
    pub config: Config,
    /// Every file that was read: what to watch for changes.
    pub files: Vec<PathBuf>,
    /// The folder in which a new file would be read as well; watch it too. It
    /// need not exist.
    pub folder: PathBuf,
    /// What can be used but is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks `path` and all that belongs to it.
///
/// # Errors
/// Everything that is wrong, in the order of the files. A file that cannot be
/// read or is not TOML does not hide the errors of the others; but what may only
/// follow from it (a name that is unknown, a key that is missing) is then not
/// said.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let beside = path.parent().unwrap_or(Path::new(""));
    let folder = beside.join(FOLDER);
    let mut found = Vec::new();
    let mut files = vec![path.to_owned()];
    match toml_files(&folder) {
        Ok(more) => files.extend(more),
        Err(error) => found.push(unreadable(&folder, &error)),
    }
    let mut sources = Vec::new();
    for file in &files {
        match read(file) {
            Ok(source) => sources.push(source),
            Err(error) => found.push(unreadable(file, &error)),
        }
    }
    if sources.is_empty() {
        return Err(found);
    }
    let whole = found.is_empty();
    let mut tree = Tree::new(sources);
    if !whole {
        // Names may stand in what could not be read, as in what is not TOML.
        tree.broken.insert(usize::MAX);
    }
    for (pool, file, at) in bases_files(&tree) {
        match read(&file) {
            Ok(source) => {
                let node = tree.read(source);
                tree.bases_files.insert(pool, node);
                files.push(file);
            }
            Err(error) => {
                let message = format!("{} cannot be read: {error}", file.display());
                tree.error(at, &format!("pools.{pool}.bases_file"), message);
                tree.unread.insert(pool);
            }
        }
    }
    match check(tree) {
        Ok((config, warnings)) if whole => Ok(Loaded {
            config,
            files,
            folder,
            warnings,
        }),
        Ok(_) => Err(found),
        Err(more) => {
            found.extend(more);
            Err(found)
        }
    }
}

/// Checks texts as if they were files; nothing is read. Relative paths are taken
/// below the folder of the named file, and a `bases_file` stays unread.
///
/// # Errors
/// Everything that is wrong.
pub fn parse(sources: &[(PathBuf, String)]) -> Result<Loaded, Vec<Diagnostic>> {
    let files: Vec<PathBuf> = sources.iter().map(|(path, _)| path.clone()).collect();
    let first = files
        .first()
        .and_then(|path| path.parent())
        .unwrap_or(Path::new(""));
    let folder = first.join(FOLDER);
    let sources = sources.iter().map(|(path, text)| {
        let folder = path.parent().unwrap_or(Path::new(""));
        Source::new(path.clone(), folder.to_owned(), text.clone())
    });
    let mut tree = Tree::new(sources.collect());
    tree.unread = bases_files(&tree)
        .into_iter()
        .map(|(pool, ..)| pool)
        .collect();
    let (config, warnings) = check(tree)?;
    Ok(Loaded {
        config,
        files,
        folder,
        warnings,
    })
}

/// The `bases_file` of each pool, with the place that names it.
fn bases_files(tree: &Tree) -> Vec<(String, PathBuf, crate::tree::At)> {
    let named = |node: &Node| {
        let entry = node.get("bases_file")?;
        let text = entry.node.text().filter(|text| !text.is_empty())?;
        Some((absolute(tree.folder(entry.node.at), text), entry.node.at))
    };
    tree.root
        .entries("pools")
        .filter_map(|(pool, entry)| {
            let (path, at) = named(&entry.node)?;
            Some((pool.clone(), path, at))
        })
        .collect()
}

fn toml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> std::io::Result<Source> {
    let text = std::fs::read_to_string(path)?;
    let whole = std::path::absolute(path)?;
    let folder = whole.parent().unwrap_or(Path::new("/"));
    Ok(Source::new(path.to_owned(), folder.to_owned(), text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; `ferry init` writes one".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Diagnostic {
        severity: Severity::Error,
        file: path.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        message,
        suggestion: None,
    }
}
