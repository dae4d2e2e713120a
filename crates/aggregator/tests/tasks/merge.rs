//! Stage 2.

use super::*;

#[test]
fn stage_2_makes_one_aggregate_of_the_partitions_it_waits_for_and_keeps_what_comes_later() {
    for merchant in ["m-1", "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11"] {
        one_aggregate_of_two_partitions(merchant);
    }
}

fn one_aggregate_of_two_partitions(merchant: &str) {
    let (mut merge, mut kept) = (merge_task(2), Kept::default());
    let mut partials = Kept::default();
    for source in 0..3 {
        let mut task = partial_task(source);
        let payload = value(1, &format!("u-{source}"), merchant, 5, NOON_MS);
        task.process(&input(0, &payload), &mut partials).unwrap();
        task.advance(NOON_MS + WINDOW_MS, &mut partials).unwrap();
    }
    let here = Some(partition_for(merchant.as_bytes(), PARTIALS_PARTITIONS));
    for sent in partials.sent.iter().filter(|sent| sent.partition == here) {
        merge.process(&input(0, &sent.payload), &mut kept).unwrap();
    }
    let [sent] = &kept.sent[..] else {
        panic!("{:?}", kept.sent)
    };
    assert_eq!(
        (sent.topic.as_str(), sent.key.as_deref()),
        ("aggregates", Some(merchant.as_bytes()))
    );
    let (id, body) = framing::split(&sent.payload).unwrap();
    assert_eq!(id, AGGREGATE_ID);
    let found = aggregate::decode(body).unwrap();
    assert_eq!((found.totals.purchase_count, found.distinct_users), (2, 2));
    assert_eq!(found.window_start_ms, NOON_MS);
    assert_eq!(found.merchant_id.to_string(), merchant);

    let codes: Vec<_> = kept.dead_letters.iter().map(|(code, _)| *code).collect();
    assert_eq!(
        codes,
        ["late_contribution"],
        "nobody waited for the third source, which came after the window had been sent"
    );
    let again = &partials
        .sent
        .iter()
        .find(|sent| sent.key.is_some())
        .unwrap()
        .payload;
    merge.process(&input(0, again), &mut kept).unwrap();
    assert_eq!(kept.dead_letters[1].0, "late_contribution");
    assert_eq!(kept.sent.len(), 1);
}
