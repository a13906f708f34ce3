//! Why a run, a task or a message stopped: a stable code each, and what to do next.
//!
//! In: nothing. Out: [`Reason`], whose codes appear in events, on screens and in `docs/reasons.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $what:literal, $did:ident, $next:literal;)*) => {
        /// A stable code for each way in which something can stop.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $(#[doc = $what] #[serde(rename = $code)] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of `docs/reasons.md`.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The code as it is written everywhere.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// What happened, in one sentence.
            pub fn what(self) -> &'static str {
                match self { $(Reason::$name => $what,)* }
            }

            /// What Ferry did about it, in one sentence.
            pub fn did(self) -> &'static str {
                match self { $(Reason::$name => $did,)* }
            }

            /// What a person does next, in one sentence.
            pub fn next_step(self) -> &'static str {
                match self { $(Reason::$name => $next,)* }
            }
        }
    };
}

/// It stopped before any base.
const UNTOUCHED: &str = "Nothing was installed: every base runs what it ran before.";
/// A base's build stopped.
const NO_PROFILE: &str = "No base profile was made: modules are slimmed against the one before.";
/// It stopped on the way over the bases.
const BROUGHT_BACK: &str = "The rollout ended, and every base that it had touched was brought back to the last verified version; a base that had none is left without.";
/// It stopped because of another module.
const BROUGHT_BACK_TOGETHER: &str = "No module of the release stays in that environment: those that had begun were brought back to the last verified version, the others did not begin.";
/// The way back stopped.
const KEPT_OTHERS: &str = "Every other base was brought back; the ones named are left as they are.";
/// A repair did not succeed.
const TRIES_AGAIN: &str = "The base is left as it is and tried again after a pause, a few times; other bases are not touched.";
/// No more repairs.
const LEFT_ALONE: &str = "Ferry brought it back as often as [reconcile] allows, then left the base as it is; other bases are not touched.";
/// A base is not for Ferry to change.
const LEFT_BASE: &str = "The base was left as it is, and no base of its zone was changed that the zone could not spare besides.";
/// A base was to be restarted.
const RESTART_OVER: &str = "The base is off the list of restarts and back in its load balancer; its modules are brought back as those of any other base.";
/// Something newer goes on.
const STOOD_BACK: &str = "The run stood back and changed nothing more.";
/// A message is kept for people.
const SET_ASIDE: &str =
    "The message was kept as a dead letter on FERRY_DEAD, with its errors; other messages went on.";
/// A request was refused.
const REFUSED: &str = "The request was refused; nothing changed.";

reasons! {
    CloneRefused = "clone-refused",
        "The repository's address is not one that the operator allows.",
        UNTOUCHED,
        "Use https or ssh, or allow the address in [builder] allow_clone.";
    FetchFailed = "fetch-failed",
        "The repository could not be fetched.",
        UNTOUCHED,
        "Check its address and credentials, then run the commit again with `ferry run`.";
    CommitNotFound = "commit-not-found",
        "The pushed commit is not in the repository.",
        UNTOUCHED,
        "Push it again, or run another commit with `ferry run MODULE --commit C`.";
    SandboxUnavailable = "sandbox-unavailable",
        "The build sandbox is required and does not work on this machine.",
        UNTOUCHED,
        "Install bubblewrap and allow user namespaces, or set [builder] sandbox = \"none\" by hand.";
    ToolMissing = "tool-missing",
        "A tool that the build needs is not installed.",
        UNTOUCHED,
        "Install it on the builder, or name its place in [builder].";
    DoesNotCompile = "does-not-compile",
        "The sources do not compile.",
        UNTOUCHED,
        "Mend the lines named and push again.";
    TestsFail = "tests-fail",
        "The module's own tests fail.",
        UNTOUCHED,
        "Mend the tests named and push again.";
    DependencyMissing = "dependency-missing",
        "A dependency or plugin could not be resolved.",
        UNTOUCHED,
        "Check its coordinates, or the repositories in the builder's Maven settings.";
    DependencyUnreachable = "dependency-unreachable",
        "A repository of dependencies did not answer, however often it was asked.",
        UNTOUCHED,
        "Look whether the builder reaches it, then run the commit again with `ferry run`.";
    BuildFailed = "build-failed",
        "The build ended with an error.",
        UNTOUCHED,
        "Read the log with `ferry logs RUN`.";
    BuildTimeout = "build-timeout",
        "The build took longer than its limit and was ended.",
        UNTOUCHED,
        "Make it shorter, or raise [builder] timeout.";
    NoSources = "no-sources",
        "The snippet's folder has no .java file at that commit.",
        UNTOUCHED,
        "Commit one below the module's `path`, or set `path` to where they are.";
    SnippetTooLarge = "snippet-too-large",
        "The snippet has more sources than the limit.",
        UNTOUCHED,
        "Make it smaller, raise [builder.snippets], or give it a pom.xml and `build = \"maven\"`.";
    NoBaseJar = "no-base-jar",
        "There is no base that the snippet can be compiled against.",
        UNTOUCHED,
        "Set `base_jar` of the module's pool to the jar that its bases run, with Koupleless in it: a profile as JSON holds no classes. Where the pool has a `base`, push to that one's repository, or build it with `ferry run`.";
    ImplementsNothing = "implements-nothing",
        "No class of the snippet implements an interface of the base that it could be called by.",
        UNTOUCHED,
        "Let a public class with a public constructor without parameters implement one of the interfaces that the detail names.";
    ModuleFileInvalid = "module-file-invalid",
        "The module's own .ferry.toml at that commit cannot be read as one.",
        UNTOUCHED,
        "Mend the lines that the detail names; `ferry module check` says what is left.";
    ModuleFileRefused = "module-file-refused",
        "The module's own .ferry.toml sets what it may not.",
        UNTOUCHED,
        "Take away what the detail names, or have those who run Ferry change [policies] in ferry.toml.";
    BuildLost = "build-lost",
        "The build ended without a result several times.",
        UNTOUCHED,
        "Read the builder's log; then run the commit again with `ferry run`.";
    NoArkBiz = "no-ark-biz",
        "The build made no ark-biz jar.",
        UNTOUCHED,
        "Add sofa-ark-maven-plugin's repackage goal, or set the module's `jar` glob.";
    NotABiz = "not-a-biz",
        "The jar is no ark-biz jar.",
        UNTOUCHED,
        "Build it with sofa-ark-maven-plugin; its manifest needs Ark-Biz-Name, Ark-Biz-Version and a main class.";
    NotABase = "not-a-base",
        "The jar is not that of a base: it has no BOOT-INF/lib.",
        NO_PROFILE,
        "Let `jar` of the base's module match the jar that spring-boot-maven-plugin's repackage goal makes.";
    JarRefused = "jar-refused",
        "The jar is damaged.",
        UNTOUCHED,
        "Build it again; the detail names the entry.";
    JarUnsafeName = "jar-unsafe-name",
        "An entry of the jar would be written outside the directory that a base unpacks it to.",
        UNTOUCHED,
        "Look at what puts the entry named into the jar, and mend it.";
    JarDuplicate = "jar-duplicate",
        "The jar has two entries of one name, so nobody can tell which one a base would take.",
        UNTOUCHED,
        "Build it again from a clean directory; where a shading step doubles the entry named, mend that.";
    JarEncrypted = "jar-encrypted",
        "An entry of the jar is encrypted, which no class loader can read.",
        UNTOUCHED,
        "Build it without encryption.";
    JarMultiDisk = "jar-multi-disk",
        "The jar is one file of a split archive.",
        UNTOUCHED,
        "Build it in one file.";
    JarSizeLies = "jar-size-lies",
        "An entry of the jar does not hold as many bytes as the jar says.",
        UNTOUCHED,
        "Build it again; the detail names the entry. If it comes back, look at what writes the jar.";
    JarBomb = "jar-bomb",
        "The jar unpacks to more than any module needs, or its entries overlap.",
        UNTOUCHED,
        "Look at the entry named. A module of that size does not fit a base.";
    ClassBroken = "class-broken",
        "The module carries a class file that the JVM could not read, and a way leads to it.",
        UNTOUCHED,
        "Build the class or the jar named again, or take it out of the module.";
    TooLarge = "too-large",
        "The artifact is larger than the limit.",
        UNTOUCHED,
        "Leave out what the base has, or raise the limit that the detail names.";
    BaseMismatch = "base-mismatch",
        "The module is built for another base than its pool's.",
        UNTOUCHED,
        "Build it against the versions that the base has; the detail names the libraries.";
    DoesNotLink = "does-not-link",
        "The slimmed module does not link on its pool's base.",
        UNTOUCHED,
        "Change what the detail names, or look at all of it with `ferry slim JAR --base BASE.jar`.";
    ProfileUnavailable = "profile-unavailable",
        "A pool's base profile could not be read.",
        UNTOUCHED,
        "Check the pool's base_jar.";
    DiskFull = "disk-full",
        "A disk is full.",
        UNTOUCHED,
        "Free some room on the machine named, then run the commit again with `ferry run`.";
    StoreFailed = "store-failed",
        "The artifact could not be stored or read.",
        UNTOUCHED,
        "Check the bus and its disk; then run the commit again with `ferry run`.";
    NoBases = "no-bases",
        "The module has no bases in that environment.",
        UNTOUCHED,
        "Add bases to one of its pools in ferry.toml.";
    NotSlimmed = "not-slimmed",
        "The release has no jar for one of the module's pools.",
        UNTOUCHED,
        "Run its commit again with `ferry run`, so that one is made for that pool.";
    BaseUnreachable = "base-unreachable",
        "The base does not answer.",
        BROUGHT_BACK,
        "Look at the base, or take it out of its pool.";
    BaseTimeout = "base-timeout",
        "The base did not finish in time.",
        BROUGHT_BACK,
        "Look at the base's log and its load.";
    InstallFailed = "install-failed",
        "The base could not start the module.",
        BROUGHT_BACK,
        "Mend the cause named, then push again.";
    InstallUnclear = "install-unclear",
        "The base reports something other than what was asked of it.",
        BROUGHT_BACK,
        "Look at the base with `ferry bases`, then run the commit again.";
    UninstallFailed = "uninstall-failed",
        "The base still runs a version that it was told to drop.",
        BROUGHT_BACK,
        "Look at the base; restarting it clears it.";
    DrainFailed = "drain-failed",
        "The base could not be taken out of its load balancer, so it was not changed.",
        BROUGHT_BACK,
        "Look at the load balancer and at the pool's [drain]; then run the commit again.";
    UndrainFailed = "undrain-failed",
        "The base was changed and could not be put back into its load balancer.",
        BROUGHT_BACK,
        "Look at the load balancer and at the pool's [drain]; Ferry goes on trying to put the base back.";
    PlanOutdated = "plan-outdated",
        "A newer plan took the place of the task's.",
        STOOD_BACK,
        "Nothing: the newer plan goes on.";
    NotActive = "not-active",
        "The module is not active on the base.",
        BROUGHT_BACK,
        "Read the base's log.";
    ProbeFailed = "probe-failed",
        "The module does not answer as its probe expects.",
        BROUGHT_BACK,
        "Look at what it answered, mend it and push again.";
    SoakFailed = "soak-failed",
        "The module stopped answering well during its soak.",
        BROUGHT_BACK,
        "Look at what it answered, mend it and push again.";
    BaseLost = "base-lost",
        "The base was lost while the module was being watched.",
        BROUGHT_BACK,
        "Look at the base.";
    Overdue = "overdue",
        "A step did not end by its deadline.",
        BROUGHT_BACK,
        "Look whether the service that does it runs; then run the commit again.";
    RollbackFailed = "rollback-failed",
        "A base could not be brought back to the version before.",
        KEPT_OTHERS,
        "Look at the base named; it may be without the module.";
    RepairFailed = "repair-failed",
        "A base could not be brought back to the version that it should run.",
        TRIES_AGAIN,
        "Look at the base named; `ferry bases` shows when it is tried again.";
    RepairGivenUp = "repair-given-up",
        "A base lost a module again and again, or would not take it.",
        LEFT_ALONE,
        "Look at the base's log. A rollout with `ferry run` makes Ferry try again; so does a restart of the base after the window.";
    PlanRefused = "plan-refused",
        "The plan breaks a rule that keeps bases in service.",
        UNTOUCHED,
        "Look at it with `ferry plan`; add bases, or change the limits of the environment that the detail names.";
    ReleaseFailed = "release-failed",
        "Another module of the same release failed.",
        BROUGHT_BACK_TOGETHER,
        "Mend the module that the detail names, and push again; the others need no force.";
    FailedBefore = "failed-before",
        "The same artifact failed in that environment before.",
        UNTOUCHED,
        "Mend it and push again; or, where the cause was another, `ferry run --force --why`.";
    GateFailed = "gate-failed",
        "A gate did not hold.",
        BROUGHT_BACK,
        "Look at what was seen; then push again, or run the commit again with `ferry run`.";
    GateExpired = "gate-expired",
        "A gate was not known to hold by its deadline.",
        BROUGHT_BACK,
        "See to it that somebody, or something, answers it in time; then run the commit again with `ferry run`.";
    WaitExpired = "wait-expired",
        "The rollout waited as long as the environment lets it wait.",
        BROUGHT_BACK,
        "Run the commit again with `ferry run` when the pause, freeze or window named is over.";
    TooFewInService = "too-few-in-service",
        "So many bases of a zone are lost that no other may be changed.",
        BROUGHT_BACK,
        "Bring the bases named back, then run the commit again with `ferry run`.";
    BaseHeld = "base-held",
        "A person holds the base.",
        LEFT_BASE,
        "Look at it with `ferry bases`; `ferry base release BASE --why` gives it back to Ferry, which then brings it up to date by itself.";
    BaseQuarantined = "base-quarantined",
        "The base could not be brought back, and is in quarantine.",
        LEFT_BASE,
        "Look at the base. It leaves quarantine once a repair has brought it back, or with `ferry base release BASE --why`.";
    NoRoom = "no-room",
        "A base has too little metaspace left for the module.",
        UNTOUCHED,
        "Restart the base named, which frees its metaspace, or raise its -XX:MaxMetaspaceSize; then run the commit again with `ferry run`.";
    NoRestartDriver = "no-restart-driver",
        "The pool has no driver that restarts its bases.",
        REFUSED,
        "Set `[pools.NAME.restart] exec` in ferry.toml, or restart the base by hand: Ferry brings its modules back.";
    RestartFailed = "restart-failed",
        "A base could not be restarted, or did not come back with its modules.",
        RESTART_OVER,
        "Look at the base, at the driver's command, and at what the detail says; then `ferry base restart BASE --why`.";
    Aborted = "aborted",
        "A person stopped the rollout.",
        BROUGHT_BACK,
        "Nothing; whoever stopped it said why.";
    NotWaiting = "not-waiting",
        "The run does not wait for that there.",
        REFUSED,
        "Look at what it waits for with `ferry show`.";
    NotAllowed = "not-allowed",
        "Somebody else must do that.",
        REFUSED,
        "Ask one of those named in the detail.";
    Superseded = "superseded",
        "A newer push took this one's place before it was verified.",
        STOOD_BACK,
        "Nothing: the newer run goes on.";
    NothingVerified = "nothing-verified",
        "There is no verified version to go back to.",
        REFUSED,
        "Deploy a commit with `ferry run MODULE --commit C`.";
    UnknownModule = "unknown-module",
        "The configuration has no such module.",
        REFUSED,
        "Check its name with `ferry status`, or add it to ferry.toml.";
    UnknownRepository = "unknown-repository",
        "The configuration has no such repository any more.",
        REFUSED,
        "Add it to ferry.toml.";
    TooMany = "too-many",
        "More is waiting than Ferry keeps in hand.",
        UNTOUCHED,
        "Wait until some of it is done, then ask again.";
    CommandTooOld = "command-too-old",
        "The command is older than those that Ferry remembers.",
        UNTOUCHED,
        "Look at what became of it with `ferry runs`, then ask again.";
    Malformed = "malformed",
        "The message could not be read.",
        SET_ASIDE,
        "Look at it with `ferry dead show`: it says where it is wrong.";
    NewerVersion = "newer-version",
        "The message is of a newer version of Ferry than the service that it is for.",
        SET_ASIDE,
        "Bring that service up to date, then hand the message in again with `ferry dead replay`.";
    Crashes = "crashes",
        "The service ended each time that it had the message in hand, though it had no other.",
        SET_ASIDE,
        "Please report it with the service's log; after a new version, `ferry dead replay` hands it in again.";
    Undelivered = "undelivered",
        "The bus stopped delivering the message, and the service left no word about it.",
        SET_ASIDE,
        "Read the service's log of that time, then hand the message in again with `ferry dead replay`.";
    NoReport = "no-report",
        "There is no report of that run's slimming: it has not come so far, was not slimmed for that pool, or its jar could not be read.",
        REFUSED,
        "See how far it came with `ferry show RUN`.";
    LetterGone = "letter-gone",
        "There is no such dead letter any more, or its message is gone.",
        REFUSED,
        "Look at what there is with `ferry dead list`.";
    LetterClosed = "letter-closed",
        "The dead letter was replayed or dropped before.",
        REFUSED,
        "Nothing; `ferry dead show` says what became of it.";
    OurFault = "our-fault",
        "Ferry failed in a way that it should not.",
        SET_ASIDE,
        "Please report it with the detail.";

}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// Where a source is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceError {
    /// The file, below the repository's root.
    pub file: String,
    /// The line, counted from 1; 0 where it is the whole file.
    pub line: u32,
    /// The character in it, counted from 1; 0 where it is the whole file or line.
    pub column: u32,
    /// What the compiler says, in one line of at most [`SourceError::MESSAGE_MAX`] bytes.
    pub message: String,
}

impl SourceError {
    /// A compiler that names a type with all its parameters may say more; the beginning tells.
    pub const MESSAGE_MAX: usize = 400;

    /// An error whose message may have lines, and any length.
    pub fn new(file: impl Into<String>, (line, column): (u32, u32), message: &str) -> Self {
        let lines = message.lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let mut message = lines.join("; ");
        cut(&mut message, Self::MESSAGE_MAX);
        Self {
            file: file.into(),
            line,
            column,
            message,
        }
    }
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.file)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, "{number}:")?;
            }
        }
        write!(f, " {}", self.message)
    }
}

/// Shortens a text to so many bytes, at a character's border.
fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Why something stopped, with what is known of the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// The stable code.
    pub reason: Reason,
    /// The cause as it was seen: the first useful lines, at most [`Stop::DETAIL_MAX`] bytes.
    pub detail: String,
    /// The base that it happened on, where it happened on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Where the sources are wrong, when that is why: the first ones, together at most [`Stop::DETAIL_MAX`] bytes
    /// as lines. The detail says the same for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<SourceError>,
}

impl Stop {
    /// Room for forty log lines; small enough that a state with some of these stays under 64 KiB.
    pub const DETAIL_MAX: usize = 4096;

    /// A stop with its cause, cut to the limit at a character's border.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        cut(&mut detail, Self::DETAIL_MAX);
        Self {
            reason,
            detail,
            base: None,
            errors: Vec::new(),
        }
    }

    /// A stop because sources are wrong there; each is a line of the detail.
    pub fn of_sources(reason: Reason, errors: Vec<SourceError>) -> Self {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self::new(reason, lines.join("\n")).with_errors(errors)
    }

    /// The same stop, with where the sources are wrong, as many as fit.
    #[must_use]
    pub fn with_errors(mut self, mut errors: Vec<SourceError>) -> Self {
        let mut size = 0;
        let fits = |error: &SourceError| {
            size += error.to_string().len();
            size <= Self::DETAIL_MAX
        };
        let fit = errors.iter().map(fits).take_while(|fits| *fits).count();
        errors.truncate(fit);
        self.errors = errors;
        self
    }

    /// The same stop, on a base.
    pub fn on(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// The same stop, for a sentence that names the base already.
    pub fn without_base(&self) -> Self {
        Self {
            base: None,
            ..self.clone()
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason.code())?;
        if let Some(base) = &self.base {
            write!(f, " on {base}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
