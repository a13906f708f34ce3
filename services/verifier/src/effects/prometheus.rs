//! The answers of Prometheus' HTTP API to an instant query
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
//!
//! In: a status and a body. Out: the values, each with its series, or why there are none.

use std::collections::BTreeMap;

use ferry_web::Answer;
use serde::{Deserialize, de::IgnoredAny};

use super::gate::in_words;

/// How much of a series' labels is shown.
const SERIES_MAX: usize = 200;

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// The series, as Prometheus writes it; empty where it has no labels.
    pub series: String,
    /// The value as it was written.
    pub text: String,
    /// The value. Never NaN.
    pub number: f64,
}

/// The values of an answer, and why others are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub known: Vec<Value>,
    pub unknown: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
}

/// A moment, and the value as text.
type Sample = (f64, String);

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Element>),
    Scalar(Sample),
    String(Sample),
    Matrix(IgnoredAny),
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    /// Missing where the element is a histogram.
    value: Option<Sample>,
}

/// Reads an answer. An error says why there is no value at all; an empty vector is no error here.
pub(super) fn read(answer: &Answer) -> Result<Values, String> {
    if !answer.whole {
        return Err(format!(
            "answered with more than {} bytes; let the query give fewer series",
            answer.body.len()
        ));
    }
    let reply: Reply = match serde_json::from_slice(&answer.body) {
        Ok(reply) => reply,
        Err(_) if answer.status != 200 => return Err(in_words(answer)),
        Err(error) => {
            let words = in_words(answer);
            return Err(format!("{words} (not an answer of Prometheus: {error})"));
        }
    };
    if reply.status != "success" || answer.status != 200 {
        let (kind, error) = (
            reply.error_type.unwrap_or_default(),
            reply.error.unwrap_or_default(),
        );
        return Err(format!("answered {}: {kind}: {error}", answer.status));
    }
    let mut values = Values::default();
    match reply.data {
        None => return Err("answered without data".into()),
        Some(Data::Matrix(_)) => {
            return Err("answered with a range of values; the query must give one a series".into());
        }
        Some(Data::Scalar((_, text)) | Data::String((_, text))) => {
            values.add(String::new(), Some(text));
        }
        Some(Data::Vector(elements)) => {
            for element in elements {
                let series = series(&element.metric);
                values.add(series, element.value.map(|(_, text)| text));
            }
        }
    }
    Ok(values)
}

impl Values {
    fn add(&mut self, series: String, text: Option<String>) {
        let of = match series.as_str() {
            "" => String::new(),
            series => format!(" for {series}"),
        };
        let unknown = match text {
            None => format!("a histogram is no value{of}"),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if !number.is_nan() => {
                    self.known.push(Value {
                        series,
                        text,
                        number,
                    });
                    return;
                }
                Ok(_) => format!("{text} is no value{of}"),
                Err(_) => format!("{text:?} is no number{of}"),
            },
        };
        self.unknown.get_or_insert(unknown);
    }
}

fn series(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let labels: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    let text = match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(", ")),
    };
    text.chars().take(SERIES_MAX).collect()
}
