//! Replies through their public face: shapes of both observed versions, and
//! that nothing a base may send makes decoding panic.

use ferry_ark::BizState;
use ferry_ark::arklet::{
    BizCode, Command, HealthQuery, InstallBiz, QueryBizOps, RecordOutcome, RecordStatus, Reply,
    ReplyCode, ReplyError, Request, UninstallBiz,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn reply(value: &Value) -> Reply {
    Reply::decode(value.to_string().as_bytes()).unwrap()
}

fn record(value: Value) -> RecordOutcome {
    reply(&json!({"code": "SUCCESS", "data": value}))
        .process_record()
        .unwrap()
        .outcome()
}

#[test]
fn a_request_has_only_the_fields_that_were_given() {
    let install = InstallBiz::asynchronous("hello", "1.0.0", "file:///hello.jar", "r-1");
    assert_eq!(
        serde_json::to_value(&install).unwrap(),
        json!({"bizName": "hello", "bizVersion": "1.0.0", "bizUrl": "file:///hello.jar",
               "requestId": "r-1", "async": true})
    );
    assert_eq!(
        serde_json::to_value(UninstallBiz::synchronous("hello", "1.0.0")).unwrap(),
        json!({"bizName": "hello", "bizVersion": "1.0.0", "async": false})
    );
    assert_eq!(
        serde_json::to_value(QueryBizOps::of("r-1")).unwrap(),
        json!({"requestId": "r-1"})
    );
    assert_eq!(
        serde_json::to_value(HealthQuery::default()).unwrap(),
        json!({})
    );
    assert_eq!(InstallBiz::COMMAND.path(), "/installBiz");
    assert_eq!(Command::parse("switchBiz"), Some(Command::SwitchBiz));
    assert_eq!(Command::parse("batchInstallBiz"), None);
}

#[test]
fn both_versions_list_the_same_modules() {
    for word in ["activated", "ACTIVATED"] {
        let bizs = reply(&json!({"code": "SUCCESS", "data": [
            {"bizName": "hello", "bizVersion": "1.0.0", "bizState": word, "mainClass": "demo.Hello",
             "webContextPath": "hello", "bizStateRecords": [{}, {}]},
            {"bizVersion": "has no name"},
            "not a module",
        ]}))
        .bizs()
        .unwrap();
        assert_eq!(bizs.len(), 1);
        assert_eq!(bizs[0].state, BizState::Activated);
        assert_eq!(bizs[0].web_context_path.as_deref(), Some("hello"));
    }
}

#[test]
fn a_refused_install_tells_its_inner_code() {
    let reply = reply(
        &json!({"code": "FAILED", "message": "install biz not success!", "data": {
        "code": "REPEAT_BIZ", "elapsedSpace": 1024,
        "message": "Biz: hello:1.0.0 has been installed or registered."}}),
    );
    let biz = reply.biz().unwrap();
    assert_eq!(biz.code, BizCode::RepeatBiz);
    assert_eq!(biz.elapsed_space, Some(1024));
    assert_eq!(
        reply.reason().as_deref(),
        Some("Biz: hello:1.0.0 has been installed or registered.")
    );
}

#[test]
fn a_failed_start_tells_the_last_cause() {
    let reply = reply(&json!({"code": "CMD_PROCESS_INTERNAL_ERROR",
        "message": "Internal Error: java.lang.reflect.InvocationTargetException",
        "errorStackTrace": "a.B: c\n\tat x\nCaused by: d.E: f\n\tat y\nCaused by: g.H: the reason\n\tat z\n"}));
    assert_eq!(reply.code, ReplyCode::CmdProcessInternalError);
    assert_eq!(reply.reason().as_deref(), Some("g.H: the reason"));
}

#[test]
fn metaspace_is_there_on_2_1_6_and_absent_on_2_1_3() {
    let health = |jvm: Value| {
        reply(&json!({"code": "SUCCESS", "data": {"healthData": {
            "jvm": jvm, "cpu": {"total used (%)": 1.5},
            "masterBizInfo": {"bizName": "base", "bizVersion": "1.0.0", "bizState": "activated", "webContextPath": "/"},
            "bizListInfo": [
                {"bizName": "base", "bizVersion": "1.0.0", "bizState": "activated", "webContextPath": "/"},
                {"bizName": "hello", "bizVersion": "2", "bizState": "DEACTIVATED", "webContextPath": "hello"}],
            "pluginListInfo": []}}}))
        .health()
        .unwrap()
    };
    let new = health(json!({"java version": "17.0.1", "java used metaspace": 60,
        "java committed metaspace": 64, "java max metaspace": 256}));
    assert_eq!(new.metaspace.unwrap().committed_share(), Some(0.25));
    assert_eq!(
        new.modules()
            .map(|biz| biz.name.as_str())
            .collect::<Vec<_>>(),
        ["hello"]
    );
    let unlimited = health(
        json!({"java used metaspace": 60, "java committed metaspace": 64,
        "java max metaspace": -1}),
    );
    assert_eq!(unlimited.metaspace.unwrap().max, None);
    assert_eq!(unlimited.metaspace.unwrap().committed_share(), None);
    assert_eq!(health(json!({"java version": "17.0.1"})).metaspace, None);
}

#[test]
fn a_record_comes_to_an_outcome() {
    let over = json!({"requestId": "r", "status": "SUCCEEDED", "startTimestamp": 1, "endTimestamp": 2, "elapsedTime": 1});
    assert_eq!(record(over), RecordOutcome::Succeeded);
    for status in ["INITIALIZED", "EXECUTING"] {
        let running =
            json!({"requestId": "r", "status": status, "startTimestamp": 1, "endTimestamp": 0});
        assert_eq!(record(running), RecordOutcome::Running);
    }
    let failed = json!({"requestId": "r", "status": "FAILED", "endTimestamp": 2,
        "message": "java.lang.reflect.InvocationTargetException",
        "throwable": {"message": "outer", "cause": {"message": "middle", "cause": {"message": "inner"}}}});
    assert_eq!(record(failed), RecordOutcome::Failed("inner".to_owned()));
    let half =
        json!({"requestId": "r", "status": "FAILED", "startTimestamp": 1, "endTimestamp": 0});
    assert_eq!(record(half), RecordOutcome::Running);
    let bare = json!({"requestId": "r", "status": "FAILED", "message": "m"});
    assert_eq!(record(bare), RecordOutcome::Failed("m".to_owned()));
    let locked = json!({"requestId": "r", "status": "INITIALIZED", "startTimestamp": 1, "endTimestamp": 2,
        "message": "command conflict, exist unfinished command for this biz"});
    assert!(
        matches!(record(locked), RecordOutcome::Refused(reason) if reason.contains("conflict"))
    );
}

#[test]
fn used_and_unknown_ids_are_told_apart() {
    let used = reply(&json!({"code": "FAILED",
        "message": "The request corresponding to the requestId(r) has been executed."}));
    assert!(used.is_used_request_id() && !used.is_unknown_request_id());
    let unknown =
        reply(&json!({"code": "FAILED", "message": "Not found the corresponding ops record."}));
    assert!(unknown.is_unknown_request_id() && !unknown.is_used_request_id());
    assert!(reply(&json!({"code": "CMD_NOT_FOUND"})).reason().is_some());
}

#[test]
fn what_is_no_reply_is_said() {
    assert!(matches!(
        Reply::decode(b"<html>"),
        Err(ReplyError::NotJson(_))
    ));
    assert!(matches!(Reply::decode(b""), Err(ReplyError::NotJson(_))));
    assert!(matches!(Reply::decode(b"[]"), Err(ReplyError::NoCode)));
    assert!(matches!(
        Reply::decode(b"{\"code\":7}"),
        Err(ReplyError::NoCode)
    ));
    assert_eq!(
        Reply::decode(b"{\"code\":\"NEW_CODE\"}").unwrap().code,
        ReplyCode::Other("NEW_CODE".to_owned())
    );
}

/// JSON with the keys that arklet uses, and values of any type behind them.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "SUCCESS",
            "FAILED",
            "ACTIVATED",
            "INITIALIZED",
            "Caused by:",
            "-1"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let key = prop::sample::select(vec![
            "code",
            "message",
            "data",
            "errorStackTrace",
            "baseIdentity",
            "healthData",
            "jvm",
            "masterBizInfo",
            "bizListInfo",
            "bizName",
            "bizVersion",
            "bizState",
            "requestId",
            "status",
            "throwable",
            "cause",
            "endTimestamp",
            "elapsedTime",
            "arkBizMeta",
            "java used metaspace",
            "java committed metaspace",
            "java max metaspace",
            "bizInfos",
            "id",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..10)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decoding_never_panics(value in any_json(), code in "[A-Z_]{0,10}") {
        let whole = json!({"code": code, "data": value, "message": "m"});
        for json in [whole, value] {
            let Ok(reply) = Reply::decode(json.to_string().as_bytes()) else { continue };
            prop_assert_eq!(reply.reason().is_none(), reply.is_success());
            let _ = (reply.biz(), reply.bizs(), reply.commands());
            let _ = reply.process_record().map(|record| (record.outcome(), record.status == RecordStatus::Failed));
            if let Some(health) = reply.health() {
                let _ = health.modules().count();
                let _ = health.metaspace.and_then(|metaspace| metaspace.committed_share());
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Reply::decode(&bytes);
    }
}
