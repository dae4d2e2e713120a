//! Asking again what brokers that are busy have not answered in time.

use std::time::{Duration, Instant};

use rdkafka::admin::TopicResult;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// Asks until there is an answer, whatever it is; what is asked must be harmless when it is done
/// twice. A cluster that cannot be reached is an answer: its reason is told at once.
///
/// # Errors
/// The answer is one; or there is none although `patience` is over.
pub(super) fn answered<T>(patience: Duration, mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(error) if is_silence(&error) && start.elapsed() < patience => {
                tracing::debug!(%error, "asking again");
            }
            answer => return answer,
        }
    }
}

/// What the controllers answered about one topic, where they have not run out of time on it.
pub(super) fn decided(results: Vec<TopicResult>) -> KafkaResult<Vec<TopicResult>> {
    match results.first() {
        Some(Err((_, code @ RDKafkaErrorCode::RequestTimedOut))) => Err(KafkaError::AdminOp(*code)),
        _ => Ok(results),
    }
}

fn is_silence(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of so many questions is heard: silence, until `answer` is given.
    fn asked(silences: usize, patience: Duration, answer: &KafkaResult<i32>) -> (KafkaResult<i32>, usize) {
        let mut count = 0;
        let given = answered(patience, || {
            count += 1;
            match count > silences {
                true => answer.clone(),
                false => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)),
            }
        });
        (given, count)
    }

    #[test]
    fn silence_is_asked_again_and_an_answer_is_taken() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(asked(3, hour, &Ok(7)), (Ok(7), 4));
        let refused = KafkaError::AdminOp(RDKafkaErrorCode::TopicAlreadyExists);
        assert_eq!(asked(1, hour, &Err(refused.clone())), (Err(refused), 2));
        let down = KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(asked(0, hour, &Err(down.clone())), (Err(down), 1));
    }

    #[test]
    fn a_topic_that_time_ran_out_on_is_not_decided() {
        let of = |code| vec![Err(("topic".to_owned(), code))];
        let late = decided(of(RDKafkaErrorCode::RequestTimedOut));
        assert_eq!(late, Err(KafkaError::AdminOp(RDKafkaErrorCode::RequestTimedOut)));
        let there = of(RDKafkaErrorCode::TopicAlreadyExists);
        assert_eq!(decided(there.clone()), Ok(there));
    }

    #[test]
    fn silence_ends_with_the_patience() {
        let silent = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        assert_eq!(asked(9, Duration::ZERO, &Ok(7)), (Err(silent), 1));
    }
}
