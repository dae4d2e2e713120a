//! What can be set of a rule, in one place.

/// Defines a rule's settings from its fields, each with its default and its range: the struct that
/// a policy has, and the section of the configuration, which has `enabled` besides.
macro_rules! settings {
    (
        $(#[$doc:meta])*
        $settings:ident, set by $(#[$section_doc:meta])* $section:ident of $rule:literal:
        $( $(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr, $range:expr; )*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $settings {
            $( $(#[$field_doc])* #[serde(with = "crate::exact")] pub $field: $kind, )*
        }

        impl Default for $settings {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $settings {
            /// Names each value that is out of its range.
            pub(crate) fn check(&self, refuse: &mut dyn FnMut($crate::SettingError)) {
                $(
                    let key = concat!("rules.", $rule, ".", stringify!($field));
                    $crate::ranges::Range::of(key, $range).check(self.$field, refuse);
                )*
            }

            /// Names and values, which [`Self::of_text`] reads.
            pub(crate) fn text(&self) -> String {
                [ $( format!(concat!(stringify!($field), "={}"), self.$field), )* ].join(" ")
            }

            /// The settings of such a text; `None` where a value is missing, or none.
            pub(crate) fn of_text(text: &str) -> Option<Self> {
                Some(Self { $( $field: $crate::settings::number(text, stringify!($field))?, )* })
            }
        }

        $(#[$section_doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $section {
            /// Whether the rule runs.
            pub enabled: bool,
            $( $(#[$field_doc])* pub $field: $kind, )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { enabled: true, $( $field: $default, )* }
            }
        }

        impl $section {
            fn all(&self) -> $settings {
                $settings { $( $field: self.$field, )* }
            }

            /// The settings of the rule; `None` where it does not run.
            pub(crate) fn settings(&self) -> Option<$settings> {
                self.enabled.then(|| self.all())
            }

            /// Names each value that is out of its range, whether or not the rule runs.
            pub(crate) fn check(&self, refuse: &mut dyn FnMut($crate::SettingError)) {
                self.all().check(refuse);
            }
        }
    };
}

pub(crate) use settings;
