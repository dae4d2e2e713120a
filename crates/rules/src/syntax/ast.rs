//! The tree of an expression, as it was written.

use std::ops::Range;

use millrace_domain::Currency;

pub(crate) type Span = Range<usize>;

/// A part of an expression, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) node: Node,
    pub(crate) span: Span,
    /// 1 for what has no parts.
    pub(crate) depth: u16,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A number without a point.
    Integer(i64),
    Decimal(f64),
    /// Units of 1/10,000.
    Money(i64, Currency),
    Duration(i64),
    Text(String),
    Bool(bool),
    Name(String),
    List(Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// Condition, then, else.
    If(Box<[Expr; 3]>),
    Call(Call),
}

/// `name(arguments).method(arguments)…`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) arguments: Vec<Expr>,
    /// What follows after points: name, where that is, arguments.
    pub(crate) methods: Vec<Method>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) arguments: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Binary {
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}
