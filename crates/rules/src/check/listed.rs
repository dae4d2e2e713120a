//! `listed("deny", user)`: lists that change while rules run.

use millrace_domain::{ListedKind, is_list_name};

use super::{Checked, Checker};
use crate::lists::{ListRef, kind_of};
use crate::problem::Problem;
use crate::syntax::ast::{Expr, Node};
use crate::term::{Term, TextTerm};
use crate::types::Type;

impl Checker<'_> {
    /// `listed(list, entity)`.
    pub(super) fn listed(&self, list: &Expr, entity: &Expr) -> Result<Term, Problem> {
        let name = self.list_name(list, entity)?;
        let (text, kind) = self.listed_entity(entity)?;
        let name = name.to_owned();
        Ok(Term::Listed(ListRef { name, kind }, text))
    }

    fn list_name<'e>(&self, list: &'e Expr, entity: &Expr) -> Result<&'e str, Problem> {
        let problem = |what: String| Problem::new(list.span.clone(), what);
        let name = match &list.node {
            Node::Text(name) => name.as_str(),
            Node::Name(name) => {
                let problem = problem(format!("`{name}` is no name of a list")).expected("a text in quotes");
                return Err(match &entity.node {
                    Node::Text(list) => problem.fix(format!("write `listed({list:?}, {name})`")),
                    _ if self.lists.contains_key(name) => {
                        problem.fix(format!("write `merchant in {name}` for a list of this file"))
                    }
                    _ => problem.fix(format!("write `listed({name:?}, user)`")),
                });
            }
            _ => {
                return Err(problem("this is no name of a list".to_owned())
                    .expected("a text in quotes")
                    .fix("write `listed(\"deny\", user)`"));
            }
        };
        if self.lists.contains_key(name) {
            return Err(problem(format!("{name:?} is a list of this file")).fix(format!(
                "write `merchant in {name}`, or give one of the two another name"
            )));
        }
        if !is_list_name(name) {
            return Err(problem(format!("{name:?} is no name of a list"))
                .expected("a letter, then letters, digits and `_`, at most 64, in lower case"));
        }
        Ok(name)
    }

    fn listed_entity(&self, entity: &Expr) -> Result<(TextTerm, ListedKind), Problem> {
        let fields = ListedKind::ALL.map(|kind| format!("`{kind}`")).join(", ");
        let found = self.check(entity)?;
        if let Checked::Text(text, Type::Text(field)) = &found
            && let Some(kind) = kind_of(*field)
        {
            return Ok((text.clone(), kind));
        }
        let problem = Problem::new(entity.span.clone(), format!("{} is on no list", found.ty()));
        let problem = problem.expected(format!("one of {fields}"));
        Err(match found {
            Checked::Literal(_) => problem.fix("write `listed(\"deny\", user)`"),
            Checked::Text(..) => problem.fix("write a list in brackets: `method in [\"paypal\"]`"),
            Checked::Value(..) => problem,
        })
    }
}
