//! What a body of another writer's schema unfolds to, before it is unfolded.
//!
//! apache-avro reads a value within a value by a call within a call, and makes an item of every
//! item that a block promises. So a schema that names itself lets a record of a few kilobytes
//! overflow a worker's stack, which ends the process at every start; and items that have no bytes,
//! as nulls, let one fill the memory.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::Name;

use crate::references::MAX_DEPTH;
use crate::wire::Cursor;

/// Values that a body may unfold to beside two for each of its bytes: nulls, and records of them,
/// have none.
const SPARE_VALUES: usize = 1 << 16;

/// How many bytes a type has, and what is in it. Others are meant by their place among [`Types`].
#[derive(Debug)]
enum Type {
    Fixed(usize),
    Varint,
    Bytes,
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<usize>),
}

/// The types of a schema.
#[derive(Debug)]
pub(crate) struct Types {
    all: Vec<Type>,
    root: usize,
}

/// Why a walk ends before the body.
enum Stop {
    /// The bytes are none of the schema: whoever reads them says where.
    Malformed,
    TooMuch(String),
}

impl From<crate::DecodeError> for Stop {
    fn from(_: crate::DecodeError) -> Self {
        Self::Malformed
    }
}

impl Types {
    /// Those of a schema without logical types.
    ///
    /// # Errors
    /// A name that stands for nothing.
    pub(crate) fn of(schema: &Schema) -> Result<Self, String> {
        let (mut all, mut named) = (Vec::new(), HashMap::new());
        let root = add(schema, &mut all, &mut named)?;
        Ok(Self { all, root })
    }

    /// Checks that a body is no deeper, and unfolds to no more, than it may.
    ///
    /// # Errors
    /// It is or does. Bytes that are none of the schema are no error here.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), String> {
        let mut walk = Walk {
            types: &self.all,
            cursor: Cursor::new(body),
            values_left: body.len() * 2 + SPARE_VALUES,
        };
        match walk.value(self.root, 0) {
            Err(Stop::TooMuch(what)) => Err(what),
            Err(Stop::Malformed) | Ok(()) => Ok(()),
        }
    }
}

fn add(schema: &Schema, all: &mut Vec<Type>, named: &mut HashMap<Name, usize>) -> Result<usize, String> {
    if let Schema::Ref { name } = schema {
        let known = named.get(name).copied();
        return known.ok_or_else(|| format!("the schema names {name:?}, which it does not define"));
    }
    // Before what is in it, which may name it.
    let at = all.len();
    all.push(Type::Fixed(0));
    if let Schema::Record(record) = schema {
        named.insert(record.name.clone(), at);
    }
    all[at] = match schema {
        Schema::Null => Type::Fixed(0),
        Schema::Boolean => Type::Fixed(1),
        Schema::Float => Type::Fixed(4),
        Schema::Double => Type::Fixed(8),
        Schema::Fixed(fixed) => {
            named.insert(fixed.name.clone(), at);
            Type::Fixed(fixed.size)
        }
        Schema::Enum(symbols) => {
            named.insert(symbols.name.clone(), at);
            Type::Varint
        }
        Schema::Int | Schema::Long => Type::Varint,
        Schema::Array(array) => Type::Array(add(&array.items, all, named)?),
        Schema::Map(map) => Type::Map(add(&map.types, all, named)?),
        Schema::Union(union) => {
            let branches = union.variants().iter();
            Type::Union(
                branches
                    .map(|branch| add(branch, all, named))
                    .collect::<Result<_, _>>()?,
            )
        }
        Schema::Record(record) => {
            let fields = record.fields.iter();
            Type::Record(
                fields
                    .map(|field| add(&field.schema, all, named))
                    .collect::<Result<_, _>>()?,
            )
        }
        // Bytes, strings, and what logical types are of, which are stripped.
        _ => Type::Bytes,
    };
    Ok(at)
}

struct Walk<'t, 'b> {
    types: &'t [Type],
    cursor: Cursor<'b>,
    values_left: usize,
}

impl Walk<'_, '_> {
    fn value(&mut self, at: usize, depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::TooMuch(format!(
                "its values are more than {MAX_DEPTH} deep"
            )));
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(too_many)?;
        match &self.types[at] {
            Type::Fixed(length) => self.cursor.pass(*length, "")?,
            Type::Varint => {
                self.cursor.long("")?;
            }
            Type::Bytes => {
                self.cursor.bytes("")?;
            }
            Type::Array(items) => self.blocks(*items, false, depth)?,
            Type::Map(values) => self.blocks(*values, true, depth)?,
            Type::Union(branches) => {
                let branch = usize::try_from(self.cursor.long("")?);
                let branch = branch.ok().and_then(|branch| branches.get(branch));
                self.value(*branch.ok_or(Stop::Malformed)?, depth + 1)?;
            }
            Type::Record(fields) => {
                for field in fields {
                    self.value(*field, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Blocks of items up to an empty one; a negative count has the block's length behind it.
    fn blocks(&mut self, item: usize, has_keys: bool, depth: usize) -> Result<(), Stop> {
        loop {
            let count = self.cursor.long("")?;
            if count < 0 {
                self.cursor.long("")?;
            }
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if count == 0 {
                return Ok(());
            }
            if count > self.values_left {
                return Err(too_many());
            }
            for _ in 0..count {
                if has_keys {
                    self.cursor.bytes("")?;
                }
                self.value(item, depth + 1)?;
            }
        }
    }
}

fn too_many() -> Stop {
    Stop::TooMuch("it unfolds to far more values than it has bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_long};

    fn types(schema: &str) -> Types {
        Types::of(&Schema::parse_str(schema).unwrap()).unwrap()
    }

    #[test]
    fn a_list_may_be_as_deep_as_a_schema() {
        let list = types(r#"{"type":"record","name":"n.L","fields":[{"name":"next","type":["null","L"]}]}"#);
        let body = |length: usize| [vec![2; length], vec![0]].concat();
        // A record and a union for each.
        assert_eq!(list.check(&body(MAX_DEPTH / 2 - 1)), Ok(()));
        for length in [MAX_DEPTH / 2, 1_000_000] {
            let what = list.check(&body(length)).unwrap_err();
            assert!(what.contains("deep"), "{what}");
        }
    }

    #[test]
    fn items_without_bytes_are_bounded_in_all_blocks_together() {
        let nulls = types(r#"{"type":"array","items":"null"}"#);
        let blocks = |count: i64, times: usize| {
            let mut body = Vec::new();
            (0..times).for_each(|_| put_long(count, &mut body));
            put_long(0, &mut body);
            body
        };
        assert_eq!(nulls.check(&blocks(1_000, 65)), Ok(()));
        for (count, times) in [(1_000, 70), (1 << 62, 1), (-70_000, 2), (i64::MIN, 2)] {
            let what = nulls.check(&blocks(count, times)).unwrap_err();
            assert!(what.contains("far more"), "{what}");
        }
    }

    /// Each level has ten of the next, and the last is null: none has a byte.
    #[test]
    fn records_of_nothing_are_bounded_too() {
        let level = |inner: &str, at: usize| {
            let field = |number: usize| {
                let kind = if number == 0 {
                    inner.to_owned()
                } else {
                    format!("\"n.R{}\"", at + 1)
                };
                format!(r#"{{"name":"f{number}","type":{kind}}}"#)
            };
            let fields: Vec<_> = (0..10).map(field).collect();
            let fields = fields.join(",");
            format!(r#"{{"type":"record","name":"n.R{at}","fields":[{fields}]}}"#)
        };
        let last = r#"{"type":"record","name":"n.R20","fields":[{"name":"x","type":"null"}]}"#.to_owned();
        let all = (0..20).rev().fold(last, |inner, at| level(&inner, at));
        assert!(types(&all).check(&[]).unwrap_err().contains("far more"));
    }

    #[test]
    fn every_type_has_its_length() {
        let all = types(
            r#"{"type":"record","name":"R","fields":[
                {"name":"a","type":{"type":"map","values":{"type":"fixed","name":"F","size":3}}},
                {"name":"b","type":{"type":"enum","name":"E","symbols":["x"]}},{"name":"c","type":["null","F","E"]},
                {"name":"d","type":"double"},{"name":"e","type":"float"},{"name":"f","type":"boolean"},
                {"name":"l","type":{"type":"array","items":{"type":"record","name":"n.L","fields":[
                    {"name":"next","type":["null","L"]}]}}}]}"#,
        );
        let mut body = Vec::new();
        put_long(1, &mut body);
        put_bytes(b"key", &mut body);
        body.extend_from_slice(b"123");
        put_long(0, &mut body);
        put_long(0, &mut body);
        put_long(1, &mut body);
        body.extend_from_slice(&[0; 3 + 8 + 4 + 1]);
        put_long(1, &mut body);
        // What comes behind all of these is found.
        body.extend_from_slice(&[2; 200]);
        assert!(all.check(&body).is_err());
        body.truncate(body.len() - 200);
        assert_eq!(all.check(&body), Ok(()), "the reader says that it ends too soon");
    }
}
