//! Every name that a class file could load a class by. Goes in: its bytes.
//! Comes out: names with slashes, more than there are classes of.

use noak::reader;
use noak::reader::cpool::Item;

/// Hands on whatever in a class file's constants may be a class's name: in
/// references, descriptors, signatures, annotations and texts. What is no class
/// file mentions nothing.
pub fn mentions(bytes: &[u8], each: &mut dyn FnMut(&str)) {
    let Ok(class) = reader::Class::new(bytes) else {
        return;
    };
    for item in class.pool().iter() {
        if let Item::Utf8(constant) = item
            && let Some(text) = constant.content.to_str()
        {
            names(text, each);
        }
    }
}

/// Hands on whatever in a text may be a class's name, with slashes: each run of
/// letters, digits, `_`, `$`, `-`, dots and slashes, and within it what follows
/// an `L` as a descriptor has it.
pub fn names(text: &str, each: &mut dyn FnMut(&str)) {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '/' | '-');
    for run in text.split(|c: char| !inside(c)) {
        if run.is_empty() {
            continue;
        }
        let slashed;
        let run = match run.contains('.') {
            true => {
                slashed = run.replace('.', "/");
                slashed.as_str()
            }
            false => run,
        };
        let run = run.trim_matches('/');
        each(run);
        // Of `(ILa/B;)V` the run is `ILa/B`.
        let head = run.split('/').next().unwrap_or_default();
        for (at, _) in head.match_indices('L') {
            each(&run[at + 1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_texts_of_all_kinds() {
        let of = |text: &str| {
            let mut found = Vec::new();
            names(text, &mut |name| found.push(name.to_owned()));
            found
        };
        assert!(of("(ILa/B;[J)Lc/D;").contains(&"a/B".to_owned()));
        assert!(of("(ILa/B;[J)Lc/D;").contains(&"c/D".to_owned()));
        assert!(of("Ljava/util/List<La/B$C;>;").contains(&"a/B$C".to_owned()));
        assert_eq!(of("class a.b.C is gone"), ["class", "a/b/C", "is", "gone"]);
        assert_eq!(of("LLong"), ["LLong", "Long", "ong"]);
        assert_eq!(of(""), [""; 0]);
    }
}
