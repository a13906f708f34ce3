//! One conversation with arklet, written down so that bases can be compared.
//! Goes in: arklet's address, of a base without modules. Comes out: text
//! without times and places. What a real base of 2.1.6 said is
//! [`RECORDED_2_1_6`]: the fake base must say the same, and so must each real
//! one that Ferry is tested on.

use std::path::Path;
use std::time::Duration;

use ferry_ark::arklet::{RecordOutcome, Reply};
use serde_json::{Value, json};

use crate::jar::FakeJar;
use crate::ledger::now_ms;

/// What a real base said: koupleless 2.1.6, sofa-ark 3.1.4, Java 17.
pub const RECORDED_2_1_6: &str = include_str!("../tests/golden/arklet-2.1.6.txt");

/// No step takes longer on a real base that is well.
const STEP_WITHIN: Duration = Duration::from_secs(30);
/// How often an asynchronous command is asked about.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// A jar could not be written.
    #[error("cannot write a jar into the folder given")]
    Folder(#[from] std::io::Error),
    /// The base did not answer.
    #[error("the base did not answer")]
    Http(#[from] reqwest::Error),
    /// It answered something that is not arklet's.
    #[error("the base answered what is no reply of arklet")]
    Reply(#[from] ferry_ark::arklet::ReplyError),
    /// A record stayed unfinished.
    #[error("the asynchronous command {0} was not over in time")]
    Stuck(String),
}

/// Talks with a base that has no modules and writes down what it says. Needs
/// a folder that the base can read. The base has no modules afterwards.
///
/// # Errors
/// See [`TranscriptError`].
pub async fn transcript(arklet_url: &str, folder: &Path) -> Result<String, TranscriptError> {
    let mut talk = Talk {
        http: reqwest::Client::builder()
            .no_proxy()
            .timeout(STEP_WITHIN)
            .build()?,
        arklet_url,
        folder: folder.display().to_string(),
        // A base remembers the ids of earlier talks.
        talk: format!("talk-{}", now_ms()),
        text: String::new(),
    };
    let plain = |version: &str| {
        FakeJar::new("plain", version)
            .main_class("demo.Plain")
            .plain()
    };
    let jars = [
        ("one", plain("1")),
        ("two", plain("2")),
        ("no-name", plain("3").without_manifest_key("Ark-Biz-Name")),
        (
            "no-version",
            plain("3").without_manifest_key("Ark-Biz-Version"),
        ),
        (
            "no-main",
            plain("3")
                .without_manifest_key("Main-Class")
                .without_manifest_key("Start-Class"),
        ),
        (
            "no-class",
            plain("3").manifest_key("Start-Class", "demo.Nowhere"),
        ),
        ("bad-priority", plain("3").manifest_key("priority", "soon")),
        (
            "declared",
            FakeJar::new("declared", "1")
                .plain()
                .web("some/path")
                .manifest_key("declared-libraries", "a,b"),
        ),
    ];
    for (file, jar) in &jars {
        std::fs::write(folder.join(format!("{file}.jar")), jar.bytes())?;
    }
    std::fs::write(folder.join("text.jar"), "not a zip")?;

    talk.say("help", &json!({})).await?;
    talk.say("queryAllBiz", &json!({})).await?;
    talk.install("one").await?;
    talk.install("one").await?;
    talk.install("two").await?;
    talk.say("queryAllBiz", &json!({})).await?;
    talk.say("health", &json!({})).await?;
    talk.say("switchBiz", &json!({"bizName": "plain", "bizVersion": "2"}))
        .await?;
    talk.say("switchBiz", &json!({"bizName": "plain", "bizVersion": "9"}))
        .await?;
    talk.say("queryAllBiz", &json!({})).await?;
    for file in [
        "no-name",
        "no-version",
        "no-main",
        "no-class",
        "bad-priority",
        "text",
        "missing",
    ] {
        talk.install(file).await?;
    }
    talk.say(
        "installBiz",
        &json!({"bizUrl": format!("file://{}/missing.jar", talk.folder)}),
    )
    .await?;
    talk.say(
        "installBiz",
        &json!({"bizName": "a", "bizVersion": "1", "bizUrl": "/bare.jar"}),
    )
    .await?;
    talk.say(
        "installBiz",
        &json!({"bizName": "a", "bizVersion": "1", "bizUrl": "http://127.0.0.1:1/x.jar"}),
    )
    .await?;
    talk.say("installBiz", &json!({"bizName": "a", "bizVersion": "1"}))
        .await?;
    talk.say(
        "installBiz",
        &json!({"bizName": "a", "bizUrl": "file:///x"}),
    )
    .await?;
    talk.say(
        "installBiz",
        &json!({"bizName": "a", "bizVersion": "1", "bizUrl": "file:///x", "async": true}),
    )
    .await?;
    talk.say("installBiz", &Value::Null).await?;
    talk.say("uninstallBiz", &Value::Null).await?;
    talk.say("uninstallBiz", &json!({})).await?;
    talk.say("uninstallBiz", &json!({"bizName": "plain"}))
        .await?;
    talk.say(
        "uninstallBiz",
        &json!({"bizName": "plain", "bizVersion": "9"}),
    )
    .await?;
    talk.say(
        "uninstallBiz",
        &json!({"bizName": "plain", "bizVersion": "2"}),
    )
    .await?;
    talk.say("queryAllBiz", &json!({})).await?;
    talk.say("queryBizOps", &json!({})).await?;
    talk.say("queryBizOps", &Value::Null).await?;
    talk.say("queryBizOps", &json!({"requestId": "never"}))
        .await?;
    talk.say(
        "health",
        &json!({"type": "biz", "bizName": "plain", "bizVersion": "9"}),
    )
    .await?;
    talk.say(
        "health",
        &json!({"type": "biz", "bizName": "plain", "bizVersion": "1"}),
    )
    .await?;
    talk.say("health", &json!({"type": "nothing"})).await?;
    talk.say("batchInstallBiz", &json!({})).await?;
    talk.asynchronous("installBiz", "plain", "2", Some("two"), "async-1")
        .await?;
    talk.asynchronous("installBiz", "plain", "2", Some("two"), "async-1")
        .await?;
    talk.asynchronous("installBiz", "plain", "2", Some("two"), "async-2")
        .await?;
    talk.asynchronous("installBiz", "plain", "3", Some("no-class"), "async-3")
        .await?;
    talk.asynchronous("uninstallBiz", "plain", "no-such-version", None, "async-4")
        .await?;
    talk.asynchronous("installBiz", "declared", "1", Some("declared"), "async-4")
        .await?;
    talk.asynchronous("installBiz", "declared", "1", Some("declared"), "async-5")
        .await?;
    talk.say("queryAllBiz", &json!({})).await?;
    talk.asynchronous("uninstallBiz", "plain", "1", None, "async-6")
        .await?;
    talk.asynchronous("switchBiz", "plain", "2", None, "async-7")
        .await?;
    talk.say(
        "uninstallBiz",
        &json!({"bizName": "plain", "bizVersion": "2"}),
    )
    .await?;
    talk.say(
        "uninstallBiz",
        &json!({"bizName": "declared", "bizVersion": "1"}),
    )
    .await?;
    talk.say("queryAllBiz", &json!({})).await?;
    Ok(talk.text)
}

struct Talk<'a> {
    http: reqwest::Client,
    arklet_url: &'a str,
    folder: String,
    talk: String,
    text: String,
}

impl Talk<'_> {
    async fn install(&mut self, file: &str) -> Result<(), TranscriptError> {
        let url = format!("file://{}/{file}.jar", self.folder);
        let body = json!({"bizName": "asked", "bizVersion": file, "bizUrl": url});
        self.say("installBiz", &body).await.map(drop)
    }

    async fn say(&mut self, command: &str, body: &Value) -> Result<Reply, TranscriptError> {
        let reply = self.post(command, body).await?;
        self.note(&format!("> {command} {}", sorted(body)));
        self.note_reply(&reply);
        Ok(reply)
    }

    /// Asks, then waits for the record to be over and writes that down.
    async fn asynchronous(
        &mut self,
        command: &str,
        name: &str,
        version: &str,
        file: Option<&str>,
        id: &str,
    ) -> Result<(), TranscriptError> {
        let id = &format!("{}-{id}", self.talk);
        let mut body =
            json!({"bizName": name, "bizVersion": version, "requestId": id, "async": true});
        if let Some(file) = file {
            body["bizUrl"] = json!(format!("file://{}/{file}.jar", self.folder));
        }
        let taken = self.post(command, &body).await?;
        self.note(&format!("> {command} {}", sorted(&body)));
        if !taken.is_success() {
            self.note_reply(&taken);
            return Ok(());
        }
        let ask = json!({"requestId": id});
        let over = async {
            loop {
                let reply = self.post("queryBizOps", &ask).await?;
                let record = reply.process_record();
                if record.is_none_or(|record| record.outcome() != RecordOutcome::Running) {
                    return Ok::<_, TranscriptError>(reply);
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        let reply = tokio::time::timeout(STEP_WITHIN, over)
            .await
            .map_err(|_| TranscriptError::Stuck(id.to_owned()))??;
        self.note_reply(&reply);
        Ok(())
    }

    async fn post(&self, command: &str, body: &Value) -> Result<Reply, TranscriptError> {
        let url = format!("{}/{command}", self.arklet_url);
        let reply = self.http.post(url).body(body.to_string()).send().await?;
        Ok(Reply::decode(&reply.bytes().await?)?)
    }

    fn note_reply(&mut self, reply: &Reply) {
        self.note(&format!("  {}", reply.code));
        if let Some(message) = &reply.message {
            self.note(&format!("  message: {message}"));
        }
        for line in reply
            .error_stack_trace
            .iter()
            .flat_map(|stack| stack.lines())
        {
            if !line.starts_with('\t') {
                self.note(&format!("  stack: {line}"));
            }
        }
        if let Some(reason) = reply.reason() {
            self.note(&format!("  reason: {reason}"));
        }
        if let Some(record) = reply.process_record() {
            let (status, outcome) = (&record.status, record.outcome());
            self.note(&format!(
                "  record: {status} {outcome:?} {:?}",
                record.message
            ));
            let throwable = chain(&reply.data["throwable"]);
            self.note(&format!("  thrown: {throwable:?}"));
            self.note(&format!("  asked: {}", sorted(&reply.data["arkBizMeta"])));
        } else if let Some(health) = reply.health() {
            let modules: Vec<_> = health.modules().map(|biz| format!("{biz:?}")).collect();
            let bytes = health.metaspace.is_some();
            let master = health
                .master
                .map(|master| (master.version, master.state, master.web_context_path));
            self.note(&format!("  health: master {master:?}, metaspace {bytes}"));
            modules
                .iter()
                .for_each(|module| self.note(&format!("    {module}")));
            self.note(&format!(
                "  bizInfo: {}",
                sorted(&reply.data["healthData"]["bizInfo"])
            ));
        } else if let Some(biz) = reply.biz() {
            self.note(&format!("  inner: {} {:?}", biz.code, biz.message));
            self.note(&format!("  elapsedSpace: {}", biz.elapsed_space.is_some()));
            self.note_bizs(&reply.data["bizInfos"]);
        } else if let Some(commands) = reply.commands().filter(|commands| !commands.is_empty()) {
            let mut lines: Vec<_> = commands
                .iter()
                .map(|command| format!("  {command:?}"))
                .collect();
            lines.sort();
            lines.iter().for_each(|line| self.note(line));
        } else {
            self.note_bizs(&reply.data);
        }
    }

    fn note_bizs(&mut self, bizs: &Value) {
        let mut lines: Vec<String> = bizs.as_array().map_or_else(Vec::new, |bizs| {
            let told = |biz: &Value| {
                let changes = biz["bizStateRecords"].as_array().map_or(0, Vec::len);
                let words = [
                    "bizName",
                    "bizVersion",
                    "bizState",
                    "mainClass",
                    "webContextPath",
                    "priority",
                    "declaredMode",
                    "identity",
                ];
                let words: Vec<String> = words.iter().map(|word| biz[word].to_string()).collect();
                format!("    {} after {changes} changes", words.join(" "))
            };
            bizs.iter().map(told).collect()
        });
        lines.sort();
        lines.iter().for_each(|line| self.note(line));
    }

    /// One line, without places, times and addresses in memory.
    fn note(&mut self, line: &str) {
        let mut line = line
            .replace(&self.folder, "{folder}")
            .replace(&self.talk, "{talk}");
        if let Some(at) = line.find(" success, cost: ") {
            let rest = line[at..]
                .find(['"', '\n'])
                .map_or(line.len(), |end| at + end);
            line.replace_range(at..rest, " success, cost: {time}");
        }
        let mut from = 0;
        while let Some(at) = line[from..].find("ClassLoaderHook@") {
            let hash = from + at + "ClassLoaderHook@".len();
            let end = line[hash..]
                .find(|c: char| !c.is_ascii_hexdigit())
                .map_or(line.len(), |end| hash + end);
            line.replace_range(hash..end, "{hash}");
            from = hash;
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

/// The exceptions of a record, outermost first.
fn chain(throwable: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = throwable;
    while let Some(fields) = next.as_object() {
        let word = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("-");
        all.push(format!("{}: {}", word("@type"), word("message")));
        next = fields.get("cause").unwrap_or(&Value::Null);
    }
    all
}

/// JSON with its keys in order, whatever features serde_json was built with.
fn sorted(value: &Value) -> String {
    match value.as_object() {
        None => value.to_string(),
        Some(fields) => {
            let ordered: std::collections::BTreeMap<_, _> = fields.iter().collect();
            serde_json::to_string(&ordered).unwrap_or_default()
        }
    }
}
