//! Functions of values alone.

/// A function of values alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Function {
    Log,
    Exp,
    Sqrt,
    Abs,
    Least,
    Greatest,
    Hour,
    Weekday,
    DistanceKm,
    Place,
    Has,
    Listed,
    Duration,
    Timestamp,
}

pub(crate) struct FunctionEntry {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) usage: &'static str,
    pub(crate) arguments: usize,
    pub(crate) about: &'static str,
}

const fn function(
    name: &'static str,
    function: Function,
    arguments: usize,
    usage: &'static str,
    about: &'static str,
) -> FunctionEntry {
    FunctionEntry {
        name,
        function,
        usage,
        arguments,
        about,
    }
}

pub(crate) const FUNCTIONS: [FunctionEntry; 14] = [
    function(
        "log",
        Function::Log,
        1,
        "log(RATIO)",
        "The natural logarithm; unknown of 0 and below. Of money only in `zscore(log(amount))`.",
    ),
    function("exp", Function::Exp, 1, "exp(RATIO)", "The exponential."),
    function(
        "sqrt",
        Function::Sqrt,
        1,
        "sqrt(RATIO)",
        "The square root; unknown below 0.",
    ),
    function(
        "abs",
        Function::Abs,
        1,
        "abs(X)",
        "Without its sign: a number, money or a duration.",
    ),
    function(
        "least",
        Function::Least,
        2,
        "least(X, Y)",
        "The smaller of two of one type.",
    ),
    function(
        "greatest",
        Function::Greatest,
        2,
        "greatest(X, Y)",
        "The greater of two of one type.",
    ),
    function(
        "hour",
        Function::Hour,
        1,
        "hour(time)",
        "The hour of the day in UTC, 0 to 23.",
    ),
    function(
        "weekday",
        Function::Weekday,
        1,
        "weekday(time)",
        "The day of the week in UTC, 1 for Monday to 7.",
    ),
    function(
        "place",
        Function::Place,
        1,
        "place(location)",
        "Where that city is; unknown for a name that no city has.",
    ),
    function(
        "distance_km",
        Function::DistanceKm,
        2,
        "distance_km(PLACE, PLACE)",
        "The great-circle distance in kilometres.",
    ),
    function(
        "has",
        Function::Has,
        1,
        "has(X)",
        "Whether X is known: never unknown itself.",
    ),
    function(
        "listed",
        Function::Listed,
        2,
        "listed(\"deny\", user)",
        "Whether a user, a merchant or a location is on a list of `millrace lists`, which changes while rules \
         run: from the first transaction after the change on, for event times before the entry's end. A \
         list that nobody is on is empty.",
    ),
    function(
        "duration",
        Function::Duration,
        1,
        "duration(\"1h30m\")",
        "The same as the literal `1h30m`.",
    ),
    function(
        "timestamp",
        Function::Timestamp,
        1,
        "timestamp(\"2026-01-31T00:00:00Z\")",
        "An instant (RFC 3339).",
    ),
];
