//! From text to words, numbers and signs.

use winnow::combinator::{alt, delimited, opt, preceded, repeat};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, none_of, one_of, take_while};

use super::ast::Span;
use super::{MAX_EXPRESSION_LEN, MAX_TOKENS};
use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// Digits and maybe decimals, with the letters that follow at once: `10`, `0.5`, `10m`.
    Number {
        digits: String,
        unit: String,
    },
    Text(String),
    Word(String),
    /// An operator, a bracket, a comma or a point.
    Sign(&'static str),
}

type Input<'a> = LocatingSlice<&'a str>;

/// Longer signs before those that they begin with.
const SIGNS: [&str; 23] = [
    "&&", "||", "<=", ">=", "==", "!=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    "?", ":", "=",
];

/// Every token with where it is.
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Problem> {
    if text.len() > MAX_EXPRESSION_LEN {
        return Err(Problem::new(
            MAX_EXPRESSION_LEN..text.len(),
            format!("the expression has {} bytes", text.len()),
        )
        .expected(format!("at most {MAX_EXPRESSION_LEN}"))
        .fix("make two rules of it"));
    }
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        blanks(&mut input);
        let start = input.current_token_start();
        if start == text.len() {
            return Ok(found);
        }
        if found.len() == MAX_TOKENS {
            return Err(Problem::new(start..text.len(), "the expression is too long")
                .expected(format!("at most {MAX_TOKENS} words, numbers and signs"))
                .fix("make two rules of it"));
        }
        match token.parse_next(&mut input) {
            Ok(token) => found.push((token, start..input.current_token_start())),
            Err(_) => return Err(unknown(text, start)),
        }
    }
}

/// Blanks, and comments from `//` to the end of the line.
fn blanks(input: &mut Input<'_>) {
    let comment = ("//", take_while(0.., |c| c != '\n')).void();
    let blank = take_while(1.., char::is_whitespace).void();
    let all: ModalBlanks = repeat(0.., alt((blank, comment))).parse_next(input);
    debug_assert!(all.is_ok());
}

type ModalBlanks = Result<(), ContextError>;

fn token(input: &mut Input<'_>) -> Result<Token, ContextError> {
    alt((number, quoted, word, sign)).parse_next(input)
}

fn number(input: &mut Input<'_>) -> Result<Token, ContextError> {
    let digits = |least| take_while(least.., |c: char| c.is_ascii_digit());
    let number = (digits(1), opt(preceded('.', digits(1)))).take();
    // `1h30m` is one number.
    let unit = take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_');
    (number, unit)
        .map(|(digits, unit): (&str, &str)| Token::Number {
            digits: digits.to_owned(),
            unit: unit.to_owned(),
        })
        .parse_next(input)
}

fn quoted(input: &mut Input<'_>) -> Result<Token, ContextError> {
    let escaped = preceded('\\', one_of(['\\', '"', '\'']));
    let double = delimited('"', repeat(0.., alt((escaped, none_of(['"', '\\', '\n'])))), '"');
    let escaped = preceded('\\', one_of(['\\', '"', '\'']));
    let single = delimited(
        '\'',
        repeat(0.., alt((escaped, none_of(['\'', '\\', '\n'])))),
        '\'',
    );
    alt((double, single)).map(Token::Text).parse_next(input)
}

fn word(input: &mut Input<'_>) -> Result<Token, ContextError> {
    let first = any.verify(|c: &char| c.is_alphabetic() || *c == '_');
    let rest = take_while(0.., |c: char| c.is_alphanumeric() || c == '_');
    (first, rest)
        .take()
        .map(|word: &str| Token::Word(word.to_owned()))
        .parse_next(input)
}

fn sign(input: &mut Input<'_>) -> Result<Token, ContextError> {
    for sign in SIGNS {
        if input.starts_with(sign) {
            return winnow::token::literal(sign)
                .value(Token::Sign(sign))
                .parse_next(input);
        }
    }
    Err(ContextError::new())
}

#[cold]
fn unknown(text: &str, start: usize) -> Problem {
    let rest = &text[start..];
    let first = rest.chars().next().unwrap_or(' ');
    if first == '"' || first == '\'' {
        let end = rest.find('\n').map_or(text.len(), |at| start + at);
        return Problem::new(start..end, "this text has no end")
            .expected(format!("another {first} after it, and \\\\ for a backslash"));
    }
    let end = start + first.len_utf8();
    let problem = Problem::new(start..end, format!("{first:?} means nothing here"));
    match first {
        '&' => problem.fix("write `and`, or `&&`"),
        '|' => problem.fix("write `or`, or `||`"),
        '’' | '‘' | '“' | '”' | '„' => problem.fix("write straight quotes: \""),
        '≥' => problem.fix("write `>=`"),
        '≤' => problem.fix("write `<=`"),
        '≠' => problem.fix("write `!=`"),
        '×' => problem.fix("write `*`"),
        '€' | '$' | '£' | '¥' => problem.fix("write the currency's code after the number: `100 EUR`"),
        _ => problem.expected("a number, a name, a text in quotes or an operator"),
    }
}
