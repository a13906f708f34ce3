//! The API over HTTP: tokens and grants, commands, uploads, streams, logs; on the
//! bus in memory with the gateway's own permissions.

mod common;

use common::*;
use ferry_api::{ClientError, CommandState, DeployQuery, RollbackRequest, RunRequest, RunsQuery};
use ferry_bus::{MemoryBus, User};
use ferry_events::{Command, RunId, Scope, Service, Verb, command, subject};
use serde_json::json;

#[tokio::test]
async fn the_api_is_behind_tokens_with_grants() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    for path in [
        "/runs",
        "/bases",
        "/modules",
        "/events",
        "/runs/x/log",
        "/commands/x",
        "/pushes/x",
    ] {
        let url = format!("{}{path}", gateway.url);
        let response = gateway.http.get(&url).send().await.unwrap();
        assert_eq!(response.status(), 401, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    let nobody = gateway
        .client("a guess")
        .runs(&RunsQuery::default())
        .await
        .unwrap_err();
    assert!(
        matches!(nobody, ClientError::Unauthorized { .. }),
        "{nobody}"
    );

    let ask = RunRequest {
        force: false,
        commit: "main".into(),
        branch: None,
        why: None,
    };
    let error = gateway
        .client(VIEWER)
        .run_commit("hello", &ask)
        .await
        .unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (403, "not-granted")
    );
    assert!(
        problem.detail.ends_with("for module hello in prod"),
        "{problem}"
    );
    // What a token must not see is not there.
    let other = gateway.client(OTHER);
    assert_eq!(other.modules().await.unwrap(), []);
    assert_eq!(
        other
            .module("hello")
            .await
            .unwrap_err()
            .problem()
            .unwrap()
            .status,
        404
    );
    assert_eq!(
        other
            .run_commit("hello", &ask)
            .await
            .unwrap_err()
            .problem()
            .unwrap()
            .status,
        404
    );
    let push = push_of(&gateway.github("d-1", &fixture("github-push")).await.body);
    assert_eq!(
        other
            .push(push)
            .await
            .unwrap_err()
            .problem()
            .unwrap()
            .status,
        404
    );
    // In pre alone the viewer may operate.
    let pre = RollbackRequest {
        environment: Some("pre".into()),
        ..RollbackRequest::default()
    };
    assert!(gateway.client(VIEWER).rollback("hello", &pre).await.is_ok());
    let prod = RollbackRequest::default();
    assert_eq!(
        gateway
            .client(VIEWER)
            .rollback("hello", &prod)
            .await
            .unwrap_err()
            .problem()
            .unwrap()
            .status,
        403
    );

    let names: Vec<String> = gateway
        .client(VIEWER)
        .bases()
        .await
        .unwrap()
        .into_iter()
        .map(|base| base.name)
        .collect();
    assert_eq!(names, ["pre-1", "prod-1"]);
}

#[tokio::test]
async fn a_token_that_is_taken_away_is_refused_soon() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(VIEWER);
    assert!(client.modules().await.is_ok());
    let text = toml();
    let (before, rest) = text.split_once("[tokens.viewer]").unwrap();
    let (_, after) = rest.split_once("[tokens.other]").unwrap();
    configure(
        &bus.as_user(User::Operator),
        &format!("{before}[tokens.other]{after}"),
    )
    .await;
    until("the token to be refused", || async {
        matches!(
            client.modules().await,
            Err(ClientError::Unauthorized { .. })
        )
        .then_some(())
    })
    .await;
}

/// The commands on the bus.
fn commands(bus: &MemoryBus) -> Vec<Command> {
    let messages = bus.messages("FERRY").unwrap();
    let of_commands = messages
        .iter()
        .filter(|(_, subject, _)| subject.starts_with("ferry.commands."));
    of_commands
        .map(|(_, _, payload)| serde_json::from_slice(payload).unwrap())
        .collect()
}

#[tokio::test]
async fn a_wish_becomes_a_durable_command_with_its_author() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(ADMIN);
    let ask = RunRequest {
        force: false,
        commit: " 59b20b8d ".into(),
        branch: None,
        why: Some("its hook was missed".into()),
    };
    let answer = client.run_commit("hello", &ask).await.unwrap();
    assert_eq!(answer.what, "run commit 59b20b8d for module hello");
    let sent = commands(&bus).remove(0);
    assert_eq!((sent.id, sent.actor.as_str()), (answer.id, "admin"));
    assert_eq!(sent.why.as_deref(), Some("its hook was missed"));
    assert!(matches!(&sent.verb, Verb::Run { commit, .. } if commit == "59b20b8d"));
    assert_eq!(
        client.command(answer.id).await.unwrap().state,
        CommandState::Waiting
    );

    let run = RunId::of_command(answer.id, "hello");
    let settled = command::Settled {
        command: answer.id,
        actor: "admin".into(),
        verb: "promote".into(),
        why: None,
        based_on: None,
        environment: None,
        module: "hello".into(),
        run: Some(run),
        stop: None,
    };
    say(
        &bus,
        &event(
            Service::Builder,
            Scope::module(Some("shop"), "hello"),
            1,
            settled,
        ),
    )
    .await;
    let view = until("the command to be settled", || async {
        client
            .command(answer.id)
            .await
            .ok()
            .filter(|it| it.state == CommandState::Taken)
    })
    .await;
    assert_eq!(view.run, Some(run));

    // The last environment is meant where none is named.
    let answer = client
        .rollback("hello", &RollbackRequest::default())
        .await
        .unwrap();
    assert_eq!(
        answer.what,
        "roll module hello in prod back to the verified version before"
    );
    for (ask, status) in [
        (json!({}), 400),
        (json!({"commit": "  "}), 400),
        (json!({"commit": "x", "brunch": "main"}), 400),
        (json!({"commit": "x".repeat(2000)}), 400),
    ] {
        let url = format!("{}/modules/hello/run", gateway.url);
        let response = gateway
            .http
            .post(url)
            .bearer_auth(ADMIN)
            .json(&ask)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{ask}");
    }
    let nowhere = RollbackRequest {
        environment: Some("moon".into()),
        ..RollbackRequest::default()
    };
    let error = client
        .rollback("hello", &nowhere)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not in environment \"moon\", but in: pre, prod"),
        "{error}"
    );
    assert_eq!(commands(&bus).len(), 2);

    // The same request under one key is one command.
    for _ in 0..2 {
        let url = format!("{}/modules/hello/run", gateway.url);
        let request = gateway
            .http
            .post(url)
            .bearer_auth(ADMIN)
            .header("Idempotency-Key", "k");
        assert_eq!(
            request
                .json(&json!({"commit": "x"}))
                .send()
                .await
                .unwrap()
                .status(),
            202
        );
    }
    assert_eq!(commands(&bus).len(), 3);

    bus.set_connected(false);
    let error = client.run_commit("hello", &ask).await.unwrap_err();
    assert!(
        error.is_passing() && error.to_string().contains("may not have been taken"),
        "{error}"
    );
}

fn jar(manifest: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut jar = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    jar.start_file("META-INF/MANIFEST.MF", options).unwrap();
    jar.write_all(manifest.as_bytes()).unwrap();
    jar.finish().unwrap().into_inner()
}

#[tokio::test]
async fn an_uploaded_jar_is_stored_under_its_digest_before_its_command() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(ADMIN);
    let good = jar(
        "Manifest-Version: 1.0\r\nArk-Biz-Name: hello\r\nArk-Biz-Version: 1.0.0\r\nMain-Class: acme.Hello\r\nweb-context-path: hello\r\n\r\n",
    );
    let query = DeployQuery {
        force: false,
        commit: Some("59b20b8d".into()),
        why: None,
    };
    let size = good.len() as u64;
    let answer = client
        .deploy("hello", good.clone(), size, &query)
        .await
        .unwrap();
    assert_eq!(
        answer.what,
        "deploy the uploaded jar (hello 1.0.0) as module hello"
    );
    let Verb::Deploy {
        digest,
        size: told,
        biz,
        commit,
        ..
    } = commands(&bus).remove(0).verb
    else {
        panic!("no deploy")
    };
    assert_eq!((told, commit.as_deref()), (size, Some("59b20b8d")));
    assert_eq!(biz.web_context_path.as_deref(), Some("/hello"));
    let file = gateway.data.path().join("back.jar");
    ferry_bus::Bus::get_jar(&bus, &digest, &file).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), good);

    let nameless = jar("Manifest-Version: 1.0\r\nMain-Class: acme.Hello\r\n\r\n");
    for (body, status, code) in [
        (nameless, 422, "not-a-biz"),
        (b"no jar".to_vec(), 422, "not-a-biz"),
        (Vec::new(), 422, "not-a-biz"),
        (vec![0; 64 * 1024 + 1], 413, "too-large"),
    ] {
        let size = body.len() as u64;
        let error = client
            .deploy("hello", body, size, &query)
            .await
            .unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
    }
    assert_eq!(commands(&bus).len(), 1);
    let left = std::fs::read_dir(gateway.data.path().join("uploads"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn health_needs_no_token_and_names_nothing() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    std::fs::remove_file(gateway.data.path().join("hook-secret")).unwrap();
    let response = gateway
        .http
        .get(format!("{}/healthz", gateway.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let response = gateway
        .http
        .get(format!("{}/readyz", gateway.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(
        text.contains("2 of 2 webhook secrets cannot be had"),
        "{text}"
    );
    assert!(!text.contains("hello"), "{text}");
    // Without its secret a delivery is neither believed nor refused for good.
    let answer = gateway.github("d-1", &fixture("github-push")).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (503, Some("secret-unavailable"))
    );
}

#[tokio::test]
async fn the_commands_of_the_gateway_are_those_of_its_contract() {
    // `subject` names them; the memory bus refuses what the contract does not allow.
    let bus = MemoryBus::default();
    let gateway = gateway_of(&bus);
    let write = ferry_bus::Write::state(
        subject::state(Service::Builder, "x"),
        "{}",
        0,
        ferry_bus::Keep::Stream,
    );
    assert!(gateway.commit(vec![write].into()).await.is_err());
}

/// What a base provides concerns every environment whose pools are slimmed against it.
#[tokio::test]
async fn the_jar_of_a_base_is_taken_from_whoever_may_operate_where_it_counts() {
    let bus = MemoryBus::default();
    let text = toml().replace(
        "[pools.prod]\n",
        "[modules.shop-base]\nrepository = \"hello\"\nkind = \"base\"\n[pools.prod]\nbase = \"shop-base\"\n",
    );
    let gateway = Gateway::start(&bus, &text).await;
    let query = DeployQuery {
        force: false,
        commit: None,
        why: None,
    };
    let base = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, text) in [
            (
                "META-INF/MANIFEST.MF",
                "Manifest-Version: 1.0\r\nImplementation-Version: 7\r\n\r\n",
            ),
            ("BOOT-INF/lib/a.jar", ""),
        ] {
            zip.start_file(name, options).unwrap();
            std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let deploy = async |token, jar: Vec<u8>| {
        let size = jar.len() as u64;
        let client = gateway.client(token);
        client.deploy("shop-base", jar, size, &query).await
    };
    // A viewer who operates in pre, where no pool is slimmed against it.
    let error = deploy(VIEWER, base.clone()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 403);
    assert!(error.to_string().contains("in prod"), "{error}");
    let module = jar(
        "Manifest-Version: 1.0\r\nArk-Biz-Name: a\r\nArk-Biz-Version: 1\r\nMain-Class: a.B\r\n\r\n",
    );
    let error = deploy(ADMIN, module).await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, "not-a-base");
    deploy(ADMIN, base).await.unwrap();
    let Verb::Deploy { biz, .. } = commands(&bus).remove(0).verb else {
        panic!("no deploy")
    };
    assert_eq!(
        (biz.name.as_str(), biz.version.as_str()),
        ("shop-base", "7")
    );
}
