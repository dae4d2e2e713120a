//! Money of another writer: a `float` or a `decimal` where our schema has a double.
//!
//! Avro promotes a float to a double bit for bit, which makes 57.15999984741211 of 57.16, and
//! resolves no decimal to a double. So such a field is resolved to its writer's own type, and its
//! value is turned into the double of the amount that it means. Which amount a number means is for
//! the contract's domain to say.

use apache_avro::types::Value;
use serde_json::{Map, Value as Json};

use crate::DecodeError;

/// How a field that is money as a double in our schema is read from a writer that has another type
/// there.
#[derive(Debug, Clone, Copy)]
pub struct Money {
    /// The double of the amount that a float means.
    pub of_float: fn(f32) -> Result<f64, DecodeError>,
    /// The double of the amount that a decimal means: its unscaled bytes and its scale.
    pub of_decimal: fn(&[u8], u32) -> Result<f64, DecodeError>,
}

/// Such a field that is of another type in a writer's schema.
#[derive(Debug)]
pub(crate) struct OtherMoney {
    name: &'static str,
    money: Money,
    /// The scale of a decimal in bytes, and of one in a fixed.
    bytes_scale: Option<u32>,
    fixed_scale: Option<u32>,
    /// Whether it may be null in ours.
    is_optional: bool,
}

impl OtherMoney {
    /// Finds out whether a field is a float or a decimal in a writer's schema, maybe in a union
    /// with others, and then gives `reader` the writer's type of the field.
    ///
    /// # Errors
    /// Decimals that cannot be told apart.
    pub(crate) fn of(
        (name, money): (&'static str, Money),
        writer: &Json,
        reader: &mut Json,
    ) -> Result<Option<Self>, String> {
        let Some(found) = field_type(writer, name) else {
            return Ok(None);
        };
        let mut other = Self {
            name,
            money,
            bytes_scale: None,
            fixed_scale: None,
            is_optional: false,
        };
        let mut has_float = false;
        let mut own = found.clone();
        let branches = match &mut own {
            Json::Array(branches) => branches.as_mut_slice(),
            alone => std::slice::from_mut(alone),
        };
        for branch in branches {
            if let Some(definition) = branch.as_str().and_then(|name| fixed(writer, name)) {
                *branch = Json::Object(definition.clone());
            }
            let kind = branch.as_str().or_else(|| branch.get("type")?.as_str());
            let scale = match kind {
                Some("float") => {
                    has_float = true;
                    continue;
                }
                Some("bytes") => &mut other.bytes_scale,
                Some("fixed") => &mut other.fixed_scale,
                _ => continue,
            };
            if branch.get("logicalType").and_then(Json::as_str) != Some("decimal") {
                return Err(format!(
                    "field {name} is bytes, and no decimal by its logicalType"
                ));
            }
            let found = branch.get("scale").and_then(Json::as_u64).unwrap_or(0);
            let found = u32::try_from(found).map_err(|_| format!("field {name} has the scale {found}"))?;
            if scale.replace(found).is_some() {
                return Err(format!("field {name} has several decimals"));
            }
        }
        if !has_float && other.bytes_scale.is_none() && other.fixed_scale.is_none() {
            return Ok(None);
        }
        if let Some(place) = field_type_mut(reader, name) {
            other.is_optional = place.is_array();
            *place = own;
        }
        Ok(Some(other))
    }

    /// Puts the double of the amount in place of what a writer wrote.
    ///
    /// # Errors
    /// It is no amount.
    pub(crate) fn convert(&self, record: &mut Value) -> Result<(), DecodeError> {
        let Value::Record(fields) = record else {
            return Ok(());
        };
        let Some((_, value)) = fields.iter_mut().find(|(name, _)| name == self.name) else {
            return Ok(());
        };
        while let Value::Union(_, inner) = value {
            *value = std::mem::replace(inner.as_mut(), Value::Null);
        }
        let amount = match (&*value, self.bytes_scale, self.fixed_scale) {
            (Value::Null, ..) if self.is_optional => {
                *value = Value::Union(0, Box::new(Value::Null));
                return Ok(());
            }
            (Value::Float(float), ..) => (self.money.of_float)(*float)?,
            (Value::Bytes(bytes), Some(scale), _) | (Value::Fixed(_, bytes), _, Some(scale)) => {
                (self.money.of_decimal)(bytes, scale)?
            }
            (Value::Double(double), ..) => *double,
            (Value::Int(whole), ..) => f64::from(*whole),
            // A double tells every integer up to the largest amount.
            (Value::Long(whole), ..) => *whole as f64,
            _ => {
                let (field, message) = (self.name, "is no number".to_owned());
                return Err(DecodeError::BadField { field, message });
            }
        };
        let amount = Value::Double(amount);
        *value = match self.is_optional {
            // Null comes first in each union of ours.
            true => Value::Union(1, Box::new(amount)),
            false => amount,
        };
        Ok(())
    }
}

fn field_type<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    let mut fields = schema.get("fields")?.as_array()?.iter();
    fields
        .find(|field| field.get("name").and_then(Json::as_str) == Some(name))?
        .get("type")
}

fn field_type_mut<'a>(schema: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    let mut fields = schema.get_mut("fields")?.as_array_mut()?.iter_mut();
    fields
        .find(|field| field.get("name").and_then(Json::as_str) == Some(name))?
        .get_mut("type")
}

/// The definition of a fixed by its name, wherever in a schema it is.
fn fixed<'a>(schema: &'a Json, name: &str) -> Option<&'a Map<String, Json>> {
    let last = |name: &'a str| name.rsplit('.').next();
    match schema {
        Json::Object(object) => {
            let is_it = object.get("type").and_then(Json::as_str) == Some("fixed")
                && object.get("name").and_then(Json::as_str).and_then(last) == name.rsplit('.').next();
            if is_it {
                return Some(object);
            }
            object.values().find_map(|inner| fixed(inner, name))
        }
        Json::Array(items) => items.iter().find_map(|inner| fixed(inner, name)),
        _ => None,
    }
}
