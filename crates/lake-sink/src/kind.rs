//! What a column holds.

/// What a column holds, or an element of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text that hardly comes twice.
    Id,
    /// A text.
    Text,
    /// One of a few texts.
    Symbol(Vec<String>),
    /// Milliseconds since 1970, in UTC.
    Time,
    /// Money of one record: decimal(18, 4).
    Money(MoneyForm),
    /// A sum of money: decimal(38, 4).
    Sum,
    /// A 64-bit integer.
    Count,
    /// 64-bit integers that rise from row to row.
    Rising,
    /// A 32-bit integer.
    Number,
    /// A double.
    Double,
    /// True or false.
    Flag,
    /// This, or nothing.
    Maybe(Box<Self>),
    /// Any number of these.
    List(Box<Self>),
    /// Any number of these, each by a name.
    Map(Box<Self>),
    /// All of these.
    Record(Vec<Column>),
}

/// How money is written in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoneyForm {
    /// As the double nearest to it.
    Double,
    /// As a decimal.
    Decimal,
}

/// A column, or a field of a record in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: Kind,
}

impl Kind {
    /// This, or nothing.
    pub(crate) fn maybe(self) -> Self {
        Self::Maybe(Box::new(self))
    }

    /// Whether it is money, or a sum of it, where it is there.
    pub(crate) fn is_money(&self) -> bool {
        match self {
            Self::Money(_) | Self::Sum => true,
            Self::Maybe(inner) => inner.is_money(),
            _ => false,
        }
    }

    /// How many leaves it has in a file.
    pub(crate) fn leaves(&self) -> usize {
        match self {
            Self::Maybe(inner) | Self::List(inner) => inner.leaves(),
            Self::Map(inner) => 1 + inner.leaves(),
            Self::Record(columns) => columns.iter().map(|column| column.kind.leaves()).sum(),
            _ => 1,
        }
    }

    /// A field of this kind, in the language of Parquet's message types.
    pub(crate) fn field(&self, name: &str) -> String {
        self.repeated("REQUIRED", name)
    }

    fn repeated(&self, times: &str, name: &str) -> String {
        let kind = match self {
            Self::Id | Self::Text | Self::Symbol(_) => "BYTE_ARRAY {} (STRING)",
            Self::Time => "INT64 {} (TIMESTAMP(MILLIS,true))",
            Self::Money(_) => "INT64 {} (DECIMAL(18,4))",
            Self::Sum => "FIXED_LEN_BYTE_ARRAY(16) {} (DECIMAL(38,4))",
            Self::Count | Self::Rising => "INT64 {}",
            Self::Number => "INT32 {}",
            Self::Double => "DOUBLE {}",
            Self::Flag => "BOOLEAN {}",
            Self::Maybe(inner) => return inner.repeated("OPTIONAL", name),
            Self::List(inner) => {
                let element = inner.field("element");
                return format!("{times} GROUP {name} (LIST) {{ REPEATED GROUP list {{ {element} }} }}");
            }
            Self::Map(inner) => {
                let (key, value) = (Self::Text.field("key"), inner.field("value"));
                return format!(
                    "{times} GROUP {name} (MAP) {{ REPEATED GROUP key_value {{ {key} {value} }} }}"
                );
            }
            Self::Record(columns) => {
                let fields: Vec<_> = columns.iter().map(|it| it.kind.field(&it.name)).collect();
                return format!("{times} GROUP {name} {{ {} }}", fields.join(" "));
            }
        };
        format!("{times} {};", kind.replace("{}", name))
    }
}
