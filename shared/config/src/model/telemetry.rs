//! `[telemetry]`: where the services send what they did. In: serde. Out: [`Telemetry`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// `[telemetry]`: OpenTelemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Address of a collector that takes OTLP over HTTP with protobuf; traces go to `/v1/traces` below it. Without it
    /// none are made. `OTEL_EXPORTER_OTLP_ENDPOINT` in a service's environment stands over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "http-url"))]
    pub otlp: Option<Url>,
}

impl Telemetry {
    /// Whether nothing is said about it.
    pub(crate) fn is_off(&self) -> bool {
        *self == Self::default()
    }
}
