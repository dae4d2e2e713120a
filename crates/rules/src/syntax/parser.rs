//! From tokens to a tree. Operators bind as in CEL: `?:`, `or`, `and`, comparisons, sums, products,
//! `not`.

use millrace_domain::Currency;

use super::MAX_DEPTH;
use super::ast::{Binary, Call, Expr, Method, Node, Span};
use super::lexer::{Token, tokens};
use super::literal::{duration_ms, money_units};
use crate::problem::Problem;

type Parsed = Result<Expr, Problem>;

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Parsed {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    let expr = parser.expression()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((token, span)) => Err(left_over(token, span.clone())),
    }
}

struct Parser<'a> {
    tokens: &'a [(Token, Span)],
    at: usize,
    end: usize,
    depth: u16,
}

impl Parser<'_> {
    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.here()));
        }
        let condition = self.binary(0)?;
        let result = if self.take_sign("?") {
            let then = self.expression()?;
            self.need(":", "`:` and what holds otherwise")?;
            let otherwise = self.expression()?;
            let span = condition.span.start..otherwise.span.end;
            let depth = condition.depth.max(then.depth).max(otherwise.depth);
            node(Node::If(Box::new([condition, then, otherwise])), span, depth)
        } else {
            Ok(condition)
        };
        self.depth -= 1;
        result
    }

    /// What binds stronger than `level`.
    fn binary(&mut self, level: u8) -> Parsed {
        let mut left = self.unary()?;
        let mut compared: Option<Span> = None;
        while let Some((operator, span)) = self.operator()? {
            let binds = binds(operator);
            if binds <= level {
                break;
            }
            if binds == COMPARISON {
                if compared.is_some() {
                    return Err(Problem::new(span, "comparisons do not chain").fix("write `a < b and b < c`"));
                }
                compared = Some(span);
            }
            self.at += 1;
            let right = self.binary(binds)?;
            let span = left.span.start..right.span.end;
            let depth = left.depth.max(right.depth);
            left = node(
                Node::Binary(operator, Box::new(left), Box::new(right)),
                span,
                depth,
            )?;
        }
        Ok(left)
    }

    fn operator(&self) -> Result<Option<(Binary, Span)>, Problem> {
        let Some((token, span)) = self.tokens.get(self.at) else {
            return Ok(None);
        };
        let operator = match token {
            Token::Sign(sign) => match *sign {
                "||" => Binary::Or,
                "&&" => Binary::And,
                "<" => Binary::Less,
                "<=" => Binary::AtMost,
                ">" => Binary::More,
                ">=" => Binary::AtLeast,
                "==" => Binary::Equal,
                "!=" => Binary::Unequal,
                "+" => Binary::Add,
                "-" => Binary::Subtract,
                "*" => Binary::Multiply,
                "/" => Binary::Divide,
                "=" => {
                    return Err(Problem::new(span.clone(), "`=` is no comparison").fix("write `==`"));
                }
                "%" => {
                    return Err(
                        Problem::new(span.clone(), "there is no remainder, and no percent sign")
                            .fix("write 0.1 for 10 %"),
                    );
                }
                _ => return Ok(None),
            },
            Token::Word(word) => match word.as_str() {
                "or" => Binary::Or,
                "and" => Binary::And,
                "in" => Binary::In,
                "AND" | "OR" | "IN" => {
                    return Err(Problem::new(span.clone(), format!("`{word}` is no operator"))
                        .fix(format!("write `{}`", word.to_lowercase())));
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some((operator, span.clone())))
    }

    fn unary(&mut self) -> Parsed {
        let start = self.here().start;
        let is_not = self.take_sign("!") || self.take_word("not");
        if !is_not && !self.take_sign("-") {
            return self.primary();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.here()));
        }
        // `not a == b` is `not (a == b)`, as it reads; `!a == b` is not.
        let binds = if is_not && self.was_word() {
            COMPARISON - 1
        } else {
            PRODUCT
        };
        let inner = self.binary(binds)?;
        self.depth -= 1;
        let (span, depth) = (start..inner.span.end, inner.depth);
        let inner = Box::new(inner);
        let made = if is_not {
            Node::Not(inner)
        } else {
            Node::Negative(inner)
        };
        node(made, span, depth)
    }

    fn primary(&mut self) -> Parsed {
        let Some((token, span)) = self.tokens.get(self.at).cloned() else {
            return Err(Problem::new(self.here(), "the expression ends here").expected(OPERAND));
        };
        self.at += 1;
        match token {
            Token::Number { digits, unit } => self.number(&digits, &unit, span),
            Token::Text(text) => node(Node::Text(text), span, 0),
            Token::Word(word) => self.word(word, span),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.need(")", "`)`")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                let (items, end) = self.arguments("]")?;
                let depth = deepest(&items);
                node(Node::List(items), span.start..end, depth)
            }
            Token::Sign(sign) => {
                Err(Problem::new(span, format!("`{sign}` has nothing before it")).expected(OPERAND))
            }
        }
    }

    fn number(&mut self, digits: &str, unit: &str, span: Span) -> Parsed {
        if let Some(currency) = self.currency(unit) {
            let end = if unit.is_empty() {
                self.at += 1;
                self.tokens[self.at - 1].1.end
            } else {
                span.end
            };
            let Some(units) = money_units(digits) else {
                return Err(Problem::new(span, format!("{digits} is no amount"))
                    .expected("at most four decimals, below 900 trillion"));
            };
            return node(Node::Money(units, currency), span.start..end, 0);
        }
        if !unit.is_empty() {
            let Some(ms) = duration_ms(&format!("{digits}{unit}")) else {
                return Err(Problem::new(span, format!("`{digits}{unit}` is no number"))
                    .expected("a duration as 30s, 10m, 1h or 7d, or money as 100 EUR"));
            };
            return node(Node::Duration(ms), span, 0);
        }
        let made = if digits.contains('.') {
            digits.parse().map(Node::Decimal).ok()
        } else {
            // What a double holds exactly.
            digits
                .parse()
                .ok()
                .filter(|number: &i64| *number < 1 << 53)
                .map(Node::Integer)
        };
        match made {
            Some(made) => node(made, span, 0),
            None => Err(Problem::new(span, "the number is too large").expected("less than 2^53")),
        }
    }

    /// The code in a number's unit, or in the next token.
    fn currency(&self, unit: &str) -> Option<Currency> {
        let code = match (unit, self.tokens.get(self.at)) {
            ("", Some((Token::Word(word), _))) => word,
            ("", _) => return None,
            (unit, _) => unit,
        };
        Currency::parse(code.as_bytes()).ok()
    }

    fn word(&mut self, word: String, span: Span) -> Parsed {
        match word.as_str() {
            "true" => return node(Node::Bool(true), span, 0),
            "false" => return node(Node::Bool(false), span, 0),
            "and" | "or" | "in" => {
                return Err(Problem::new(span, format!("`{word}` has nothing before it")).expected(OPERAND));
            }
            _ => {}
        }
        if !self.take_sign("(") {
            return node(Node::Name(word), span, 0);
        }
        let (arguments, mut end) = self.arguments(")")?;
        let mut depth = deepest(&arguments);
        let mut methods = Vec::new();
        while self.take_sign(".") {
            let span = self.here();
            let Some((Token::Word(name), _)) = self.tokens.get(self.at).cloned() else {
                return Err(Problem::new(span, "nothing is named after the point")
                    .expected("`by(…)`, `where(…)`, `over(…)` or `excluding_current()`"));
            };
            self.at += 1;
            self.need("(", "`(`")?;
            let (arguments, method_end) = self.arguments(")")?;
            depth = depth.max(deepest(&arguments));
            end = method_end;
            methods.push(Method {
                name,
                span,
                arguments,
            });
        }
        let call = Call {
            name: word,
            name_span: span.clone(),
            arguments,
            methods,
        };
        node(Node::Call(call), span.start..end, depth)
    }

    /// What is between commas, up to `close`, and where that ends.
    fn arguments(&mut self, close: &'static str) -> Result<(Vec<Expr>, usize), Problem> {
        let mut items = Vec::new();
        while !self.take_sign(close) {
            if !items.is_empty() {
                self.need(",", &format!("`,` or `{close}`"))?;
            }
            items.push(self.expression()?);
        }
        Ok((items, self.tokens[self.at - 1].1.end))
    }

    fn need(&mut self, sign: &'static str, expected: &str) -> Result<(), Problem> {
        if self.take_sign(sign) {
            return Ok(());
        }
        let found = match self.tokens.get(self.at) {
            Some((token, _)) => format!("{} is not expected here", shown(token)),
            None => "the expression ends too early".to_owned(),
        };
        Err(Problem::new(self.here(), found).expected(expected))
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        let is_it = matches!(self.tokens.get(self.at), Some((Token::Sign(found), _)) if *found == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.tokens.get(self.at), Some((Token::Word(found), _)) if found == word);
        self.at += usize::from(is_it);
        is_it
    }

    fn was_word(&self) -> bool {
        matches!(self.tokens[self.at - 1].0, Token::Word(_))
    }

    fn here(&self) -> Span {
        self.tokens
            .get(self.at)
            .map_or(self.end..self.end, |(_, span)| span.clone())
    }
}

const OPERAND: &str = "a field, a feature, a number or a text";
const COMPARISON: u8 = 3;
const PRODUCT: u8 = 5;

fn binds(operator: Binary) -> u8 {
    match operator {
        Binary::Or => 1,
        Binary::And => 2,
        Binary::Less
        | Binary::AtMost
        | Binary::More
        | Binary::AtLeast
        | Binary::Equal
        | Binary::Unequal
        | Binary::In => COMPARISON,
        Binary::Add | Binary::Subtract => 4,
        Binary::Multiply | Binary::Divide => PRODUCT,
    }
}

fn deepest(items: &[Expr]) -> u16 {
    items.iter().map(|item| item.depth).max().unwrap_or(0)
}

fn node(node: Node, span: Span, inner_depth: u16) -> Parsed {
    if inner_depth >= MAX_DEPTH {
        return Err(too_deep(span));
    }
    Ok(Expr {
        node,
        span,
        depth: inner_depth + 1,
    })
}

#[cold]
fn too_deep(span: Span) -> Problem {
    Problem::new(span, "the expression is nested too deep")
        .expected(format!("at most {MAX_DEPTH} levels"))
        .fix("make two rules of it, or use a list with `in`")
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number { digits, unit } => format!("`{digits}{unit}`"),
        Token::Text(text) => format!("\"{text}\""),
        Token::Word(word) => format!("`{word}`"),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}

#[cold]
fn left_over(token: &Token, span: Span) -> Problem {
    let problem = Problem::new(span, format!("{} is not expected here", shown(token)));
    match token {
        Token::Sign(")") => problem.fix("there is one `)` too many"),
        Token::Sign(".") => problem.fix("only features have `.by(…)` and the like"),
        Token::Word(word) if word == "EUR" || word == "USD" => {
            problem.fix("a currency comes after a number: `100 EUR`")
        }
        Token::Word(word) if word == "is" => problem.fix("write `==`"),
        Token::Word(word) if word == "over" || word == "by" || word == "where" => {
            problem.fix("write `sum(amount).by(user, currency).over(\"1h\")`")
        }
        _ => problem.expected("an operator: `and`, `or`, `<`, `>=`, `==`, `in`, `+`, `*`, …"),
    }
}
