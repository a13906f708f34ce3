//! The one kind of glob in the configuration: `*` and `?` stay within a path
//! segment, `**` does not; `{a,b}` and `[a-z]` as usual.
//! In: the text. Out: a compiled glob, or why it is none.

/// Compiles a glob as the configuration means it.
///
/// # Errors
/// When the text is no glob.
pub fn glob(text: &str) -> Result<globset::GlobMatcher, globset::Error> {
    Ok(builder(text)?.compile_matcher())
}

/// Compiles several globs into one set.
///
/// # Errors
/// When one of them is no glob.
pub fn glob_set<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<globset::GlobSet, globset::Error> {
    let mut set = globset::GlobSetBuilder::new();
    for text in texts {
        set.add(builder(text)?);
    }
    set.build()
}

fn builder(text: &str) -> Result<globset::Glob, globset::Error> {
    globset::GlobBuilder::new(text)
        .literal_separator(true)
        .build()
}
