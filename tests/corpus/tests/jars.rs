//! Jars as they come, on a real base: converted ones answer, broken ones fail as foretold.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ferry_corpus::{Built, Slimmed, build, cases, install, profile, slimmed};
use ferry_rig::base::{Base, Options};
use ferry_rig::maven::{Maven, base_jar, demo_dir};
use ferry_slim::{Identity, Limits, Outcome, Wishes, convert, inspect};
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// `demo/hello` with a pom that knows nothing of Koupleless: a jar that runs by itself.
async fn spring_boot_jar(folder: &Path) -> Result<PathBuf> {
    let project = folder.join("plain");
    fs::create_dir_all(&project)?;
    let hello = demo_dir().join("hello");
    ferry_rig::digest::copy_over(&hello.join("src"), &project.join("src"))?;
    fs::write(
        project.join("pom.xml"),
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>3.2.6</version>
    <relativePath/>
  </parent>
  <groupId>ferry.demo</groupId>
  <artifactId>plain</artifactId>
  <version>2.0.0</version>
  <properties><java.version>17</java.version></properties>
  <dependencies>
    <dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-web</artifactId>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
      </plugin>
    </plugins>
  </build>
</project>
"#,
    )?;
    Maven::ready().await?.package(&project, &[]).await?;
    Ok(project.join("target/plain-2.0.0.jar"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_converted_spring_boot_jar_is_installed_and_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plain = spring_boot_jar(folder.path()).await?;
    let refused = inspect(&plain).unwrap_err().to_string();
    assert!(refused.contains("ferry slim --convert"), "{refused}");

    let (limits, identity) = (Limits::default(), Identity::default());
    let biz = folder.path().join("biz.jar");
    let made = convert(&plain, &identity, &biz, limits)?.context("it is no biz yet")?;
    assert_eq!(
        (made.name.as_str(), made.version.as_str()),
        ("plain", "2.0.0")
    );
    let again = folder.path().join("again.jar");
    convert(&plain, &identity, &again, limits)?;
    assert_eq!(
        fs::read(&biz)?,
        fs::read(&again)?,
        "the same input, the same bytes"
    );
    assert_eq!(
        convert(&biz, &identity, &again, limits)?,
        None,
        "it is one now"
    );
    entries_moved(&plain, &biz)?;

    let Slimmed { jar, report } = slimmed(&biz, &profile().await?, &Wishes::default())?;
    let proof = report.proof.as_ref().context("there is a profile")?;
    assert_ne!(proof.outcome, Outcome::Refused, "{:#?}", proof.faults);
    let base = Base::start(Options::new("converted", &folder.path().join("base"))).await?;
    let asked = json!({
        "bizName": "plain",
        "bizVersion": report.version,
        "bizUrl": format!("file://{}", jar.display()),
    });
    let reply = base.ask("installBiz", &asked).await?;
    assert_eq!(reply["code"], "SUCCESS", "{reply}");
    let (status, text) = base.get("/plain/").await?;
    assert_eq!(status, 200, "{text}");
    Ok(())
}

/// Everything but the launcher is there, to the bit, where a base looks for it.
fn entries_moved(plain: &Path, biz: &Path) -> Result<()> {
    type Raw = (u32, u64, Vec<u8>);
    let all = |jar: &Path| -> Result<BTreeMap<String, Raw>> {
        let mut zip = ZipArchive::new(fs::File::open(jar)?)?;
        let mut entries = BTreeMap::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index_raw(index)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            entries.insert(file.name().to_owned(), (file.crc32(), file.size(), bytes));
        }
        Ok(entries)
    };
    let (before, after) = (all(plain)?, all(biz)?);
    let launcher = before
        .keys()
        .filter(|name| name.starts_with("org/"))
        .count();
    assert!(launcher > 10, "the plugin put its launcher in");
    for (name, entry) in &before {
        let inner = name
            .strip_prefix("BOOT-INF/classes/")
            .map(str::to_owned)
            .or_else(|| Some(format!("lib/{}", name.strip_prefix("BOOT-INF/lib/")?)));
        if let Some(inner) = inner.filter(|it| !it.is_empty()) {
            assert_eq!(after.get(&inner), Some(entry), "{name}");
        }
    }
    let stray = ["BOOT-INF/", "org/", "META-INF/services/"];
    let left = after
        .keys()
        .filter(|name| !name.ends_with('/'))
        .find(|name| stray.iter().any(|it| name.starts_with(it)));
    assert_eq!(left, None);
    Ok(())
}

/// A case's jar, with these entries behind its own, or in their place.
fn with(built: &Built, name: &str, more: &[(&str, &[u8])]) -> Result<PathBuf> {
    let jar = built.jar.with_file_name(format!("{name}.jar"));
    let mut old = ZipArchive::new(fs::File::open(&built.jar)?)?;
    let mut new = ZipWriter::new(fs::File::create(&jar)?);
    for index in 0..old.len() {
        let file = old.by_index_raw(index)?;
        if more.iter().all(|(entry, _)| *entry != file.name()) {
            new.raw_copy_file(file)?;
        }
    }
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (entry, bytes) in more {
        new.start_file(*entry, options)?;
        new.write_all(bytes)?;
    }
    new.finish()?;
    Ok(jar)
}

fn library(entries: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut jar = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (entry, bytes) in entries {
        jar.start_file(*entry, SimpleFileOptions::default())?;
        jar.write_all(bytes)?;
    }
    Ok(jar.finish()?.into_inner())
}

/// What is broken and reached fails on the base with the error that was foretold; what nobody reaches is
/// never read there either. And a plain jar that was converted says what it has to say.
#[tokio::test(flavor = "multi_thread")]
async fn broken_classes_and_plain_jars_do_what_was_foretold() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let jar = base_jar().await?;
    let profile = profile().await?;
    let wanted =
        |it: &ferry_corpus::Case| ["base-class", "library-broken"].contains(&it.name.as_str());
    let chosen = cases()?.into_iter().filter(wanted).collect();
    let built = build(chosen, &jar, folder.path()).await?;
    let plain = built
        .iter()
        .find(|it| it.case.name == "base-class")
        .context("base-class")?;
    let bad: &[u8] = b"no class file at all";
    let inner = library(&[("acme/Bad.class", bad)])?;
    let manifest = b"Manifest-Version: 1.0\r\nMain-Class: demo.Main\r\n\r\n";

    let at = folder.path().join("base");
    let base = Base::start(Options::new("jars", &at)).await?;
    let mut said = Vec::new();
    for (name, more, links) in [
        ("unreached", vec![("lib/a-1.0.jar", &inner[..])], true),
        ("own", vec![("demo/Main.class", bad)], false),
        ("reached", vec![("demo/Answer.class", bad)], false),
        ("odd", vec![("lib/odd-1.0.jar", bad)], true),
    ] {
        let it = slimmed(&with(plain, name, &more)?, &profile, &Wishes::default())?;
        let ran = install(&base, &at, &plain.case, &it).await?;
        let proof = it.report.proof.context("there is a profile")?;
        said.push(format!("{name}: {}: {ran:?}", proof.outcome));
        let foretold = match links {
            true => proof.outcome != Outcome::Refused && ran.is_ok(),
            false => proof.outcome == Outcome::Refused && ran.is_err(),
        };
        let error = ran.err().unwrap_or_default();
        let named = links || error.contains(&proof.faults[0].error);
        if !foretold || !named {
            said.push("  ^ not as foretold".to_owned());
        }
    }
    println!("{}", said.join("\n"));
    assert!(
        !said.iter().any(|it| it.contains("not as foretold")),
        "{said:#?}"
    );

    // Without what makes it a biz, and then made one.
    let bare = with(plain, "bare", &[("META-INF/MANIFEST.MF", manifest)])?;
    let refused = inspect(&bare).unwrap_err().to_string();
    assert!(refused.contains("ferry slim --convert"), "{refused}");
    let biz = folder.path().join("bare-biz.jar");
    let limits = Limits::default();
    let told = convert(&bare, &Identity::default(), &biz, limits).unwrap_err();
    assert!(told.to_string().contains("--biz-name"), "{told}");
    let identity = Identity {
        name: Some(plain.case.name.clone()),
        version: Some("1.0.0".to_owned()),
        ..Identity::default()
    };
    convert(&bare, &identity, &biz, limits)?.context("it is no biz yet")?;
    let it = slimmed(&biz, &profile, &Wishes::default())?;
    let ran = install(&base, &at, &plain.case, &it).await?;
    assert_eq!(ran, Ok(plain.case.answer.clone()));
    Ok(())
}
