//! Names of places as they are compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A name without case and accents, without full stops and apostrophes, and with one blank where
/// there are several, hyphens or underscores; none at its ends. So `SÃO PAULO `, `Sao-Paulo` and
/// `são paulo` are one, and `St. Louis` is `ST LOUIS`.
///
/// `data/make_cities.py` does the same to the table's names.
pub(super) fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for letter in name.nfkd().flat_map(char::to_lowercase) {
        match letter {
            '.' | '\'' | '’' | '‘' | 'ʻ' | 'ʼ' | '`' | '´' => {}
            '-' | '‐' | '‑' | '–' | '—' | '_' => blank(&mut folded),
            _ if letter.is_whitespace() => blank(&mut folded),
            _ if letter.is_ascii() => folded.push(letter),
            _ if is_combining_mark(letter) => {}
            _ => match plain(letter) {
                Some(plain) => folded.push_str(plain),
                None => folded.push(letter),
            },
        }
    }
    folded.truncate(folded.trim_end_matches(' ').len());
    folded
}

fn blank(folded: &mut String) {
    if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// The ASCII letters for one that Unicode does not decompose.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ı' => "i",
        'ħ' => "h",
        'ŋ' => "n",
        'ə' => "e",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_a_name_are_one() {
        for (names, folded) in [
            (
                &["São Paulo", " SÃO  PAULO ", "sao-paulo", "Sa\u{303}o Paulo"][..],
                "sao paulo",
            ),
            (&["Zürich", "ZÜRICH", "zurich\t"], "zurich"),
            (&["St. Louis", "ST LOUIS"], "st louis"),
            (&["Xi’an", "Xi'an", "XIAN"], "xian"),
            (&["Łódź", "LODZ"], "lodz"),
            (&["Gießen", "GIESSEN"], "giessen"),
            (&["İstanbul", "ISTANBUL"], "istanbul"),
            (&["東京", " 東京"], "東京"),
            (&["", " ", "-", "."], ""),
        ] {
            for name in names {
                assert_eq!(fold(name), folded, "{name:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_folded_stays(name: String) {
            let folded = fold(&name);
            prop_assert_eq!(fold(&folded), folded);
        }
    }
}
