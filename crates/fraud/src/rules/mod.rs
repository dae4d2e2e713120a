//! The built-in rules: a file each, and a line each in the table at the end of this one.

pub mod amount_outlier;
pub mod impossible_travel;
pub mod replay;
mod set;
pub mod velocity;

use serde::{Deserialize, Serialize};

use self::amount_outlier::{AmountOutlier, AmountOutlierRule, AmountOutlierSettings, HabitSettings};
use self::impossible_travel::{ImpossibleTravel, ImpossibleTravelRule, ImpossibleTravelSettings};
use self::replay::ReplayRule;
use self::velocity::{Velocity, VelocityRule, VelocitySettings};
use crate::settings::SettingError;

/// Makes of the table what has to know every rule: the configuration's section, the settings of a
/// policy, and what runs. The rule of replays is beside it: it judges transactions that are known
/// already, which no other rule sees.
macro_rules! table {
    ($( $(#[$doc:meta])* $name:ident: $rule:ident, $settings:ident, $section:ident; )*) => {
        /// The fraud rules, as they are configured.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Rules {
            /// Files of rules, or directories of them, or what is shipped: `library/velocity.yml`.
            pub files: Vec<String>,
            /// Whether a change of the rules while the detector runs needs a second person.
            pub two_keys: bool,
            $( $(#[$doc])* pub $name: $section, )*
            /// The same transaction id with another payload.
            pub replay: ReplayRule,
        }

        impl Rules {
            /// The settings of the built-in rules. How usual amounts are learnt is set under the
            /// amount outlier and holds without that rule too, as velocity rests on it.
            #[must_use]
            pub fn settings(&self) -> RuleSettings {
                RuleSettings {
                    habit: self.amount_outlier.habit(),
                    $( $name: self.$name.settings(), )*
                    replay: self.replay.enabled,
                }
            }

            /// Names each value that is out of its range, whether or not its rule runs.
            pub fn check(&self, refuse: &mut dyn FnMut(SettingError)) {
                $( self.$name.check(refuse); )*
            }
        }

        /// The settings of the built-in rules; `None` for one that does not run.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct RuleSettings {
            /// How a user's usual amounts are learnt. Velocity and amount outlier rest on them.
            pub habit: HabitSettings,
            $( $(#[$doc])* pub $name: Option<$settings>, )*
            /// Whether the same transaction id with another payload is an anomaly.
            pub replay: bool,
        }

        impl Default for RuleSettings {
            fn default() -> Self {
                Self {
                    habit: HabitSettings::default(),
                    $( $name: Some($settings::default()), )*
                    replay: true,
                }
            }
        }

        impl RuleSettings {
            /// The rules that run, by name.
            pub fn names(&self) -> impl Iterator<Item = &'static str> {
                let rules = [
                    $( ($name::NAME, self.$name.is_some()), )*
                    (replay::NAME, self.replay),
                ];
                rules.into_iter().filter(|(_, runs)| *runs).map(|(name, _)| name)
            }

            /// Names each value that is out of its range.
            pub(crate) fn check(&self, refuse: &mut dyn FnMut(SettingError)) {
                self.habit.check(refuse);
                $( if let Some(rule) = &self.$name {
                    rule.check(refuse);
                } )*
            }

            /// All of it, with one group in parentheses for each rule that runs.
            pub(crate) fn text(&self) -> String {
                let mut text = self.habit.text();
                $( if let Some(rule) = &self.$name {
                    text += &format!(" {}({})", $name::NAME, rule.text());
                } )*
                if self.replay {
                    text += " replay()";
                }
                text
            }

            /// The settings of such a text; `None` where a rule is there and cannot be read.
            pub(crate) fn of_text(text: &str) -> Option<Self> {
                let group = |name| {
                    let (_, after) = text.split_once(&format!(" {name}("))?;
                    Some(after.split_once(')').map(|(group, _)| group))
                };
                Some(Self {
                    habit: HabitSettings::of_text(text)?,
                    $( $name: match group($name::NAME) {
                        None => None,
                        Some(group) => Some($settings::of_text(group?)?),
                    }, )*
                    replay: group(replay::NAME).is_some(),
                })
            }
        }

        /// The rules that run.
        #[derive(Debug, Clone)]
        pub(crate) struct Running {
            $( pub(crate) $name: Option<$rule>, )*
        }

        impl Running {
            pub(crate) fn of(rules: &RuleSettings) -> Self {
                Self { $( $name: rules.$name.map(|settings| $rule::of(settings, rules)), )* }
            }
        }
    };
}

table! {
    /// Too many or too much in a short time.
    velocity: Velocity, VelocitySettings, VelocityRule;
    /// An amount far from the user's habit.
    amount_outlier: AmountOutlier, AmountOutlierSettings, AmountOutlierRule;
    /// Two places too far apart for the time between.
    impossible_travel: ImpossibleTravel, ImpossibleTravelSettings, ImpossibleTravelRule;
}
