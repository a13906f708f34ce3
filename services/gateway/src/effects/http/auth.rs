//! The caller of a request, by bearer token.
//!
//! In: the header `Authorization`. Out: [`Caller`], or 401.

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};

use super::refusal::Refusal;
use crate::decide::access::{self, Caller};
use crate::effects::app::App;

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let given = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|it| it.to_str().ok());
        let Some(given) = given else {
            return Err(Refusal::unauthorized("this address needs a token"));
        };
        let bearer = given
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Refusal::unauthorized("the token is not sent as `Bearer TOKEN`"))?;
        access::caller(&app.config(), bearer)
            .ok_or_else(|| Refusal::unauthorized("this token is not known"))
    }
}
