//! Arklet's commands. Goes in: one POST. Comes out: arklet's reply, with the
//! words of a real base. Source: `CommandServiceImpl`, the handlers and
//! `ArkClient`; each message was seen on a base of version 2.1.6.

use std::sync::Arc;

use ferry_ark::arklet::{Command, HealthQuery, InstallBiz, QueryBizOps, UninstallBiz};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::base::{Base, Meta};
use crate::biz::{self, Done};
use crate::download;
use crate::java::{COMMAND_VALIDATION_EXCEPTION, Throwable};
use crate::wire::{self, Reply, Request};

/// What a command came to.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) message: Option<String>,
    pub(crate) data: Value,
}

impl Output {
    pub(crate) fn success(data: Value) -> Self {
        Self {
            success: true,
            message: None,
            data,
        }
    }

    pub(crate) fn failed(message: impl Into<String>, data: Value) -> Self {
        Self {
            success: false,
            message: Some(message.into()),
            data,
        }
    }
}

/// Answers one request on arklet's port.
pub(crate) async fn answer(base: &Arc<Base>, request: Request) -> Reply {
    if request.path == Command::Health.path() {
        base.faults.off(|faults| faults.hang_health).await;
    }
    let _turn = base.turn().await;
    base.faults.thawed().await;
    if request.method != "POST" {
        return wire::arklet_refusal("POST http request only supported by arklet");
    }
    let body = match serde_json::from_slice(&request.body) {
        _ if request.body.is_empty() => Value::Null,
        Ok(body @ (Value::Object(_) | Value::Null)) => body,
        // The parser throws outside of arklet's try, so nobody answers.
        _ => return Reply::Silence,
    };
    let Some(command) = Command::parse(request.path.trim_start_matches('/')) else {
        return reply(json!({"code": "CMD_NOT_FOUND", "message": "please follow the doc"}));
    };
    if command.mutates() && base.faults.take(|faults| &mut faults.lose_request) {
        return Reply::Cut;
    }
    let result = run(base, command, body).await;
    base.faults.thawed().await;
    let done = result.as_ref().is_ok_and(|output| output.success);
    if command.mutates()
        && done
        && base
            .faults
            .take(|faults| &mut faults.lose_reply_after_effect)
    {
        return Reply::Cut;
    }
    reply(match result {
        Ok(output) => {
            let code = if output.success { "SUCCESS" } else { "FAILED" };
            let mut fields = Map::from_iter([("code".to_owned(), json!(code))]);
            if let Some(message) = output.message {
                fields.insert("message".to_owned(), json!(message));
            }
            if !output.data.is_null() {
                fields.insert("data".to_owned(), output.data);
            }
            Value::Object(fields)
        }
        Err(thrown) => json!({
            "code": "CMD_PROCESS_INTERNAL_ERROR",
            "message": format!("Internal Error: {}", thrown.message()),
            "errorStackTrace": thrown.stack_trace(),
        }),
    })
}

fn reply(json: Value) -> Reply {
    wire::arklet_reply(&json.to_string())
}

async fn run(base: &Arc<Base>, command: Command, body: Value) -> Result<Output, Throwable> {
    match command {
        Command::Help => Ok(help()),
        Command::QueryAllBiz => {
            let world = base.world();
            let bizs = world.modules().iter().map(|module| world.biz_json(module));
            Ok(Output::success(bizs.collect()))
        }
        Command::QueryBizOps => query_biz_ops(base, body),
        Command::Health => health(base, body),
        Command::InstallBiz => {
            let mut install: InstallBiz = bean(body, "InstallBizHandler$Input.isAsync()")?;
            validate_install(base, &mut install).await?;
            let meta = Meta {
                name: install.biz_name.clone(),
                version: install.biz_version.clone(),
                request_id: install.request_id.clone().filter(|_| install.is_async),
                is_async: install.is_async,
                json: install_meta(base, &install),
            };
            operate(base, command, meta, Operation::Install(install)).await
        }
        Command::UninstallBiz | Command::SwitchBiz => {
            let handler = if command == Command::UninstallBiz {
                "UninstallBizHandler$Input.getBizName()"
            } else {
                "SwitchBizHandler$Input.getBizName()"
            };
            let named: UninstallBiz = bean(body, handler)?;
            not_blank(&named.biz_name, "bizName should not be blank")?;
            not_blank(&named.biz_version, "bizVersion should not be blank")?;
            if named.is_async {
                not_blank(
                    &named.request_id,
                    "requestId should not be blank when async is true",
                )?;
            }
            let meta = Meta {
                name: named.biz_name.clone(),
                version: named.biz_version.clone(),
                request_id: named.request_id.clone().filter(|_| named.is_async),
                is_async: named.is_async,
                json: json!(named),
            };
            operate(base, command, meta, Operation::Named(command)).await
        }
    }
}

#[derive(Clone)]
enum Operation {
    Install(InstallBiz),
    Named(Command),
}

/// Runs a mutating command under its lock: at once, or behind a record.
async fn operate(
    base: &Arc<Base>,
    command: Command,
    meta: Meta,
    operation: Operation,
) -> Result<Output, Throwable> {
    base.note_asked(command, &meta);
    let identity = meta.identity();
    let restarts = base.world().restarts;
    if !meta.is_async {
        let locked = base.world().lock(&identity, command);
        if let Err(holder) = locked {
            let message = format!(
                "FAILED:{identity} {} conflict, exist unfinished command({}) for this biz",
                command.as_str(),
                holder.as_str()
            );
            base.note_ended(command, &meta, false, message.clone());
            return Ok(Output::failed(message, Value::Null));
        }
        let done = perform(base, &meta, operation).await;
        base.world_of(restarts).await.unlock(&identity);
        base.note_ended(command, &done.about(&meta), done.effect, done.outcome());
        return done.result;
    }
    let id = meta.request_id.clone().unwrap_or_default();
    let over = base.life().over;
    let stuck = base.faults.get().record_stuck;
    if !base.world().begin_record(&id, meta.json.clone(), stuck) {
        let message =
            format!("The request corresponding to the requestId({id}) has been executed.");
        base.note_ended(command, &meta, false, message.clone());
        return Ok(Output::failed(message, Value::Null));
    }
    let record = base.world().record_json(&id).unwrap_or_default();
    let base = Arc::clone(base);
    let stopped = base.stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = over.cancelled() => {}
            () = stopped.cancelled() => {}
            () = work(&base, command, &meta, &id, operation) => {}
        }
    });
    Ok(Output::success(record))
}

/// The part of an asynchronous command that runs on a thread of its own.
async fn work(base: &Arc<Base>, command: Command, meta: &Meta, id: &str, operation: Operation) {
    base.faults.thawed().await;
    let identity = meta.identity();
    let restarts = base.world().restarts;
    let locked = base.world().lock(&identity, command);
    if locked.is_err() {
        let message = "command conflict, exist unfinished command for this biz";
        let mut world = base.world();
        world.refuse_record(id, message);
        // Arklet's `finally` releases the lock that the other one holds.
        world.unlock(&identity);
        drop(world);
        base.note_ended(command, meta, false, message.to_owned());
        return;
    }
    base.world().run_record(id);
    let done = perform(base, meta, operation).await;
    let failure = match &done.result {
        Ok(output) if output.success => None,
        Ok(output) => Some((output.message.clone().unwrap_or_default(), None)),
        Err(thrown) => Some((thrown.message().to_owned(), Some(thrown))),
    };
    {
        let mut world = base.world_of(restarts).await;
        world.end_record(id, failure);
        world.unlock(&identity);
    }
    base.note_ended(command, &done.about(meta), done.effect, done.outcome());
}

async fn perform(base: &Base, meta: &Meta, operation: Operation) -> Done {
    match operation {
        Operation::Install(install) => biz::install(base, &install).await,
        Operation::Named(Command::SwitchBiz) => biz::switch(base, meta),
        Operation::Named(_) => biz::uninstall(base, meta),
    }
}

fn help() -> Output {
    let description = |command| match command {
        Command::Help => "list all supported commands",
        Command::InstallBiz => "install one ark biz",
        Command::UninstallBiz => "uninstall one ark biz",
        Command::SwitchBiz => "switch one ark biz",
        Command::QueryAllBiz => "query all ark biz(including master biz)",
        Command::Health => "get all health info",
        Command::QueryBizOps => "query ark biz ops",
    };
    let list = Command::ALL
        .iter()
        .map(|command| json!({"id": command.as_str(), "desc": description(*command)}));
    Output::success(list.collect())
}

fn query_biz_ops(base: &Base, body: Value) -> Result<Output, Throwable> {
    let query: QueryBizOps = serde_json::from_value(body)
        .map_err(|_| Throwable::new(COMMAND_VALIDATION_EXCEPTION, "request is null"))?;
    let id = not_blank(&query.request_id, "requestId is blank")?;
    let record = base.world().record_json(id);
    Ok(match record {
        Some(record) if base.faults.get().untold_causes && record.get("throwable").is_some() => {
            return Err(Throwable::new(
                "com.alibaba.fastjson.JSONException",
                "write javaBean error, fastjson version 1.2.83, class com.alipay.sofa.koupleless.arklet.core.command.record.ProcessRecord, fieldName : throwable",
            ));
        }
        Some(record) => Output::success(record),
        None => Output::failed("Not found the corresponding ops record.", Value::Null),
    })
}

fn health(base: &Base, body: Value) -> Result<Output, Throwable> {
    let query: HealthQuery = if body.is_null() {
        HealthQuery::default()
    } else {
        bean(body, "HealthHandler$Input.getType()")?
    };
    let kind = query.kind.as_deref().filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.filter(|kind| !["system", "biz", "plugin"].contains(kind)) {
        return Err(Throwable::new(
            COMMAND_VALIDATION_EXCEPTION,
            format!("type: {kind} can not be found"),
        ));
    }
    let wants = |part| kind.is_none_or(|kind| kind == part);
    let world = base.world();
    let mut data = Map::new();
    if kind.is_none() {
        data.insert("masterBizInfo".to_owned(), world.health_json(None));
    }
    if wants("system") {
        data.insert("jvm".to_owned(), world.jvm_json());
        data.insert(
            "cpu".to_owned(),
            json!({"count": 2, "type": "fake", "total used (%)": 1000.0,
            "user used (%)": 50.0, "system used (%)": 10.0, "free (%)": 40.0}),
        );
    }
    if wants("plugin") {
        data.insert("pluginListInfo".to_owned(), json!([]));
    }
    if wants("biz") {
        let name = query.biz_name.as_deref().filter(|name| !name.is_empty());
        let version = query
            .biz_version
            .as_deref()
            .filter(|version| !version.is_empty());
        match (name, version) {
            (Some(name), Some(version)) => match world.get(name, version) {
                Some(module) => {
                    data.insert("bizInfo".to_owned(), world.health_json(Some(module)));
                }
                None => return Ok(Output::failed("can not find biz", Value::Null)),
            },
            _ => {
                let modules = world
                    .modules()
                    .iter()
                    .filter(|module| name.is_none_or(|name| module.name == name));
                let master = name.is_none_or(|name| name == world.base_name);
                let list: Vec<Value> = master
                    .then(|| world.health_json(None))
                    .into_iter()
                    .chain(modules.map(|module| world.health_json(Some(module))))
                    .collect();
                if let (true, Some(name)) = (list.is_empty(), name) {
                    return Ok(Output::failed(
                        format!("can not find biz: {name}"),
                        Value::Null,
                    ));
                }
                data.insert("bizListInfo".to_owned(), json!(list));
            }
        }
    }
    Ok(Output::success(json!({"healthData": data})))
}

/// As `InstallBizHandler.validate`: without a name, the download is here.
async fn validate_install(base: &Base, install: &mut InstallBiz) -> Result<(), Throwable> {
    if install.is_async {
        not_blank(
            &install.request_id,
            "requestId should not be blank when async is true",
        )?;
    }
    let url = not_blank(&install.biz_url, "bizUrl should not be blank")?;
    let blank = |part: &Option<String>| part.as_ref().is_none_or(String::is_empty);
    match (blank(&install.biz_name), blank(&install.biz_version)) {
        (false, false) => Ok(()),
        (true, true) => {
            let opened = download::open_url(base, url, "").await.map_err(|thrown| {
                Throwable::new(
                    COMMAND_VALIDATION_EXCEPTION,
                    format!("refresh biz info from jar failed: {}", thrown.message()),
                )
            })?;
            install.biz_name = Some(opened.ark.name);
            install.biz_version = Some(opened.ark.version);
            Ok(())
        }
        _ => Err(Throwable::new(
            COMMAND_VALIDATION_EXCEPTION,
            "bizName and bizVersion should be both blank or both not blank.",
        )),
    }
}

fn install_meta(base: &Base, install: &InstallBiz) -> Value {
    let mut meta = json!(install);
    if base.world().dialect == crate::Dialect::V2_1_6 {
        meta["installStrategy"] =
            json!(install.install_strategy.as_deref().unwrap_or("installOnly"));
    }
    meta
}

/// What Java gets where the JSON does not fit: null, and soon an exception
/// in the first line that uses it.
fn bean<T: DeserializeOwned>(body: Value, first_use: &str) -> Result<T, Throwable> {
    let input = if body.is_null() {
        None
    } else {
        serde_json::from_value(body).ok()
    };
    input.ok_or_else(|| {
        let package = "com.alipay.sofa.koupleless.arklet.core.command.builtin.handler";
        Throwable::new(
            "java.lang.NullPointerException",
            format!("Cannot invoke \"{package}.{first_use}\" because \"input\" is null"),
        )
    })
}

fn not_blank<'a>(value: &'a Option<String>, message: &str) -> Result<&'a str, Throwable> {
    value
        .as_deref()
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| Throwable::new(COMMAND_VALIDATION_EXCEPTION, message))
}
