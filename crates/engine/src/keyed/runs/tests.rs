use super::*;
use proptest::prelude::*;

impl Entry for u32 {
    const NONE: Self = 0;
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, usize, u32),
    DropFirst(usize, usize),
    Replace(usize, usize, usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..20, 0_usize..20, any::<u32>()).prop_map(|(run, at, number)| Step::Insert(run, at, number)),
        1 => (0_usize..20, 0_usize..14).prop_map(|(run, count)| Step::DropFirst(run, count)),
        1 => (0_usize..20, 0_usize..14, 0_usize..5, any::<u32>())
            .prop_map(|(run, at, count, number)| Step::Replace(run, at, count, number)),
    ]
}

proptest! {
    #[test]
    fn runs_behave_as_vectors_and_chunks_are_used_again(
        max_len in 1_u16..14,
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut pool = Runs::new(max_len);
        let mut runs = [Run::EMPTY; 20];
        let mut oracle: Vec<Vec<u32>> = vec![Vec::new(); 20];
        for step in steps {
            match step {
                Step::Insert(run, at, number) => {
                    let at = at.min(oracle[run].len());
                    pool.insert(&mut runs[run], at, number);
                    oracle[run].insert(at, number);
                    if oracle[run].len() > usize::from(max_len) {
                        oracle[run].remove(0);
                    }
                }
                Step::Replace(run, at, count, number) => {
                    let at = at.min(oracle[run].len());
                    let range = at..(at + count).min(oracle[run].len());
                    pool.replace(&mut runs[run], range.clone(), number);
                    oracle[run].splice(range, [number]);
                    if oracle[run].len() > usize::from(max_len) {
                        oracle[run].remove(0);
                    }
                }
                Step::DropFirst(run, count) => {
                    pool.drop_first(&mut runs[run], count);
                    let count = count.min(oracle[run].len());
                    oracle[run].drain(..count);
                }
            }
            for (run, expected) in runs.iter().zip(&oracle) {
                prop_assert!(pool.entries(run).eq(expected));
            }
            let taken: usize = pool.classes.iter().map(|class| class.used as usize - class.free.len()).sum();
            prop_assert_eq!(taken, oracle.iter().filter(|run| run.len() > 1).count());
        }
    }
}
