//! Values of any of our schemas, which their contracts take, and what they are in a row.

use std::collections::HashMap;

use apache_avro::schema::EnumSchema;
use apache_avro::types::Value;
use apache_avro::{Decimal, Schema, Uuid};
use parquet::record::Field;
use rand::RngExt as _;
use rand_xoshiro::Xoshiro256PlusPlus;

const START_MS: i64 = 1_767_225_600_000;
const YEARS_MS: i64 = 30 * 365 * 86_400_000;
const LARGEST_SUM: i128 = 10_i128.pow(38) - 1;

/// Makes values at random.
pub(super) struct Values {
    random: Xoshiro256PlusPlus,
    named: HashMap<String, EnumSchema>,
}

impl Values {
    pub(super) fn new(random: Xoshiro256PlusPlus) -> Self {
        Self {
            random,
            named: HashMap::new(),
        }
    }

    /// A record; of purchases, one with all fields.
    pub(super) fn make(&mut self, schema: &Schema) -> Value {
        loop {
            let value = self.value(schema, "");
            let Value::Record(fields) = &value else {
                panic!("{value:?}")
            };
            let is = |wanted: &dyn Fn(&Value) -> bool| fields.iter().any(|(_, value)| wanted(value));
            let is_purchase = is(&|value| matches!(value, Value::Enum(_, symbol) if symbol == "purchase"));
            let lacks = is(&|value| matches!(value, Value::Union(0, _)));
            if !(is_purchase && lacks) {
                return value;
            }
        }
    }

    fn value(&mut self, schema: &Schema, name: &str) -> Value {
        match schema {
            Schema::Record(record) => {
                let fields = record.fields.iter();
                let value = |field: &apache_avro::schema::RecordField| {
                    (field.name.clone(), self.value(&field.schema, &field.name))
                };
                Value::Record(fields.map(value).collect())
            }
            Schema::Union(union) => match self.random.random_range(0..5) {
                0 => Value::Union(0, Box::new(Value::Null)),
                _ => Value::Union(1, Box::new(self.value(&union.variants()[1], name))),
            },
            Schema::Array(array) => {
                let count = self.random.random_range(0..4);
                Value::Array((0..count).map(|_| self.value(&array.items, name)).collect())
            }
            Schema::Map(map) => {
                let count = self.random.random_range(0..4);
                let pair = |at: i32| (format!("{name}-{at}"), self.value(&map.types, name));
                Value::Map((0..count).map(pair).collect())
            }
            Schema::Enum(of) => {
                self.named.insert(of.name.name().to_string(), of.clone());
                self.symbol(of)
            }
            Schema::Ref { name } => {
                let of = self.named[name.name()].clone();
                self.symbol(&of)
            }
            Schema::Uuid(_) => Value::Uuid(Uuid::from_u128(self.random.random())),
            Schema::String => Value::String(self.text(name)),
            Schema::Boolean => Value::Boolean(self.random.random()),
            Schema::Int => Value::Int(self.random.random_range(1..1_000)),
            Schema::Long => {
                Value::Long(self.random.random_range(0..i64::MAX) >> self.random.random_range(0..63))
            }
            Schema::Double => Value::Double(self.double(name)),
            Schema::TimestampMillis => {
                Value::TimestampMillis(START_MS + self.random.random_range(0..YEARS_MS))
            }
            Schema::Decimal(_) => Value::Decimal(Decimal::from(self.units(name).to_be_bytes())),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn symbol(&mut self, of: &EnumSchema) -> Value {
        let at = self.random.random_range(0..of.symbols.len());
        Value::Enum(at as u32, of.symbols[at].clone())
    }

    fn text(&mut self, name: &str) -> String {
        match name {
            "currency" => ["EUR", "USD", "NOK"][self.random.random_range(0..3)].to_owned(),
            "transactionIds" => Uuid::from_u128(self.random.random()).to_string(),
            _ => format!("{name} ø {}", self.random.random_range(0..1_000)),
        }
    }

    fn double(&mut self, name: &str) -> f64 {
        match name {
            "amount" | "price" => f64::from(self.random.random_range(1..2_000_000_000)) / 10_000.0,
            "temp" | "humidity" | "value" => f64::from(self.random.random_range(-90_000..90_000)) / 1_000.0,
            _ => self.random.random_range(-1e9..1e9),
        }
    }

    fn units(&mut self, name: &str) -> i128 {
        match name {
            "minAmount" | "maxAmount" => self.random.random_range(1..1_000_000_000_000),
            _ => self.random.random_range(-LARGEST_SUM..=LARGEST_SUM) >> self.random.random_range(0..120),
        }
    }
}

/// Whether a row has a value.
pub(super) fn is_same(found: &Field, value: &Value) -> bool {
    match (found, value) {
        (Field::Null, Value::Union(0, _)) => true,
        (found, Value::Union(1, value)) => is_same(found, value),
        (Field::Str(found), Value::String(value) | Value::Enum(_, value)) => found == value,
        (Field::Str(found), Value::Uuid(value)) => *found == value.to_string(),
        (Field::TimestampMillis(found), Value::TimestampMillis(value))
        | (Field::Long(found), Value::Long(value)) => found == value,
        (Field::Int(found), Value::Int(value)) => found == value,
        (Field::Double(found), Value::Double(value)) => found == value,
        (Field::Bool(found), Value::Boolean(value)) => found == value,
        (Field::Decimal(found), Value::Double(value)) => {
            // The double nearest to the decimal.
            found.scale() == 4 && units(found.data()) as f64 / 10_000.0 == *value
        }
        (Field::Decimal(found), Value::Decimal(value)) => {
            let value: Vec<u8> = value.clone().try_into().unwrap();
            found.scale() == 4 && units(found.data()) == units(&value)
        }
        (Field::ListInternal(found), Value::Array(values)) => {
            let found = found.elements();
            found.len() == values.len()
                && found
                    .iter()
                    .zip(values)
                    .all(|(found, value)| is_same(found, value))
        }
        (Field::MapInternal(found), Value::Map(values)) => {
            let is_there = |(key, found): &(Field, Field)| match key {
                Field::Str(key) => values.get(key).is_some_and(|value| is_same(found, value)),
                _ => false,
            };
            found.len() == values.len() && found.entries().iter().all(is_there)
        }
        (Field::Group(found), Value::Record(values)) => {
            let mut found = found.get_column_iter();
            let is_next = |(name, value): &(String, Value)| {
                found
                    .next()
                    .is_some_and(|(found_name, found)| found_name == name && is_same(found, value))
            };
            values.iter().all(is_next)
        }
        _ => false,
    }
}

/// Big-endian two's complement.
fn units(bytes: &[u8]) -> i128 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        -1
    } else {
        0
    };
    bytes
        .iter()
        .fold(sign, |units, byte| units << 8 | i128::from(*byte))
}
