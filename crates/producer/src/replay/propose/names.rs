//! Which column's name suits which field.

/// Names that columns of each field have, the plainest first, in small letters without separators.
const NAMES: [(&str, &[&str]); 10] = [
    (
        "transactionId",
        &[
            "transactionid",
            "txid",
            "txnid",
            "transid",
            "transnum",
            "paymentid",
            "eventid",
            "orderid",
            "uuid",
            "id",
            "buchungsnr",
            "buchungsnummer",
            "referenz",
            "reference",
            "nr",
            "number",
        ],
    ),
    (
        "transactionTime",
        &[
            "transactiontime",
            "txdatetime",
            "timestamp",
            "datetime",
            "eventtime",
            "createdat",
            "transdate",
            "time",
            "ts",
            "date",
            "zeit",
            "datum",
            "unixtime",
            "ms",
        ],
    ),
    (
        "amount",
        &[
            "amount", "txamount", "amt", "betrag", "montant", "importe", "total", "value", "price", "sum",
        ],
    ),
    (
        "userId",
        &[
            "userid",
            "customerid",
            "clientid",
            "accountid",
            "cardid",
            "payerid",
            "customer",
            "client",
            "user",
            "account",
            "ccnum",
            "cardnumber",
            "card",
            "payer",
            "kunde",
            "konto",
            "iban",
            "sender",
            "nameorig",
        ],
    ),
    (
        "merchantId",
        &[
            "merchantid",
            "terminalid",
            "storeid",
            "shopid",
            "sellerid",
            "payeeid",
            "merchant",
            "terminal",
            "store",
            "shop",
            "seller",
            "payee",
            "vendor",
            "haendler",
            "laden",
            "empfaenger",
            "recipient",
            "namedest",
        ],
    ),
    (
        "currency",
        &["currency", "currencycode", "ccy", "waehrung", "devise"],
    ),
    (
        "transactionType",
        &[
            "transactiontype",
            "txtype",
            "type",
            "kind",
            "direction",
            "debitcredit",
            "sollhaben",
            "art",
        ],
    ),
    (
        "location",
        &["location", "city", "town", "place", "stadt", "ort", "ville"],
    ),
    (
        "paymentMethod",
        &["paymentmethod", "paymenttype", "method", "channel", "zahlungsart"],
    ),
    (
        "isInternational",
        &[
            "isinternational",
            "international",
            "isforeign",
            "foreign",
            "crossborder",
            "ausland",
        ],
    ),
];

/// The fields, those first whose columns are plainest.
pub(super) fn fields() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(field, _)| *field)
}

/// How well a column's name suits a field; 0 is not at all.
pub(super) fn score(field: &str, column: &str) -> usize {
    let plain = |text: &str| -> String {
        let mut plain = String::new();
        for c in text.to_lowercase().chars() {
            match c {
                'ä' => plain += "ae",
                'ö' => plain += "oe",
                'ü' => plain += "ue",
                c if c.is_alphanumeric() => plain.push(c),
                _ => {}
            }
        }
        plain
    };
    let whole = plain(column);
    let last = plain(column.rsplit('.').next().unwrap_or(column));
    let names = NAMES
        .iter()
        .find(|(name, _)| *name == field)
        .map_or(&[][..], |(_, names)| names);
    let rank = |matches: &dyn Fn(&str) -> bool| {
        names
            .iter()
            .position(|name| matches(name))
            .map(|at| names.len() - at)
    };
    // A path as payer.id is named by all of it, or by its end.
    rank(&|name| name == whole)
        .map(|rank| 300 + rank)
        .or_else(|| rank(&|name| name == last).map(|rank| 200 + rank))
        .or_else(|| rank(&|name| name.len() > 3 && whole.contains(name)).map(|rank| 100 + rank))
        .unwrap_or(0)
}
