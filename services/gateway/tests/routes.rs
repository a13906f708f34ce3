//! What the gateway serves is what the table of routes says, which
//! `schemas/openapi.json` is made from.

mod common;

use std::collections::BTreeSet;

use common::*;
use ferry_api::route::{Access, Method, ROUTES, Route};
use ferry_bus::MemoryBus;
use reqwest::StatusCode;

/// The routes as they stand in the router's source: axum does not tell them.
fn served() -> BTreeSet<(String, String)> {
    let source = include_str!("../src/effects/http/mod.rs");
    let routes = source.split(".route(\"").skip(1);
    routes
        .map(|rest| {
            let (path, rest) = rest.split_once("\", ").expect("a path and its handler");
            let (method, _) = rest.split_once('(').expect("a method");
            (method.to_uppercase(), path.to_owned())
        })
        .collect()
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let told: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.as_str().to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(told, served());
    let names: BTreeSet<&str> = ROUTES.iter().map(|route| route.name).collect();
    assert_eq!(names.len(), ROUTES.len(), "names of their own");
}

async fn call(gateway: &Gateway, route: &Route) -> (StatusCode, String) {
    let path = route
        .path
        .replace("{forge}", "github")
        .replace("{id}", "00000000-0000-0000-0000-000000000000")
        .replace("{base}", "pre-1")
        .replace("{module}", "hello");
    let url = format!("{}{path}", gateway.url);
    let request = match route.method {
        Method::Get => gateway.http.get(&url),
        Method::Post => gateway.http.post(&url).body("{}"),
    };
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    for route in ROUTES {
        let (status, body) = call(&gateway, route).await;
        let path = route.path;
        assert!(
            !body.contains("no-route") && !body.contains("wrong-method"),
            "{path}: {body}"
        );
        match route.access {
            Access::Open => assert!(status.is_success(), "{path}: {status} {body}"),
            Access::Token(_) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {body}"),
            // Nothing was signed.
            Access::Signature => assert!(status.is_client_error(), "{path}: {status} {body}"),
        }
    }
    gateway.stop().await;
}
