//! A copy of the working tree, to be broken.
//!
//! In: the repository. Out: a folder with its files as they are now. A file that is the same already keeps
//! its time, so that cargo builds anew only what a patch touches.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The copy.
pub struct Tree {
    from: PathBuf,
    to: PathBuf,
}

impl Tree {
    /// A copy of the repository at `from`, in the folder `to`.
    pub fn new(from: &Path, to: &Path) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.to
    }

    /// Makes it as the repository is now, whatever was done to it.
    ///
    /// # Errors
    /// When git does not tell the files, or one cannot be copied.
    pub fn renew(&self) -> Result<()> {
        let files = self.files()?;
        for file in &files {
            let (from, to) = (self.from.join(file), self.to.join(file));
            // One that git knows and that is deleted here.
            let Ok(bytes) = fs::read(&from) else { continue };
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            let parent = to.parent().context("a file is in a folder")?;
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
            fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        }
        self.remove_others(&self.to, &files)
    }

    /// Applies a patch.
    ///
    /// # Errors
    /// When it does not apply.
    pub fn apply(&self, patch: &Path) -> Result<()> {
        git_apply(&self.to, patch, &[])
    }

    fn files(&self) -> Result<BTreeSet<PathBuf>> {
        let out = Command::new("git")
            .current_dir(&self.from)
            .args(["ls-files", "-z", "--cached", "--others"])
            .arg("--exclude-standard")
            .output()
            .context("git cannot be run")?;
        if !out.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&out.stderr));
        }
        let names = String::from_utf8(out.stdout).context("names of files")?;
        let names = names.split('\0').filter(|name| !name.is_empty());
        Ok(names
            .map(PathBuf::from)
            .filter(|file| self.from.join(file).is_file())
            .collect())
    }

    fn remove_others(&self, folder: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                self.remove_others(&path, files)?;
            } else if !path
                .strip_prefix(&self.to)
                .is_ok_and(|it| files.contains(it))
            {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}

/// Whether a patch applies to the tree at `root`.
///
/// # Errors
/// Why it does not, as git says it.
pub fn applies(root: &Path, patch: &Path) -> Result<()> {
    git_apply(root, patch, &["--check"])
}

fn git_apply(root: &Path, patch: &Path, how: &[&str]) -> Result<()> {
    let mut git = Command::new("git");
    git.current_dir(root).arg("apply").args(how).arg(patch);
    if let Some(above) = root.parent() {
        // In a folder of another repository git would look for the files in that one.
        git.env("GIT_CEILING_DIRECTORIES", above);
    }
    let out = git.output().context("git cannot be run")?;
    if !out.status.success() {
        bail!(
            "{} does not apply: {}",
            patch.display(),
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(())
}
