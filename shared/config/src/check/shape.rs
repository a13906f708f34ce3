//! The JSON schema of the types, in the form in which a tree is checked.
//! In: the schema. Out: [`Shape`]. So the types are the only place that says
//! which keys there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Map, Value};

/// What a value must look like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A table with known keys.
    Table {
        keys: BTreeMap<String, Shape>,
        required: BTreeSet<String>,
    },
    /// A table of names that people choose.
    Names(Box<Shape>),
    /// A list of at least so many.
    List { each: Box<Shape>, least: u64 },
    /// A text.
    Text(Text),
    /// One of these texts.
    Choice(Vec<String>),
    /// A whole number in this range.
    Number { least: i64, most: i64 },
    /// A whole number of bases, or a part of them.
    Amount,
    /// True or false.
    Flag,
}

/// What a text must look like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    /// The format, by name.
    pub format: Option<String>,
    /// The table of which it must be a key.
    pub names: Option<String>,
    /// The least duration or size.
    pub least: Option<String>,
    /// The greatest duration or size.
    pub most: Option<String>,
    /// Whether it must have at least one character.
    pub filled: bool,
}

impl Shape {
    /// The shape of the whole configuration.
    pub fn config() -> &'static Self {
        static SHAPE: OnceLock<Shape> = OnceLock::new();
        SHAPE.get_or_init(|| {
            let schema = crate::schema();
            Self::of(&schema, &schema)
        })
    }

    /// The shape of a pool's `bases_file`: a list of bases and nothing else.
    pub fn bases_file() -> &'static Self {
        static SHAPE: OnceLock<Shape> = OnceLock::new();
        SHAPE.get_or_init(|| {
            let schema = crate::schema();
            let base = &schema["$defs"]["Base"];
            let each = Box::new(Self::of(base, &schema));
            let keys = BTreeMap::from([("bases".to_owned(), Self::List { each, least: 0 })]);
            Self::Table {
                keys,
                required: BTreeSet::from(["bases".to_owned()]),
            }
        })
    }

    /// The shape of a module's own file.
    pub fn module_file() -> &'static Self {
        static SHAPE: OnceLock<Shape> = OnceLock::new();
        SHAPE.get_or_init(|| {
            let schema = crate::schema::module_file_schema();
            Self::of(&schema, &schema)
        })
    }

    /// Panics on a schema that it does not know: then a type uses something new,
    /// and every test says so.
    fn of(schema: &Value, root: &Value) -> Self {
        let schema = flat(schema, root);
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| schema.get(key).and_then(Value::as_i64);
        if text("format").as_deref() == Some("amount") {
            return Self::Amount;
        }
        if let Some(choices) = choices(&schema) {
            return Self::Choice(choices);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => match schema.get("properties").and_then(Value::as_object) {
                Some(properties) => Self::Table {
                    keys: properties
                        .iter()
                        .map(|(key, value)| (key.clone(), Self::of(value, root)))
                        .collect(),
                    required: schema
                        .get("required")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                },
                None => Self::Names(Box::new(Self::of(&schema["additionalProperties"], root))),
            },
            Some("array") => {
                let mut each = Self::of(&schema["items"], root);
                if let (Self::Text(each), Some(names)) = (&mut each, text("x-names")) {
                    each.names = Some(names);
                }
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                Self::List {
                    each: Box::new(each),
                    least,
                }
            }
            Some("string") => Self::Text(Text {
                format: text("format"),
                names: text("x-names"),
                least: text("x-least"),
                most: text("x-most"),
                filled: number("minLength").is_some_and(|least| least > 0),
            }),
            Some("integer") => {
                let (low, high) = match text("format").as_deref() {
                    Some("uint8") => (0, i64::from(u8::MAX)),
                    Some("uint16") => (0, i64::from(u16::MAX)),
                    Some("uint32") => (0, i64::from(u32::MAX)),
                    _ => (i64::MIN, i64::MAX),
                };
                Self::Number {
                    least: number("minimum").unwrap_or(low),
                    most: number("maximum").unwrap_or(high),
                }
            }
            Some("boolean") => Self::Flag,
            _ => panic!("the configuration's types have a schema that is not checked: {schema:?}"),
        }
    }
}

/// Follows references and takes away the null of what is optional.
fn flat(schema: &Value, root: &Value) -> Map<String, Value> {
    let mut own = schema.as_object().cloned().unwrap_or_default();
    let mut all = Map::new();
    if let Some(Value::String(reference)) = own.remove("$ref") {
        let target = root
            .pointer(reference.trim_start_matches('#'))
            .expect("a schema's own $ref");
        all.extend(flat(target, root));
    }
    if let Some(Value::Array(any)) = own.remove("anyOf") {
        let is_null = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("null");
        for one in any.iter().filter(|one| !is_null(one)) {
            all.extend(flat(one, root));
        }
    }
    if let Some(Value::Array(types)) = own.get("type") {
        let value = types
            .iter()
            .find(|one| one.as_str() != Some("null"))
            .cloned();
        own.insert("type".to_owned(), value.unwrap_or_default());
    }
    all.extend(own);
    all
}

/// The texts of an enumeration.
fn choices(schema: &Map<String, Value>) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.iter().map(text).collect();
    }
    let Some(Value::Array(variants)) = schema.get("oneOf") else {
        return None;
    };
    let mut all = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant.get("enum")) {
            (Some(value), _) => all.push(text(value)?),
            (None, Some(Value::Array(values))) => {
                for value in values {
                    all.push(text(value)?);
                }
            }
            _ => return None,
        }
    }
    Some(all)
}
