//! The whole verifier on the bus in memory, against a server that plays Prometheus or somebody outside: what
//! becomes of gates. The answers are those of Prometheus 2.42.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::RawQuery,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use ferry_config::{Check, Environment, Metric};
use ferry_events::{
    Body, Event, Kind,
    gate::{Ask, Judged, Requested, Verdict},
};
use support::{ENVIRONMENT, Line, WAIT, check, config, event, finished, metric, question, within};

/// What is answered: the status and the body. Status 0: never.
type Reply = (u16, &'static str);

const SUM: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795652831.732,"0.25"]}]}}"#;
const TWO: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"127.0.0.1:1","job":"gone"},"value":[1795652831.718,"0"]},{"metric":{"__name__":"up","instance":"127.0.0.1:19090","job":"self"},"value":[1795652831.718,"1"]}]}}"#;
const NOTHING: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const SCALAR: &str =
    r#"{"status":"success","data":{"resultType":"scalar","result":[1795652831.751,"0.5"]}}"#;
const STRING: &str =
    r#"{"status":"success","data":{"resultType":"string","result":[1795652831.759,"text"]}}"#;
const NAN: &str =
    r#"{"status":"success","data":{"resultType":"scalar","result":[1795652831.773,"NaN"]}}"#;
const INFINITE: &str =
    r#"{"status":"success","data":{"resultType":"scalar","result":[1795652831.797,"+Inf"]}}"#;
const RANGE: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"127.0.0.1:1","job":"gone"},"values":[[1795652830.917,"0"]]}]}}"#;
const HISTOGRAM: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"self"},"histogram":[1795652831.7,{"count":"2","sum":"3","buckets":[[0,"0.5","1","2"]]}]}]}}"#;
const BAD: &str = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"}"#;

/// What came to the server.
#[derive(Clone, Debug)]
struct Asked {
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A server that gives one answer after the other; the last one again and again.
struct Player {
    url: String,
    replies: Arc<Mutex<Vec<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Player {
    async fn start(replies: &[Reply]) -> Self {
        let mut replies = replies.to_vec();
        replies.reverse();
        let player = Self {
            url: String::new(),
            replies: Arc::new(Mutex::new(replies)),
            asked: Arc::default(),
        };
        let (replies, asked) = (player.replies.clone(), player.asked.clone());
        let answer = move |RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes| {
            let authorization = headers.get("authorization").cloned();
            asked.lock().unwrap().push(Asked {
                query: query.unwrap_or_default(),
                headers,
                body: body.to_vec(),
            });
            let (status, text) = {
                let mut replies = replies.lock().unwrap();
                match replies.len() {
                    1 => replies[0],
                    _ => replies.pop().unwrap(),
                }
            };
            async move {
                if status == 0 {
                    std::future::pending::<()>().await;
                }
                let mut text = text.to_owned();
                if let Some(it) = authorization {
                    text = text.replace("[echo]", it.to_str().unwrap());
                }
                (StatusCode::from_u16(status).unwrap(), text).into_response()
            }
        };
        let router = axum::Router::new()
            .route("/below/api/v1/query", axum::routing::get(answer.clone()))
            .route("/check", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, ..player }
    }

    fn prometheus(&self) -> String {
        format!("{}/below/", self.url)
    }

    fn board(&self) -> String {
        format!("{}/check", self.url)
    }

    fn now_answers(&self, reply: Reply) {
        *self.replies.lock().unwrap() = vec![reply];
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn asked_times(&self, times: usize) {
        let wait = async {
            while self.asked.lock().unwrap().len() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT, wait).await.expect("asked");
    }
}

async fn judged(line: &Line) -> Judged {
    match line.wait(Kind::GateJudged, |_| true).await {
        Body::GateJudged(it) => *it,
        other => panic!("{other:?}"),
    }
}

/// The verdict, what was seen, and how often it was asked.
async fn ask(replies: &[Reply], ask: impl Fn(&Player) -> Requested) -> (Verdict, String, usize) {
    let player = Player::start(replies).await;
    let mut line = Line::start().await;
    line.run().await;
    line.say(&event(1, ask(&player))).await;
    let judged = judged(&line).await;
    let seen = judged.seen.replace(&player.url, "http://outside");
    (judged.verdict, seen, player.asked().len())
}

/// The verdict on a metric whose deadline no test waits for.
async fn patiently(replies: &[Reply]) -> (Verdict, String, usize) {
    ask(replies, |player| {
        question("metric errors", metric(&player.prometheus()))
    })
    .await
}

/// What is seen of a metric that gets no verdict in time.
async fn in_vain(replies: &[Reply]) -> String {
    let (verdict, seen, times) = ask(replies, |player| {
        within(600, question("metric errors", metric(&player.prometheus())))
    })
    .await;
    assert_eq!(verdict, Verdict::Inconclusive, "{seen}");
    assert!(times > 1, "asked {times} times");
    seen
}

fn pass(seen: &str, times: usize) -> (Verdict, String, usize) {
    (Verdict::Pass, seen.to_owned(), times)
}

fn fail(seen: &str, times: usize) -> (Verdict, String, usize) {
    (Verdict::Fail, seen.to_owned(), times)
}

#[tokio::test]
async fn well_values_in_a_row_pass() {
    assert_eq!(
        patiently(&[(200, SUM)]).await,
        pass("3 values in a row were well, the last 0.25", 3)
    );
    assert_eq!(
        patiently(&[(200, SUM), (200, SUM), (200, SCALAR)]).await,
        pass("3 values in a row were well, the last 0.5", 3),
        "a bound is well itself"
    );
}

#[tokio::test]
async fn what_is_no_value_begins_the_row_again() {
    let replies = [
        (200, SUM),
        (200, SUM),
        (200, NOTHING),
        (503, "try later"),
        (200, SUM),
        (200, NAN),
        (200, SUM),
    ];
    assert_eq!(
        patiently(&replies).await,
        pass("3 values in a row were well, the last 0.25", 9)
    );
}

#[tokio::test]
async fn the_first_value_out_of_bounds_fails() {
    assert_eq!(
        patiently(&[(200, SUM), (200, NOTHING), (200, TWO)]).await,
        fail(
            "1 is more than 0.5, up{instance=\"127.0.0.1:19090\", job=\"self\"}",
            3
        ),
        "the second of two series"
    );
    assert_eq!(
        patiently(&[(200, INFINITE)]).await,
        fail("+Inf is more than 0.5", 1)
    );
    let low = |player: &Player| {
        let ask = Ask::Metric {
            url: player.prometheus(),
            query: "up".into(),
            min: Some("2".into()),
            max: None,
            interval_ms: 20,
            count: 1,
        };
        question("metric up", ask)
    };
    assert_eq!(
        ask(&[(200, TWO)], low).await,
        fail(
            "0 is less than 2, up{instance=\"127.0.0.1:1\", job=\"gone\"}; and 1 more",
            1
        )
    );
}

#[tokio::test]
async fn several_series_must_all_be_well() {
    let bounds = |player: &Player| {
        let ask = Ask::Metric {
            url: player.prometheus(),
            query: "up".into(),
            min: Some("0".into()),
            max: Some("1".into()),
            interval_ms: 20,
            count: 1,
        };
        question("metric up", ask)
    };
    assert_eq!(
        ask(&[(200, TWO)], bounds).await,
        pass("0 and 1 more is well", 1)
    );
}

#[tokio::test]
async fn no_data_never_passes() {
    assert_eq!(in_vain(&[(200, NOTHING)]).await, "no data for sum(errors)");
    assert_eq!(
        in_vain(&[(200, NAN)]).await,
        "no data for sum(errors): NaN is no value"
    );
    assert_eq!(
        in_vain(&[(200, STRING)]).await,
        "no data for sum(errors): \"text\" is no number"
    );
    assert_eq!(
        in_vain(&[(200, HISTOGRAM)]).await,
        "no data for sum(errors): a histogram is no value for {job=\"self\"}"
    );
    assert_eq!(
        in_vain(&[(200, RANGE)]).await,
        "Prometheus answered with a range of values; the query must give one a series"
    );
}

#[tokio::test]
async fn errors_and_garbage_never_pass() {
    assert_eq!(
        in_vain(&[(503, "Service\nUnavailable")]).await,
        "Prometheus answered 503: Service Unavailable"
    );
    assert_eq!(
        in_vain(&[(400, BAD)]).await,
        "Prometheus answered 400: bad_data: invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"
    );
    assert_eq!(
        in_vain(&[(200, "<html>a login page</html>")]).await,
        "Prometheus answered 200: <html>a login page</html> (not an answer of Prometheus: expected value at line 1 column 1)"
    );
    // Well in form, but not with this status.
    assert!(in_vain(&[(500, SUM)]).await.contains("answered 500"));
    let seen = in_vain(&[(200, SUM), (302, "")]).await;
    assert_eq!(seen, "Prometheus answered 302");
}

#[tokio::test]
async fn a_server_that_is_silent_or_gone_is_inconclusive() {
    let seen = in_vain(&[(200, SUM), (0, "")]).await;
    assert!(seen.starts_with("Prometheus no answer within"), "{seen}");
    let (verdict, seen, _) = ask(&[(200, SUM)], |_| {
        within(300, question("metric errors", metric("http://127.0.0.1:1")))
    })
    .await;
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(seen.contains("refused"), "{seen}");
}

#[tokio::test]
async fn values_that_are_too_few_by_the_deadline_are_inconclusive() {
    let many = |player: &Player| {
        let ask = Ask::Metric {
            url: player.prometheus(),
            query: "sum(errors)".into(),
            min: None,
            max: Some("0.5".into()),
            interval_ms: 3_600_000,
            count: 3,
        };
        within(400, question("metric errors", ask))
    };
    let (verdict, seen, times) = ask(&[(200, SUM)], many).await;
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(
        (seen.as_str(), times),
        (
            "only 2 of 3 values in a row were well in time, the last 0.25",
            2
        ),
        "once at the start, and once more before time is up"
    );
}

#[tokio::test]
async fn a_metric_that_makes_no_sense_is_inconclusive_at_once() {
    for (min, url, why) in [
        (None, "http://127.0.0.1:1", "there is no bound"),
        (Some("low"), "http://127.0.0.1:1", "\"low\" is no bound"),
        (
            Some("1"),
            "nowhere",
            "\"nowhere\" is no address of Prometheus",
        ),
    ] {
        let (verdict, seen, _) = ask(&[(200, SUM)], |_| {
            let ask = Ask::Metric {
                url: url.into(),
                query: "up".into(),
                min: min.map(Into::into),
                max: None,
                interval_ms: 20,
                count: 1,
            };
            question("metric up", ask)
        })
        .await;
        assert_eq!((verdict, seen.as_str()), (Verdict::Inconclusive, why));
    }
}

#[tokio::test]
async fn the_query_is_sent_whole() {
    let player = Player::start(&[(200, SUM)]).await;
    let mut line = Line::start().await;
    line.run().await;
    let query = "sum(rate(errors{module=\"a&b\"}[1m])) / 100 + 1";
    let ask = Ask::Metric {
        url: player.prometheus(),
        query: query.into(),
        min: None,
        max: Some("1".into()),
        interval_ms: 20,
        count: 1,
    };
    line.say(&event(1, question("metric errors", ask))).await;
    judged(&line).await;
    let sent = player.asked().remove(0).query;
    let url: url::Url = format!("http://x/?{sent}").parse().unwrap();
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!(pairs, [("query".into(), query.into())]);
}

#[tokio::test]
async fn a_check_gets_the_event_until_it_answers() {
    let player = Player::start(&[
        (202, ""),
        (503, "busy"),
        (200, "{\"verdict\":\"wait\",\"why\":\"people look\"}"),
        (200, "{\"verdict\":\"maybe\"}"),
        (
            200,
            "{\"verdict\":\"pass\",\"why\":\"ticket 7\",\"more\":1}",
        ),
    ])
    .await;
    let mut line = Line::start().await;
    line.run().await;
    let asked = event(1, question("check board", check(&player.board())));
    line.say(&asked).await;
    let judged = judged(&line).await;
    assert_eq!(
        (judged.verdict, judged.seen.as_str()),
        (Verdict::Pass, "ticket 7")
    );
    let posted = player.asked();
    assert_eq!(posted.len(), 5);
    for one in posted {
        assert_eq!(
            one.headers
                .get_all("content-type")
                .iter()
                .collect::<Vec<_>>(),
            ["application/cloudevents+json"]
        );
        assert_eq!(
            Event::decode(&one.body).unwrap(),
            asked,
            "as it stands on the bus, each time with the same id"
        );
    }
}

#[tokio::test]
async fn a_check_that_fails_says_why() {
    let said = (200, "{\"verdict\":\"fail\",\"why\":\"no\\nticket\"}");
    let ask_board = |player: &Player| question("check board", check(&player.board()));
    assert_eq!(ask(&[said], ask_board).await, fail("no ticket", 1));
    let said = (200, "{\"verdict\":\"fail\"}");
    assert_eq!(ask(&[said], ask_board).await, fail("it said fail", 1));
}

#[tokio::test]
async fn a_check_without_an_answer_is_inconclusive() {
    for (reply, why) in [
        ((202, ""), "no answer in time: it said to wait"),
        (
            (200, "{\"verdict\":\"wait\",\"why\":\"people look\"}"),
            "no answer in time: it said to wait: people look",
        ),
        (
            (404, "no such page"),
            "no answer in time: it answered 404: no such page",
        ),
        (
            (201, "{\"verdict\":\"pass\"}"),
            "no answer in time: it answered 201: {\"verdict\":\"pass\"}",
        ),
        ((200, "yes"), "no verdict in time: it answered 200: yes"),
    ] {
        let (verdict, seen, times) = ask(&[reply], |player| {
            within(400, question("check board", check(&player.board())))
        })
        .await;
        assert_eq!((verdict, seen.as_str()), (Verdict::Inconclusive, why));
        assert!(times > 1, "asked {times} times");
    }
}

/// A line whose configuration has a token for the metric and the check.
async fn with_tokens(player: &Player, reference: &str) -> Line {
    let token = Some(reference.parse().unwrap());
    let metric: Metric = serde_json::from_value(serde_json::json!({
        "url": player.prometheus(), "query": "sum(errors)", "max": "0.5",
    }))
    .unwrap();
    let check: Check =
        serde_json::from_value(serde_json::json!({ "url": player.board() })).unwrap();
    let environment = Environment {
        metrics: BTreeMap::from([(
            "errors".to_owned(),
            Metric {
                token: token.clone(),
                ..metric
            },
        )]),
        checks: BTreeMap::from([("board".to_owned(), Check { token, ..check })]),
        ..Environment::default()
    };
    let mut line = Line::start().await;
    let mut config = config(Vec::new());
    config.environments.insert(ENVIRONMENT.into(), environment);
    line.configure_as(&config).await;
    std::fs::write(line.folder.path().join("token"), "s3cret\n").unwrap();
    line.run().await;
    line
}

fn tokens(player: &Player) -> Vec<Option<String>> {
    let token = |asked: &Asked| {
        let header = asked.headers.get("authorization")?;
        Some(header.to_str().unwrap().to_owned())
    };
    player.asked().iter().map(token).collect()
}

#[tokio::test]
async fn a_token_goes_to_its_own_address_and_nowhere_else() {
    let player = Player::start(&[(200, "{\"verdict\":\"pass\"}")]).await;
    let line = with_tokens(&player, "file:token").await;
    line.say(&event(1, question("check board", check(&player.board()))))
        .await;
    judged(&line).await;
    assert_eq!(tokens(&player), [Some("Bearer s3cret".to_owned())]);

    // The plan was made when another address stood in the configuration.
    let other = Player::start(&[(200, "{\"verdict\":\"pass\"}")]).await;
    let line = with_tokens(&player, "file:token").await;
    line.say(&event(1, question("check board", check(&other.board()))))
        .await;
    judged(&line).await;
    assert_eq!(tokens(&other), [None]);
}

#[tokio::test]
async fn a_token_that_comes_back_is_not_told() {
    let player = Player::start(&[(403, "not allowed: [echo]")]).await;
    let line = with_tokens(&player, "file:token").await;
    let asked = question("metric errors", metric(&player.prometheus()));
    line.say(&event(1, within(300, asked))).await;
    let seen = judged(&line).await.seen;
    assert_eq!(seen, "Prometheus answered 403: not allowed: Bearer [token]");
    assert_eq!(tokens(&player)[0].as_deref(), Some("Bearer s3cret"));
    let all = line.bus.messages(ferry_events::subject::STREAM).unwrap();
    assert!(all.len() > 2);
    for (_, subject, payload) in all {
        let text = String::from_utf8_lossy(&payload).into_owned();
        assert!(!text.contains("s3cret"), "{subject}: {text}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_said_and_nothing_is_asked() {
    let player = Player::start(&[(200, SUM)]).await;
    let line = with_tokens(&player, "file:no-such-file").await;
    let asked = question("metric errors", metric(&player.prometheus()));
    line.say(&event(1, within(300, asked))).await;
    let judged = judged(&line).await;
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(
        judged.seen.contains("the token cannot be had") && judged.seen.contains("no-such-file"),
        "{}",
        judged.seen
    );
    assert!(player.asked().is_empty());
}

#[tokio::test]
async fn a_gate_that_ended_otherwise_is_not_asked_any_more() {
    let player = Player::start(&[(202, "")]).await;
    let other = Player::start(&[(202, "")]).await;
    let mut line = Line::start().await;
    line.run().await;
    let asked = question("check board", check(&player.board()));
    line.say(&event(1, asked.clone())).await;
    player.asked_times(2).await;
    line.say(&event(2, finished(&asked))).await;
    line.over(&asked).await;
    let times = player.asked().len();
    // While another one is asked some more times, this one is not.
    line.say(&event(3, question("check other", check(&other.board()))))
        .await;
    other.asked_times(10).await;
    assert!(
        player.asked().len() <= times + 1,
        "one may have been on its way"
    );
    assert!(!line.said().contains(&"gate.judged".to_owned()));
}

#[tokio::test]
async fn an_end_that_comes_before_its_request_wins() {
    let player = Player::start(&[(200, "{\"verdict\":\"pass\"}")]).await;
    let mut line = Line::start().await;
    line.run().await;
    let asked = question("check board", check(&player.board()));
    line.say(&event(2, finished(&asked))).await;
    line.over(&asked).await;
    line.say(&event(1, asked)).await;
    line.say(&event(3, question("check other", check(&player.board()))))
        .await;
    assert_eq!(judged(&line).await.name, "check other");
    assert_eq!(player.asked().len(), 1);
}

#[tokio::test]
async fn whoever_goes_on_after_a_crash_asks_again_and_says_it_once() {
    let player = Player::start(&[(200, SUM), (200, SUM), (0, "")]).await;
    let mut line = Line::start().await;
    line.run_apart().await;
    let asked = question("metric errors", metric(&player.prometheus()));
    line.say(&event(1, asked)).await;
    player.asked_times(3).await;
    line.crash();
    assert!(!line.said().contains(&"gate.judged".to_owned()));
    player.now_answers((200, SUM));
    line.run_apart().await;
    assert_eq!(judged(&line).await.verdict, Verdict::Pass);
    assert_eq!(player.asked().len(), 6, "the row begins again");
    let said = line.said();
    let judged = said.iter().filter(|kind| *kind == "gate.judged").count();
    assert_eq!(judged, 1);
}
