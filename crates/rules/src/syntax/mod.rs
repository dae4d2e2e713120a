//! From text to a tree: a subset of CEL, with money (`100 EUR`) and durations (`10m`) as literals.

pub(crate) mod ast;
mod lexer;
pub(crate) mod literal;
mod parser;

pub(crate) use parser::parse;

/// The longest expression in bytes.
pub const MAX_EXPRESSION_LEN: usize = 4_096;
/// The most words, numbers and signs in an expression.
pub const MAX_TOKENS: usize = 1_024;
/// How deep an expression may be nested.
pub const MAX_DEPTH: u16 = 48;
