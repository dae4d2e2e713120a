//! The `contract!` macro.

/// Makes a record of a contract: the struct, and its codec in Avro and JSON.
///
/// Each field has a type, which is its [`Kind`](crate::Kind) unless another one follows after `as`,
/// and its own name in the schema unless another one follows after `=`. The fields are in the order
/// of the schema.
///
/// The struct implements [`Contract`](crate::Contract) and [`Encode`](crate::Encode), so that a
/// [`Reader`](crate::Reader) reads it, whatever schema it was written with. Whether struct and
/// schema say the same, a test asks `check_schema`:
///
/// ```
/// use millrace_contract::{Encode as _, Id, Text, Time, contract};
/// use uuid::Uuid;
///
/// contract! {
///     schema "shop.Visit" = r#"{"type": "record", "name": "Visit", "namespace": "shop",
///       "fields": [
///         {"name": "visit_id", "type": {"type": "string", "logicalType": "uuid"}},
///         {"name": "page", "type": "string"},
///         {"name": "user_id", "type": ["null", "string"], "default": null},
///         {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}
///     ]}"#;
///
///     /// A visit of a page.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub struct Visit {
///         /// Unique for ever.
///         pub visit_id: Uuid,
///         /// The page's path.
///         pub page: Text<256>,
///         /// Who, where that is known.
///         pub user_id: Option<Id>,
///         /// When, in milliseconds since 1970.
///         pub time_ms: i64 as Time = "ts",
///     }
/// }
///
/// assert_eq!(Visit::check_schema(), Ok(()));
/// let mut json = Vec::new();
/// let page = Text::new("/").unwrap();
/// Visit { visit_id: Uuid::nil(), page, user_id: None, time_ms: 5 }.encode_json(&mut json);
/// assert_eq!(
///     String::from_utf8(json).unwrap(),
///     r#"{"visit_id":"00000000-0000-0000-0000-000000000000","page":"/","user_id":null,"ts":5}"#,
/// );
/// ```
#[macro_export]
macro_rules! contract {
    (
        schema $name:literal = $schema:expr;

        $(#[$meta:meta])*
        $vis:vis struct $record:ident {
            $(
                $(#[$field_meta:meta])*
                $field_vis:vis $field:ident: $type:ty $(as $kind:ty)? $(= $label:literal)?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $record {
            $( $(#[$field_meta])* $field_vis $field: $type ),+
        }

        impl $record {
            /// Whether struct and schema say the same.
            ///
            /// # Errors
            /// What differs first, by field.
            $vis fn check_schema() -> ::core::result::Result<(), ::std::string::String> {
                $crate::schema_check::check(
                    $name,
                    $schema,
                    &[$( (
                        $crate::__label!($field $($label)?),
                        <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::schema(),
                    ) ),+],
                )
            }
        }

        impl $crate::Contract for $record {
            const SCHEMA: &'static str = $schema;
            const NAME: &'static str = $name;
            const MONEY: &'static [(&'static str, ::core::option::Option<$crate::money::Money>)] = &[$( (
                $crate::__label!($field $($label)?),
                <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::MONEY,
            ) ),+];
            const FROM_JSON: ::core::option::Option<$crate::reader::FromJson<Self>> = {
                #[derive(Default)]
                struct Fields {
                    $( $field: ::core::option::Option<$type> ),+
                }

                impl $crate::json::Fields for Fields {
                    type Record = $record;

                    fn read<'de, A: $crate::json::MapAccess<'de>>(
                        &mut self,
                        name: &str,
                        map: &mut A,
                    ) -> ::core::result::Result<(), $crate::DecodeError> {
                        $(
                            if name == $crate::__label!($field $($label)?) {
                                return $crate::json::field::<$crate::__kind!($type $(, $kind)?), A>(
                                    &mut self.$field,
                                    map,
                                    $crate::__label!($field $($label)?),
                                );
                            }
                        )+
                        $crate::json::skip(map)
                    }

                    fn finish(self) -> ::core::result::Result<$record, $crate::DecodeError> {
                        ::core::result::Result::Ok($record {
                            $(
                                $field: match self.$field {
                                    ::core::option::Option::Some(value) => value,
                                    ::core::option::Option::None => {
                                        <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::missing(
                                            $crate::__label!($field $($label)?),
                                        )?
                                    }
                                },
                            )+
                        })
                    }
                }

                ::core::option::Option::Some($crate::json::decode::<Fields>)
            };

            type Kept = ();

            fn keep(_records: &[Self]) {}

            #[inline]
            fn decode(body: &[u8]) -> ::core::result::Result<Self, $crate::DecodeError> {
                let mut cursor = $crate::wire::Cursor::new(body);
                let record = Self {
                    $(
                        $field: <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::read(
                            &mut cursor,
                            $crate::__label!($field $($label)?),
                        )?,
                    )+
                };
                cursor.end()?;
                ::core::result::Result::Ok(record)
            }
        }

        impl $crate::Encode for $record {
            const MAX_LEN: usize = 0 $( + <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::MAX_LEN )+;

            #[inline]
            fn encode(&self, bytes: &mut ::std::vec::Vec<u8>) {
                bytes.reserve(<Self as $crate::Encode>::MAX_LEN);
                $( <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::put(&self.$field, bytes); )+
            }

            fn encode_json(&self, bytes: &mut ::std::vec::Vec<u8>) {
                bytes.push(b'{');
                $(
                    bytes.extend_from_slice(
                        ::core::concat!("\"", $crate::__label!($field $($label)?), "\":").as_bytes(),
                    );
                    <$crate::__kind!($type $(, $kind)?) as $crate::Kind>::put_json(&self.$field, bytes);
                    bytes.push(b',');
                )+
                // In place of the last comma.
                bytes.pop();
                bytes.push(b'}');
            }
        }
    };
}

/// The kind of a field: its type, unless another one is named.
#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    ($type:ty) => {
        $type
    };
    ($type:ty, $kind:ty) => {
        $kind
    };
}

/// The name of a field in the schema: its own, unless another one is given.
#[doc(hidden)]
#[macro_export]
macro_rules! __label {
    ($field:ident) => {
        ::core::stringify!($field)
    };
    ($field:ident $label:literal) => {
        $label
    };
}
