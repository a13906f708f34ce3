//! The reason in a Java stack trace. Goes in: a stack trace. Comes out: the
//! one line that a person wants to read.

/// A reason goes into events and onto a terminal: a few lines at most.
pub const REASON_MAX_CHARS: usize = 400;

/// The last `Caused by:` of a stack trace as one line, without the prefix and
/// cut to [`REASON_MAX_CHARS`]. Where the exception has no message, the place
/// where it was thrown is added. A stack without a cause gives its first
/// line; a blank one gives nothing.
#[must_use]
pub fn root_cause(stack: &str) -> Option<String> {
    let lines: Vec<&str> = stack
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let at = lines
        .iter()
        .rposition(|line| line.starts_with("Caused by:"))
        .unwrap_or(0);
    let line = lines.get(at)?;
    let mut reason = line
        .strip_prefix("Caused by:")
        .unwrap_or(line)
        .trim()
        .to_owned();
    // `java.lang.NullPointerException` alone helps nobody.
    if !reason.contains(": ")
        && let Some(frame) = lines[at + 1..].iter().find(|line| line.starts_with("at "))
    {
        reason = format!("{} {frame}", reason.trim_end_matches(':'));
    }
    (!reason.is_empty()).then(|| cut(&reason))
}

/// Cuts to [`REASON_MAX_CHARS`], and shows that it did.
fn cut(text: &str) -> String {
    match text.char_indices().nth(REASON_MAX_CHARS) {
        None => text.to_owned(),
        Some(_) => {
            let mut short: String = text.chars().take(REASON_MAX_CHARS - 1).collect();
            short.push('…');
            short
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPRING: &str = "com.alipay.sofa.koupleless.arklet.core.common.exception.ArkletRuntimeException: java.lang.reflect.InvocationTargetException
\tat com.alipay.sofa.koupleless.arklet.core.command.builtin.handler.InstallBizHandler.handle(InstallBizHandler.java:71)
Caused by: java.lang.reflect.InvocationTargetException
\tat java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:119)
\t... 9 more
Caused by: org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'greeting'
\tat org.springframework.beans.factory.support.ConstructorResolver.instantiate(ConstructorResolver.java:657)
\t... 20 more
Caused by: java.lang.IllegalStateException: no greeting configured
\tat demo.Greeting.<init>(Greeting.java:12)
\t... 32 more
";

    #[test]
    fn the_last_cause_is_the_reason() {
        assert_eq!(
            root_cause(SPRING).as_deref(),
            Some("java.lang.IllegalStateException: no greeting configured")
        );
    }

    #[test]
    fn an_exception_without_a_message_shows_where_it_was_thrown() {
        let stack = "x.Y: z\nCaused by: java.lang.NullPointerException\n\tat demo.Hello.main(Hello.java:7)\n";
        assert_eq!(
            root_cause(stack).as_deref(),
            Some("java.lang.NullPointerException at demo.Hello.main(Hello.java:7)")
        );
    }

    #[test]
    fn without_a_cause_the_first_line_counts_and_nothing_gives_nothing() {
        assert_eq!(root_cause("\n a.B: c\n\tat x\n").as_deref(), Some("a.B: c"));
        assert_eq!(root_cause(" \n\t\n"), None);
        assert_eq!(root_cause("Caused by:"), None);
    }

    #[test]
    fn a_long_reason_is_cut_to_one_line() {
        let reason = root_cause(&format!("Caused by: a.B: {}\nmore", "é".repeat(2000))).unwrap();
        assert_eq!(reason.chars().count(), REASON_MAX_CHARS);
        assert!(reason.ends_with('…'));
    }
}
