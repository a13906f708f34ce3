//! The files as one tree in which every key and value knows its place.
//! In: the texts. Out: [`Tree`], with what TOML itself finds wrong and with keys
//! that stand in two files. A file that TOML cannot read keeps what can be read
//! of it, so that names defined there are still known to the other files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Severity};

/// One file.
pub(crate) struct Source {
    /// As it is shown.
    pub shown: PathBuf,
    /// Where its relative paths start.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
    /// Where its lines begin.
    starts: Vec<usize>,
}

impl Source {
    pub fn new(shown: PathBuf, folder: PathBuf, text: String) -> Self {
        let newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let starts = std::iter::once(0).chain(newlines).collect();
        Self {
            shown,
            folder,
            text,
            starts,
        }
    }

    /// The line and the column in characters, both from 1.
    fn line_column(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column))
    }
}

/// A place: a byte of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub source: usize,
    pub offset: usize,
}

impl At {
    /// The beginning of the first file.
    pub const START: Self = Self {
        source: 0,
        offset: 0,
    };
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: At,
    pub kind: Kind,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Kind {
    Table(BTreeMap<String, Entry>),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// A kind that no key takes, by its name.
    Other(&'static str),
}

/// A key's place, and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key_at: At,
    pub node: Node,
}

impl Node {
    pub fn table(&self) -> Option<&BTreeMap<String, Entry>> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.table()?.get(key)
    }

    pub fn array(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text at `key` below this table.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.node.text()
    }

    /// The entries of the table at a dotted path below this one.
    pub fn entries<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        let mut node = Some(self);
        for key in path.split('.') {
            node = node.and_then(|node| node.get(key)).map(|entry| &entry.node);
        }
        node.and_then(Self::table).into_iter().flatten()
    }

    /// What it is, as said to people.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Table(_) => "a table",
            Kind::Array(_) => "a list",
            Kind::Text(_) => "a text",
            Kind::Integer(_) => "a whole number",
            Kind::Boolean(_) => "true or false",
            Kind::Other(what) => what,
        }
    }
}

/// The files, and what they say together.
pub(crate) struct Tree {
    pub sources: Vec<Source>,
    pub root: Node,
    /// By pool: what its `bases_file` says.
    pub bases_files: BTreeMap<String, Node>,
    /// Pools whose `bases_file` was not read: nothing is known of their bases.
    pub unread: BTreeSet<String>,
    /// Sources that TOML could not read whole.
    pub broken: BTreeSet<usize>,
    pub found: Vec<(At, Diagnostic)>,
}

impl Tree {
    /// Reads the texts and merges them, table by table.
    pub fn new(sources: Vec<Source>) -> Self {
        let start = At::START;
        let mut tree = Self {
            sources: Vec::new(),
            root: Node {
                at: start,
                kind: Kind::Table(BTreeMap::new()),
            },
            bases_files: BTreeMap::new(),
            unread: BTreeSet::new(),
            broken: BTreeSet::new(),
            found: Vec::new(),
        };
        for source in sources {
            let node = tree.read(source);
            let mut root = std::mem::replace(
                &mut tree.root,
                Node {
                    at: start,
                    kind: Kind::Table(BTreeMap::new()),
                },
            );
            tree.merge(&mut root, node, "");
            tree.root = root;
        }
        tree
    }

    /// Adds one file and gives what it says, without merging it.
    pub fn read(&mut self, source: Source) -> Node {
        let index = self.sources.len();
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let node = Node {
            at: At {
                source: index,
                offset: 0,
            },
            kind: from_table(table.get_ref(), index),
        };
        let errors: Vec<(usize, String)> = errors
            .iter()
            .map(|error| {
                (
                    error.span().map_or(0, |span| span.start),
                    error.message().to_owned(),
                )
            })
            .collect();
        self.sources.push(source);
        for (offset, message) in errors {
            self.broken.insert(index);
            let mut message = message;
            if message.is_empty() {
                message.push_str("this is not TOML");
            }
            self.say(
                Severity::Error,
                At {
                    source: index,
                    offset,
                },
                "",
                message,
                None,
            );
        }
        node
    }

    fn merge(&mut self, into: &mut Node, from: Node, path: &str) {
        let (Kind::Table(into), Kind::Table(from)) = (&mut into.kind, from.kind) else {
            return;
        };
        for (key, entry) in from {
            let path = join(path, &key);
            match into.get_mut(&key) {
                None => {
                    into.insert(key, entry);
                }
                Some(first) if first.node.table().is_some() && entry.node.table().is_some() => {
                    self.merge(&mut first.node, entry.node, &path);
                }
                Some(first) => {
                    let place = self.place(first.key_at);
                    let message = format!("this key already stands at {place}; write it once");
                    self.say(Severity::Error, entry.key_at, &path, message, None);
                }
            }
        }
    }

    /// Records a finding.
    pub fn say(
        &mut self,
        severity: Severity,
        at: At,
        key: &str,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        let (line, column) = self.line_column(at);
        let file = self
            .sources
            .get(at.source)
            .map_or_else(PathBuf::new, |s| s.shown.clone());
        self.found.push((
            at,
            Diagnostic {
                severity,
                file,
                line,
                column,
                key: key.to_owned(),
                message: message.into(),
                suggestion,
            },
        ));
    }

    /// Records an error.
    pub fn error(&mut self, at: At, key: &str, message: impl Into<String>) {
        self.say(Severity::Error, at, key, message, None);
    }

    /// The folder at which relative paths written here start.
    pub fn folder(&self, at: At) -> &Path {
        self.sources
            .get(at.source)
            .map_or(Path::new(""), |source| &source.folder)
    }

    /// `file:line:column`.
    pub fn place(&self, at: At) -> String {
        let (line, column) = self.line_column(at);
        let file = self
            .sources
            .get(at.source)
            .map_or(Path::new(""), |source| &source.shown);
        format!("{}:{line}:{column}", file.display())
    }

    fn line_column(&self, at: At) -> (u32, u32) {
        let source = self.sources.get(at.source);
        source.map_or((0, 0), |source| source.line_column(at.offset))
    }
}

/// `path.key`, the key quoted where TOML would want it so (and a terminal safe).
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let dot = if path.is_empty() { "" } else { "." };
    if !key.is_empty() && key.bytes().all(bare) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}

fn from_table(table: &DeTable<'_>, source: usize) -> Kind {
    Kind::Table(
        table
            .iter()
            .map(|(key, value)| {
                let entry = Entry {
                    key_at: At {
                        source,
                        offset: key.span().start,
                    },
                    node: from_value(value, source),
                };
                (key.get_ref().to_string(), entry)
            })
            .collect(),
    )
}

fn from_value(value: &toml::Spanned<DeValue<'_>>, source: usize) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Kind::Other("a number that is too large"), Kind::Integer),
        DeValue::Boolean(flag) => Kind::Boolean(*flag),
        DeValue::Float(_) => Kind::Other("a number with a fraction"),
        DeValue::Datetime(_) => Kind::Other("a date or time"),
        DeValue::Array(items) => {
            Kind::Array(items.iter().map(|item| from_value(item, source)).collect())
        }
        DeValue::Table(table) => from_table(table, source),
    };
    Node {
        at: At {
            source,
            offset: value.span().start,
        },
        kind,
    }
}
