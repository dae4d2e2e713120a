//! What makes an incident or a campaign the same one again.

use uuid::Uuid;

/// Namespace of their ids (a version 4 UUID drawn once for this project).
const NAMESPACE: Uuid = Uuid::from_u128(0x0c57_55e2_61f4_4c0e_93a3_7d0b_54f1_2a9c);

/// The id as a function of the kind (`incident` or `campaign`), the typology, who it is of, and the
/// first transaction (a version 5 UUID, RFC 9562 §5.5): a replay opens the same ones.
pub(crate) fn id_of(kind: &str, typology: &str, of: &str, first: &[u8; 16]) -> Uuid {
    let mut name = Vec::with_capacity(kind.len() + typology.len() + of.len() + 19);
    for text in [kind, typology, of] {
        name.extend_from_slice(text.as_bytes());
        name.push(0);
    }
    name.extend_from_slice(first);
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_all_its_parts() {
        let first = [7; 16];
        let id = id_of("incident", "card_testing", "u-1", &first);
        assert_eq!(id, id_of("incident", "card_testing", "u-1", &first));
        for other in [
            id_of("campaign", "card_testing", "u-1", &first),
            id_of("incident", "card_testin", "gu-1", &first),
            id_of("incident", "card_testing", "u-2", &first),
            id_of("incident", "card_testing", "u-1", &[8; 16]),
        ] {
            assert_ne!(other, id);
        }
    }
}
