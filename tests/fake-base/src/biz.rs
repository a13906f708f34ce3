//! Install, uninstall and switch. Goes in: the request, under its lock. Comes
//! out: [`Done`]: arklet's answer, and whether the base runs something else
//! than before. Source: `ArkClient` and `BizModel` of sofa-ark.

use std::time::Duration;

use ferry_ark::BizState;
use ferry_ark::arklet::{InstallBiz, InstallStrategy};
use serde_json::{Value, json};

use crate::Dialect;
use crate::base::{Base, Meta};
use crate::commands::Output;
use crate::download::{self, Opened};
use crate::java::{ARKLET_RUNTIME_EXCEPTION, Throwable};
use crate::world::Module;

/// What a mutating command came to.
pub(crate) struct Done {
    pub(crate) result: Result<Output, Throwable>,
    /// Whether the base runs something else than before.
    pub(crate) effect: bool,
    /// The manifest's identity, where a jar was opened.
    identity: Option<(String, String)>,
}

impl Done {
    fn output(output: Output, effect: bool) -> Self {
        Self {
            result: Ok(output),
            effect,
            identity: None,
        }
    }

    fn thrown(thrown: Throwable, effect: bool) -> Self {
        Self {
            result: Err(thrown.wrapped(ARKLET_RUNTIME_EXCEPTION)),
            effect,
            identity: None,
        }
    }

    /// Whom it really was about.
    pub(crate) fn about(&self, meta: &Meta) -> Meta {
        let mut meta = meta.clone();
        if let Some((name, version)) = &self.identity {
            meta.name = Some(name.clone());
            meta.version = Some(version.clone());
        }
        meta
    }

    /// For the ledger.
    pub(crate) fn outcome(&self) -> String {
        match &self.result {
            Ok(output) => {
                let inner = |key| output.data.get(key).and_then(Value::as_str);
                match (inner("code"), inner("message")) {
                    (Some(code), Some(message)) => format!("{code}: {message}"),
                    _ => output
                        .message
                        .clone()
                        .unwrap_or_else(|| "SUCCESS".to_owned()),
                }
            }
            Err(thrown) => format!("CMD_PROCESS_INTERNAL_ERROR: {}", thrown.root()),
        }
    }
}

pub(crate) async fn install(base: &Base, install: &InstallBiz) -> Done {
    let (restarts, before) = {
        let world = base.world();
        (world.restarts, world.metaspace_used())
    };
    let removed = uninstall_first(base, install);
    let url = install.biz_url.as_deref().unwrap_or_default();
    let opened = match download::open_url(
        base,
        url,
        install.biz_version.as_deref().unwrap_or_default(),
    )
    .await
    {
        Ok(opened) => opened,
        Err(thrown) => return Done::thrown(thrown, removed),
    };
    base.faults.thawed().await;
    let identity = (opened.ark.name.clone(), opened.ark.version.clone());
    let mut done = start(base, opened, restarts, before).await;
    done.effect |= removed;
    done.identity = Some(identity);
    done
}

/// `uninstallThenInstall` takes every version away before it downloads.
fn uninstall_first(base: &Base, install: &InstallBiz) -> bool {
    let wanted = json!(InstallStrategy::UninstallThenInstall);
    let mut world = base.world();
    if world.dialect == Dialect::V2_1_3 || install.install_strategy.as_deref() != wanted.as_str() {
        return false;
    }
    let versions: Vec<(String, String)> = world
        .modules()
        .iter()
        .filter(|module| Some(&module.name) == install.biz_name.as_ref())
        .map(|module| (module.name.clone(), module.version.clone()))
        .collect();
    for (name, version) in &versions {
        world.unregister(name, version);
    }
    !versions.is_empty()
}

async fn start(base: &Base, opened: Opened, restarts: u64, before: u64) -> Done {
    let Opened {
        ark,
        web_context_path,
        behaviour,
        has_main_class,
    } = opened;
    let (name, version) = (ark.name.clone(), ark.version.clone());
    let module = Module {
        name: name.clone(),
        version: version.clone(),
        state: BizState::Unresolved,
        main_class: ark.main_class.clone(),
        context: ark.web_context_path.clone().filter(|_| behaviour.spring),
        web_context_path,
        priority: ark.priority.unwrap_or(100),
        declared_mode: ark.is_declared_mode(),
        behaviour: behaviour.clone(),
        changes: 0,
    };
    let registered = base.world_of(restarts).await.register(module);
    if !registered {
        let message = format!("Biz: {name}:{version} has been installed or registered.");
        let data = json!({"code": "REPEAT_BIZ", "message": message, "elapsedSpace": 0});
        return Done::output(Output::failed("install biz not success!", data), false);
    }
    let took = behaviour.install_ms + base.faults.get().slow_install_ms;
    tokio::time::sleep(Duration::from_millis(took)).await;
    base.faults
        .released(&version, |faults| &faults.hold_install)
        .await;
    base.faults.thawed().await;
    if behaviour.exit_jvm {
        base.exit();
        // What runs in a process that has ended does not come back.
        return std::future::pending().await;
    }
    let mut world = base.world_of(restarts).await;
    let failure = if has_main_class {
        let own = behaviour.start_fails.as_deref().map(|line| {
            let thrown = Throwable::parse(line);
            if behaviour.spring {
                thrown.below(
                    "org.springframework.beans.factory.BeanCreationException",
                    Some("Error creating bean with name 'module': instantiation failed"),
                )
            } else {
                thrown
            }
        });
        own.or_else(|| world.obstacle(&name, &version))
            .map(|thrown| thrown.below("java.lang.reflect.InvocationTargetException", None))
    } else {
        Some(
            Throwable::new("java.lang.ClassNotFoundException", ark.main_class.clone()).below(
                "com.alipay.sofa.ark.exception.ArkLoaderException",
                Some(&format!(
                    "Post find class {} occurs an error via biz ClassLoaderHook: com.alipay.sofa.ark.support.common.DelegateToMasterBizClassLoaderHook@0fe44ba5.",
                    ark.main_class
                )),
            ),
        )
    };
    if let Some(thrown) = failure {
        world.unregister(&name, &version);
        return Done::thrown(thrown, false);
    }
    world.started(&name, &version, base.activate_new_module);
    let installed = world
        .get(&name, &version)
        .map(|module| world.installed_json(module));
    let data = json!({
        "code": "SUCCESS",
        "message": format!("Install Biz: {name}:{version} success, cost: {took} ms, started at: 00:00:00,000"),
        "bizInfos": installed.into_iter().collect::<Vec<_>>(),
        "elapsedSpace": world.metaspace_used().saturating_sub(before),
    });
    Done::output(Output::success(data), true)
}

pub(crate) fn uninstall(base: &Base, meta: &Meta) -> Done {
    let mut world = base.world();
    let name = meta.name.as_deref().unwrap_or_default();
    let version = meta.version.as_deref().unwrap_or_default();
    let identity = meta.identity();
    let refused = |code: &str, message: String| {
        let data = json!({"code": code, "message": message});
        Done::output(Output::failed("uninstall biz not success!", data), false)
    };
    if name == world.base_name {
        return refused("FAILED", "Master biz must not be uninstalled.".to_owned());
    }
    match world.unregister(name, version) {
        None => refused(
            "NOT_FOUND_BIZ",
            format!("Uninstall biz: {identity} not found."),
        ),
        Some(module) if !module.behaviour.spring => {
            let thrown = Throwable::new(
                "java.lang.NullPointerException",
                "Cannot invoke \"com.alipay.sofa.koupleless.common.model.ApplicationContextHolder.close()\" because \"this.applicationContext\" is null",
            )
            .wrapped("com.alipay.sofa.koupleless.common.exception.BizRuntimeException");
            Done::thrown(thrown, true)
        }
        Some(_) => {
            let message = format!("Uninstall biz: {identity} success.");
            Done::output(
                Output::success(json!({"code": "SUCCESS", "message": message})),
                true,
            )
        }
    }
}

pub(crate) fn switch(base: &Base, meta: &Meta) -> Done {
    let mut world = base.world();
    let name = meta.name.as_deref().unwrap_or_default();
    let version = meta.version.as_deref().unwrap_or_default();
    let identity = meta.identity();
    let refused = |code: &str, message: String| {
        let data = json!({"code": code, "message": message});
        Done::output(Output::failed("switch biz not success!", data), false)
    };
    let switched = if name == world.base_name && version == crate::BASE_VERSION {
        Some(Ok(false))
    } else {
        world.switch(name, version)
    };
    match switched {
        None => refused(
            "NOT_FOUND_BIZ",
            format!("Switch biz: {identity} not found."),
        ),
        Some(Err(state)) => {
            let state = world.state_word(state);
            refused(
                "ILLEGAL_STATE_BIZ",
                format!("Switch Biz: {identity}'s state must not be {state}."),
            )
        }
        Some(Ok(effect)) => {
            let message = format!("Switch biz: {identity} is activated.");
            Done::output(
                Output::success(json!({"code": "SUCCESS", "message": message})),
                effect,
            )
        }
    }
}
