//! The operator's state as bytes.

use std::sync::Arc;

use millrace_engine::keyed::Sweep;
use millrace_engine::snapshot::StateReader;
use millrace_engine::{FrozenState, RestoreError, Watermark};

use super::{DetectOperator, remembered};
use crate::rule_set::RuleSet;
use crate::rules::Running;
use crate::state;

impl DetectOperator {
    /// As [`millrace_engine::Operator::freeze`].
    pub(super) fn frozen(&mut self) -> FrozenState {
        let (policy, watermark) = (self.policy.clone(), self.watermark.clone());
        let (payloads, replayed) = (self.payloads.freeze(), self.replayed.freeze());
        let (profiles, recent) = (self.profiles.freeze(), self.recent.freeze());
        let forgotten_before_ms = self.watermark_less(self.policy.profile_retention_ms);
        let known_from_ms = self.known_from_ms;
        let rule_set = self.rule_set.as_mut().map(|rule_set| rule_set.freeze());
        FrozenState::new(move |writer| {
            writer.u8(match rule_set {
                Some(_) => state::VERSION,
                None => state::WITHOUT_RULE_SET,
            });
            writer.policy(&policy);
            watermark.snapshot(writer);
            writer.i64(known_from_ms);
            payloads(writer);
            replayed(writer);
            state::write_profiles(writer, profiles, &recent, forgotten_before_ms);
            if let Some(rule_set) = rule_set {
                rule_set.write(|part| writer.raw(part));
            }
        })
    }

    /// As [`millrace_engine::Operator::restore`].
    pub(super) fn restore_from(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        let version = reader.version("detect", state::VERSION)?;
        let policy = if version < state::WITH_POLICY {
            self.policy.clone()
        } else {
            reader.policy()?
        };
        let rules = Running::of(&policy.rules);
        let watermark = Watermark::restore(policy.max_disorder_ms, &mut reader)?;
        let horizon_ms = policy.dedup_horizon_ms;
        let (mut payloads, mut replayed) = remembered(horizon_ms, self.seed);
        let mut known_from_ms = i64::MIN;
        match state::earlier(version) {
            Some(earlier) => {
                payloads.restore_earlier(&mut reader, earlier, horizon_ms)?;
                replayed.restore_halves(&mut reader, horizon_ms)?;
            }
            None => {
                known_from_ms = reader.i64()?;
                payloads.restore(&mut reader)?;
                replayed.restore(&mut reader)?;
            }
        }
        let mut recent = rules.pool();
        let profiles = state::read_profiles(&mut reader, &mut recent, self.seed)?;
        let lists = policy.live_lists();
        let rule_set = match policy.version() {
            Some(planned) if version >= state::WITH_RULE_SET => {
                let at = reader.position();
                let rest = reader.raw(bytes.len() - at)?;
                let rule_set = RuleSet::restore(Arc::clone(planned), self.seed, lists, (rest, at))?;
                Some(Box::new(rule_set))
            }
            Some(planned) => Some(Box::new(RuleSet::new(Arc::clone(planned), self.seed, lists))),
            None => None,
        };
        reader.finish()?;
        self.policy = policy;
        self.rules = rules;
        self.watermark = watermark;
        self.payloads = payloads;
        self.replayed = replayed;
        self.profiles = profiles;
        self.recent = recent;
        self.known_from_ms = known_from_ms;
        self.sweep = Sweep::default();
        self.rule_set = rule_set;
        Ok(())
    }
}
