//! What a rule may name: fields, features, entities, windows, functions. The checker looks names up
//! here, and `docs/rules.md` is written from here.

mod functions;

pub(crate) use self::functions::{FUNCTIONS, Function, FunctionEntry};
use crate::types::{TextField, Type};

/// Windows in milliseconds of event time, with how they are written.
pub const WINDOWS: [(&str, i64); 8] = [
    ("1m", 60_000),
    ("5m", 300_000),
    ("10m", 600_000),
    ("30m", 1_800_000),
    ("1h", 3_600_000),
    ("24h", 86_400_000),
    ("7d", 604_800_000),
    ("30d", 2_592_000_000),
];

/// A field of the transaction.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) about: &'static str,
}

pub(crate) const FIELDS: [Field; 10] = [
    Field {
        name: "amount",
        ty: Type::Money(None),
        about: "How much, in the transaction's currency.",
    },
    Field {
        name: "usual",
        ty: Type::Money(None),
        about: "The user's usual purchase in that currency: the geometric mean, newer ones weighing \
                more, before this transaction; unknown before ten purchases.",
    },
    Field {
        name: "time",
        ty: Type::Instant,
        about: "Event time.",
    },
    Field {
        name: "user",
        ty: Type::Text(TextField::User),
        about: "Who paid.",
    },
    Field {
        name: "merchant",
        ty: Type::Text(TextField::Merchant),
        about: "Who was paid.",
    },
    Field {
        name: "location",
        ty: Type::Text(TextField::Location),
        about: "The name of a city.",
    },
    Field {
        name: "currency",
        ty: Type::Text(TextField::Currency),
        about: "An ISO 4217 code: `\"EUR\"`.",
    },
    Field {
        name: "type",
        ty: Type::Text(TextField::Type),
        about: "`\"purchase\"` or `\"refund\"`.",
    },
    Field {
        name: "method",
        ty: Type::Text(TextField::Method),
        about: "`\"credit_card\"`, `\"paypal\"` or `\"bank_transfer\"`.",
    },
    Field {
        name: "international",
        ty: Type::Bool,
        about: "Whether it crossed a border.",
    },
];

/// Whose history a feature looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// `by(user)`.
    User,
    /// `by(merchant)`.
    Merchant,
    /// `by(user, merchant)`.
    UserMerchant,
    /// `by(user, currency)`.
    UserCurrency,
    /// `by(method)`.
    Method,
    /// `by(location)`.
    Location,
}

impl Entity {
    /// Every entity.
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::Merchant,
        Self::UserMerchant,
        Self::UserCurrency,
        Self::Method,
        Self::Location,
    ];

    /// What is between the brackets of `by(…)`.
    #[must_use]
    pub const fn names(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
            Self::UserMerchant => "user, merchant",
            Self::UserCurrency => "user, currency",
            Self::Method => "method",
            Self::Location => "location",
        }
    }

    /// Whether all of an entity's transactions are in one partition of the transactions, which go
    /// by user.
    #[must_use]
    pub const fn is_with_user(self) -> bool {
        matches!(self, Self::User | Self::UserMerchant | Self::UserCurrency)
    }
}

/// What a feature computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum What {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Distinct,
    FirstSeen,
    SinceLast,
    Last,
    Streak,
    ZScore,
    /// The field `usual`: no function of its own.
    Usual,
}

/// A feature as it is called.
pub(crate) struct FeatureEntry {
    pub(crate) name: &'static str,
    pub(crate) what: What,
    /// What its arguments are, the window aside.
    pub(crate) usage: &'static str,
    pub(crate) takes_value: bool,
    pub(crate) window: WindowNeed,
    pub(crate) about: &'static str,
    pub(crate) exactness: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowNeed {
    Needed,
    Optional,
    None,
}

const RING: &str = "exact up to 128 records in the longest window asked for; beyond that the window may \
                    reach further back by less than one hop";

pub(crate) const FEATURES: [FeatureEntry; 11] = [
    FeatureEntry {
        name: "count",
        what: What::Count,
        usage: "count(\"10m\", PRED)",
        takes_value: false,
        window: WindowNeed::Needed,
        about: "How many transactions are in the window.",
        exactness: RING,
    },
    FeatureEntry {
        name: "sum",
        what: What::Sum,
        usage: "sum(\"1h\", EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "The sum of EXPR over the window; 0 of none.",
        exactness: RING,
    },
    FeatureEntry {
        name: "avg",
        what: What::Avg,
        usage: "avg(\"1h\", EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "The mean of EXPR over the window; unknown of none.",
        exactness: RING,
    },
    FeatureEntry {
        name: "min",
        what: What::Min,
        usage: "min(\"24h\", EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "The least EXPR in the window; unknown of none.",
        exactness: RING,
    },
    FeatureEntry {
        name: "max",
        what: What::Max,
        usage: "max(\"24h\", EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "The greatest EXPR in the window; unknown of none.",
        exactness: RING,
    },
    FeatureEntry {
        name: "distinct",
        what: What::Distinct,
        usage: "distinct(\"24h\", FIELD, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "How many different values of a text or enum are in the window.",
        exactness: "exact up to 25, then 25, for \"at least 25\"",
    },
    FeatureEntry {
        name: "first_seen",
        what: What::FirstSeen,
        usage: "first_seen(\"30d\", FIELD, PRED)",
        takes_value: true,
        window: WindowNeed::Needed,
        about: "Whether the transaction's value of a text or enum was not in the window before it.",
        exactness: "exact; unknown where 64 newer values have pushed others out of the window",
    },
    FeatureEntry {
        name: "since_last",
        what: What::SinceLast,
        usage: "since_last(PRED)",
        takes_value: false,
        window: WindowNeed::None,
        about: "How far in event time the last transaction before it is: the one with the highest event \
                time, of several the last to come; unknown before the first.",
        exactness: "exact",
    },
    FeatureEntry {
        name: "last",
        what: What::Last,
        usage: "last(EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::None,
        about: "EXPR of that last transaction, as it was when that came.",
        exactness: "exact",
    },
    FeatureEntry {
        name: "streak",
        what: What::Streak,
        usage: "streak(CONDITION, PRED)",
        takes_value: true,
        window: WindowNeed::None,
        about: "How many transactions in a row, in the order of arrival and this one included, the \
                condition held for. Those for which it is unknown are passed over. `streak(C) == 1` is \
                true at the first of a row.",
        exactness: "exact, up to 4,294,967,295",
    },
    FeatureEntry {
        name: "zscore",
        what: What::ZScore,
        usage: "zscore(EXPR, PRED)",
        takes_value: true,
        window: WindowNeed::Optional,
        about: "How many standard deviations EXPR of this transaction is above the mean. Without a \
                window: of the user's habit in the transaction's currency before this transaction, \
                exponentially weighted (0.1); unknown before ten transactions; a deviation of a \
                logarithm below 0.3 counts as 0.3. With a window: of what is in it; unknown of less \
                than two, or without any deviation.",
        exactness: "the habit is single precision, in the three dominant currencies of a user; a window \
                    as `sum`",
    },
];

pub(crate) fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

pub(crate) fn feature(name: &str) -> Option<&'static FeatureEntry> {
    FEATURES.iter().find(|feature| feature.name == name)
}

pub(crate) fn function_named(name: &str) -> Option<&'static FunctionEntry> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Every name of the catalogue.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let fields = FIELDS.iter().map(|field| field.name);
    let features = FEATURES.iter().map(|feature| feature.name);
    fields
        .chain(features)
        .chain(FUNCTIONS.iter().map(|function| function.name))
}
